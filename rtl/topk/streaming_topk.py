"""Top-K of a stream, for few winners: a row of compare cells that is always in order."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .scores import check_size, element_layout, value_shape, winner_layout


class StreamingTopK(wiring.Component):
    """The k largest elements of each tensor, larger first, equal ones by lower index first, each with its index.

    Every cell holds one element and compares the new one with it: those that are not larger stay, the others move on by one cell, and
    the new one takes the place between. At a tensor's end the cells' content moves to a second row, from which it is sent while the
    next tensor comes in.

    Parameters:
        cells: 1 to 64 winners at most. value_bits: of a value, 2 to 32. signed: whether values have a sign.
        index_bits: 1 to 32; a tensor has at most 2 ** index_bits elements.
    Members:
        k: winners that are wanted, as it is when a tensor's last element is taken. Fewer come if the tensor has fewer elements or
            the unit fewer cells; of none, one null word tells.
        elements: tensors, one behind the other. winners: of each tensor, the last one marked.
        too_long: an element is taken that has no index; it takes no part.

    Throughput: one element a cycle, and no gap between tensors if winners are taken at once and no tensor has fewer elements than
    there are winners of the one before it.
    Latency: 2 cycles from a tensor's last element to the first winner; one winner a cycle.
    Cost: for each cell a comparator and 2 * (value_bits + index_bits + 1) registers. winners.ready reaches elements.ready in the cycle.
    """

    def __init__(self, *, cells: int = 8, value_bits: int = 8, signed: bool = False, index_bits: int = 8) -> None:
        self.cells = check_size("cells", cells, 1, 64)
        self.index_bits = check_size("index_bits", index_bits, 1, 32)
        self.value = value_shape(value_bits, signed=signed)
        super().__init__(
            {
                "k": In(range(self.cells + 1)),
                "elements": In(stream.Signature(element_layout(self.value))),
                "winners": Out(stream.Signature(winner_layout(self.value, self.index_bits))),
                "too_long": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        element, winner = self.elements.payload, self.winners.payload
        cell = data.StructLayout({"value": self.value, "index": self.index_bits})
        index = Signal(self.index_bits + 1)
        wanted = Signal.like(self.k)
        complete = Signal()  # the cells hold a whole tensor's winners
        moves = Signal()  # they go to the second row, and an element of the next tensor finds the cells empty
        taken, takes_part = Signal(), Signal()
        m.d.comb += [
            moves.eq(complete & (~self.winners.valid | (self.winners.ready & winner.last))),
            self.elements.ready.eq(~complete | moves),
            taken.eq(self.elements.valid & self.elements.ready),
            takes_part.eq(taken & ~element.null & ~index[-1]),
            self.too_long.eq(taken & ~element.null & index[-1]),
        ]
        with m.If(taken):
            m.d.sync += index.eq(Mux(element.last, 0, index + takes_part))
        with m.If(taken & element.last):
            m.d.sync += wanted.eq(self.k)
        m.d.sync += complete.eq((taken & element.last) | (complete & ~moves))

        new = Signal(cell)
        m.d.comb += [new.value.eq(element.value), new.index.eq(index)]
        held = Signal(self.cells)
        row = [Signal(cell, name=f"cell{number}", reset_less=True) for number in range(self.cells)]
        beats = Signal(self.cells)  # the new element takes the place of that one: all behind the first do
        m.d.comb += beats.eq(Cat(moves | ~held[number] | (new.value > row[number].value) for number in range(self.cells)))
        with m.If(takes_part):
            m.d.sync += held.eq(Mux(moves, 1, Cat(1, held)))
            for number in range(self.cells):
                with m.If(beats[number]):
                    m.d.sync += row[number].eq(Mux(beats[number - 1], row[number - 1], new) if number else new)
        with m.Elif(moves):
            m.d.sync += held.eq(0)

        sent_held = Signal(self.cells)
        sent = [Signal(cell, name=f"sent{number}", reset_less=True) for number in range(self.cells)]
        with m.If(moves):
            m.d.sync += [
                self.winners.valid.eq(1),
                sent_held.eq(held & Cat(wanted > number for number in range(self.cells))),
                *(after.eq(before) for after, before in zip(sent, row, strict=True)),
            ]
        with m.Elif(self.winners.valid & self.winners.ready):
            m.d.sync += [
                self.winners.valid.eq(~winner.last),
                sent_held.eq(sent_held >> 1),
                *(after.eq(before) for after, before in pairwise(sent)),
            ]
        m.d.comb += [
            winner.value.eq(sent[0].value),
            winner.index.eq(sent[0].index),
            winner.null.eq(~sent_held[0]),
            winner.last.eq(~Cat(sent_held, 0)[1]),
        ]
        return m
