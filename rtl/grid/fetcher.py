"""The range fetcher: of a unit's windows, the ranges of entries."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..input.memory import pointers_signature
from ..layouts import range_layout, unit_layout

RANGES_AHEAD = 4  # at least
UNDER_WAY = 6  # ranges at most that are found, beside those ahead: in the stages, and at the row


def fetcher_signature(config: Config) -> wiring.Signature:
    """The members of every form of the range fetcher."""
    return wiring.Signature(
        {
            "layer": In(layer_layout(config)),
            "units": In(stream.Signature(unit_layout(config))),
            "pointers": Out(pointers_signature(config)),
            "ranges": Out(stream.Signature(range_layout(config))),
            "issued": In(2 if config.slots else 1),
            "busy": Out(1),
            **({} if config.serial else {"rows": In(config.coordinate_bits), "waits": Out(1)}),
        }
    )


class RangeFetcher(wiring.Component):
    """Finds the entries of a row's units: one range for each window row, with two pointer reads; empty ones are dropped.

    In (y, x, c) order the pixels of one window row are adjacent, so their entries are one range, and with weights in (r, s, c)
    order the weight of each lies at f + weight.

    Members:
        layer: steady while anything is under way.
        units: taken when the ranges of the one before are found, and at most `layer.lead` of their entries are left to be issued;
            a single row takes them at once.
        pointers: the row's reads of them.
        ranges: of all windows of the unit, in order; each window has at least one, if only to carry `end`.
        issued: so many entries of ranges (or windows without any) are taken for multiplication in this cycle: 0...1, and 2 with lists.
        busy: a range of a unit is being found, and is not waiting for a row of the input.
        rows: feature-map rows of the input that are stored. waits: a window row waits for one of them.

    Throughput: one range a cycle; one in two cycles of a unit whose input is still being stored.
    Latency: 3 cycles from a unit to its first range, 8 where rows are spread, and one more for each empty window row behind it, because
    it is held back until it is known whether it is its window's last.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(fetcher_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        layer = self.layer
        m = Module()
        ranges = stream.Signature(range_layout(config)).create()  # found, in order
        advance = Signal()  # of all stages, which stand still while there may be no room for a range
        ahead = RANGES_AHEAD + config.ranges_ahead
        m.submodules.fifo = fifo = SyncFIFO(width=range_layout(config).size, depth=ahead)
        finds = ranges.valid & advance
        m.d.comb += [
            fifo.w_data.eq(ranges.payload),
            self.ranges.payload.eq(fifo.r_data),
            self.ranges.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.ranges.ready),
            fifo.w_en.eq(finds),
        ]
        if config.parallel:  # while no other one waits, it is offered at once, and kept unless it is taken
            with m.If(~fifo.r_rdy):
                m.d.comb += [
                    fifo.w_en.eq(finds & ~self.ranges.ready),
                    self.ranges.payload.eq(ranges.payload),
                    self.ranges.valid.eq(finds),
                ]
        m.d.sync += advance.eq(fifo.level <= ahead - 2)  # as it comes from a register, one more range may be on its way

        # First stage: window rows of all windows of the unit's pool, one a cycle.
        walking = Signal()
        coordinate = signed(config.coordinate_bits + 1)
        x, y, unit_x, window_y = (Signal(coordinate, name=name) for name in ("x", "y", "unit_x", "window_y"))
        row_pixel, window_pixel = Signal(config.pixel_bits), Signal(config.pixel_bits)
        weight, window_weight, unit_weight = (Signal(config.weight_bits, name=name) for name in ("weight", "window_weight", "unit_weight"))
        filter_rows_left = Signal.like(layer.R)
        pool_columns_left, pool_rows_left = Signal.like(layer.pool_columns), Signal.like(layer.pool_rows)
        first_window, last_group = Signal(), Signal()
        end, last_pool_column, last_pool_row = Signal(), Signal(), Signal()
        # A row of the input that is not stored yet is waited for: that it is, is known in the cycle after `y` has changed.
        whole, steady, behind_y = Signal(), Signal(), Signal.like(y)  # the unit's rows are stored; `y` is as it was
        walks = Signal()  # walking, and the row is stored
        m.d.comb += self.waits.eq(walking & steady & ~walks)
        m.d.sync += [
            steady.eq(1),
            whole.eq(whole | (behind_y <= self.rows) | (self.rows == layer.H)),
            walks.eq(Mux(advance & walks, whole, walking & (whole | (y < self.rows)))),
        ]
        # Whether a counter is at 1 is known when it gets there.
        one_row, one_column, one_filter_row = layer.pool_rows == 1, layer.pool_columns == 1, layer.R == 1
        with m.If(advance & walks):
            m.d.sync += [
                steady.eq(0),
                end.eq(Mux(end, one_filter_row, filter_rows_left == 2)),
                filter_rows_left.eq(filter_rows_left - 1),
                y.eq(y + 1),
                row_pixel.eq(row_pixel + layer.W),
                weight.eq(weight + layer.filter_row_weights),
            ]
            with m.If(end):
                m.d.sync += [
                    first_window.eq(0),
                    filter_rows_left.eq(layer.R),
                    last_pool_column.eq(Mux(last_pool_column, one_column, pool_columns_left == 2)),
                    pool_columns_left.eq(pool_columns_left - 1),
                    x.eq(x + layer.stride_columns),
                    y.eq(window_y),
                    row_pixel.eq(window_pixel),
                    weight.eq(window_weight + layer.stride_weights),
                    window_weight.eq(window_weight + layer.stride_weights),
                ]
                with m.If(last_pool_column):
                    m.d.sync += [
                        pool_columns_left.eq(layer.pool_columns),
                        last_pool_row.eq(pool_rows_left == 2),
                        pool_rows_left.eq(pool_rows_left - 1),
                        x.eq(unit_x),
                        y.eq(window_y + layer.stride_rows),
                        window_y.eq(window_y + layer.stride_rows),
                        row_pixel.eq(window_pixel + layer.stride_pixels),
                        window_pixel.eq(window_pixel + layer.stride_pixels),
                        weight.eq(unit_weight),
                        window_weight.eq(unit_weight),
                    ]
                    with m.If(last_pool_row):
                        m.d.sync += [walking.eq(0), walks.eq(0)]

        # Second stage: the pixels of the window row, without the padding.
        asked = Signal()
        asked_any = Signal()
        asked_range = Signal(range_layout(config), reset_less=True)
        beyond = Signal(signed(config.coordinate_bits + 2))
        m.d.comb += [beyond.eq(x + layer.S), self.pointers.lookup.eq(advance)]
        asks = [
            asked.eq(walks),
            asked_any.eq((y >= 0) & (y < layer.H) & (beyond > 0) & (x < layer.W)),
            self.pointers.start_pixel.eq(row_pixel + Mux(x < 0, 0, x)),
            self.pointers.end_pixel.eq(row_pixel + Mux(beyond > layer.W, layer.W, beyond)),
            asked_range.weight.eq(weight),
            asked_range.first_window.eq(first_window),
            asked_range.last_window.eq(last_pool_column & last_pool_row),
            asked_range.end.eq(end),
            asked_range.last_group.eq(last_group),
        ]
        if config.slots:
            slots = Signal(config.count_bits)  # of the unit
            asks.append(asked_range.slots.eq(slots))
        if config.spread:  # a register on the way to the memory
            with m.If(advance):
                m.d.sync += asks
        else:
            m.d.comb += asks

        # Third stage: the memory looks the pointers up. Their difference is the number of entries; where rows are spread, in a stage of
        # its own.
        looked_up, looked_up_any, looked_up_range = Signal(), Signal(), Signal(range_layout(config), reset_less=True)
        found, found_range = Signal(), Signal(range_layout(config), reset_less=True)
        looks_up = [looked_up.eq(asked), looked_up_any.eq(asked_any), looked_up_range.eq(asked_range)]
        range_start, range_end, under_way = self.pointers.start, self.pointers.end, asked
        if config.spread:  # the memory's blocks take half a cycle, and lie far: the pointers have a stage of their own
            range_start, range_end = (Signal.like(known, reset_less=True) for known in (self.pointers.start, self.pointers.end))
            arrived, arrived_any, arrived_range = Signal(), Signal(), Signal(range_layout(config), reset_less=True)
            looks_up += [range_start.eq(self.pointers.start), range_end.eq(self.pointers.end)]
            looks_up += [arrived.eq(looked_up), arrived_any.eq(looked_up_any), arrived_range.eq(looked_up_range)]
            under_way = asked | looked_up
            looked_up, looked_up_any, looked_up_range = arrived, arrived_any, arrived_range
        some = Signal(reset_less=True)  # the range found has entries
        count_bits = len(found_range.count)
        finds_out = [
            found.eq(looked_up),
            found_range.eq(looked_up_range),
            found_range.start.eq(range_start),
            found_range.count.eq(Mux(looked_up_any, range_end - range_start, 0)),
            some.eq(looked_up_any & (range_end[:count_bits] != range_start[:count_bits])),
        ]
        with m.If(advance):
            m.d.sync += looks_up
        if config.spread:
            with m.If(advance):
                m.d.sync += finds_out
        else:
            m.d.comb += finds_out

        # Last stage: hold a range back until it is known whether it is its window's last.
        arrives, closes = Signal(), Signal()
        pending, pending_range = Signal(), Signal(range_layout(config), reset_less=True)
        m.d.comb += [
            closes.eq(found & found_range.end & ~some & pending & ~pending_range.end),  # the range held is its window's last
            arrives.eq(found & (some | found_range.end) & ~closes),  # it has entries, or stands for a window that has none
            ranges.valid.eq(pending & (pending_range.end | closes | arrives)),
            ranges.payload.eq(pending_range),
            ranges.payload.end.eq(pending_range.end | closes),
        ]
        with m.If(advance):
            with m.If(arrives):
                m.d.sync += [pending.eq(1), pending_range.eq(found_range)]
            with m.Elif(ranges.valid):
                m.d.sync += pending.eq(0)

        m.d.comb += self.busy.eq((walking & ~self.waits) | under_way | looked_up | found | pending)

        # The next unit begins as soon as the one before is walked.
        walked = ~walking | (advance & walks & end & last_pool_column & last_pool_row)
        begins = Signal()
        if config.rows == 1:
            unit = self.units.payload
            m.d.comb += [self.units.ready.eq(walked), begins.eq(self.units.valid & walked)]
        else:
            unit, staged = Signal.like(self.units.payload), Signal()  # taken, but not begun
            nearly_walked, adding, closed = Signal(), Signal(), Signal()
            found_entries = Signal(config.feature_bits + 1)  # of a range that was found, one cycle later
            all_found = ~walking & ~under_way & ~looked_up & ~found & ~adding
            m.d.sync += [
                nearly_walked.eq((~walking | ((filter_rows_left <= 2) & last_pool_column & last_pool_row)) & ~begins),
                adding.eq(advance & arrives),
                found_entries.eq(Mux(advance & arrives, Mux(some, found_range.count, 1), 0)),
                closed.eq(advance & found & found_range.end & found_range.last_window),
            ]
            late = self._takes_late(m, found_entries, closed, all_found)
            comes, waiting_unit = Const(0), unit
            if config.parallel:  # it begins at once where none is walked
                comes, unit = self.units.valid & self.units.ready, Signal.like(unit)
                m.d.comb += unit.eq(Mux(staged, waiting_unit, self.units.payload))
            m.d.comb += [self.units.ready.eq(~staged & nearly_walked & late), begins.eq((staged | comes) & walked)]
            with m.If(self.units.ready):
                m.d.sync += [waiting_unit.eq(self.units.payload), staged.eq(self.units.valid)]
            with m.If(begins):
                m.d.sync += staged.eq(0)
        with m.If(begins):
            m.d.sync += [
                walking.eq(1),
                walks.eq(unit.whole),
                whole.eq(unit.whole),
                steady.eq(0),
                behind_y.eq(unit.y + layer.span_rows),
                x.eq(unit.x),
                unit_x.eq(unit.x),
                y.eq(unit.y),
                window_y.eq(unit.y),
                row_pixel.eq(unit.row_pixel),
                window_pixel.eq(unit.row_pixel),
                weight.eq(unit.weight),
                window_weight.eq(unit.weight),
                unit_weight.eq(unit.weight),
                filter_rows_left.eq(layer.R),
                pool_columns_left.eq(layer.pool_columns),
                pool_rows_left.eq(layer.pool_rows),
                end.eq(one_filter_row),
                last_pool_column.eq(one_column),
                last_pool_row.eq(one_row),
                first_window.eq(1),
                last_group.eq(unit.last_group),
            ]
            if config.slots:
                m.d.sync += slots.eq(unit.slots)
        return m

    def _takes_late(self, m: Module, found_entries: Value, closed: Value, all_found: Value) -> Value:
        """Whether the next unit may be taken: late, so that it goes to the row that is free first.

        found_entries: of the range that was found in the cycle before. closed: it was its unit's last one. all_found: there are no
            more.
        """
        config, layer = self.config, self.layer
        most = (RANGES_AHEAD + config.ranges_ahead + UNDER_WAY) * min(config.entries, config.features)  # of a range in each place
        backlog, next_backlog = Signal(range(most + 1)), Signal(range(most + 1))
        calm = Signal(init=1)  # the backlog is at most layer.lead
        issued = Signal.like(self.issued)
        m.d.comb += next_backlog.eq(backlog + found_entries - issued)
        m.d.sync += issued.eq(self.issued)
        m.d.sync += [backlog.eq(next_backlog), calm.eq(next_backlog <= layer.lead)]
        # But where units have so few entries that finding them is what takes the time, the next one follows at once.
        entries = Signal.like(backlog)  # of the unit whose ranges are being found
        few = Signal()
        m.d.sync += entries.eq(Mux(closed, 0, entries + found_entries))
        with m.If(closed):
            m.d.sync += few.eq(entries + found_entries <= layer.lead[2:])
        return (few | all_found) & calm
