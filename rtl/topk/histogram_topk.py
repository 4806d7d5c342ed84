"""Top-K of 8-bit tensors, for any number of winners: count the values, find the smallest that wins, keep what reaches it."""

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .scores import check_size, element_layout, winner_layout

VALUE_BITS = 8
BINS = 1 << VALUE_BITS


class Order(data.Struct):
    """Which of two bytes is larger: whether they have a sign, and whether it is left out; -128 is then 128."""

    signed: 1
    magnitude: 1


class HistogramTopK(wiring.Component):
    """The k largest elements of each tensor, equal ones by lower index first; they come in the order of their indices.

    A tensor comes twice. When it comes first, its values are counted. Then the counters are looked up from the largest value down, and
    emptied: the value with which k elements are reached is the threshold. When the tensor comes again, elements above the threshold
    are kept, and of those that equal it the first ones, as many as are left of k.

    Parameters:
        index_bits: 1 to 24; a tensor has at most 2 ** index_bits elements.
    Members:
        k: winners that are wanted, as it is when a tensor's last element is taken; with fewer elements, all win.
        order: steady from a tensor's first element to its last one.
        elements: tensors, when they come first. again: the same, when they come again.
        winners: of each tensor; the last word comes with its last element, and is null if that does not win.
        too_long: an element is taken that has no index; it takes no part.

    Throughput: one element a cycle in both streams; tensors of n elements in n + 259 cycles each, as one is counted while the one before
        it comes again.
    Latency: n + 260 cycles at most from the last of n elements to the last winner, if they are sent again as soon as they are taken.
        After a reset, the counters are emptied for 256 cycles.
    Cost: one memory of 256 counters of index_bits + 1 bits: one block on iCE40 for up to 15 index_bits, on ECP5 and Gowin for up to 17.
    Source: M. Raihan and T. Aamodt, "Sparse weight activation training" (SWAT), NeurIPS 2020, for what is selected; D. Knuth, "The art
        of computer programming", volume 3, section 5.2, for counting.
    """

    def __init__(self, *, index_bits: int = 15) -> None:
        self.index_bits = check_size("index_bits", index_bits, 1, 24)
        element = stream.Signature(element_layout(unsigned(VALUE_BITS)))
        super().__init__(
            {
                "k": In(self.index_bits + 1),
                "order": In(Order),
                "elements": In(element),
                "again": In(element),
                "winners": Out(stream.Signature(winner_layout(unsigned(VALUE_BITS), self.index_bits))),
                "too_long": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count_bits = self.index_bits + 1
        m.submodules.histogram = histogram = Memory(shape=count_bits, depth=BINS, init=[])
        write = histogram.write_port()
        read = histogram.read_port(transparent_for=(write,))  # so that one bin can be counted in every cycle

        threshold = Signal(VALUE_BITS)
        ties = Signal(count_bits)  # winners that no larger value accounts for; once the threshold is known, those that equal it
        searching, known = Signal(), Signal()
        order = Signal(Order)  # of the tensor that the threshold belongs to

        # Count, then sweep. A bin that is looked up in a cycle is written in the next one.
        element = self.elements.payload
        index = Signal(count_bits)
        next_k, next_order = Signal(count_bits), Signal(Order)
        number = Signal(VALUE_BITS, init=BINS - 1)
        swept = Signal()  # the bin that was looked up is emptied
        m.d.comb += [write.data.eq(Mux(swept, 0, read.data + 1)), read.addr.eq(number), read.en.eq(0)]
        m.d.sync += [write.en.eq(read.en), write.addr.eq(read.addr), swept.eq(0)]
        with m.FSM(init="SWEEP"):  # at first the memory holds anything
            with m.State("COUNT"):
                m.d.comb += [
                    self.elements.ready.eq(1),
                    self.too_long.eq(self.elements.valid & ~element.null & index[-1]),
                    read.addr.eq(_bin(element.value, self.order)),
                    read.en.eq(self.elements.valid & ~element.null & ~index[-1]),
                ]
                m.d.sync += index.eq(index + read.en)
                with m.If(self.elements.valid & element.last):
                    m.d.sync += [next_k.eq(self.k), next_order.eq(self.order), index.eq(0)]
                    m.next = "HOLD"
            with m.State("HOLD"), m.If(~searching & ~known):  # the tensor before has come again
                m.d.sync += [ties.eq(next_k), order.eq(next_order), searching.eq(1)]
                m.next = "SWEEP"
            with m.State("SWEEP"):
                m.d.comb += read.en.eq(1)
                m.d.sync += [number.eq(number - 1), swept.eq(1)]
                with m.If(number == 0):
                    m.next = "COUNT"

        checks = Signal()  # whether the threshold is the bin that was emptied before
        checked, counted = Signal(VALUE_BITS), Signal(count_bits)
        m.d.sync += [checks.eq(swept & searching), checked.eq(write.addr), counted.eq(read.data)]
        with m.If(checks & searching):
            with m.If((counted >= ties) | (checked == 0)):
                m.d.sync += [threshold.eq(checked), searching.eq(0), known.eq(1)]
            with m.Else():
                m.d.sync += ties.eq(ties - counted)

        # Keep.
        element, winner = self.again.payload, self.winners.payload
        again_index = Signal(count_bits)
        value = Signal(VALUE_BITS)
        equal, keep, taken = Signal(), Signal(), Signal()
        m.d.comb += [
            self.again.ready.eq(known & (~self.winners.valid | self.winners.ready)),
            taken.eq(self.again.valid & self.again.ready),
            value.eq(_bin(element.value, order)),
            equal.eq(value == threshold),
            keep.eq(~element.null & ~again_index[-1] & ((value > threshold) | (equal & ties.any()))),
        ]
        with m.If(self.winners.ready):
            m.d.sync += self.winners.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.winners.valid.eq(keep | element.last),
                winner.value.eq(element.value),
                winner.index.eq(again_index),
                winner.null.eq(~keep),
                winner.last.eq(element.last),
                again_index.eq(Mux(element.last, 0, again_index + (~element.null & ~again_index[-1]))),
                ties.eq(ties - (keep & equal)),
            ]
            with m.If(element.last):
                m.d.sync += known.eq(0)
        return m


def _bin(byte: Value, order: Value) -> Value:
    """A number that is larger for what is larger in this order."""
    magnitude = Mux(byte[-1], -byte, byte)[:VALUE_BITS]
    signed = byte ^ (1 << (VALUE_BITS - 1))
    return Mux(order.signed, Mux(order.magnitude, magnitude, signed), byte)
