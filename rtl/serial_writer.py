"""The activation writer for small FPGAs: an element at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from .activations import writer_signature
from .config import Config
from .layouts import RUN_BITS, Error


class SerialActivationWriter(wiring.Component):
    """Does what `ActivationWriter` does, with the same members, and counts through all elements of the tensor, zeros too.

    Throughput: one element a cycle. Latency: none to the write; 1 cycle after `start`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(writer_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        token, write = self.tokens.payload, self.writes.payload
        passed, next_passed = Signal(RUN_BITS), Signal(RUN_BITS)  # zeros of the token's run
        space = Signal.like(self.held_C)  # elements of the pixel that are still to come
        f, next_f = Signal(config.feature_bits), Signal(config.feature_bits + 1)
        columns_left = Signal(config.coordinate_bits)
        next_entries, next_rows = Signal.like(self.entries), Signal.like(self.rows)
        opening = Signal()  # store the pointer of pixel 0

        some, is_zero, is_value, finished = Signal(), Signal(), Signal(), Signal()
        ends_pixel, ends_row, last, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            next_passed.eq(passed + 1),
            some.eq(token.value.any()),
            is_zero.eq(~opening & (passed != token.run)),
            is_value.eq(~opening & ~is_zero & some),
            finished.eq(~opening & (~is_zero | (~some & (next_passed == token.run)))),
            ends_pixel.eq((is_zero | is_value) & (space == 1)),
            ends_row.eq(ends_pixel & (columns_left == 1)),
            last.eq(finished & token.last),
            next_f.eq(f + 1),
            next_rows.eq(self.rows + 1),
            next_entries.eq(self.entries + is_value),
            write.entry_enable.eq(is_value),
            write.entry_address.eq(self.entries),
            write.entry.value.eq(token.value),
            write.entry.f.eq(f),
            write.pointer_enable.eq(ends_pixel | opening),
            write.pixel.eq(self.pixels),
            write.pointer.eq(next_entries),
            self.pending.eq(self.busy & (opening | self.tokens.valid)),
            self.writes.valid.eq(self.pending & ~self.failed),
            step.eq(self.writes.valid & self.writes.ready),
            self.tokens.ready.eq(step & finished),
        ]
        with m.If(self.pending):
            m.d.comb += self.failed.eq(1)
            with m.If(is_value & (self.entries + self.other_entries >= config.entries)):
                m.d.comb += self.error.eq(Error.ENTRIES_FULL)
            with m.Elif(write.pointer_enable & (self.pixels + self.other_pixels >= config.pixels)):
                m.d.comb += self.error.eq(Error.PIXELS_FULL)
            with m.Elif(next_f[-1] & (is_zero | is_value) & ~ends_row):
                m.d.comb += self.error.eq(Error.FEATURES_TOO_MANY)
            with m.Elif(last != (ends_row & (next_rows == self.held_H))):
                m.d.comb += self.error.eq(Error.DESCRIPTOR_SIZE)
            with m.Else():
                m.d.comb += self.failed.eq(0)

        with m.If(step):
            m.d.sync += [opening.eq(0), self.entries.eq(next_entries), self.pixels.eq(self.pixels + write.pointer_enable)]
            m.d.sync += passed.eq(Mux(finished, 0, passed + is_zero))
            with m.If(is_zero | is_value):
                m.d.sync += [space.eq(space - 1), f.eq(next_f)]
            with m.If(ends_pixel):
                m.d.sync += [space.eq(self.held_C), columns_left.eq(columns_left - 1)]
            with m.If(ends_row):
                m.d.sync += [columns_left.eq(self.held_W), f.eq(0), self.rows.eq(next_rows)]
            with m.If(last):
                m.d.sync += [self.busy.eq(0), self.complete.eq(1)]
        with m.If(self.failed | self.stop):
            m.d.sync += self.busy.eq(0)
        with m.If(self.drop):
            m.d.sync += [self.complete.eq(0), self.entries.eq(0), self.pixels.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1),
                self.complete.eq(0),
                self.held_C.eq(self.C),
                self.held_H.eq(self.H),
                self.held_W.eq(self.W),
                self.entries.eq(0),
                self.pixels.eq(0),
                self.rows.eq(0),
                opening.eq(1),
                passed.eq(0),
                space.eq(self.C),
                f.eq(0),
                columns_left.eq(self.W),
            ]
        return m
