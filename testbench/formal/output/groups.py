"""The order of groups, over any units."""

from amaranth.hdl import Mux, Signal, Value

from formal.configurations import LISTS
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import send, stays, take
from skipgrid.rtl.output.groups import GroupOrder


def tells_groups(proof: Proof) -> None:
    """The drain is told of each group of each unit once, in order, and of a pixel's and a tensor's end with its last group alone.

    For any units of one group or more, and any pauses.
    """
    m = proof.m
    m.submodules.order = order = GroupOrder(LISTS)
    comes, goes = send(proof, order.units, "units"), take(proof, order.groups, "groups")
    stays(proof, order.groups, "groups")
    unit, group = order.units.payload, order.groups.payload
    proof.grant(~order.units.valid | unit.slots.any())
    passed = Signal(LISTS.count_bits)  # groups of the unit that is offered
    with m.If(goes):
        m.d.sync += passed.eq(Mux(comes, 0, passed + 1))
    first, last = passed == 0, passed + 1 == unit.slots
    proof.claim("a group is told of its unit", order.groups.valid == order.units.valid)
    proof.claim("a unit has as many groups as it says", ~goes | (passed < unit.slots))
    proof.claim("it leaves with its last one", comes == (goes & last))
    for name in ("row", "row_end"):
        proof.claim(f"each group has its unit's {name}", ~goes | (Value.cast(group[name]) == unit[name]))
    proof.claim("a pixel begins with its first group", ~goes | (group.first_group == (unit.first_group & first)))
    for name in ("last_group", "last"):
        proof.claim(f"a unit's {name} is its last group's", ~goes | (group[name] == (unit[name] & last)))
    proof.reach("a unit of one group, behind one of three", comes & first & proof.before(passed == 2, when=comes))


PROPERTIES = (
    Property(
        "groups",
        tells_groups,
        12,
        (
            Fault("a unit leaves with its first group", GroupOrder, "self.groups.ready & last", "self.groups.ready"),
            Fault("each unit begins a pixel", GroupOrder, "unit.first_group & (passed == 0)", "(passed == 0)"),
            Fault("a tensor ends with each group of its last unit", GroupOrder, "unit.last & last", "unit.last"),
            Fault(
                "groups are counted while they wait",
                GroupOrder,
                "with m.If(self.groups.valid & self.groups.ready):",
                "with m.If(self.groups.valid):",
            ),
        ),
        quick=True,
    ),
)
