"""Run-length words in, tokens out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import MAX_QUOTIENT, MAX_REMAINDER
from .layouts import RUN_BITS, Error, Token, Word

MAX_TOKEN_BITS = 8 + MAX_QUOTIENT + MAX_REMAINDER
WORD_BITS = 32


class RunLengthDecoder(wiring.Component):
    """Decodes tensors of Golomb-Rice run-length code (S. W. Golomb, Run-length encodings, 1966; R. F. Rice, 1979).

    A token is value (8 bits), quotient in unary (ones ended by a zero, seven are not ended) and remainder (k bits), least
    significant bit first. Two words are held, and a token stands at an offset within the lower one. It is aligned in one cycle
    and its length taken off in the next; then its run is computed, and counted off the tensor's elements, while the token behind
    it goes through the first two cycles.

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

    Throughput: one token in two cycles. Latency: 6 cycles from the first word to the first token.
    """

    def __init__(self, element_bits: int = 32) -> None:
        super().__init__(
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

    def elaborate(self, platform: object) -> Module:
        m = Module()
        decoding = Signal()
        discarding = Signal()  # of words up to the one with last
        begun = Signal()  # a word of the tensor has been taken
        no_more = Signal()  # the word with last has been taken
        k = Signal(3)
        remaining = Signal.like(self.elements)
        low, high = Signal(WORD_BITS), Signal(WORD_BITS)
        low_valid, high_valid = Signal(), Signal()
        offset = Signal(range(WORD_BITS))
        token = self.tokens.payload

        # First cycle: align the token at the offset. A longest one may reach into the higher word.
        aligned = Signal()
        head = Signal(MAX_TOKEN_BITS)
        available = Signal(range(WORD_BITS + 1))  # bits in the lower word
        last_word = Signal()  # there is no other one
        with m.If(decoding & ~aligned & (high_valid | no_more)):
            m.d.sync += [
                aligned.eq(1),
                head.eq(Cat(low, high) >> offset),
                available.eq(Mux(low_valid, WORD_BITS - offset, 0)),
                last_word.eq(~high_valid),
            ]

        # Second cycle: take its length off.
        ones = Signal(range(MAX_QUOTIENT + 1))
        length = Signal(range(MAX_TOKEN_BITS + 1))
        behind = Signal(range(WORD_BITS + MAX_TOKEN_BITS))  # offset of the next token
        cut, take, crosses = Signal(), Signal(), Signal()
        for count in range(1, MAX_QUOTIENT + 1):
            with m.If(head[8 : 8 + count].all()):
                m.d.comb += ones.eq(count)
        m.d.comb += [
            length.eq(Mux(ones == MAX_QUOTIENT, 8 + MAX_QUOTIENT, 9 + ones) + k),
            cut.eq(last_word & (length > available)),
            behind.eq(offset + length),
            crosses.eq(take & (behind >= WORD_BITS)),
        ]

        # Third cycle: its run.
        computing = Signal()
        quotient = Signal.like(ones)
        run_bits = Signal(MAX_TOKEN_BITS)
        remainder = Signal(MAX_REMAINDER)
        behind_unary = run_bits[8:] >> Mux(quotient == MAX_QUOTIENT, MAX_QUOTIENT, quotient + 1)
        m.d.comb += remainder.eq(behind_unary & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k))

        # Fourth cycle: count it off the tensor and hand it on.
        counted = Signal()  # a token stands in run and value
        run = Signal(RUN_BITS)
        value = Signal(8)
        covered = Signal(RUN_BITS + 1)
        send, over, ends, left = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            covered.eq(run + value.any()),
            send.eq(counted & (~self.tokens.valid | self.tokens.ready)),
            over.eq(covered > remaining),
            ends.eq(covered == remaining),
            left.eq(~no_more | high_valid | (low_valid & ((offset == 0) | (low >> offset).any()))),
            take.eq(aligned & ~computing & (~counted | send) & ~(send & (over | ends))),
        ]

        m.d.comb += [
            self.failed.eq(decoding & ((send & (over | (ends & left))) | (take & cut))),
            self.error.eq(Mux(send & over, Error.STREAM_RAN_OVER, Mux(send & ends, Error.STREAM_BITS_LEFT, Error.STREAM_ENDED_EARLY))),
            self.words.ready.eq((decoding & ~no_more & (~low_valid | ~high_valid | crosses)) | discarding),
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
            with m.If(send):
                m.d.sync += [
                    counted.eq(0),
                    remaining.eq(remaining - covered),
                    self.tokens.valid.eq(~self.failed),
                    token.run.eq(run),
                    token.value.eq(value),
                    token.last.eq(ends),
                ]
            with m.If(take):
                m.d.sync += [aligned.eq(0), computing.eq(1), quotient.eq(ones), run_bits.eq(head), offset.eq(behind)]
            with m.If(computing):
                m.d.sync += [computing.eq(0), counted.eq(1), run.eq((quotient << k) + remainder), value.eq(run_bits[:8])]
            with m.If(crosses):
                m.d.sync += [low.eq(high), low_valid.eq(high_valid), high_valid.eq(0)]
            with m.If(taken):
                with m.If(low_valid & ~(crosses & ~high_valid)):
                    m.d.sync += [high.eq(self.words.payload.data), high_valid.eq(1)]
                with m.Else():
                    m.d.sync += [low.eq(self.words.payload.data), low_valid.eq(1)]
            with m.If(self.failed | (send & ends) | self.stop):
                m.d.sync += [decoding.eq(0), aligned.eq(0), computing.eq(0), counted.eq(0), low_valid.eq(0), high_valid.eq(0), offset.eq(0)]
                with m.If(self.failed | self.stop):
                    m.d.sync += discarding.eq((begun | taken) & ~no_more & ~(taken & self.words.payload.last))

        with m.If(self.stop):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), begun.eq(0), no_more.eq(0), k.eq(self.k), remaining.eq(self.elements)]
        return m
