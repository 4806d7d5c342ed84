"""The activation writer for small FPGAs: an element at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ..config import Config
from ..errors import Error
from ..layouts import Token
from .writer import tensor_begins, writer_signature

KNOWN = ("entry_lost", "pixel_lost", "too_long", "tokens_end", "tensor_ends")


class SerialActivationWriter(wiring.Component):
    """Does what `ActivationWriter` does, with the same members, and counts through all elements of the tensor, zeros too.

    Members besides: skips: an element that is zero is passed.

    What is too much is not offered to `writes`, but its error, too, waits for `writes.ready`, which is always 1 where this writer is used.

    Throughput: one element a cycle, and one cycle a token. Latency: 1 cycle to the write, and from `start` to the first token; and
    from the last element or an error to what is said of it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({**writer_signature(config).members, "skips": Out(1)})

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        write = self.writes.payload
        entry, pointer = write.entries[0], write.pointers[0]
        held, token = Signal(), Signal(Token)  # with what is left of its run
        space = Signal.like(self.held_C)  # elements of the pixel that are still to come
        f, next_f = Signal(config.feature_bits), Signal(config.feature_bits + 1)
        columns_left = Signal(config.coordinate_bits)
        next_entries, next_rows = Signal.like(self.entries), Signal.like(self.rows)

        # What is known of the step before: it wanted an entry or a pixel too many, a row too long, it ended the tokens, the tensor.
        entry_lost, pixel_lost, too_long, tokens_end, tensor_ends = known = [Signal(name=name) for name in KNOWN]
        is_zero, is_value, finished = Signal(), Signal(), Signal()
        ends_pixel, ends_row, last, step = Signal(), Signal(), Signal(), Signal()
        no_entry, no_pixel = Signal(), Signal()
        m.d.comb += [
            is_zero.eq(held & token.run.any()),
            is_value.eq(held & ~token.run.any() & token.value.any()),
            finished.eq(held & ((token.run == 0) | ((token.run == 1) & ~token.value.any()))),
            ends_pixel.eq((is_zero | is_value) & (space == 1)),
            ends_row.eq(ends_pixel & (columns_left == 1)),
            last.eq(finished & token.last),
            next_f.eq(f + 1),
            next_rows.eq(self.rows + 1),
            next_entries.eq(self.entries + is_value),
            no_entry.eq(is_value & (self.entries + self.other_entries >= config.entries)),
            no_pixel.eq(ends_pixel & (self.pixels + self.other_pixels >= config.pixels)),
            entry.enable.eq(is_value),
            write.entry_address.eq(self.entries),
            entry.value.eq(token.value),
            entry.f.eq(f),
            pointer.enable.eq(ends_pixel),
            write.pixel.eq(self.pixels),
            pointer.pointer.eq(next_entries),
            self.pending.eq(held),
            self.writes.valid.eq(self.pending & ~self.failed & ~no_entry & ~no_pixel),
            step.eq(self.pending & self.writes.ready & ~self.failed),
            self.skips.eq(step & is_zero),
            self.tokens.ready.eq(self.busy & ~self.pending & ~tokens_end),
            self.failed.eq(entry_lost | pixel_lost | too_long | (tokens_end ^ tensor_ends)),
            self.error.eq(
                Mux(
                    entry_lost,
                    Error.ENTRIES_FULL,
                    Mux(pixel_lost, Error.PIXELS_FULL, Mux(too_long, Error.FEATURES_TOO_MANY, Error.DESCRIPTOR_SIZE)),
                )
            ),
        ]
        m.d.sync += [
            entry_lost.eq(step & no_entry),
            pixel_lost.eq(step & no_pixel),
            too_long.eq(step & next_f[-1] & (is_zero | is_value) & ~ends_row),
            tokens_end.eq(step & last),
            tensor_ends.eq(step & ends_row & (next_rows == self.held_H)),
        ]
        with m.If(self.tokens.ready):
            m.d.sync += [token.eq(self.tokens.payload[0]), held.eq(self.tokens.valid)]
        with m.If(step):
            m.d.sync += [self.entries.eq(next_entries), self.pixels.eq(self.pixels + ends_pixel)]
            with m.If(is_zero):
                m.d.sync += token.run.eq(token.run - 1)
            with m.If(is_zero | is_value):
                m.d.sync += [space.eq(space - 1), f.eq(next_f)]
            with m.If(ends_pixel):
                m.d.sync += [space.eq(self.held_C), columns_left.eq(columns_left - 1)]
            with m.If(ends_row):
                m.d.sync += [columns_left.eq(self.held_W), f.eq(0), self.rows.eq(next_rows)]
            with m.If(finished):
                m.d.sync += held.eq(0)
        with m.If(self.failed | self.stop):
            m.d.sync += [self.busy.eq(0), held.eq(0), *(past.eq(0) for past in known)]
        with m.Elif(tokens_end):
            m.d.sync += [self.busy.eq(0), self.complete.eq(1)]
        with m.If(self.drop):
            m.d.sync += [self.complete.eq(0), self.entries.eq(0), self.pixels.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                *tensor_begins(self),
                held.eq(0),
                space.eq(self.C),
                f.eq(0),
                columns_left.eq(self.W),
            ]
        return m
