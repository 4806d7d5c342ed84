"""Run-length words in, tokens out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT, MAX_REMAINDER
from ..errors import Error
from ..layouts import RUN_BITS, Token, Word

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


class RunLengthDecoder(wiring.Component):
    """Decodes tensors of Golomb-Rice run-length code (S. W. Golomb, Run-length encodings, 1966; R. F. Rice, 1979).

    A token is value (8 bits), quotient in unary (ones ended by a zero, seven are not ended) and remainder (k bits), least
    significant bit first. Words come up from `waiting` over `high` to `low`, and a token stands at an offset within the lowest one.
    It is aligned in one cycle and its length taken off in the next; then its run is computed, counted off the tensor's elements, and
    handed on, while the token behind it goes through the first cycles.

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

    Throughput: one token in two cycles. Latency: 8 cycles from the first word to the first token.
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
        waiting, high, low = (Signal(WORD_BITS, name=name) for name in ("waiting", "high", "low"))
        waiting_valid, high_valid, low_valid = (Signal(name=f"{name}_valid") for name in ("waiting", "high", "low"))
        offset = Signal(range(WORD_BITS))
        token = self.tokens.payload

        # First cycle: align the token at the offset. A longest one may reach into the higher word.
        aligned = Signal()
        head = Signal(MAX_TOKEN_BITS)
        shortest = Signal(range(WORD_BITS + 9 + MAX_REMAINDER))  # offset of the next token, if this one's quotient is 0
        last_word, no_word = Signal(), Signal()  # there is no higher one; nor a lower one
        ended = no_more & ~waiting_valid & ~high_valid
        with m.If(decoding & ~aligned & (ended | (high_valid & low_valid))):
            m.d.sync += [
                aligned.eq(1),
                head.eq(Cat(low, high) >> offset),
                shortest.eq(offset + k + 9),
                last_word.eq(ended),
                no_word.eq(~low_valid),
            ]

        # Second cycle: take its length off. Seven ones are as long as six and a zero.
        longer = Signal(range(MAX_QUOTIENT))  # than with quotient 0
        behind = Signal(range(WORD_BITS + MAX_TOKEN_BITS))  # offset of the next token
        take, crosses = Signal(), Signal()
        for ones in range(1, MAX_QUOTIENT):
            with m.If(head[8 : 8 + ones].all()):
                m.d.comb += longer.eq(ones)
        m.d.comb += [behind.eq(shortest + longer), crosses.eq(take & behind[-1])]

        # Third cycle: its run. The words end inside the token if it reaches beyond the last one.
        computing = Signal()
        taken_longer = Signal.like(longer)
        run_bits = Signal(MAX_TOKEN_BITS)
        beyond, taken_no_word = Signal(), Signal()
        quotient = Signal(range(MAX_QUOTIENT + 1))
        remainder = Signal(MAX_REMAINDER)
        m.d.comb += [
            quotient.eq(Mux(run_bits[8 : 8 + MAX_QUOTIENT].all(), MAX_QUOTIENT, taken_longer)),
            remainder.eq((run_bits[9:] >> taken_longer) & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k)),
        ]

        # Fourth cycle: count it off the tensor.
        counted = Signal()  # a token stands in run and value
        count = Signal()
        run = Signal(RUN_BITS)
        value = Signal(8)
        cut = Signal()
        remaining = Signal(signed(len(self.elements) + 1))
        # remaining - run - value.any() with one adder, whose lowest bit is there for its carry.
        difference = Cat(1, remaining).as_signed() + Cat(~value.any(), ~run, 1).as_signed()

        # Fifth cycle: hand it on, unless it is an error. What is left behind it does not change before the next token is taken.
        checked = Signal()  # it has been counted off remaining
        left, checked_cut = Signal(), Signal()
        bits_left = Signal()  # in the lowest word; as it was a cycle before
        m.d.sync += bits_left.eq((offset == 0) | (low & (Const(-1, signed(1)) << offset)).any())
        checked_run, checked_value = Signal.like(run), Signal.like(value)
        send, over, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            take.eq(aligned & ~computing & ~(counted & checked)),
            count.eq(counted & ~checked),
            send.eq(checked & (~self.tokens.valid | self.tokens.ready)),
            over.eq(remaining < 0),
            self.failed.eq(send & (checked_cut | over | (ends & left))),
            self.error.eq(Mux(checked_cut, Error.STREAM_ENDED_EARLY, Mux(over, Error.STREAM_RAN_OVER, Error.STREAM_BITS_LEFT))),
            self.words.ready.eq((decoding & ~no_more & ~(waiting_valid & high_valid & low_valid)) | discarding),
            self.busy.eq(decoding | discarding | self.tokens.valid),
        ]
        taken = self.words.valid & self.words.ready

        with m.If(self.tokens.ready):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(taken):
            m.d.sync += [begun.eq(1), no_more.eq(self.words.payload.last)]
            with m.If(self.words.payload.last):
                m.d.sync += discarding.eq(0)

        with m.If(decoding):
            with m.If(take):
                m.d.sync += [aligned.eq(0), computing.eq(1), offset.eq(behind), run_bits.eq(head), taken_longer.eq(longer)]
                m.d.sync += [beyond.eq(last_word & behind[-1]), taken_no_word.eq(no_word)]
            with m.If(computing):
                m.d.sync += [computing.eq(0), counted.eq(1), run.eq((quotient << k) | remainder), value.eq(run_bits[:8])]
                m.d.sync += cut.eq((beyond & offset.any()) | taken_no_word)
            with m.If(send):
                m.d.sync += [
                    checked.eq(0),
                    self.tokens.valid.eq(~self.failed),
                    token.run.eq(checked_run),
                    token.value.eq(checked_value),
                    token.last.eq(ends),
                ]
            with m.If(count):
                m.d.sync += [counted.eq(0), checked.eq(1), remaining.eq(difference[1:]), ends.eq(~difference[1:].any())]
                m.d.sync += [checked_run.eq(run), checked_value.eq(value), checked_cut.eq(cut)]
                m.d.sync += left.eq(~no_more | waiting_valid | high_valid | (low_valid & bits_left))

            # A word moves up where there is none, or none any more.
            with m.If(~low_valid | crosses):
                m.d.sync += [low.eq(high), low_valid.eq(high_valid)]
            with m.If(~(low_valid & high_valid) | crosses):
                m.d.sync += [high.eq(waiting), high_valid.eq(waiting_valid), waiting_valid.eq(0)]
            with m.If(~waiting_valid | ~(low_valid & high_valid)):
                m.d.sync += waiting.eq(self.words.payload.data)
            with m.If(taken):
                m.d.sync += waiting_valid.eq(1)
            with m.If(self.failed | (send & ends) | self.stop):
                m.d.sync += [valid.eq(0) for valid in (aligned, computing, counted, checked, waiting_valid, high_valid, low_valid)]
                m.d.sync += [decoding.eq(0), offset.eq(0)]
                with m.If(self.failed | self.stop):
                    m.d.sync += discarding.eq((begun | taken) & ~no_more & ~(taken & self.words.payload.last))

        with m.If(self.stop):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), begun.eq(0), no_more.eq(0), k.eq(self.k), remaining.eq(self.elements)]
        return m
