"""Units of several groups, told to the drain group by group."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import order_layout


class GroupOrder(wiring.Component):
    """Makes of each unit in the order of units its groups, one after the other.

    Members:
        units: in order. groups: each as if it were a unit: the first of a pixel's first unit is its first group, the last of its last unit
            its last one.

    Throughput: a group a cycle. Latency: none.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        order = stream.Signature(order_layout(config))
        super().__init__({"units": In(order), "groups": Out(order)})

    def elaborate(self, platform: object) -> Module:
        unit, group = self.units.payload, self.groups.payload
        m = Module()
        passed = Signal(self.config.count_bits)  # groups of the unit
        last = Signal()
        m.d.comb += [
            last.eq(passed + 1 == unit.slots),
            group.eq(unit),
            group.first_group.eq(unit.first_group & (passed == 0)),
            group.last_group.eq(unit.last_group & last),
            group.last.eq(unit.last & last),
            self.groups.valid.eq(self.units.valid),
            self.units.ready.eq(self.groups.ready & last),
        ]
        with m.If(self.groups.valid & self.groups.ready):
            m.d.sync += passed.eq(passed + 1)
            with m.If(last):
                m.d.sync += passed.eq(0)
        return m
