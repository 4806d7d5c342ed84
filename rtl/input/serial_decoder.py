"""Run-length words in, tokens out, a value or a bit a cycle: for FPGAs with few logic cells."""

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring

from ..config import MAX_QUOTIENT
from ..errors import Error
from ..layouts import RUN_BITS
from ..parts.small import counted_up
from .decoder import WORD_BITS, decoder_signature

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

VALUE_BITS = 8


class Part(enum.Enum, shape=unsigned(2)):
    """Of a token, in its order; neighbours differ in one bit."""

    VALUE = 0b00
    QUOTIENT = 0b01
    REMAINDER = 0b11


class SerialDecoder(wiring.Component):
    """Decodes the code that `RunLengthDecoder` decodes, with the same members, the same errors and a fraction of the logic.

    Each one of a token stands for a power of two of elements: the value's first one for 1, those of the quotient for 2 ** k, and those
    of the remainder for their own. As it is read, it is taken off the elements that remain, and added to the run.
    A value that lies within one word is read at once.
    A token that ends the tensor is held back until the rest of its word has been seen to be zeros.

    element_bits: width of `elements`; at least the 10 bits of a run are counted.

    Members: see `RunLengthDecoder`.

    Throughput: one token in 2 + unary bits + k cycles, 7 more where its value lies in two words, one cycle more a word, and at the tensor's
    end one for each bit that is left in its word. Latency: 2 + unary bits + k cycles from the first word to the first token.
    """

    def __init__(self, element_bits: int = 32) -> None:
        self.element_bits = max(element_bits, RUN_BITS)
        super().__init__(decoder_signature(element_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        decoding = Signal()
        discarding = Signal()  # of words up to the one with last
        handed = Signal()
        m.d.comb += [handed.eq(self.tokens.valid & self.tokens.ready), self.busy.eq(decoding | discarding)]

        # The next bit. What a start sets needs no reset.
        word = Signal(WORD_BITS, reset_less=True)
        position = Signal(range(WORD_BITS), reset_less=True)
        empty = Signal(reset_less=True)  # all bits of the word have been read
        begun = Signal(reset_less=True)  # a word of the tensor has been taken
        last = Signal(reset_less=True)  # and it was the one with last
        wanted, read, taken, no_more = Signal(), Signal(), Signal(), Signal()
        at_once = Signal()  # a whole value is read
        m.d.comb += [
            no_more.eq(empty & last),
            read.eq(decoding & wanted & ~empty),
            taken.eq(self.words.valid & self.words.ready),
            self.words.ready.eq(~last & ((decoding & empty & wanted) | (discarding & begun))),
        ]
        with m.If(read & at_once):
            m.d.sync += [word.eq(word >> VALUE_BITS), position.eq(Cat(position[:3], counted_up(position[3:])))]
            m.d.sync += empty.eq(position[3:].all())
        with m.Elif(read):
            m.d.sync += [word.eq(word >> 1), position.eq(counted_up(position)), empty.eq(position.all())]
        with m.If(taken):
            m.d.sync += [word.eq(self.words.payload.data), position.eq(0), empty.eq(0), begun.eq(1), last.eq(self.words.payload.last)]

        # The token, bit by bit, and the elements that remain behind it.
        k = Signal(3, reset_less=True)
        part = Signal(Part, reset_less=True)
        place = Signal(3, reset_less=True)  # bits of the part that have been read
        value, run = Signal(VALUE_BITS, reset_less=True), Signal(RUN_BITS, reset_less=True)
        remaining = Signal(self.element_bits, reset_less=True)
        wrong = Signal(reset_less=True)  # the token covers too much, or ones follow the last one
        complete, more, power, elements, less = Signal(), Signal(), Signal(3), Signal(RUN_BITS), Signal(self.element_bits + 1)
        m.d.comb += [
            complete.eq((part == Part.REMAINDER) & (place == k)),
            more.eq(remaining.any()),
            wanted.eq(~(complete & more)),
            less.eq(remaining - elements),
            at_once.eq((part == Part.VALUE) & (place == 0) & ~(position[3:].all() & position[:3].any())),
        ]
        with m.Switch(part):
            with m.Case(Part.QUOTIENT):
                m.d.comb += power.eq(k)
            with m.Case(Part.REMAINDER):
                m.d.comb += power.eq(place)
        with m.If(Mux(part == Part.VALUE, Mux(at_once, word[:VALUE_BITS].any(), word[0] & ~value.any()), word[0])):
            m.d.comb += elements.eq(Const(1, RUN_BITS) << power)
        with m.If(read & complete):
            m.d.sync += wrong.eq(wrong | word[0])
        with m.Elif(read):
            m.d.sync += [place.eq(counted_up(place)), remaining.eq(less), wrong.eq(wrong | less[-1])]
            with m.Switch(part):
                with m.Case(Part.VALUE):
                    m.d.sync += value.eq(Mux(at_once, word[:VALUE_BITS], Cat(value[1:], word[0])))
                    with m.If(at_once | place.all()):
                        m.d.sync += [part.eq(Part.QUOTIENT), place.eq(0)]
                with m.Case(Part.QUOTIENT):
                    m.d.sync += run.eq(run + elements)
                    with m.If(~word[0] | (place == MAX_QUOTIENT - 1)):
                        m.d.sync += [part.eq(Part.REMAINDER), place.eq(0)]
                with m.Case(Part.REMAINDER):
                    m.d.sync += run.eq(run + elements)

        m.d.comb += [
            self.tokens.valid.eq(decoding & complete & ~wrong & (more | no_more)),
            self.tokens.payload.value.eq(value),
            self.tokens.payload.run.eq(run),
            self.tokens.payload.last.eq(~more),
            self.failed.eq(decoding & ((~complete & no_more) | (complete & (wrong | (~more & empty & ~last))))),
        ]
        with m.If(~complete):
            m.d.comb += self.error.eq(Error.STREAM_ENDED_EARLY)
        with m.Elif(more):
            m.d.comb += self.error.eq(Error.STREAM_RAN_OVER)
        with m.Else():
            m.d.comb += self.error.eq(Error.STREAM_BITS_LEFT)
        with m.If(~begun | last):
            m.d.sync += discarding.eq(0)
        with m.If(handed & ~more):
            m.d.sync += decoding.eq(0)
        with m.If(decoding & (self.failed | self.stop)):
            m.d.sync += [decoding.eq(0), discarding.eq(1)]
        with m.If(self.start | handed):
            m.d.sync += [part.eq(Part.VALUE), place.eq(0), value.eq(0), run.eq(0), wrong.eq(0)]
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), k.eq(self.k), remaining.eq(self.elements), empty.eq(1), begun.eq(0), last.eq(0)]
        return m
