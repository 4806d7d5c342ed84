"""Long ways, on a large FPGA, between the rows and what they share: with registers, so that no cycle holds a way there and back."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import sums_signature, unit_layout
from ..parts.far import queued


class UnitWay(wiring.Component):
    """The way of units from the window walker to a row's range fetcher.

    Members:
        source: from the walker; ready as the fetcher was a cycle before, if no unit is on its way.
        sink: to the fetcher.

    Throughput: one unit in 4 cycles. Latency: 1 cycle from `source` to `sink`, and from `sink.ready` to `source.ready`.
    """

    def __init__(self, config: Config) -> None:
        units = stream.Signature(unit_layout(config))
        super().__init__({"source": In(units), "sink": Out(units)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What is known of the sink is older than a unit that has just left.
        m.d.sync += self.source.ready.eq(self.sink.ready & ~self.sink.valid & ~(self.source.valid & self.source.ready))
        with m.If(self.sink.ready):
            m.d.sync += self.sink.valid.eq(0)
        with m.If(self.source.valid & self.source.ready):
            m.d.sync += [self.sink.valid.eq(1), self.sink.payload.eq(self.source.payload)]
        return m


class SumWay(wiring.Component):
    """The way of a row's sums to the drain, slice by slice.

    Members:
        source: of the row, which gives all slices of each unit. sink: to the drain; slices that it does not want are passed over.

    Throughput: one slice a cycle. Latency: 2 cycles.
    Cost: scan x 32 registers, and 8 x scan x 32 bits with an asynchronous read port (LUT RAM).
    """

    DEPTH = 8

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"source": In(sums_signature(config)), "sink": Out(sums_signature(config))})

    def elaborate(self, platform: object) -> Module:
        source, sink = self.source, self.sink
        m = Module()
        number = Signal(range(self.config.slices))  # of the row's slice within its unit
        room, arrives = Signal(), Signal()
        arrived = Signal.like(source.values, reset_less=True)
        taken, last = Signal(), Signal()
        m.d.comb += [
            taken.eq(source.valid & room),
            last.eq(number == self.config.slices - 1),
            source.advance.eq(taken & ~last),
            source.drained.eq(taken & last),
        ]
        m.d.sync += [arrives.eq(taken), arrived.eq(source.values)]
        with m.If(taken):
            m.d.sync += number.eq(number + 1)

        level, some = Signal(range(self.DEPTH + 1)), Signal()
        leaves, passes = Signal(), Signal()  # over the rest of a unit
        first = Signal.like(number)  # of the slice that leaves next, within its unit
        m.d.comb += [
            sink.values.as_value().eq(queued(m, arrived, depth=self.DEPTH, stored=arrives, taken=leaves)),
            sink.valid.eq(some & ~passes),
            leaves.eq(sink.advance | sink.drained | (passes & some)),
        ]
        # As it comes from a register, two more slices may be on their way.
        m.d.sync += [level.eq(level + arrives - leaves), room.eq(level < self.DEPTH - 2)]
        m.d.sync += some.eq(arrives | Mux(leaves, level[1:].any(), some))  # that it leaves comes late
        with m.If(leaves):
            m.d.sync += first.eq(first + 1)
        with m.If(sink.drained | (passes & some)):
            m.d.sync += passes.eq(first != self.config.slices - 1)
        return m
