"""The drain for small FPGAs: a lane at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.utils import exact_log2

from ..config import Config
from ..layouts import RUN_BITS
from .drain import drain_signature


class SerialDrain(wiring.Component):
    """Does what `Drain` does, with the same members, and looks at each lane of its one row by itself.

    Sums stay where they are until they are passed on, so that nothing of them is stored here. A lane's bound is looked up while the lane
    before has its turn. There is no lower bound: the upper one has to let negative outputs pass, too.

    Throughput: one lane a cycle, and longer while a candidate waits to be taken.
    Latency: none from valid sums to the first candidate, 1 cycle behind a start. Cost: channels x 32 bits, one comparison of 32 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(drain_signature(config))

    def elaborate(self, platform: object) -> Module:
        config, layer, sums = self.config, self.layer, self.sums[0]
        m = Module()
        m.submodules.bounds = bounds = Memory(shape=32, depth=config.channels, init=[])
        write, read = bounds.write_port(), bounds.read_port()
        order = self.order.payload
        candidate = self.candidates.payload[0]

        looked_up = Signal()  # the bound of `channel`
        channel, next_channel = Signal(config.channel_bits), Signal(config.channel_bits)
        next_lane = next_channel[: exact_log2(config.lanes)]  # a group's first channel is a multiple of the lanes
        gap, next_gap = Signal(RUN_BITS), Signal(RUN_BITS)
        compared, survives, last_lane, ends, flush, done = Signal(), Signal(), Signal(), Signal(), Signal(), Signal()
        result = Signal(32)
        difference = Signal(33)
        sign = 1 << 31  # inverted, signed numbers compare as unsigned ones
        m.d.comb += [
            write.en.eq(self.store.upper),
            write.addr.eq(self.store.address),
            write.data.eq(self.store.data),
            read.addr.eq(Mux(done, Mux(last_lane & order.last_group, layer.channels_base, next_channel), channel)),
            read.en.eq(done | ~looked_up),
            next_channel.eq(channel + 1),
            next_gap.eq(gap + 1),
            compared.eq(self.order.valid & sums.valid & looked_up),
            result.eq(sums.values.as_value()),
            # bound - result - 1 is negative where the result is at least the bound.
            difference.eq((read.data ^ sign) + (~result ^ sign)[:32]),
            survives.eq(~difference[32]),
            last_lane.eq(next_lane == Mux(order.last_group, Mux(order.row_end, layer.end_lanes, layer.last_lanes)[: len(next_lane)], 0)),
            ends.eq(order.last & last_lane),
            flush.eq(gap[-1]),
            candidate.accumulator.eq(result),
            candidate.channel.eq(channel),
            candidate.gap.eq(Mux(flush | survives, gap, next_gap)),
            candidate.null.eq(flush | ~survives),
            candidate.last.eq(~flush & ends),
            self.candidates.valid.eq(compared & (flush | survives | ends)),
            done.eq(compared & ~flush & (~(survives | ends) | self.candidates.ready)),
            self.order.ready.eq(done & last_lane),
            sums.advance.eq(done & ~last_lane),
            sums.drained.eq(done & last_lane),
        ]
        m.d.sync += [looked_up.eq(1), channel.eq(read.addr)]
        with m.If(done):
            m.d.sync += gap.eq(Mux(survives, 0, next_gap))
        with m.If(compared & flush & self.candidates.ready):
            m.d.sync += gap.eq(0)
        with m.If(self.start):
            m.d.sync += [gap.eq(0), channel.eq(layer.channels_base), looked_up.eq(0)]
        return m
