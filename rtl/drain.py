"""The sparse drain: of a row's accumulators only those that may survive go on, each with the zeros before it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import RUN_BITS, candidate_layout, layer_layout, order_layout


def drain_signature(config: Config) -> wiring.Signature:
    """The members of every form of the drain."""
    return wiring.Signature(
        {
            "start": In(1),
            "layer": In(layer_layout(config)),
            "order": In(stream.Signature(order_layout(config))),
            "results": In(data.ArrayLayout(signed(32), config.scan)).array(config.rows),
            "finished": In(config.rows),
            "advance": Out(config.rows),
            "drained": Out(config.rows),
            "bound_enable": In(1),
            "bound_address": In(config.channel_bits),
            "bound": In(signed(32)),
            "candidates": Out(stream.Signature(candidate_layout(config))),
        }
    )


class Drain(wiring.Component):
    """Empties the rows' results in the order of their units, `scan` lanes a cycle, and passes on one candidate a cycle.

    An accumulator is a candidate if it is at least its channel's bound: the smallest one that gives an output which is neither
    zero nor below the threshold. A bound that is too low costs cycles and changes no result.

    Members:
        start: begins a layer. layer: steady while anything is under way.
        order: the units in order. results, finished, advance, drained: of each row.
        bound_enable, bound_address, bound: store a channel's bound.
        candidates: in (y, x, c) order; the last one of the tensor carries `last`. One with `null` stands for zeros only.

    Throughput: a slice of `scan` lanes and one candidate a cycle, whichever is slower for a slice of `scan` lanes.
    Latency: 3 cycles from `finished` to the first candidate. Cost: channels x 32 bits, read `scan` x 32 bits wide.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(drain_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        scan_bits = (config.scan - 1).bit_length()
        m = Module()
        m.submodules.bounds = bounds = Memory(
            shape=data.ArrayLayout(signed(32), config.scan), depth=config.channels // config.scan, init=[]
        )
        write, read = bounds.write_port(granularity=1), bounds.read_port()
        m.d.comb += [
            write.en.eq(self.bound_enable << self.bound_address[:scan_bits]),
            write.addr.eq(self.bound_address[scan_bits:]),
            write.data.as_value().eq(self.bound.as_unsigned().replicate(config.scan)),
        ]

        # First stage: take a slice of the results of the row whose turn it is, and look its bounds up. One that is taken when the second
        # stage turns out to be busy is kept.
        order = self.order.payload
        lanes_left = Signal(range(config.lanes + 1))
        begun = Signal()  # slices of the unit have been taken
        left = Signal.like(lanes_left)
        next_channel = Signal(config.channel_bits)
        last_slice, take = Signal(), Signal()
        accept = Signal()  # the second stage has room
        fields = {"values": data.ArrayLayout(32, config.scan), "lanes": range(config.scan + 1), "channel": config.channel_bits, "last": 1}
        taken, kept, moved, looked_up = (Signal(data.StructLayout(fields), name=name) for name in ("taken", "kept", "moved", "looked_up"))
        is_kept, is_looked_up = Signal(), Signal()
        m.d.comb += [
            left.eq(Mux(begun, lanes_left, Mux(order.last_group, self.layer.last_lanes, config.lanes))),
            last_slice.eq(left <= config.scan),
            take.eq(self.order.valid & Array(self.finished)[order.row] & ~is_kept),
            self.order.ready.eq(take & last_slice),
            self.advance.eq(Cat(take & ~last_slice & (order.row == row) for row in range(config.rows))),
            self.drained.eq(Cat(take & last_slice & (order.row == row) for row in range(config.rows))),
            taken.values.eq(Array(result.as_value() for result in self.results)[order.row]),
            taken.lanes.eq(Mux(last_slice, left, config.scan)),
            taken.channel.eq(Mux(~begun & order.first_group, self.layer.channels_base, next_channel)),
            taken.last.eq(order.last & last_slice),
            moved.eq(Mux(is_kept, kept, taken)),
            read.addr.eq(moved.channel[scan_bits:]),
            read.en.eq(~is_looked_up | accept),
        ]
        with m.If(take):
            m.d.sync += [begun.eq(~last_slice), lanes_left.eq(left - config.scan), next_channel.eq(taken.channel + config.scan)]
        with m.If(~is_kept):
            m.d.sync += kept.eq(taken)
        with m.If(~is_looked_up | accept):
            m.d.sync += [looked_up.eq(moved), is_looked_up.eq(is_kept | take), is_kept.eq(0)]
        with m.Elif(take):
            m.d.sync += is_kept.eq(1)

        # Second stage: compare with the bounds, then pass candidates on one by one.
        valid, final = Signal(), Signal()
        mask = Signal(config.scan)
        values = Signal.like(looked_up["values"])
        lanes = Signal.like(looked_up.lanes)
        base_channel = Signal(config.channel_bits)
        gap = Signal(signed(RUN_BITS + 2))  # zeros before the slice's first lane, less the lanes passed on
        lane = Signal(range(config.scan))
        some, single, done, flush, trailing = Signal(), Signal(), Signal(), Signal(), Signal()
        candidate = self.candidates.payload
        below = Cat(mask[:index].any() for index in range(config.scan))
        chosen = mask & ~below  # the lowest one
        picked = [values[index] & chosen[index].replicate(32) for index in range(config.scan)]
        while len(picked) > 1:
            picked = [a | b for a, b in zip(picked[::2], picked[1::2], strict=True)]
        m.d.comb += [
            some.eq(mask.any()),
            single.eq(~(mask & below).any()),  # or none
            lane.eq(Cat(Cat(chosen[index] for index in range(config.scan) if index >> bit & 1).any() for bit in range(scan_bits))),
            trailing.eq(lane + 1 != lanes),
            flush.eq(gap >= 1 << (RUN_BITS - 1)),
            candidate.accumulator.eq(picked[0].as_signed()),
            candidate.channel.eq(base_channel + lane),
            candidate.null.eq(flush | ~some),
            candidate.gap.eq(Mux(flush, gap, Mux(some, gap + lane, gap + lanes))),
            candidate.last.eq(final & ~flush & single & ~(some & trailing)),
            self.candidates.valid.eq(valid & (flush | some | final)),
            done.eq(valid & ~flush & single & ~(final & some & trailing) & (~(some | final) | self.candidates.ready)),
            accept.eq(~valid | done),
        ]
        with m.If(self.candidates.valid & self.candidates.ready):
            with m.If(flush):
                m.d.sync += gap.eq(0)
            with m.Elif(some):
                m.d.sync += [mask.eq(mask & below), gap.eq(-(lane + 1))]
        with m.If(done):
            m.d.sync += [valid.eq(0), gap.eq(Mux(some, lanes - (lane + 1), gap + lanes))]
        with m.If(accept & is_looked_up):
            m.d.sync += [
                valid.eq(1),
                values.eq(looked_up["values"]),
                lanes.eq(looked_up.lanes),
                base_channel.eq(looked_up.channel),
                final.eq(looked_up.last),
            ]
            for index, value in enumerate(looked_up["values"]):
                m.d.sync += mask[index].eq((value.as_signed() >= read.data[index]) & (index < looked_up.lanes))

        with m.If(self.start):
            m.d.sync += [gap.eq(0), begun.eq(0)]
        return m
