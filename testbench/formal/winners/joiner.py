"""Results that are joined as they leave, against what they tell of each element."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import send, stays
from skipgrid.rtl.winners.joiner import Joiner

PLACE_BITS = 13  # of an element's place among those that an array tells of


def of(survivors: int) -> Callable[[Proof], None]:
    """The property, for arrays of so many results that leave."""

    def keeps_all_but_losers(proof: Proof) -> None:
        """Any element has the value that it had if it won, and 0 if not; tensors are as long as before, and end where they did.

        For any arrays, of one tensor after another, with gaps of 0...3, 252...259, and so on, and any pauses.
        """
        m = proof.m
        m.submodules.joiner = joiner = Joiner(survivors)
        source, sink = joiner.source, joiner.sink
        taken, takes = send(proof, source, "source"), proof.free("takes")
        m.d.comb += sink.ready.eq(takes)
        sent = sink.valid & sink.ready
        stays(proof, sink, "sink")
        element = proof.fixed("element", PLACE_BITS)  # one of them, which is looked for

        ended: Value = Const(0)
        for item in source.payload:
            proof.grant(~source.valid | (ended == item.result.is_none()))
            proof.grant(~source.valid | ~ended | ~item.result.last)
            proof.grant(~source.valid | (item.result.gap[2:8] == item.result.gap[2].replicate(6)))
            ended = ended | item.result.last

        # What an array tells of the element, and what the sink's words do, of which the first one may have gone.
        gone = Signal(PLACE_BITS)
        here, value, behind = told([(item.result, Mux(item.wins, item.result.value, 0)) for item in source.payload], Const(0), element)
        there, left, after = told([(result, result.value) for result in sink.payload], gone, element)
        with m.If(sent):
            m.d.sync += gone.eq(Mux(taken, 0, after))

        ends = Cat(result.last for result in sink.payload)
        behind_end = [~ends[:lane].any() | result.is_none() for lane, result in enumerate(sink.payload)]
        proof.claim("an element has its value, or 0 if it loses", ~(sink.valid & there) | (here & (left == value)))
        proof.claim("when an array has gone, all its elements have", ~taken | (sent & (after == behind)))
        proof.claim("a tensor ends where it did", ~sent | (ends.any() == (taken & ended)))
        proof.claim("nothing is behind its end", ~sink.valid | Cat(behind_end).all())
        proof.claim("an array takes two cycles at most", ~proof.before(sent & ~taken) | ~sent | taken)
        few = Cat(item.wins | item.result.last for item in list(source.payload)[:-1])
        small = Cat(item.result.gap < 256 for item in source.payload).all()
        proof.claim("what has room goes in one", ~(sent & small & (sum(few) < survivors)) | taken)
        proof.reach("an array takes one cycle with losers in it", taken & ~proof.before(sent & ~taken) & ~few.all() & ~ended)
        proof.reach("a tensor ends in the second half", proof.before(sent & ~taken) & taken & ended)

    return keeps_all_but_losers


def told(results: list[tuple[Value, Value]], place: Value, element: Value) -> tuple[Value, Value, Value]:
    """Of results, each with its value, from a place on: whether they tell of an element, its value, and the place behind them."""
    value: Value = Const(0)
    start = place
    for result, own in results:
        at = (place + result.gap)[:PLACE_BITS]
        value = Mux((at == element) & ~result.null, own, value)
        place = (at + ~result.null)[:PLACE_BITS]
    return (element >= start) & (element < place), value, place


FAULTS = (
    Fault("a loser keeps its value", Joiner, "with m.If(~source.payload[last].wins):", "with m.If(0):"),
    Fault("the zero that a loser is, is forgotten", Joiner, "result.gap + ~result.null", "result.gap"),
    Fault("a gap has no room for a sum", Joiner, "MAX_RUN // len(results)", "MAX_RUN"),
    Fault("a winner is joined", Joiner, "item.wins | item.result.last", "item.result.last"),
    Fault("a second half goes behind the end", Joiner, "whole.eq(Cat(result.last for result in results[:survivors]).any())", "whole.eq(0)"),
)
PROPERTIES = (
    Property("joiner-winners", of(2), 5, FAULTS),
    Property("joiner-winners-one", of(1), 5, FAULTS[1:4], quick=True),
)
