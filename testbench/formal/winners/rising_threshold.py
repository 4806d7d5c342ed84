"""The threshold that rises while elements pass, against its definition."""

from collections.abc import Callable

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from formal.configurations import few_bins
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.winners.rising_threshold import RisingThreshold

RANKS = 4  # as few_bins has it
COUNT_BITS = 3
WORDS = 2  # of a tensor, at most


def of(lanes: int) -> Callable[[Proof], None]:
    """The property, for so many elements a cycle."""

    def is_the_smallest_winner(proof: Proof) -> None:
        """The threshold is the rank of the smallest of a tensor's k largest elements, and ties are those of them that equal it.

        For any tensor of one word or two, each of some elements and a zero at most, with any pauses, any k, and any rank of a zero; with
        ranks of 2 bits in place of 8.
        """
        m = proof.m
        m.submodules.rising = rising = RisingThreshold(lanes, COUNT_BITS)
        k, zero = proof.fixed("k", COUNT_BITS), proof.fixed("zero", 2)
        m.d.comb += [rising.k.eq(k), rising.zero.eq(zero)]
        word, ended = rising.ranked, Signal()
        number, offers = Signal(range(WORDS + 1)), proof.free("offers")
        some, last = proof.free("some", lanes), proof.free("last")
        ranks = [proof.free(f"rank{lane}", 2) for lane in range(lanes)]
        zeros = proof.free("zeros")
        passes = Signal()
        m.d.comb += [
            passes.eq(offers & rising.ready & ~ended),
            rising.passes.eq(passes),
            word.some.eq(some),
            word.zeros.eq(zeros),
            word.last.eq(last),
            *(at.eq(rank) for at, rank in zip(word.ranks, ranks, strict=True)),
        ]
        proof.grant(~passes | (Cat(rank != zero for rank in ranks).all() & (some.any() | zeros.any())))
        proof.grant(~passes | (last | (number < WORDS - 1)))
        m.d.sync += [number.eq(number + passes), ended.eq(ended | (passes & last))]

        # The definition.
        counts = Array(Signal(COUNT_BITS + 1, name=f"count{rank}") for rank in range(RANKS))
        for rank, count in enumerate(counts):
            here = [Mux(passes, one & (value == rank), 0) for one, value in zip(some, ranks, strict=True)]
            m.d.sync += count.eq(count + sum(here, Const(0)) + Mux(passes & (zero == rank), zeros, 0))
        elements = sum(counts, Const(0))
        wanted = Signal(COUNT_BITS + 1)
        m.d.comb += wanted.eq(Mux(elements < k, elements, k))
        above = sum((Mux(rank > rising.threshold, count, 0) for rank, count in enumerate(counts)), Const(0))
        equal = Signal(COUNT_BITS + 1)
        m.d.comb += equal.eq(Mux(rising.threshold < RANKS, counts[rising.threshold[:2]], 0))
        known = rising.known
        proof.claim("nothing is known before the end", ~known | ended)
        proof.claim("all above it win", ~known | (above <= wanted))
        proof.claim("with those that equal it there are enough", ~known | (above + equal >= wanted))
        proof.claim("some of those that equal it win", ~known | (wanted == 0) | (above < wanted))
        proof.claim("ties are those that win", ~known | (wanted == 0) | (Value.cast(wanted + rising.ties) == above))
        proof.claim("without winners none is tied", ~known | (wanted != 0) | (rising.ties >= 0))
        proof.claim("without winners nothing reaches it", ~known | (wanted != 0) | (rising.threshold == RANKS))
        proof.claim("it is known in time", (proof.since(ended, 4) < 4 + RANKS) | known)
        proof.reach("it has risen above the zeros", known & (rising.threshold > zero) & (wanted > 1) & (number == WORDS))

    return is_the_smallest_winner


FAULTS = (
    Fault("what is counted twice in a row is counted once", RisingThreshold, "transparent_for=(write,)", ""),
    Fault("zeros are forgotten", RisingThreshold, "Mux(above == self.zero, zeros, sum(found))", "sum(found)"),
    Fault("what equals the risen threshold is counted", RisingThreshold, "Mux(rises, rank > above, rank > threshold)", "rank > threshold"),
    Fault("more win than there are", RisingThreshold, "lacks.eq(1)", "lacks.eq(0)"),
)
PROPERTIES = (
    Property("rising-threshold", of(1), 15, FAULTS, within=few_bins),
    Property("rising-threshold-two", of(2), 15, FAULTS[2:3], within=few_bins),
)
