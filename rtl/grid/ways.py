"""Long ways, on a large FPGA, between the rows and what they share: with registers, so that no cycle holds a way there and back."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import unit_layout


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


class ResultWay(wiring.Component):
    """The way of a row's results to the drain, slice by slice.

    Members:
        row_results, row_finished, row_advance, row_drained: of the row, which gives all slices of each unit.
        results, finished, advance, drained: the same as the drain sees them; slices that it does not want are passed over.

    Throughput: one slice a cycle. Latency: 2 cycles.
    Cost: scan x 32 registers, and 8 x scan x 32 bits with an asynchronous read port (LUT RAM): whether the drain takes a slice turns to
        an address there, and not to every bit's register.
    """

    DEPTH = 8

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
        layout = data.StructLayout({"values": self.slice, "last": 1})
        number = Signal(range(self.config.slices))  # of the row's slice within its unit
        room, arrives = Signal(), Signal()
        arrived = Signal(layout, reset_less=True)
        taken, last = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.row_finished & room),
            last.eq(number == self.config.slices - 1),
            self.row_advance.eq(taken & ~last),
            self.row_drained.eq(taken & last),
        ]
        m.d.sync += [arrives.eq(taken), arrived.values.eq(self.row_results), arrived.last.eq(last)]
        with m.If(taken):
            m.d.sync += number.eq(number + 1)

        m.submodules.memory = memory = Memory(shape=layout, depth=self.DEPTH, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        tail, head = Signal(range(self.DEPTH)), Signal(range(self.DEPTH))
        level, some = Signal(range(self.DEPTH + 1)), Signal()
        leaves, passes = Signal(), Signal()  # over the rest of a unit
        behind = level + arrives - leaves
        m.d.comb += [
            write.addr.eq(tail),
            write.data.eq(arrived),
            write.en.eq(arrives),
            read.addr.eq(head),
            self.results.eq(read.data.values),
            self.finished.eq(some & ~passes),
            leaves.eq(self.advance | self.drained | (passes & some)),
        ]
        # As it comes from a register, two more slices may be on their way.
        m.d.sync += [level.eq(behind), some.eq(behind != 0), room.eq(level < self.DEPTH - 2)]
        m.d.sync += [tail.eq(tail + arrives), head.eq(head + leaves)]
        with m.If(self.drained | (passes & some)):
            m.d.sync += passes.eq(~read.data.last)
        return m
