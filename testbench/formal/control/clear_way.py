"""The way of the pulse that empties what an error has left."""

from amaranth.hdl import Cat, Value

from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.control.clear_way import ClearWay

WAYS = 5
CYCLES = 1 + (WAYS - 1).bit_length()


def arrives_everywhere(proof: Proof) -> None:
    """A pulse to clear arrives in all places in the same cycle, with `cleared`, and `under_way` tells until then; so does a reset.

    For any pulses, also without gaps.
    """
    m = proof.m
    m.submodules.way = way = ClearWay(WAYS)
    clear = proof.free("clear")
    m.d.comb += way.clear.eq(clear)
    late = [Value.cast(clear)]  # by so many cycles; a reset is a pulse in each of the cycles before
    for _ in range(CYCLES):
        late.append(proof.before(late[-1], init=1))
    cycle = proof.since(1, 4)
    of_reset, arrived = cycle < CYCLES, late[CYCLES]  # it arrives at last in the cycle before
    proof.claim("it arrives in all places at once, and in time", of_reset | (way.clears == arrived.replicate(WAYS)))
    proof.claim("so does a reset", (cycle != CYCLES - 1) | way.clears.all())
    proof.claim("cleared comes with it, and not for a reset", way.cleared == (arrived & ~of_reset))
    proof.claim("it is under way from the beginning to its end", way.under_way == Cat(late).any())
    proof.claim("what was before a reset is old until that has arrived", way.old == of_reset)
    proof.reach("a pulse arrives", way.cleared)


PROPERTIES = (
    Property(
        "clear-way",
        arrives_everywhere,
        16,
        (
            Fault("it has fewer stages", ClearWay, "1 + (self.ways - 1).bit_length()", "(self.ways - 1).bit_length()"),
            Fault("a reset is not under way", ClearWay, "Signal(stages, init=1)", "Signal(stages)"),
            Fault("a reset counts as a pulse", ClearWay, "pulse[-1] & ~self.old", "pulse[-1]"),
        ),
        quick=True,
    ),
)
