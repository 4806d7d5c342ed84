"""Run-length words in, tokens out, a bit a cycle: for FPGAs with few logic cells."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring

from ..config import MAX_QUOTIENT
from ..errors import Error
from ..layouts import RUN_BITS
from ..parts.small import counted_up, is_less
from .decoder import WORD_BITS, decoder_signature

VALUE_BITS = 8


class SerialDecoder(wiring.Component):
    """Decodes the code that `RunLengthDecoder` decodes, with the same members, the same errors and a fraction of the logic.

    A token's bits go into one shift register, the value's first; the unary part is counted on the way. The run's bits, those of
    the remainder and then those of the quotient, are its binary digits, the lowest first: while they go in, they are subtracted
    from the number of remaining elements, which turns past a subtractor of one bit with the value's element as the first borrow.
    A token that ends the tensor is held back until the rest of its word has been seen to be zeros.

    element_bits: width of `elements`; the bits of a run, 10, are worked through also where it has fewer.

    Members: see `RunLengthDecoder`.

    Throughput: one token in 9 + unary bits + element_bits cycles (the remainder's bits pass within these element_bits), one cycle
    more a word, and at the tensor's end one for each bit that is left in its word.
    Latency: 9 + unary bits + element_bits cycles from the first word to the first token.
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
        m.d.comb += [
            no_more.eq(empty & last),
            read.eq(decoding & wanted & ~empty),
            taken.eq(self.words.valid & self.words.ready),
            self.words.ready.eq(~last & ((decoding & empty & wanted) | (discarding & begun))),
        ]
        with m.If(read):
            m.d.sync += [word.eq(word >> 1), position.eq(counted_up(position)), empty.eq(position == WORD_BITS - 1)]
        with m.If(taken):
            m.d.sync += [word.eq(self.words.payload.data), position.eq(0), empty.eq(0), begun.eq(1), last.eq(self.words.payload.last)]

        # The token, bit by bit: its value, the unary part, which stays outside, and its run.
        behind = VALUE_BITS + self.element_bits
        k = Signal(3, reset_less=True)
        place = Signal(range(behind + 1), reset_less=True)  # of the bit that goes in; behind: the token is complete
        unary_done = Signal(reset_less=True)
        quotient = Signal(range(MAX_QUOTIENT + 1), reset_less=True)
        token = Signal(VALUE_BITS + RUN_BITS, reset_less=True)
        in_unary, in_remainder, needed, complete = Signal(), Signal(), Signal(), Signal()
        step, advance, digit = Signal(), Signal(), Signal()
        m.d.comb += [
            in_unary.eq(~unary_done & place[3]),
            in_remainder.eq(unary_done & (place[3:] == 1) & is_less(place[:3], k)),
            needed.eq(~unary_done | in_remainder),
            complete.eq(place == behind),
            step.eq(decoding & ~complete & (~needed | read)),
            advance.eq(step & ~in_unary),
            digit.eq(Mux(wanted, word[0], quotient[0])),
        ]
        with m.If(step & in_unary):
            with m.If(word[0]):
                m.d.sync += quotient.eq(counted_up(quotient))
            m.d.sync += unary_done.eq(~word[0] | (quotient == MAX_QUOTIENT - 1))
        with m.If(step & unary_done & ~in_remainder):
            m.d.sync += quotient.eq(quotient >> 1)
        with m.If(advance):
            m.d.sync += place.eq(counted_up(place))
            with m.If(is_less(place, Const(len(token), len(place)))):
                m.d.sync += token.eq(Cat(token[1:], digit))

        # The elements that remain, less those of the token.
        remaining = Signal(self.element_bits, reset_less=True)
        borrow = Signal(reset_less=True)  # at first, of the value; at last, the token covers too much, or ones follow the last one
        more = Signal(reset_less=True)  # elements remain
        ends, difference = Signal(), Signal()
        m.d.comb += [
            difference.eq(remaining[0] ^ digit ^ borrow),
            ends.eq(complete & ~more),
            wanted.eq(needed | ends),
        ]
        with m.If(advance | (ends & read)):
            m.d.sync += borrow.eq(Mux(unary_done & remaining[0], digit & borrow, digit | borrow))
        with m.If(step & unary_done):
            m.d.sync += [remaining.eq(Cat(remaining[1:], difference)), more.eq(more | difference)]

        m.d.comb += [
            self.tokens.valid.eq(decoding & complete & ~borrow & (more | no_more)),
            self.tokens.payload.value.eq(token[:VALUE_BITS]),
            self.tokens.payload.run.eq(token[VALUE_BITS:]),
            self.tokens.payload.last.eq(~more),
            self.failed.eq(decoding & ((needed & no_more) | (complete & borrow) | (ends & empty & ~last))),
            self.error.eq(Mux(needed, Error.STREAM_ENDED_EARLY, Mux(more, Error.STREAM_RAN_OVER, Error.STREAM_BITS_LEFT))),
        ]
        with m.If(~begun | last):
            m.d.sync += discarding.eq(0)
        with m.If(handed & ~more):
            m.d.sync += decoding.eq(0)
        with m.If(decoding & (self.failed | self.stop)):
            m.d.sync += [decoding.eq(0), discarding.eq(1)]
        with m.If(self.start | handed):
            m.d.sync += [place.eq(0), unary_done.eq(0), borrow.eq(0), more.eq(0)]
        with m.If(self.start):
            m.d.sync += [decoding.eq(1), k.eq(self.k), remaining.eq(self.elements), quotient.eq(0)]
            m.d.sync += [empty.eq(1), begun.eq(0), last.eq(0)]
        return m
