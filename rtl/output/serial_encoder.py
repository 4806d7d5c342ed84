"""Tokens in, run-length words out, a bit a cycle: for FPGAs with few logic cells."""

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring

from ..config import MAX_QUOTIENT
from ..input.decoder import WORD_BITS
from ..layouts import RUN_BITS
from ..parts.small import counted_up

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

from .encoder import encoder_signature


class Part(enum.Enum, shape=unsigned(2)):
    """Of a token, in the order that they are gone through; neighbours differ in one bit."""

    VALUE = 0b00
    BELOW_QUOTIENT = 0b01  # the remainder's bits are passed over
    QUOTIENT = 0b11
    REMAINDER = 0b10


class SerialEncoder(wiring.Component):
    """Encodes tensors in the code that `RunLengthEncoder` writes, with the same members and a fraction of the logic.

    A token stays at the port until its last bit is in the word. The run's bits are gone through twice: past the k bits of the
    remainder to the three of the quotient, of which the first stands for 1 one of the unary part, the second for 2 and the third
    for 4; then those of the remainder. A word is offered only once the next bit, or the tensor's end, is known to come.

    Members: see `RunLengthEncoder`. After a stop, a word that was full is still sent.

    Throughput: one token in 18 + 2 * k cycles, two cycles more a word, and at a tensor's end one for each bit that fills its word.
    Latency: 2 cycles from the bit that fills a word to the word, and up to k + 8 more where no bit is due.
    """

    def __init__(self) -> None:
        super().__init__(encoder_signature())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        token = self.tokens.payload[0]
        filling = Signal()  # the tensor's bits are in; zeros fill the last word
        closing = Signal()  # a packet that was given up
        opened = Signal()  # a word without last was the latest one taken
        full = Signal()  # of the word
        bit, emits, step, token_ends = Signal(), Signal(), Signal(), Signal()

        # The token, bit by bit.
        part = Signal(Part)
        place = Signal(range(RUN_BITS))  # of the bit within the value or the run
        ones = Signal(range(MAX_QUOTIENT + 1))  # that the unary part had room for so far
        longest = Signal(reset_less=True)  # unary part: all ones, and no zero at its end
        at_k, unary_ends, source = Signal(), Signal(), Signal()
        m.d.comb += [
            at_k.eq(place[:3] == self.k),
            unary_ends.eq(ones == MAX_QUOTIENT),
            source.eq(Mux(part == Part.VALUE, token.value.bit_select(place[:3], 1), token.run.bit_select(place, 1))),
            bit.eq(source & ~filling & ~((part == Part.QUOTIENT) & unary_ends)),
            token_ends.eq((part == Part.REMAINDER) & at_k),
            step.eq(self.tokens.valid & ~closing & ~filling & ~(emits & full)),
            self.tokens.ready.eq(token_ends),
        ]
        m.d.sync += longest.eq((part != Part.QUOTIENT) | (longest & source))
        with m.Switch(part):
            with m.Case(Part.VALUE):
                m.d.comb += emits.eq(1)
            with m.Case(Part.QUOTIENT):
                m.d.comb += emits.eq(Mux(unary_ends, ~longest, source))
            with m.Case(Part.REMAINDER):
                m.d.comb += emits.eq(~at_k)
        with m.If(step):
            with m.If((part != Part.QUOTIENT) | (~ones[0] & ~ones[2])):  # after 1 and 3 ones comes the quotient's next bit
                m.d.sync += place.eq(counted_up(place))
            with m.Switch(part):
                with m.Case(Part.VALUE), m.If(place[:3].all()):
                    m.d.sync += [part.eq(Part.BELOW_QUOTIENT), place.eq(0)]
                with m.Case(Part.BELOW_QUOTIENT), m.If(at_k):
                    m.d.sync += [part.eq(Part.QUOTIENT), place.eq(place)]
                with m.Case(Part.QUOTIENT):
                    m.d.sync += ones.eq(counted_up(ones))
                    with m.If(unary_ends):
                        m.d.sync += [part.eq(Part.REMAINDER), place.eq(0)]
                with m.Case(Part.REMAINDER), m.If(at_k):
                    m.d.sync += [part.eq(Part.VALUE), place.eq(0), filling.eq(token.last)]

        # The word.
        word = Signal(WORD_BITS, reset_less=True)
        position = Signal(range(WORD_BITS))
        with m.If(emits & ~full & (step | filling)):
            m.d.sync += [word.eq((word >> 1) | (bit << (WORD_BITS - 1))), position.eq(counted_up(position)), full.eq(position.all())]
        m.d.comb += [
            self.words.payload.data.eq(word),
            self.words.payload.last.eq(filling),
            self.words.payload.damaged.eq(filling & closing),
            self.busy.eq(self.tokens.valid | filling | closing | full),
        ]
        with m.If(closing & ~full):
            m.d.sync += filling.eq(1)
        m.d.sync += self.words.valid.eq(full & emits)
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [self.words.valid.eq(0), full.eq(0), opened.eq(~filling)]
            with m.If(filling):
                m.d.sync += [filling.eq(0), closing.eq(0)]

        # What is complete stays.
        with m.If(self.stop):
            m.d.sync += [part.eq(Part.VALUE), place.eq(0), ones.eq(0), position.eq(0)]
            with m.If(~full):
                m.d.sync += [filling.eq(0), full.eq(0), closing.eq(opened)]
            with m.Elif(~filling):
                m.d.sync += closing.eq(1)
        return m
