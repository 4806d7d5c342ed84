"""The range fetcher for small FPGAs: a window row at a time."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring

from ..config import Config
from .fetcher import fetcher_signature


class SerialRangeFetcher(wiring.Component):
    """Does what `RangeFetcher` does, with the same members, without a copy of the unit and without a queue.

    The place of a window row is the unit's own and offsets that begin anew with each window, pool or unit; its pointers are looked
    up in one cycle and subtracted in the next, while those of the row behind it are looked up. A unit is taken with its last row. A
    window ends with the range of its last row, which may be empty where others are not.

    Throughput: one window row a cycle, also an empty one. Latency: 1 cycle from a unit to its first range.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(fetcher_signature(config))

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        m = Module()
        unit, found, pointers = self.units.payload, self.ranges.payload, self.pointers
        looked_up, moves, step, closes = Signal(), Signal(), Signal(), Signal()  # closes: the row that is looked up is its window's last

        # The window row, counted in its window; the window, counted in its pool; and how far they lie from the unit's first one.
        row, column_window, row_window = (Signal.like(size, init=1) for size in (layer.R, layer.pool_columns, layer.pool_rows))
        row_pixels, window_pixels = Signal(config.pixel_bits), Signal(config.pixel_bits)
        row_weights, window_weights = Signal(config.weight_bits), Signal(config.weight_bits)
        columns = Signal(config.coordinate_bits)
        rows_less = Signal(signed(config.coordinate_bits + 1), init=-1)  # rows to the window less 1, as its rows are counted from 1
        last_column, last_row = Signal(), Signal()
        m.d.comb += [
            closes.eq(row == layer.R),
            last_column.eq(column_window == layer.pool_columns),
            last_row.eq(row_window == layer.pool_rows),
        ]
        with m.If(step & closes):
            m.d.sync += [row.eq(1), row_pixels.eq(0), row_weights.eq(0)]
            with m.If(~last_column):
                m.d.sync += [
                    column_window.eq(column_window + 1),
                    columns.eq(columns + layer.stride_columns),
                    window_weights.eq(window_weights + layer.stride_weights),
                ]
            with m.Else():
                m.d.sync += [column_window.eq(1), columns.eq(0), window_weights.eq(0)]
                with m.If(~last_row):
                    m.d.sync += [
                        row_window.eq(row_window + 1),
                        rows_less.eq(rows_less + layer.stride_rows),
                        window_pixels.eq(window_pixels + layer.stride_pixels),
                    ]
                with m.Else():
                    m.d.sync += [row_window.eq(1), rows_less.eq(-1), window_pixels.eq(0)]
        with m.Elif(step):
            m.d.sync += [
                row.eq(row + 1),
                row_pixels.eq(row_pixels + layer.W),
                row_weights.eq(row_weights + layer.filter_row_weights),
            ]

        # Its pixels, without the padding; their pointers' difference is the number of entries.
        x, y = Signal.like(unit.x), Signal.like(unit.y)
        beyond = Signal(signed(config.coordinate_bits + 2))
        pixel = Signal(config.pixel_bits)
        inside = Signal()  # with the pointers
        some = Signal()  # there are entries
        m.d.comb += [
            x.eq(unit.x + columns),
            y.eq(unit.y + rows_less + row),
            beyond.eq(x + layer.S),
            pixel.eq(unit.row_pixel + window_pixels + row_pixels),
            pointers.lookup.eq(moves),
            pointers.start_pixel.eq(pixel + Mux(x < 0, 0, x)),
            pointers.end_pixel.eq(pixel + Mux(beyond > layer.W, layer.W, beyond)),
            some.eq(inside & (pointers.end != pointers.start)),  # without their difference
            found.start.eq(pointers.start),
            found.count.eq(Mux(inside, pointers.end - pointers.start, 0)),
            self.ranges.valid.eq(looked_up & (some | found.end)),  # a window's last one is offered even if it is empty
            moves.eq(~self.ranges.valid | self.ranges.ready),
            step.eq(self.units.valid & moves),
            self.busy.eq(self.units.valid | looked_up),
            self.units.ready.eq(moves & closes & last_column & last_row),
        ]
        with m.If(moves):
            m.d.sync += [
                looked_up.eq(self.units.valid),
                inside.eq((y >= 0) & (y < layer.H) & (beyond > 0) & (x < layer.W)),
                found.weight.eq(unit.weight + window_weights + row_weights),
                found.first_window.eq((column_window == 1) & (row_window == 1)),
                found.last_window.eq(last_column & last_row),
                found.end.eq(closes),
                found.last_group.eq(unit.last_group),
            ]
        return m
