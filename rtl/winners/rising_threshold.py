"""The smallest of the k largest elements, found while they pass: as more of them come, it can only rise."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

RANK_BITS = 8
BINS = 1 << RANK_BITS


def ranked_layout(lanes: int, count_bits: int) -> data.StructLayout:
    """What passes in a cycle: the ranks of some elements that are not zero, how many zeros, and whether the tensor ends with them."""
    return data.StructLayout(
        {"ranks": data.ArrayLayout(RANK_BITS, lanes), "some": lanes, "zeros": count_bits, "last": 1},
    )


class RisingThreshold(wiring.Component):
    """Counts how often each rank occurs, and lets a threshold rise from the lowest one on while k elements or more lie above it.

    So it is the rank of the smallest of the k largest elements when the last one has passed and it rises no more, or 256 if k is 0. What is
    not above it is counted no longer, and the counters that it has passed are emptied. It rises in cycles in which nothing passes.

    Parameters:
        lanes: elements that pass in a cycle, at most. count_bits: width of a number of elements.
    Members:
        k: steady from a tensor's first element to its last one; with fewer elements, it is their number.
        zero: rank of a zero.
        ranked, passes: a cycle's elements; only while `ready`.
        known: the tensor has ended, and `threshold` stays. ties: less the elements that equal it and are among the k largest ones.
        taken: what is known has been taken, and the next tensor may come when all counters are empty.

    Throughput: `lanes` elements a cycle. Latency: 4 cycles from the last element to the threshold, 5 where there are fewer than k, and
        one for each rank by which it has still to rise, 256 at most. Behind a tensor, and a reset, 256 cycles at most until the next one
        may come.
    Cost: for each lane, a memory of 256 counters.
    Source: M. Raihan and T. Aamodt, "Sparse weight activation training" (SWAT), NeurIPS 2020, for what is selected; D. Knuth, "The art
        of computer programming", volume 3, section 5.2, for counting.
    """

    def __init__(self, lanes: int, count_bits: int) -> None:
        self.lanes = lanes
        self.count_bits = count_bits
        super().__init__(
            {
                "k": In(count_bits),
                "zero": In(RANK_BITS),
                "ranked": In(ranked_layout(lanes, count_bits)),
                "passes": In(1),
                "ready": Out(1),
                "known": Out(1),
                "threshold": Out(RANK_BITS + 1),
                "ties": Out(signed(count_bits + 1)),
                "taken": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        threshold, count_bits = self.threshold, self.count_bits
        above = Signal(RANK_BITS + 1)  # the rank above the threshold
        rises = Signal()  # the threshold becomes that one
        m.d.comb += above.eq(threshold + 1)

        # First stage: elements above the threshold are looked up, or else the rank to which it would rise.
        here, passed = Signal.like(self.ranked), Signal()
        m.d.sync += [here.eq(self.ranked), passed.eq(self.passes)]
        counts = Signal(self.lanes)
        zeros_count = Signal()
        m.d.comb += [
            counts.eq(Cat(Mux(rises, rank > above, rank > threshold) for rank in here.ranks) & here.some & passed.replicate(self.lanes)),
            zeros_count.eq(Mux(rises, self.zero > above, self.zero > threshold)),
        ]

        # Second stage: they are counted, one more of each rank; or the threshold rises, and the rank is emptied.
        counted, looked_up = Signal(self.lanes), Signal()
        empties = Signal()  # all ranks from the one above the threshold on, one a cycle
        found = []
        for lane in range(self.lanes):
            m.submodules[f"histogram{lane}"] = histogram = Memory(shape=count_bits, depth=BINS, init=[])
            write = histogram.write_port()
            read = histogram.read_port(transparent_for=(write,))  # so that one rank can be counted in every cycle
            address = Signal(RANK_BITS, name=f"address{lane}")
            m.d.comb += [
                read.addr.eq(Mux(passed, here.ranks[lane], (above + rises)[:RANK_BITS])),
                write.addr.eq(Mux(empties, above[:RANK_BITS], address)),
                write.en.eq(counted[lane] | rises | empties),
                write.data.eq(Mux(counted[lane], read.data + 1, 0)),
            ]
            m.d.sync += address.eq(read.addr)
            found.append(read.data)
        m.d.sync += [counted.eq(counts), looked_up.eq(~passed)]

        # How many elements lie above the threshold, less k. Zeros have no counter in the memory, so theirs is empty there.
        excess = Signal(signed(count_bits + 1))
        begun = Signal()  # some have passed
        elements, zeros = Signal(count_bits), Signal(count_bits)
        more = Signal(count_bits)
        lacking = Signal(signed(count_bits + 1))  # elements, with which there would be k
        lacks = Signal()
        risen = Signal(count_bits)
        m.d.comb += [
            rises.eq(looked_up & begun & (excess >= 0) & ~threshold[-1]),
            risen.eq(Mux(above == self.zero, zeros, sum(found))),
        ]
        m.d.sync += [
            more.eq(Mux(passed, sum(counts) + Mux(zeros_count, here.zeros, 0), 0)),
            lacking.eq(self.k - elements),
        ]
        with m.If(passed):
            m.d.sync += [begun.eq(1), elements.eq(elements + sum(here.some) + here.zeros), zeros.eq(zeros + here.zeros)]
        with m.If(begun):
            m.d.sync += excess.eq(excess + Mux(lacks, lacking, more) - Mux(rises, risen, 0))
        with m.Else():
            m.d.sync += excess.eq(-self.k)
        with m.If(rises | empties):
            m.d.sync += threshold.eq(above)

        with m.FSM(init="EMPTY"):  # at first the memories hold anything
            with m.State("COUNT"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.passes & self.ranked.last):
                    m.next = "LAST"
            with m.State("LAST"):
                m.next = "ADD"
            with m.State("ADD"):
                m.next = "RISE"
                with m.If(self.k > elements):
                    m.next = "LACK"
            with m.State("LACK"):
                m.d.comb += lacks.eq(1)
                m.next = "RISE"
            with m.State("RISE"):
                m.d.comb += self.known.eq((excess < 0) | threshold[-1])
                with m.If(self.known & self.taken):
                    m.d.sync += begun.eq(0)
                    m.next = "EMPTY"
            with m.State("EMPTY"):
                m.d.comb += empties.eq(~threshold[-1])
                with m.If(threshold >= BINS - 1):
                    m.d.sync += [threshold.eq(0), elements.eq(0), zeros.eq(0)]
                    m.next = "COUNT"
        m.d.comb += self.ties.eq(excess)
        return m
