"""Long ways, on a large FPGA, between the rows and what they share: with registers, so that no cycle holds a way there and back."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import unit_layout
from .skid import SkidBuffer


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
        wanted = Signal()
        arrived = Signal()  # what is known of the sink is older than the unit that it has
        m.d.sync += [wanted.eq(self.sink.ready), arrived.eq(self.sink.valid)]
        m.d.comb += self.source.ready.eq(wanted & ~self.sink.valid & ~arrived)
        with m.If(self.sink.ready):
            m.d.sync += self.sink.valid.eq(0)
        with m.If(self.source.valid & self.source.ready):
            m.d.sync += [self.sink.valid.eq(1), self.sink.payload.eq(self.source.payload)]
        return m


class ResultWay(wiring.Component):
    """The way of a row's results to the drain, slice by slice.

    Members:
        row_results, row_finished, row_advance, row_drained: of the row, which gives all slices of each unit.
        results, finished, advance, drained: the same as the drain sees them; slices that it does not want are passed over.

    Throughput: one slice a cycle. Latency: 1 cycle. Cost: 2 x scan x 32 registers.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.slice = data.ArrayLayout(signed(32), config.scan)
        super().__init__(
            {
                "row_results": In(self.slice),
                "row_finished": In(1),
                "row_advance": Out(1),
                "row_drained": Out(1),
                "results": Out(self.slice),
                "finished": Out(1),
                "advance": In(1),
                "drained": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.skid = skid = SkidBuffer(data.StructLayout({"values": self.slice, "last": 1}))
        source, sink = skid.source, skid.sink
        number = Signal(range(self.config.slices))  # of the row's slice within its unit
        taken = source.valid & source.ready
        last = number == self.config.slices - 1
        m.d.comb += [
            source.payload.values.eq(self.row_results),
            source.payload.last.eq(last),
            source.valid.eq(self.row_finished),
            self.row_advance.eq(taken & ~last),
            self.row_drained.eq(taken & last),
        ]
        with m.If(taken):
            m.d.sync += number.eq(number + 1)

        passes = Signal()  # over the rest of a unit
        m.d.comb += [
            self.results.eq(sink.payload.values),
            self.finished.eq(sink.valid & ~passes),
            sink.ready.eq(self.advance | self.drained | passes),
        ]
        with m.If(self.drained | (passes & sink.valid)):
            m.d.sync += passes.eq(~sink.payload.last)
        return m
