"""The window walker: which windows a layer has, in which order, and where their entries begin."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import order_layout, unit_layout


class WindowWalker(wiring.Component):
    """Walks a layer's output pixels in (y, x) order, all groups of one before the next, and hands each unit to a row that is free.

    Where experts are built, it skips the units of those that are not chosen, an expert a cycle. Of a layer with lists a unit computes
    several groups.

    Members:
        start: begins the layer of `layer`, which stays the same while `busy`.
        chosen: a bit for each expert that is built; steady while `busy`.
        rows: feature-map rows of the input that are stored; a unit waits until its first one is, or, where parts work serially, all are.
        units: one stream a row; of the rows that are ready the first one takes the next unit. So a row must be ready without waiting for
            valid, unless it is the only one; and what it is offered when it is not ready may go to another one.
        order: which row takes it, for the drain; in the same cycle as the row. Valid does not wait for ready, but while ready is 0, the row
            may become another one.
        busy: units are left.
        waiting: a unit waits for input rows.

    Throughput: one unit a cycle; where the input is still being stored, but for a cycle at the end of each row of pixels.
    Latency: 1 cycle, 2 where the input is still being stored.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            ({"chosen": In(config.experts)} if config.experts else {})
            | {
                "start": In(1),
                "layer": In(layer_layout(config)),
                "rows": In(config.coordinate_bits),
                "units": Out(stream.Signature(unit_layout(config))).array(config.rows),
                "order": Out(stream.Signature(order_layout(config))),
                "busy": Out(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        layer = self.layer
        unit = Signal(unit_layout(config))
        column_weight = Signal(config.weight_bits)  # of the pixel's first group
        groups_left = Signal.like(layer.groups)
        columns_left = Signal.like(layer.out_columns)
        rows_left = Signal.like(layer.out_rows)

        # An input that is held is there. Of one that is still coming, it is known in the cycle after the unit has changed.
        held, steady, available, whole = Signal(), Signal(), Signal(), Signal()
        m.d.comb += held.eq(~(layer.from_stream | layer.follows) if config.overlaps else ~layer.from_stream)
        every = self.rows == layer.H
        m.d.sync += whole.eq(every | (unit.y + layer.span_rows <= self.rows))
        if config.serial:
            m.d.comb += available.eq(whole)
        else:
            m.d.sync += available.eq(every | (unit.y < self.rows))
            m.d.comb += unit.whole.eq(held | whole)
        last_column, last_row = Signal(), Signal()
        last_group, step, step_weights = groups_left == 1, 1, layer.group_weights
        if config.experts:
            skips = Signal()
            chosen_left = Signal(config.experts)  # from the expert on whose turn it is
            experts_left, expert_left = Signal.like(layer.experts), Signal.like(layer.expert_groups)  # of the pixel; its groups
            m.d.comb += skips.eq(layer.routed & (expert_left == layer.expert_groups) & ~chosen_left[0])
            m.d.comb += self.order.payload.skipped.eq(skips)
            last_group = Mux(layer.routed, (experts_left == 1) & (skips | (expert_left == 1)), groups_left == 1)
            step, step_weights = Mux(skips, layer.expert_groups, 1), Mux(skips, layer.expert_weights, layer.group_weights)
        if config.slots:
            ends_pixel, groups_at_once = groups_left <= layer.slots, Signal(config.count_bits)
            last_group = Mux(layer.lists, ends_pixel, last_group)
            m.d.comb += [
                groups_at_once.eq(Mux(layer.lists, Mux(ends_pixel, groups_left, layer.slots), 1)),
                unit.slots.eq(groups_at_once),
                self.order.payload.slots.eq(groups_at_once),
            ]
            step = Mux(skips, step, groups_at_once) if config.experts else groups_at_once
        m.d.comb += [
            unit.last_group.eq(last_group),
            last_column.eq(columns_left == 1),
            last_row.eq(rows_left == 1),
            self.waiting.eq(self.busy & ~held & steady & ~available),
            self.order.payload.first_group.eq(groups_left == layer.groups),
            self.order.payload.last_group.eq(unit.last_group),
            self.order.payload.row_end.eq(last_column),
            self.order.payload.last.eq(unit.last_group & last_column & last_row),
        ]
        go = self.busy & (held | (steady & available))
        for row in reversed(range(config.rows)):
            m.d.comb += self.units[row].payload.eq(unit)
            with m.If(self.units[row].ready):
                m.d.comb += [self.order.payload.row.eq(row), self.order.valid.eq(go)]
        for row, units in enumerate(self.units):
            m.d.comb += units.valid.eq(go & self.order.ready & (self.order.payload.row == row))
        if config.experts:
            with m.If(skips):
                m.d.comb += [self.order.valid.eq(go), *(units.valid.eq(0) for units in self.units)]

        m.d.sync += steady.eq(1)
        with m.If(self.start):
            m.d.sync += steady.eq(0)
        with m.If(self.order.valid & self.order.ready):
            with m.If(unit.last_group & last_column):
                m.d.sync += steady.eq(0)
            m.d.sync += [
                groups_left.eq(groups_left - step),
                unit.x.eq(unit.x + layer.group_stride_columns),
                unit.weight.eq(unit.weight + step_weights),
            ]
            if config.experts:
                m.d.sync += expert_left.eq(expert_left - 1)
                with m.If(skips | (expert_left == 1)):
                    m.d.sync += [expert_left.eq(layer.expert_groups), experts_left.eq(experts_left - 1), chosen_left.eq(chosen_left >> 1)]
                with m.If(last_group):
                    m.d.sync += [experts_left.eq(layer.experts), chosen_left.eq(self.chosen)]
            with m.If(unit.last_group):
                m.d.sync += [
                    groups_left.eq(layer.groups),
                    columns_left.eq(columns_left - 1),
                    unit.x.eq(unit.x + layer.unit_stride_columns),
                    unit.weight.eq(column_weight + layer.unit_stride_weights),
                    column_weight.eq(column_weight + layer.unit_stride_weights),
                ]
                with m.If(last_column):
                    m.d.sync += [
                        columns_left.eq(layer.out_columns),
                        rows_left.eq(rows_left - 1),
                        unit.x.eq(layer.first_x),
                        unit.y.eq(unit.y + layer.unit_stride_rows),
                        unit.row_pixel.eq(unit.row_pixel + layer.unit_stride_pixels),
                        unit.weight.eq(layer.first_weight),
                        column_weight.eq(layer.first_weight),
                    ]
                    with m.If(last_row):
                        m.d.sync += self.busy.eq(0)

        if config.experts:
            with m.If(self.start):
                m.d.sync += [expert_left.eq(layer.expert_groups), experts_left.eq(layer.experts), chosen_left.eq(self.chosen)]
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1),
                groups_left.eq(layer.groups),
                columns_left.eq(layer.out_columns),
                rows_left.eq(layer.out_rows),
                unit.x.eq(layer.first_x),
                unit.y.eq(layer.first_y),
                unit.row_pixel.eq(layer.first_pixel),
                unit.weight.eq(layer.first_weight),
                column_weight.eq(layer.first_weight),
            ]
        return m
