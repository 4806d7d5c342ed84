"""The long way, on a large FPGA, of the pulse that empties what an error or a stop has left."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..parts.far import doubled


class ClearWay(wiring.Component):
    """The way of the pulse that empties all parts, after a reset too: a tree of registers, each of which has two others behind it.

    Parameters: ways: into how many places it leads.
    Members:
        clear: the pulse. cleared: it has arrived, in all places in the same cycle.
        under_way: it has left, or a reset has, and has not been acted on.
        old: so has a reset: however short it was, what the places lead to still holds what was before it.
        clears: it has arrived in one place, or a reset has.

    Latency: 1 + log2(ways) cycles, rounded up.
    """

    def __init__(self, ways: int) -> None:
        self.ways = ways
        super().__init__({"clear": In(1), "cleared": Out(1), "under_way": Out(1), "old": Out(1, init=1), "clears": Out(ways)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stages = 1 + (self.ways - 1).bit_length()
        pulse = Signal(stages, init=1)  # on its way, as long as the tree is high
        root = Signal(init=1)  # as a reset leaves it
        m.d.sync += [pulse.eq(Cat(self.clear, pulse)), root.eq(self.clear)]
        with m.If(pulse[-1]):
            m.d.sync += self.old.eq(0)
        level = [root]
        while len(level) < self.ways:
            level = doubled(m, level)
        m.d.comb += [
            self.clears.eq(Cat(level)),
            self.cleared.eq(pulse[-1] & ~self.old),
            self.under_way.eq(Cat(self.clear, pulse).any()),
        ]
        return m
