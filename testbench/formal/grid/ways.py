"""The ways between the rows and what they share, as queues."""

from amaranth.hdl import Mux, Signal, Value

from formal.configurations import SPREAD
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import send, stays, take
from skipgrid.rtl.grid.ways import SumWay, UnitWay

NUMBER_BITS = 3
SLICES = SPREAD.slices


def hands_units_on(proof: Proof) -> None:
    """The way of units hands on every unit once, in order; none waits at a sink that, once ready, stays so until it gets one.

    For any units and pauses.
    """
    m = proof.m
    m.submodules.way = way = UnitWay(SPREAD)
    comes, goes = send(proof, way.source, "source"), take(proof, way.sink, "sink")
    stays(proof, way.sink, "sink")
    came, gone = proof.count(comes, NUMBER_BITS), proof.count(goes, NUMBER_BITS)
    number = proof.fixed("number", NUMBER_BITS)
    unit = proof.before(way.source.payload, when=comes & (came == number))
    proof.claim("what leaves has come", ~goes | (gone != came))
    proof.claim("it is the unit of its number", ~(goes & (gone == number)) | (Value.cast(way.sink.payload) == unit))
    proof.claim("what it holds is offered, one at most", (came - gone)[:NUMBER_BITS] == way.sink.valid)
    gives_up = proof.before(way.sink.ready & ~way.sink.valid) & ~way.sink.ready
    proof.claim("no unit waits", ~(way.sink.valid & ~way.sink.ready) | gives_up | proof.seen(gives_up))
    proof.reach("three units", gone == 3)


def hands_slices_on(proof: Proof) -> None:
    """The way of sums hands every slice that the drain wants on once, in order, and passes the rest of a unit over.

    For any sums, any pauses of row and drain, and units given up by the drain behind any of their slices. A slice that is chosen by
    the numbers of its unit and within it, which may be any, arrives as that slice. A sum is one bit, repeated: it is
    only handed on.
    """
    m = proof.m
    m.submodules.way = way = SumWay(SPREAD)
    source, sink = way.source, way.sink
    sums = Value.cast(source.values)
    m.d.comb += [sums.eq(proof.free("sum").replicate(len(sums))), source.valid.eq(proof.free("some"))]

    # The row gives all slices of each unit.
    gives, ends = Signal(), Signal()
    place = proof.count(gives, SLICES.bit_length() - 1)
    unit = proof.count(ends, NUMBER_BITS)
    m.d.comb += [gives.eq(source.advance | source.drained), ends.eq(gives & (place == SLICES - 1))]
    proof.claim("a slice is taken once, and only if the row has one", ~gives | (source.valid & ~(source.advance & source.drained)))
    proof.claim("a unit ends with its last slice", source.drained == ends)

    # The drain takes what is offered, slice by slice, until it wants no more of a unit.
    takes, leaves = Signal(), Signal()
    taken = Signal(range(SLICES))  # slices of the unit
    left = proof.count(leaves, NUMBER_BITS)
    m.d.comb += [
        takes.eq(sink.valid & proof.free("takes")),
        leaves.eq(takes & ((taken == SLICES - 1) | proof.free("gives_up"))),
        sink.advance.eq(takes & ~leaves),
        sink.drained.eq(leaves),
    ]
    with m.If(takes):
        m.d.sync += taken.eq(Mux(leaves, 0, taken + 1))

    chosen_unit, chosen_place = proof.fixed("unit", NUMBER_BITS), proof.fixed("place", range(SLICES))
    comes = gives & (unit == chosen_unit) & (place == chosen_place)
    came, value = proof.seen(comes), proof.before(source.values, when=comes)
    arrives = takes & (left == chosen_unit) & (taken == chosen_place)
    proof.claim("what arrives has come, as it is", ~arrives | (came & (Value.cast(sink.values) == value)))
    ahead = (unit - left)[:NUMBER_BITS]  # the drain may have given a unit up that has not come whole
    whole_units = ahead.any() & ~ahead[-1]
    proof.claim("a row does not wait for ever", proof.since(source.valid & ~gives & ~whole_units, 4) <= SLICES + 2)
    proof.claim("a unit that has come is offered soon", proof.since(whole_units & ~sink.valid, 4) <= SLICES + 2)
    whole, cut = proof.seen(leaves & (taken == SLICES - 1)), proof.seen(leaves & (taken == 0))
    proof.reach("a unit has arrived whole, another in part, and a third one", whole & cut & (left == 3))


PROPERTIES = (
    Property(
        "unit-way",
        hands_units_on,
        20,
        (
            Fault("it forgets that a unit is on its way", UnitWay, " & ~(self.source.valid & self.source.ready)", ""),
            Fault("it forgets the unit at the sink", UnitWay, " & ~self.sink.valid", ""),
        ),
        quick=True,
    ),
    Property(
        "sum-way",
        hands_slices_on,
        18,
        (
            Fault("there is room for one slice too many", SumWay, "level < self.DEPTH - 2", "level < self.DEPTH"),
            Fault("nothing is passed over", SumWay, "passes.eq(first != self.config.slices - 1)", "passes.eq(0)"),
            Fault("a unit is passed over that has ended", SumWay, "passes.eq(first != self.config.slices - 1)", "passes.eq(1)"),
        ),
    ),
)
