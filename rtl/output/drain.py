"""The sparse drain: of a row's accumulators only those that may survive go on, each with the zeros before it."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import RUN_BITS, candidate_layout, order_layout, store_layout, sums_signature
from ..parts.far import queued
from ..parts.skid import SkidBuffer
from ..parts.small import counts

SKIPPED_AT_ONCE = 1 << (RUN_BITS - 1)  # so that a gap, which is less by itself, can grow by so many


def drain_signature(config: Config) -> wiring.Signature:
    """The members of every form of the drain."""
    return wiring.Signature(
        {
            "start": In(1),
            "layer": In(layer_layout(config)),
            "order": In(stream.Signature(order_layout(config))),
            "sums": In(sums_signature(config)).array(config.rows),
            "store": In(store_layout(config)),
            "candidates": Out(stream.Signature(data.ArrayLayout(candidate_layout(config), config.survivors))),
        }
    )


class Drain(wiring.Component):
    """Empties the rows' sums in the order of their units, `scan` lanes a cycle, and passes on `survivors` candidates a cycle.

    An accumulator is a candidate if it is at least its channel's upper bound, or below its lower one: then its output is neither
    zero nor below the threshold. A lower bound of -2 ** 31 is never reached. More candidates cost cycles and change no result.

    Units that are skipped, because their expert is not chosen, are zeros, and pass 512 lanes a cycle.

    Members:
        start: begins a layer. layer: steady while anything is under way.
        order: the units in order. sums: of each row.
        store: stores channels' bounds.
        candidates: in (y, x, c) order; the last one of the tensor carries `last`. One with `null` stands for zeros only. Where a slice has
            fewer left than go in a cycle, the rest are none.

    Throughput: a slice of `scan` lanes and `survivors` candidates a cycle, whichever is slower for a slice of `scan` lanes.
    Latency: 2 cycles from valid sums, and 3 from the unit in `order`, to the first candidate; where rows are spread 4 and 6.
    Cost: channels x 64 bits, read `scan` x 64 bits wide; where rows are spread, 4 x scan x 32 bits with an asynchronous read port (LUT RAM)
        in place of two registers as wide.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(drain_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        scan_bits = (config.scan - 1).bit_length()
        m = Module()
        reads = []  # of the bounds
        for name in ("upper", "lower"):
            m.submodules[name] = memory = Memory(
                shape=data.ArrayLayout(signed(32), config.scan), depth=config.channels // config.scan, init=[]
            )
            write = memory.write_port(granularity=1)
            m.d.comb += [
                write.en.eq(self.store[name] << self.store.address[:scan_bits]),
                write.addr.eq(self.store.address[scan_bits:]),
                write.data.as_value().eq(self.store.data.replicate(config.scan)),
            ]
            reads.append(memory.read_port())

        # First stage: of the unit whose turn it is, the next slice, whose bounds are looked up. Its sums need not be there yet.
        m.submodules.skid_order = skid_order = SkidBuffer(order_layout(config), registered=config.spread)
        wiring.connect(m, wiring.flipped(self.order), skid_order.source)
        order = skid_order.sink.payload
        step, most_lanes = config.scan, config.lanes
        if config.experts:
            skipped = order.skipped
            step, most_lanes = Mux(skipped, SKIPPED_AT_ONCE, config.scan), max(config.channels, SKIPPED_AT_ONCE)
            expert_channels, few_channels = Signal(range(most_lanes + 1)), Signal()
            m.d.sync += [expert_channels.eq(self.layer.expert_groups * config.lanes), few_channels.eq(expert_channels <= SKIPPED_AT_ONCE)]
        lanes_left = Signal(range(most_lanes + 1))
        begun = Signal()  # slices of the unit have been looked up
        left = Signal.like(lanes_left)
        next_is_last, few_lanes = Signal(), Signal()  # the unit's next slice is its last one; a last group has one slice
        few_at_end = Signal()
        m.d.sync += [few_lanes.eq(self.layer.last_lanes <= config.scan), few_at_end.eq(self.layer.end_lanes <= config.scan)]
        next_channel = Signal(config.channel_bits)
        last_slice = Signal()
        most_at_once = max(config.scan, SKIPPED_AT_ONCE if config.experts else 0)
        fields = {"lanes": range(most_at_once + 1), "channel": config.channel_bits, "last": 1}
        if config.experts:
            fields["skipped"] = 1
        asked_layout = data.StructLayout({**fields, "row": order.row.shape(), "last_slice": 1})
        asked = Signal(asked_layout)
        looked_up = Signal(asked_layout, reset_less=True)
        row_of_values = looked_up.row
        if config.spread:  # for so many bits a register of its own, which begins otherwise: synthesis would find them equal
            row_of_values = Signal(looked_up.row.shape(), reset_less=True, init=config.rows - 1)
        fetched = Signal(data.StructLayout(fields), reset_less=True)
        fetched_values = Signal(data.ArrayLayout(32, config.scan), reset_less=True)
        is_looked_up, is_fetched = Signal(), Signal()
        look_up, fetch = Signal(), Signal()  # the stage has room
        takes, take = Signal(config.rows), Signal()  # the slice looked up, from which row; at all
        # Where rows are spread, values wait in a memory: that they are taken goes to its address, and not to every bit's register.
        if config.parallel:
            fields["values"] = fetched_values.shape()
        compared_layout = data.StructLayout({**fields, "used": config.scan, "survives": config.scan})  # lanes in use, and candidates
        m.submodules.compare = compare = SkidBuffer(compared_layout, registered=config.spread)
        last_lanes = Mux(order.row_end, self.layer.end_lanes, self.layer.last_lanes)
        lanes_in_use = Mux(self.layer.lists & self.layer.spare_lane, config.lanes - 1, config.lanes) if config.slots else config.lanes
        unit_lanes = Mux(order.last_group, last_lanes, lanes_in_use)
        one_slice, next_step = (config.slices == 1) | (order.last_group & Mux(order.row_end, few_at_end, few_lanes)), config.scan
        if config.experts:
            unit_lanes, one_slice = Mux(skipped, expert_channels, unit_lanes), Mux(skipped, few_channels, one_slice)
            next_step = Mux(skipped, asked.lanes, config.scan)
            m.d.comb += asked.skipped.eq(skipped)
        m.d.comb += [
            left.eq(Mux(begun, lanes_left, unit_lanes)),
            last_slice.eq(Mux(begun, next_is_last, one_slice)),
            asked.row.eq(order.row),
            asked.last_slice.eq(last_slice),
            asked.lanes.eq(Mux(last_slice, left, step)),
            asked.channel.eq(Mux(~begun & order.first_group, self.layer.channels_base, next_channel)),
            asked.last.eq(order.last & last_slice),
            skid_order.sink.ready.eq(look_up & last_slice),
            *(read.addr.eq(asked.channel[scan_bits:]) for read in reads),
            *(read.en.eq(look_up) for read in reads),
            look_up.eq(~is_looked_up | take),
        ]
        with m.If(look_up):
            m.d.sync += [looked_up.eq(asked), is_looked_up.eq(skid_order.sink.valid)]
            if config.spread:
                m.d.sync += row_of_values.eq(asked.row)
            with m.If(skid_order.sink.valid):
                m.d.sync += [begun.eq(~last_slice), lanes_left.eq(left - step), next_is_last.eq(left <= 2 * step)]
                m.d.sync += next_channel.eq(asked.channel + next_step)

        # Second stage: the bounds have been looked up; the sums are taken. Third stage: compare the sums with the bounds.
        m.d.comb += [
            fetch.eq(~is_fetched | compare.source.ready),
            takes.eq(Cat(is_looked_up & (looked_up.row == row) & self.sums[row].valid & fetch for row in range(config.rows))),
            take.eq(takes.any()),
            *(sums.advance.eq(takes[row] & ~looked_up.last_slice) for row, sums in enumerate(self.sums)),
            *(sums.drained.eq(takes[row] & looked_up.last_slice) for row, sums in enumerate(self.sums)),
        ]
        if config.experts:
            with m.If(looked_up.skipped):
                m.d.comb += [takes.eq(0), take.eq(is_looked_up & fetch)]
        bounds = [Signal.like(read.data, name=f"bounds{number}", reset_less=True) for number, read in enumerate(reads)]
        fetched_used = Signal(config.scan)  # lanes in use
        with m.If(fetch):
            m.d.sync += is_fetched.eq(take)
            m.d.sync += [*(fetched[name].eq(looked_up[name]) for name in fetched.shape().members)]
            m.d.sync += fetched_values.eq(Array(sums.values.as_value() for sums in self.sums)[row_of_values])
            m.d.sync += [bound.eq(read.data) for bound, read in zip(bounds, reads, strict=True)]
            used = Cat(index < looked_up.lanes for index in range(config.scan))
            m.d.sync += fetched_used.eq(Mux(looked_up.skipped, 0, used) if config.experts else used)
        # Of a carry chain alone, which yosys makes of < but not of >=, and of unsigned numbers: with their signs inverted these are.
        sign = 1 << 31
        below_upper, below_lower = (
            Cat((value ^ sign) < (bound.as_unsigned() ^ sign) for value, bound in zip(fetched_values, each, strict=True)) for each in bounds
        )
        m.d.comb += [
            *(compare.source.payload[name].eq(fetched[name]) for name in fetched.shape().members),
            compare.source.payload.used.eq(fetched_used),
            compare.source.payload.survives.eq((~below_upper | below_lower) & fetched_used),
            compare.source.valid.eq(is_fetched),
        ]
        if config.parallel:
            m.d.comb += compare.source.payload["values"].eq(fetched_values)

        # Fourth stage: pass candidates on. The next ones are chosen a cycle ahead.
        compared = compare.sink.payload
        accept = compare.sink.ready
        valid, final = Signal(), Signal()
        takes_slice = accept & compare.sink.valid
        if config.spread:
            # At most three are kept: that which was taken last, and two that the skid buffer has room for.
            values = Signal.like(fetched_values)
            stored = compare.source.valid & compare.source.ready
            m.d.comb += values.as_value().eq(queued(m, fetched_values, depth=4, stored=stored, taken=takes_slice, ahead=-1))
        else:
            values = Signal.like(fetched_values, reset_less=True)
        lanes, last_lane = Signal.like(fetched.lanes), Signal(range(config.scan))
        base_channel = Signal(config.channel_bits)
        gap = Signal(signed(RUN_BITS + 2))  # zeros before the slice's first lane, less the lanes passed on
        mask = Signal(config.scan)  # to choose from
        chosen = [Signal(config.scan, name=f"chosen{number}") for number in range(config.survivors)]  # one lane each
        rest = Signal(config.scan)  # those behind them
        there = Signal(config.survivors)  # which of them there are
        alone = Signal()  # nothing of the slice has to be sent behind them
        lane = [Signal(range(config.scan), name=f"lane{number}") for number in range(config.survivors)]  # the chosen ones
        last_chosen = Signal(range(config.scan))
        at_end, ends_at = Signal(config.scan), Signal(config.scan)  # the last lane's bit; of the slice that is chosen from
        fresh, choose_final = Signal(), Signal()  # it is another slice; the tensor's last one
        sent, done, ends = Signal(), Signal(), Signal()  # what is sent ends the tensor
        flush = Signal()  # the gap is sent by itself, before it leaves its range
        passed = Signal.like(gap)  # the gap behind a slice without candidates
        layout = self.candidates.payload.shape()
        m.submodules.skid_candidates = skid_candidates = SkidBuffer(layout, registered=config.spread)
        wiring.connect(m, skid_candidates.sink, wiring.flipped(self.candidates))
        candidates = skid_candidates.source
        first, *others = candidates.payload
        some, pair = there[0], there[1] if others else Const(0)
        *below, in_mask = counts(mask, config.survivors + 1)
        left = [
            mask,
            *(mask & Cat(count[number] for count in below) for number in range(config.survivors)),
        ]  # without the first, the second
        for number, candidate in enumerate(candidates.payload):
            picked = [values[index] & chosen[number][index].replicate(32) for index in range(config.scan)]
            while len(picked) > 1:
                picked = [a | b for a, b in zip(picked[::2], picked[1::2], strict=True)]
            by_bit = ([one for index, one in enumerate(chosen[number]) if index >> bit & 1] for bit in range(scan_bits))
            m.d.comb += [
                lane[number].eq(Cat(Cat(ones).any() for ones in by_bit)),
                candidate.accumulator.eq(picked[0].as_signed()),
                candidate.channel.eq(base_channel + lane[number]),
                candidate.null.eq(flush | ~there[number]),
            ]
        for second in others:
            m.d.comb += [second.gap.eq(Mux(pair & ~flush, (lane[1] + ~lane[0])[:scan_bits], 0)), second.last.eq(ends & pair)]
        m.d.comb += [
            passed.eq(gap + lanes),
            first.gap.eq(Mux(flush, gap, Mux(some, gap + lane[0], passed))),
            first.last.eq(ends & ~pair),
            ends.eq(final & ~flush & alone),
            last_chosen.eq(Mux(pair, lane[-1], lane[0])),
            candidates.valid.eq(valid & (flush | some | final)),
            sent.eq(candidates.valid & candidates.ready),
            done.eq(valid & ~flush & alone & (~(some | final) | candidates.ready)),
            accept.eq(~valid | done),
            fresh.eq(~valid | alone),
            mask.eq(Mux(fresh, compared.survives, rest)),
            ends_at.eq(Mux(fresh, compared.used & ~(compared.used >> 1), at_end)),
            choose_final.eq(Mux(fresh, compared.last, final)),
        ]
        with m.If(sent):
            m.d.sync += [gap.eq(Mux(flush, 0, -(last_chosen + 1))), flush.eq(0)]
        with m.If(done):
            m.d.sync += [valid.eq(0), gap.eq(Mux(some, last_lane - last_chosen, passed)), flush.eq(~some & (passed >= 1 << (RUN_BITS - 1)))]
        with m.If(accept | (sent & ~flush)):
            m.d.sync += [
                *(one.eq(left[number] & ~left[number + 1]) for number, one in enumerate(chosen)),
                rest.eq(left[-1]),
                there.eq(Cat(in_mask[:-1])),
                at_end.eq(ends_at),
                # Zeros behind the tensor's last candidate are sent without one.
                alone.eq(~in_mask[-1] & ~(choose_final & in_mask[0] & ~(mask & ends_at).any())),
            ]
        with m.If(takes_slice):
            m.d.sync += valid.eq(1)
            if config.parallel:
                m.d.sync += values.eq(compared["values"])
            m.d.sync += [
                lanes.eq(compared.lanes),
                last_lane.eq(compared.lanes - 1),
                base_channel.eq(compared.channel),
                final.eq(compared.last),
            ]

        with m.If(self.start):
            m.d.sync += [gap.eq(0), flush.eq(0), begun.eq(0)]
        return m
