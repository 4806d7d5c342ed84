"""Long ways, on a large FPGA, between the rows and what they share: with registers, so that no cycle holds a way there and back."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import sums_signature, unit_layout


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
    Cost: scan x 32 registers, and 8 x scan x 32 bits with an asynchronous read port (LUT RAM): whether the drain takes a slice turns to
        an address there, and not to every bit's register.
    """

    DEPTH = 8

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"source": In(sums_signature(config)), "sink": Out(sums_signature(config))})

    def elaborate(self, platform: object) -> Module:
        source, sink = self.source, self.sink
        m = Module()
        layout = data.StructLayout({"values": sink.values.shape(), "last": 1})
        number = Signal(range(self.config.slices))  # of the row's slice within its unit
        room, arrives = Signal(), Signal()
        arrived = Signal(layout, reset_less=True)
        taken, last = Signal(), Signal()
        m.d.comb += [
            taken.eq(source.valid & room),
            last.eq(number == self.config.slices - 1),
            source.advance.eq(taken & ~last),
            source.drained.eq(taken & last),
        ]
        m.d.sync += [arrives.eq(taken), arrived.values.eq(source.values), arrived.last.eq(last)]
        with m.If(taken):
            m.d.sync += number.eq(number + 1)

        m.submodules.memory = memory = Memory(shape=layout, depth=self.DEPTH, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        tail, head = Signal(range(self.DEPTH)), Signal(range(self.DEPTH))
        level, some = Signal(range(self.DEPTH + 1)), Signal()
        leaves, passes = Signal(), Signal()  # over the rest of a unit
        next_level = level + arrives - leaves
        m.d.comb += [
            write.addr.eq(tail),
            write.data.eq(arrived),
            write.en.eq(arrives),
            read.addr.eq(head),
            sink.values.eq(read.data.values),
            sink.valid.eq(some & ~passes),
            leaves.eq(sink.advance | sink.drained | (passes & some)),
        ]
        # As it comes from a register, two more slices may be on their way.
        m.d.sync += [level.eq(next_level), some.eq(next_level != 0), room.eq(level < self.DEPTH - 2)]
        m.d.sync += [tail.eq(tail + arrives), head.eq(head + leaves)]
        with m.If(sink.drained | (passes & some)):
            m.d.sync += passes.eq(~read.data.last)
        return m
