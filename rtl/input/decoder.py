"""Run-length words in, tokens out."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT, MAX_REMAINDER
from ..errors import Error
from ..layouts import RUN_BITS, Token, Word
from ..parts.skid import SkidBuffer

MIN_TOKEN_BITS = 8 + 1
MAX_TOKEN_BITS = 8 + MAX_QUOTIENT + MAX_REMAINDER
WORD_BITS = 32


def decoder_signature(element_bits: int) -> wiring.Signature:
    """The members of both forms."""
    return wiring.Signature(
        {
            "start": In(1),
            "elements": In(element_bits),
            "k": In(3),
            "stop": In(1),
            "words": In(stream.Signature(Word)),
            "tokens": Out(stream.Signature(Token)),
            "busy": Out(1),
            "failed": Out(1),
            "error": Out(Error),
        }
    )


class MeasuredWord(data.Struct):
    """A word, and for each of its bits how much longer than with quotient 0 a token is that begins there: three binary digits."""

    word: WORD_BITS
    longer: data.ArrayLayout(WORD_BITS, 3)


class RunLengthDecoder(wiring.Component):
    """Decodes tensors of Golomb-Rice run-length code (S. W. Golomb, Run-length encodings, 1966; R. F. Rice, 1979).

    A token is value (8 bits), quotient in unary (ones ended by a zero, seven are not ended) and remainder (k bits), least
    significant bit first. Words come up from `waiting` over `high` and `middle` to `low`. How long a token is at each of a word's 32 bits
    is found while the word comes up, so that in each cycle the next token's offset, in the middle or the low word, follows from the one
    before. Behind this loop, a token is aligned, its run is computed and counted off the tensor's elements, and it is handed on. It begins
    when the word above its first one is there, or there is none.

    element_bits: width of `elements`.

    Members:
        start: begins a tensor of `elements` elements (at least 1) coded with parameter `k`; only while `busy` is 0.
        stop: gives the tensor up, as an error does, but without reporting one.
        words: 32-bit words, of which the tensor's last one carries `last`; taken only while `busy`.
        tokens: the tensor's tokens, of which the last one carries `last`.
        busy: from the cycle after `start` until the last token has been handed on, or, after an error, until the word
            with `last` has been taken, so that the next tensor begins at a tensor's first word.
        failed: for one cycle, the tensor is in error, which `error` names: STREAM_ENDED_EARLY (its words end inside a token or
            before all elements), STREAM_RAN_OVER (a token covers more than is left) or STREAM_BITS_LEFT (after the last
            element there are further words, or ones in the rest of the word). Tokens before it have been handed on.

    Throughput: one token a cycle. Latency: 7 cycles from the first word to the first token.
    """

    def __init__(self, element_bits: int = 32) -> None:
        super().__init__(decoder_signature(element_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        decoding = Signal()
        discarding = Signal()  # of words up to the one with last
        begun = Signal()  # a word of the tensor has been taken
        no_more = Signal()  # the word with last has been taken
        k = Signal(3)
        token = self.tokens.payload
        taken = self.words.valid & self.words.ready
        gives_up = self.failed | self.stop

        # Words move up when the one above the next lowest is there, or there is none.
        m.submodules.waiting = ResetInserter(gives_up)(skid := SkidBuffer(Word))
        waiting = skid.sink
        high, middle, low = Signal(WORD_BITS), Signal(MeasuredWord), Signal(MeasuredWord)
        high_valid, middle_valid, low_valid = (Signal(name=f"{name}_valid") for name in ("high", "middle", "low"))
        last_up = Signal()  # the word with last has left `waiting`
        moves, rises, up = Signal(), Signal(), Signal()
        crossed = Signal(init=1)  # the next token begins in the middle word
        m.d.comb += [
            skid.source.payload.eq(self.words.payload),
            skid.source.valid.eq(taken & decoding),
            self.words.ready.eq((decoding & ~no_more & skid.source.ready) | discarding),
            up.eq(moves & crossed & middle_valid),
            rises.eq((waiting.valid | last_up) & (~middle_valid | up)),
            waiting.ready.eq(rises),
        ]

        # A token is longer by the ones of its unary part, of which the seventh does not count.
        above = Cat(high, waiting.payload.data)
        ones = [Const(-1, signed(WORD_BITS))]  # where a token's unary part has so many or more
        for count in range(MAX_QUOTIENT - 1):
            ones.append(ones[-1] & above[8 + count : 8 + count + WORD_BITS])
        measured = [reduce(xor, ones[1 << place :: 1 << place]) for place in range(3)]

        # First stage, the loop: from a token's offset to the next one's. Only a word's first token begins before bit 9, and before bit 22.
        offset = Signal(range(WORD_BITS))
        fixed = Signal(range(8 + MAX_REMAINDER + 1))  # bits of value and remainder
        longer = Signal(range(MAX_QUOTIENT))
        for place in range(3):
            first, others = middle.longer[place], low.longer[place]
            both = slice(MIN_TOKEN_BITS, MAX_TOKEN_BITS)
            digits = Cat(first[:MIN_TOKEN_BITS], Mux(crossed, first[both], others[both]), others[MAX_TOKEN_BITS:])
            m.d.comb += longer[place].eq(digits.bit_select(offset, 1))
        behind = Signal(range(WORD_BITS + MAX_TOKEN_BITS))  # offset of the next token
        begins = Signal()
        m.d.comb += [
            # offset + fixed + longer + 1, the last of them as a carry, which keeps the first sum apart: it is there early.
            behind.eq((Cat(1, offset + fixed) + Cat(1, longer))[1:]),
            begins.eq(~crossed | middle_valid | (last_up & ~high_valid)),
        ]

        # Second stage: align it.
        located = Signal()  # a token stands at its offset in the low word
        located_offset, located_longer = Signal.like(offset), Signal.like(longer)
        above_low = Mux(middle_valid, middle.word, high)

        # Third stage: its run. Where the next token begins says whether words ended inside this one, and what is left behind it.
        aligned = Signal()  # a token stands in head
        head = Signal(MAX_TOKEN_BITS)
        head_longer = Signal.like(longer)
        quotient = Signal(range(MAX_QUOTIENT + 1))
        remainder = Signal(MAX_REMAINDER)
        rest = low.word & (Const(-1, signed(WORD_BITS)) << located_offset)
        further = middle_valid | high_valid
        m.d.comb += [
            quotient.eq(Mux(head[8 : 8 + MAX_QUOTIENT].all(), MAX_QUOTIENT, head_longer)),
            remainder.eq((head[9:] >> head_longer) & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k)),
        ]

        # Fourth stage: count it off the tensor.
        computed = Signal()  # a token stands in run and value
        run = Signal(RUN_BITS)
        value, nonzero = Signal(8), Signal()
        cut, left = Signal(), Signal()
        remaining = Signal(signed(len(self.elements) + 1))
        # remaining - run - nonzero with one adder, whose lowest bit is there for its carry.
        difference = Cat(1, remaining).as_signed() + Cat(~nonzero, ~run, 1).as_signed()

        # Fifth stage: hand it on, unless it is an error.
        counted = Signal()  # a token has been counted off remaining
        counted_cut, counted_left = Signal(), Signal()
        over, wrong = Signal(), Signal()
        m.d.comb += [
            over.eq(remaining < 0),
            wrong.eq(counted_cut | over | (token.last & counted_left)),
            moves.eq(~counted | self.tokens.ready),
            self.tokens.valid.eq(counted & ~wrong),
            self.failed.eq(counted & wrong),
            self.error.eq(Mux(counted_cut, Error.STREAM_ENDED_EARLY, Mux(over, Error.STREAM_RAN_OVER, Error.STREAM_BITS_LEFT))),
            self.busy.eq(decoding | discarding),
        ]

        with m.If(taken):
            m.d.sync += [begun.eq(1), no_more.eq(self.words.payload.last)]
            with m.If(self.words.payload.last):
                m.d.sync += discarding.eq(0)
        with m.If(up):
            m.d.sync += low.eq(middle)
        with m.If(rises):
            m.d.sync += [middle.word.eq(high), *(digits.eq(found) for digits, found in zip(middle.longer, measured, strict=True))]
            m.d.sync += [middle_valid.eq(high_valid), high.eq(waiting.payload.data), high_valid.eq(waiting.valid)]
            m.d.sync += last_up.eq(last_up | waiting.payload.last)
        with m.Elif(up):
            m.d.sync += middle_valid.eq(0)
        with m.If(moves):
            with m.If(begins):
                m.d.sync += offset.eq(behind)
            with m.If(~crossed | middle_valid):
                m.d.sync += crossed.eq(behind[-1])
            m.d.sync += [
                *(located.eq(begins), located_offset.eq(offset), located_longer.eq(longer), low_valid.eq(~crossed | middle_valid)),
                *(aligned.eq(located), head.eq(Cat(low.word, above_low) >> located_offset), head_longer.eq(located_longer)),
                *(computed.eq(aligned), run.eq((quotient << k) | remainder), value.eq(head[:8]), nonzero.eq(head[:8].any())),
                cut.eq(~low_valid & ~further & located_offset.any()),
                left.eq(further | (low_valid & (~located_offset.any() | rest.any()))),
                *(counted.eq(computed), token.run.eq(run), token.value.eq(value), counted_cut.eq(cut), counted_left.eq(left)),
            ]
            with m.If(computed):
                m.d.sync += [remaining.eq(difference[1:]), token.last.eq(~difference[1:].any())]

        with m.If(gives_up | (self.tokens.valid & self.tokens.ready & token.last)):
            m.d.sync += [flag.eq(0) for flag in (decoding, high_valid, middle_valid, last_up, located, aligned, computed, counted)]
            m.d.sync += [offset.eq(0), crossed.eq(1)]
        with m.If(decoding & gives_up):
            m.d.sync += discarding.eq((begun | taken) & ~no_more & ~(taken & self.words.payload.last))
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), begun.eq(0), no_more.eq(0), k.eq(self.k), fixed.eq(self.k + 8), remaining.eq(self.elements)]
        return m
