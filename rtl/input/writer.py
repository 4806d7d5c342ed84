"""The activation writer: the tokens of a tensor become nonzeros in CSR by pixel."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..errors import Error
from ..layouts import RUN_BITS, Token, entry_layout, pointer_shape


def write_layout(config: Config) -> data.StructLayout:
    """What one cycle stores: an entry, a pixel pointer, or both. Addresses count from the buffer's own end of the memory."""
    return data.StructLayout(
        {
            "entry_enable": 1,
            "entry_address": config.entry_bits,
            "entry": entry_layout(config),
            "pointer_enable": 1,
            "pixel": config.pixel_bits,
            "pointer": pointer_shape(config),
        }
    )


def writer_signature(config: Config) -> wiring.Signature:
    """The members of every form of the activation writer."""
    size = config.features.bit_length()
    return wiring.Signature(
        {
            "start": In(1),
            "stop": In(1),
            "drop": In(1),
            "C": In(size),
            "H": In(config.coordinate_bits),
            "W": In(config.coordinate_bits),
            "tokens": In(stream.Signature(Token)),
            "writes": Out(stream.Signature(write_layout(config))),
            "other_entries": In(config.entry_bits + 1),
            "other_pixels": In(config.pixel_bits + 1),
            "entries": Out(config.entry_bits + 1),
            "pixels": Out(config.pixel_bits + 1),
            "rows": Out(config.coordinate_bits),
            "pending": Out(1),
            "busy": Out(1),
            "complete": Out(1),
            "held_C": Out(size),
            "held_H": Out(config.coordinate_bits),
            "held_W": Out(config.coordinate_bits),
            "failed": Out(1),
            "error": Out(Error),
        }
    )


def tensor_begins(writer: Any) -> list[object]:
    """What a writer of either form knows of a tensor that begins."""
    return [
        writer.busy.eq(1),
        writer.complete.eq(0),
        writer.held_C.eq(writer.C),
        writer.held_H.eq(writer.H),
        writer.held_W.eq(writer.W),
        writer.entries.eq(0),
        writer.rows.eq(0),
    ]


class ActivationWriter(wiring.Component):
    """Turns the tokens of one tensor into entries and pixel pointers.

    The pointer of pixel p = y * W + x is the index behind its last entry. So the entries of adjacent pixels of a feature-map row
    are one range, found with two pointers: that of the last pixel, and that of the pixel before the first.

    Members:
        start: begins a tensor of `C` channels, `H` rows and `W` columns (each at least 1), in place of the one held.
        stop: gives up the tensor that is being stored. drop: forgets the one held.
        tokens: of the tensor, in (y, x, c) order.
        writes: what to store.
        other_entries, other_pixels: entries and pixel pointers that the other tensor takes.
        entries, pixels: entries and pixel pointers stored so far.
        rows: feature-map rows that are complete.
        pending: something is to be stored, or is too much.
        busy: from the cycle after `start` until the tensor is stored. complete: a tensor is held, of the shape
            held_C, held_H, held_W.
        failed: for one cycle; `error` is ENTRIES_FULL, PIXELS_FULL, FEATURES_TOO_MANY (W * C of the configuration), or
            DESCRIPTOR_SIZE (the tokens end where C * H * W do not).

    Throughput: one token a cycle, and one cycle for each further pixel that a run reaches. Latency: 2 cycles.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(writer_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        space = Signal.like(self.held_C)  # elements of the pixel that are still to come
        space_less = Signal.like(space)  # the same, less 1: so no sum stands before a comparison
        C_less = Signal.like(space)
        f = Signal(config.feature_bits)  # of the next element
        f_behind = Signal(config.feature_bits + 2)  # of the next pixel's first element; more bits tell a row that is too long
        columns_left, rows_left = Signal(config.coordinate_bits), Signal(config.coordinate_bits)
        feeding = Signal()  # tokens of the tensor are still to come
        token, token_valid = Signal(Token), Signal()  # with what is left of its run
        run, some = token.run, token.value.any()
        wide_run = Signal(max(RUN_BITS, len(space)))
        reaches, passes = Signal(), Signal()  # the run leaves room for one more element, or less; it goes on behind the pixel
        m.d.comb += [wide_run.eq(run), reaches.eq(~(run < space_less)), passes.eq(run > space)]

        # First stage: take a token, or as much of its run as the pixel has room for.
        crosses, stores, ends_pixel, ends_row, step = Signal(), Signal(), Signal(), Signal(), Signal()
        finished, moves = Signal(), Signal()
        entries = Signal.like(self.entries)
        m.d.comb += [
            crosses.eq(run > space_less),  # the run reaches the end of the pixel
            stores.eq(~crosses & some),
            ends_pixel.eq(crosses | (some & reaches)),
            ends_row.eq(ends_pixel & (columns_left == 1)),
            # A run that ends with the pixel has nothing left only where no value follows it.
            finished.eq(~crosses | (~passes & ~some)),
            entries.eq(self.entries + stores),
            step.eq(token_valid & moves),
            self.tokens.ready.eq(feeding & (~token_valid | (moves & finished))),
        ]
        with m.If(self.tokens.ready):
            m.d.sync += [token.eq(self.tokens.payload), token_valid.eq(self.tokens.valid)]
            with m.If(self.tokens.valid & self.tokens.payload.last):
                m.d.sync += feeding.eq(0)
        with m.Elif(step):
            m.d.sync += [token.run.eq(run - space), token_valid.eq(~finished)]
        with m.If(step):
            m.d.sync += [
                self.entries.eq(entries),
                space.eq(Mux(some, space_less, space) - run),
                space_less.eq((Cat(1, space_less) + Cat(~some, ~wide_run))[1:]),  # space_less - run - some
                f.eq((Cat(1, f) + Cat(some, run))[1:]),  # f + run + some
            ]
            with m.If(ends_pixel):
                m.d.sync += [
                    self.pixels.eq(self.pixels + 1),
                    columns_left.eq(columns_left - 1),
                    space.eq(self.held_C),
                    space_less.eq(C_less),
                    f.eq(f_behind),
                    f_behind.eq(f_behind + self.held_C),
                ]
            with m.If(ends_row):
                m.d.sync += [columns_left.eq(self.held_W), rows_left.eq(rows_left - 1), f.eq(0), f_behind.eq(self.held_C)]

        # Second stage: check it against the limits, and store it.
        write = self.writes.payload
        last, too_long, completes_row, wrong_size = Signal(), Signal(), Signal(), Signal()
        entry_place, pixel_place = Signal.like(self.entries), Signal.like(self.pixels)
        m.d.comb += [
            write.entry_address.eq(entry_place),
            write.pixel.eq(pixel_place),
            self.writes.valid.eq(self.pending & ~self.failed),
            moves.eq(~self.pending | self.writes.ready),
        ]
        with m.If(moves):
            m.d.sync += [
                self.pending.eq(step),
                entry_place.eq(self.entries),
                pixel_place.eq(self.pixels),
                write.entry_enable.eq(stores),
                write.entry.value.eq(token.value),
                write.entry.f.eq(f + run),
                write.pointer_enable.eq(ends_pixel),
                write.pointer.eq(entries),
                last.eq(finished & token.last),
                completes_row.eq(ends_row),
                too_long.eq(f_behind > config.features),
                # The tokens end before the tensor, or the other way round.
                wrong_size.eq((finished & token.last) != (ends_row & (rows_left == 1))),
            ]
        with m.If(self.pending):
            m.d.comb += self.failed.eq(1)
            with m.If(write.entry_enable & (entry_place + self.other_entries >= config.entries)):
                m.d.comb += self.error.eq(Error.ENTRIES_FULL)
            with m.Elif(write.pointer_enable & (pixel_place + self.other_pixels >= config.pixels)):
                m.d.comb += self.error.eq(Error.PIXELS_FULL)
            with m.Elif(too_long):
                m.d.comb += self.error.eq(Error.FEATURES_TOO_MANY)
            with m.Elif(wrong_size):
                m.d.comb += self.error.eq(Error.DESCRIPTOR_SIZE)
            with m.Else():
                m.d.comb += self.failed.eq(0)
        with m.If(self.writes.valid & self.writes.ready):
            m.d.sync += self.rows.eq(self.rows + completes_row)
            with m.If(last):
                m.d.sync += [self.busy.eq(0), self.complete.eq(1)]
        with m.If(self.failed | self.stop):
            m.d.sync += [self.busy.eq(0), feeding.eq(0), token_valid.eq(0), self.pending.eq(0)]
        with m.If(self.drop):
            m.d.sync += [self.complete.eq(0), self.entries.eq(0), self.pixels.eq(0)]

        with m.If(self.start):
            m.d.sync += [
                *tensor_begins(self),
                self.pixels.eq(0),
                feeding.eq(1),
                space.eq(self.C),
                space_less.eq(self.C - 1),
                C_less.eq(self.C - 1),
                f.eq(0),
                f_behind.eq(self.C),
                columns_left.eq(self.W),
                rows_left.eq(self.H),
                token_valid.eq(0),
                self.pending.eq(0),
            ]
        return m
