"""Run-length words in, tokens out."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import MAX_QUOTIENT, MAX_REMAINDER
from .layouts import RUN_BITS, Error, Token, Word

MAX_TOKEN_BITS = 8 + MAX_QUOTIENT + MAX_REMAINDER
WORD_BITS = 32
# A word is taken while fewer bits than two longest tokens are there, so that one token in two cycles never waits for a word.
WINDOW_BITS = 2 * MAX_TOKEN_BITS - 1 + WORD_BITS


class RunLengthDecoder(wiring.Component):
    """Decodes tensors of Golomb-Rice run-length code (S. W. Golomb, Run-length encodings, 1966; R. F. Rice, 1979).

    A token is value (8 bits), quotient in unary (ones ended by a zero, seven are not ended) and remainder (k bits), least
    significant bit first. It is examined in one cycle, shifted out of the window in the next, and counted off the tensor's
    elements in the one after; a token's third cycle is the first of the token behind it.

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

    Throughput: one token in two cycles. Latency: 4 cycles from the first word to the first token.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "elements": In(32),
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
        remaining = Signal(32)
        window = Signal(WINDOW_BITS)
        fill = Signal(range(WINDOW_BITS + 1))
        token = self.tokens.payload

        # Cycle one: examine the token that stands in the window.
        examine = Signal(init=1)
        ones = Signal(range(MAX_QUOTIENT + 1))
        length = Signal(range(MAX_TOKEN_BITS + 1))
        unary = window[8 : 8 + MAX_QUOTIENT]
        for count in range(1, MAX_QUOTIENT + 1):
            with m.If(unary[:count].all()):
                m.d.comb += ones.eq(count)
        m.d.comb += length.eq(Mux(ones == MAX_QUOTIENT, 8 + MAX_QUOTIENT, 9 + ones) + k)

        # Cycle two: shift it out.
        quotient = Signal.like(ones)
        shift_by = Signal.like(length)
        cut = Signal()  # by the end of the words
        remainder = Signal(MAX_REMAINDER)
        behind_unary = window[8 : 8 + MAX_QUOTIENT + MAX_REMAINDER] >> Mux(quotient == MAX_QUOTIENT, MAX_QUOTIENT, quotient + 1)
        m.d.comb += remainder.eq(behind_unary & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k))

        # Cycle three: count it off the tensor and hand it on.
        counted = Signal()  # a token stands in run and value
        run = Signal(RUN_BITS)
        value = Signal(8)
        covered = Signal(RUN_BITS + 1)
        send, over, ends, left, shift = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            covered.eq(run + value.any()),
            send.eq(counted & (~self.tokens.valid | self.tokens.ready)),
            over.eq(covered > remaining),
            ends.eq(covered == remaining),
            left.eq(~no_more | (fill >= WORD_BITS) | window.any()),
            shift.eq(~examine & (~counted | send) & ~(send & (over | ends))),
        ]

        m.d.comb += [
            self.failed.eq(decoding & ((send & (over | (ends & left))) | (shift & cut))),
            self.error.eq(Mux(send & over, Error.STREAM_RAN_OVER, Mux(send & ends, Error.STREAM_BITS_LEFT, Error.STREAM_ENDED_EARLY))),
            self.words.ready.eq((decoding & examine & (fill < 2 * MAX_TOKEN_BITS) & ~no_more) | discarding),
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
            with m.If(examine):
                with m.If(taken):
                    m.d.sync += [window.eq(window | (self.words.payload.data << fill)), fill.eq(fill + WORD_BITS)]
                with m.If(no_more | (fill >= MAX_TOKEN_BITS)):
                    m.d.sync += [examine.eq(0), quotient.eq(ones), shift_by.eq(length), cut.eq(length > fill)]
            with m.If(shift):
                m.d.sync += [
                    examine.eq(1),
                    counted.eq(1),
                    run.eq((quotient << k) + remainder),
                    value.eq(window[:8]),
                    window.eq(window >> shift_by),
                    fill.eq(fill - shift_by),
                ]
            with m.If(self.failed | (send & ends) | self.stop):
                m.d.sync += [decoding.eq(0), examine.eq(1), counted.eq(0), fill.eq(0), window.eq(0)]
                with m.If(self.failed | self.stop):
                    m.d.sync += discarding.eq((begun | taken) & ~no_more & ~(taken & self.words.payload.last))

        with m.If(self.stop):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), begun.eq(0), no_more.eq(0), k.eq(self.k), remaining.eq(self.elements)]
        return m
