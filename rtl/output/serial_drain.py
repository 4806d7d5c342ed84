"""The drain for small FPGAs: a lane at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from ..config import Config
from ..layouts import RUN_BITS
from .drain import drain_signature


class SerialDrain(wiring.Component):
    """Does what `Drain` does, with the same members, and looks at each lane of its one row by itself.

    Sums stay where they are while they are compared and passed on, so that nothing of them is stored here.

    Throughput: one lane in three cycles, and longer while a candidate waits to be taken.
    Latency: 2 cycles from valid sums to the first candidate. Cost: channels x 32 bits, one comparison of 32 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(drain_signature(config))

    def elaborate(self, platform: object) -> Module:
        config, sums = self.config, self.sums[0]
        m = Module()
        m.submodules.bounds = bounds = Memory(shape=32, depth=config.channels, init=[])
        write, read = bounds.write_port(), bounds.read_port()
        order = self.order.payload
        candidate = self.candidates.payload[0]

        compares, compared = Signal(), Signal()  # the lane's bound has been looked up; and it is known whether the lane survives
        begun = Signal()  # lanes of the unit are done
        lanes_left = Signal(range(config.lanes + 1))
        left = Signal.like(lanes_left)
        channel, next_channel = Signal(config.channel_bits), Signal(config.channel_bits)
        gap = Signal(RUN_BITS)
        finished, survives, last_lane, ends, flush, done = Signal(), Signal(), Signal(), Signal(), Signal(), Signal()
        result = Signal(32)
        difference = Signal(33)
        sign = 1 << 31  # inverted, signed numbers compare as unsigned ones
        m.d.comb += [
            write.en.eq(self.store.bound),
            write.addr.eq(self.store.address),
            write.data.eq(self.store.data),
            finished.eq(self.order.valid & sums.valid),
            result.eq(sums.values.as_value()),
            left.eq(Mux(begun, lanes_left, Mux(order.last_group, self.layer.last_lanes, config.lanes))),
            channel.eq(Mux(~begun & order.first_group, self.layer.channels_base, next_channel)),
            read.addr.eq(channel),
            # bound - result - 1 is negative where the result is at least the bound.
            difference.eq((read.data ^ sign) + (~result ^ sign)[:32]),
            last_lane.eq(left == 1),
            ends.eq(order.last & last_lane),
            flush.eq(gap[-1]),
            candidate.accumulator.eq(result),
            candidate.channel.eq(channel),
            candidate.gap.eq(gap + (~flush & ~survives)),
            candidate.null.eq(flush | ~survives),
            candidate.last.eq(~flush & ends),
            self.candidates.valid.eq(compared & (flush | survives | ends)),
            done.eq(compared & ~flush & (~(survives | ends) | self.candidates.ready)),
            self.order.ready.eq(done & last_lane),
            sums.advance.eq(done & ~last_lane),
            sums.drained.eq(done & last_lane),
        ]
        m.d.sync += [
            compares.eq(finished & ~compares & ~compared),
            compared.eq(compares | (compared & ~done)),
            survives.eq(Mux(compares, ~difference[32], survives)),
        ]
        with m.If(done):
            m.d.sync += [
                begun.eq(~last_lane),
                lanes_left.eq(left - 1),
                next_channel.eq(channel + 1),
                gap.eq(Mux(survives, 0, gap + 1)),
            ]
        with m.If(compared & flush & self.candidates.ready):
            m.d.sync += gap.eq(0)
        with m.If(self.start):
            m.d.sync += [gap.eq(0), begun.eq(0)]
        return m
