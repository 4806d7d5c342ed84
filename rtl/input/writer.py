"""The activation writer: the tokens of a tensor become nonzeros in CSR by pixel."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import Config
from ..errors import Error
from ..layouts import RUN_BITS, entry_layout, pointer_shape, tokens_layout
from ..parts.skid import SkidBuffer


def write_layout(config: Config) -> data.StructLayout:
    """What one cycle stores. Addresses count from the buffer's own end of the memory.

    entries: of those that are enabled, the first goes to entry_address, and the next one behind it.
    pointers: place i has that of the pixel whose number is i modulo `pointers`, and which is the first such one from `pixel` on.
    """
    entry = data.StructLayout({"enable": 1, **entry_layout(config).members})
    pointer = data.StructLayout({"enable": 1, "pointer": pointer_shape(config)})
    return data.StructLayout(
        {
            "entry_address": config.entry_bits,
            "entries": data.ArrayLayout(entry, config.survivors),
            "pixel": config.pixel_bits,
            "pointers": data.ArrayLayout(pointer, config.pointers),
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
            "tokens": In(stream.Signature(tokens_layout(config))),
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
        writer.pixels.eq(0),
        writer.rows.eq(0),
    ]


class ActivationWriter(wiring.Component):
    """Turns the tokens of one tensor into entries and pixel pointers.

    The pointer of pixel p = y * W + x is the index behind its last entry. So the entries of adjacent pixels of a feature-map row
    are one range, found with two pointers: that of the last pixel, and that of the pixel before the first.

    Positions count the tensor's elements. A position behind a cycle's tokens follows from their runs alone; the ends of the next
    `pointers` pixels are known, and comparing both says which pixels end in the tokens. A pixel belongs to the bank that its number is
    modulo `pointers`, so each bank goes on by as many pixels at once.

    Members:
        start: begins a tensor of `C` channels, `H` rows and `W` columns (each at least 1), in place of the one held.
        stop: gives up the tensor that is being stored. drop: forgets the one held.
        tokens: of the tensor, in (y, x, c) order.
        writes: what to store.
        other_entries, other_pixels: entries and pixel pointers that the other tensor takes; other_entries_went, other_pixels_went: how
            many of them it took in the cycle before.
        entries, pixels: entries and pixel pointers stored so far; entries_went, pixels_went: in the cycle before.
        rows: feature-map rows that are complete.
        pending: something is to be stored, or is too much.
        busy: from the cycle after `start` until the tensor is stored. complete: a tensor is held, of the shape
            held_C, held_H, held_W.
        failed: for one cycle; `error` is ENTRIES_FULL, PIXELS_FULL, FEATURES_TOO_MANY (W * C of the configuration), or
            DESCRIPTOR_SIZE (the tokens end where C * H * W do not).

    Throughput: a step a cycle: all tokens of a cycle, where they reach into one feature-map row and into `pointers` pixels of it; one
    more for each row, and each further `pointers` pixels, that they reach. Latency: 2 cycles.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        went = {"entries_went": range(config.survivors + 1), "pixels_went": range(config.pointers + 1)}
        super().__init__(
            dict(writer_signature(config).members)
            | {name: Out(shape) for name, shape in went.items()}
            | {f"other_{name}": In(shape) for name, shape in went.items()}
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        banks = range(config.pointers)
        bank_bits = exact_log2(config.pointers)
        # Wide enough that a row that is too long is told, and that a difference's sign tells what is behind what.
        position_bits = max(config.feature_bits + 2 + bank_bits, RUN_BITS + config.survivors)

        # First stage: where the tokens end. They wait in a queue, so that what is found of them later is on no way back to their source.
        feeding = Signal()  # tokens of the tensor are still to come
        position = Signal(position_bits)  # behind all that were taken
        token_shape = data.StructLayout({"end": position_bits, "value": 8, "nonzero": 1})
        ended_shape = data.StructLayout({"tokens": data.ArrayLayout(token_shape, config.survivors), "last": 1})
        queue = SkidBuffer(ended_shape)
        m.submodules.queue = ResetInserter(self.start | ~self.busy)(queue)
        end, last = position, Signal()
        for token, ended in zip(self.tokens.payload, queue.source.payload.tokens, strict=True):
            nonzero = token.value.any()
            end = (Cat(1, end) + Cat(nonzero, token.run))[1:]  # end + run + nonzero
            m.d.comb += [ended.end.eq(end), ended.value.eq(token.value), ended.nonzero.eq(nonzero)]
        m.d.comb += [
            last.eq(Cat(token.last for token in self.tokens.payload).any()),
            queue.source.payload.last.eq(last),
            queue.source.valid.eq(self.tokens.valid & feeding),
            self.tokens.ready.eq(queue.source.ready & feeding),
        ]
        with m.If(self.tokens.valid & self.tokens.ready):
            m.d.sync += [position.eq(end), feeding.eq(~last)]

        # Second stage: which values and ends of pixels lie in this feature-map row, as far as the banks' next pixels.
        held = queue.sink.payload.tokens
        finished, step, moves = Signal(), Signal(), Signal()
        some, stores = Signal(config.survivors), Signal(config.survivors)  # values to be stored; those that this step stores
        stored = Signal(config.survivors)  # by a step before, of the same tokens
        pixel_ends = Array(Signal(position_bits, name=f"pixel_end{bank}") for bank in banks)  # of the next pixel in each bank
        row_start = Signal(config.feature_bits)  # its position
        # Pixels are numbered from one that is in bank 0: the banks hold those from 0 on, or `pointers` later where they are ahead.
        last_pixel = Signal(range((1 << config.coordinate_bits) + config.pointers - 2))  # of this row
        ahead = Signal(config.pointers)
        last_bank = last_pixel[:bank_bits]
        first_row, rows_left = Signal(), Signal(config.coordinate_bits)
        in_row, ends_pixel, is_last, ends_row = Signal(config.pointers), Signal(config.pointers), Signal(config.pointers), Signal()
        within = [Signal(config.pointers, name=f"within{place}") for place in range(config.survivors)]  # a token ends in a pixel, or before
        last_end = held[config.survivors - 1].end
        for bank, pixel_end in enumerate(pixel_ends):
            pixel = Cat(Const(bank, bank_bits), ahead[bank])
            m.d.comb += [
                in_row[bank].eq(pixel <= last_pixel),
                is_last[bank].eq(pixel == last_pixel),
                ends_pixel[bank].eq(in_row[bank] & ~(last_end - pixel_end)[position_bits - 1]),
                *(is_in[bank].eq(~(pixel_end - token.end)[position_bits - 1]) for is_in, token in zip(within, held, strict=True)),
            ]
        m.d.comb += [
            some.eq(Cat(token.nonzero for token in held) & ~stored),
            stores.eq(some & Cat((in_row & is_in).any() for is_in in within)),
            finished.eq((in_row & within[-1]).any()),
            step.eq(queue.sink.valid & moves),
            queue.sink.ready.eq(finished & moves),
            ends_row.eq((ends_pixel & is_last).any()),
        ]
        with m.If(step):
            m.d.sync += stored.eq(Mux(finished, 0, stored | stores))
            for bank, pixel_end in enumerate(pixel_ends):
                with m.If(ends_pixel[bank]):
                    m.d.sync += pixel_end.eq(pixel_end + (self.held_C << bank_bits))
            with m.If(ends_pixel[-1]):
                m.d.sync += [last_pixel.eq(last_pixel - config.pointers), ahead.eq(ahead & ends_pixel)]
            with m.Else():
                m.d.sync += ahead.eq(ahead | ends_pixel)
            with m.If(ends_row):
                m.d.sync += [
                    last_pixel.eq((last_bank + 1)[:bank_bits] + self.held_W - 1),
                    row_start.eq(pixel_ends[last_bank]),
                    rows_left.eq(rows_left - 1),
                    first_row.eq(0),
                ]

        # Third stage: check it against the limits, and store it.
        write = self.writes.payload
        ends_tokens, too_long, completes_row, wrong_size = Signal(), Signal(), Signal(), Signal()
        counts = [Signal(range(config.survivors + 1), name=f"count{bank}") for bank in banks]  # entries up to the pixel's end
        entry_enables, pointer_enables = (Cat(item.enable for item in items) for items in (write.entries, write.pointers))
        entries_less, pixels_less = Signal(range(config.survivors)), Signal(range(config.pointers))  # how many are stored, less 1
        m.d.comb += [
            write.entry_address.eq(self.entries),
            write.pixel.eq(self.pixels),
            *(item.pointer.eq(self.entries + count) for item, count in zip(write.pointers, counts, strict=True)),
            self.writes.valid.eq(self.pending & ~self.failed),
            moves.eq(~self.pending | self.writes.ready),
        ]
        with m.If(moves):
            m.d.sync += [
                self.pending.eq(step & self.busy),
                entry_enables.eq(stores),
                pointer_enables.eq(ends_pixel),
                entries_less.eq(sum(stores) - 1),
                pixels_less.eq(sum(ends_pixel) - 1),
                ends_tokens.eq(finished & queue.sink.payload.last),
                completes_row.eq(ends_row),
                # All rows are as long as the first one, whose positions are those in the row.
                too_long.eq(first_row & Cat(is_in & (end > config.features) for is_in, end in zip(in_row, pixel_ends, strict=True)).any()),
                # The tokens end before the tensor, or the other way round.
                wrong_size.eq((finished & queue.sink.payload.last) != (ends_row & (rows_left == 1))),
            ]
            for item, token in zip(write.entries, held, strict=True):
                m.d.sync += [item.value.eq(token.value), item.f.eq(token.end + ~row_start)]  # end - 1 - row_start
            for bank, count in enumerate(counts):
                m.d.sync += count.eq(sum(some[place] & is_in[bank] for place, is_in in enumerate(within)))
        entries_free, pixels_free = config.entries - self.entries - self.other_entries, config.pixels - self.pixels - self.other_pixels
        entries_room = _room(m, entries_free, config.survivors, self.entries_went, self.other_entries_went)
        pixels_room = _room(m, pixels_free, config.pointers, self.pixels_went, self.other_pixels_went)
        with m.If(self.pending):
            m.d.comb += self.failed.eq(1)
            with m.If(entry_enables.any() & (entries_less >= entries_room)):
                m.d.comb += self.error.eq(Error.ENTRIES_FULL)
            with m.Elif(pointer_enables.any() & (pixels_less >= pixels_room)):
                m.d.comb += self.error.eq(Error.PIXELS_FULL)
            with m.Elif(too_long):
                m.d.comb += self.error.eq(Error.FEATURES_TOO_MANY)
            with m.Elif(wrong_size):
                m.d.comb += self.error.eq(Error.DESCRIPTOR_SIZE)
            with m.Else():
                m.d.comb += self.failed.eq(0)
        m.d.sync += [self.entries_went.eq(0), self.pixels_went.eq(0)]
        with m.If(self.pending & self.writes.ready):
            m.d.sync += [
                self.entries.eq(self.entries + sum(entry_enables)),
                self.pixels.eq(self.pixels + sum(pointer_enables)),
                self.entries_went.eq(sum(entry_enables)),
                self.pixels_went.eq(sum(pointer_enables)),
            ]
        with m.If(self.writes.valid & self.writes.ready):
            m.d.sync += self.rows.eq(self.rows + completes_row)
            with m.If(ends_tokens):
                m.d.sync += [self.busy.eq(0), self.complete.eq(1)]
        with m.If(self.failed | self.stop):
            m.d.sync += [self.busy.eq(0), feeding.eq(0), self.pending.eq(0)]
        with m.If(self.drop):
            m.d.sync += [self.complete.eq(0), self.entries.eq(0), self.pixels.eq(0)]

        with m.If(self.start):
            m.d.sync += [
                *tensor_begins(self),
                feeding.eq(1),
                position.eq(0),
                stored.eq(0),
                *(end.eq(_times(self.C, bank + 1)) for bank, end in enumerate(pixel_ends)),
                row_start.eq(0),
                last_pixel.eq(self.W - 1),
                ahead.eq(0),
                first_row.eq(1),
                rows_left.eq(self.H),
                self.pending.eq(0),
            ]
        return m


def _room(m: Module, free: Value, most: int, *went: Value) -> Value:
    """How many more places there are, or at least `most`. free: of all places. went: in the cycle before, to each tensor; `most` in all.

    A sum and a comparison in the same cycle would be long: what room there was a cycle before is known, and how many places went since.
    """
    there = Signal(range(2 * most + 1), name="there")
    m.d.sync += there.eq(Mux(free > 2 * most, 2 * most, free))
    return (there - sum(went))[: len(there)]


def _times(value: Value, factor: int) -> Value:
    """A product without a multiplier."""
    return Value.cast(sum(value << place for place in range(factor.bit_length()) if factor >> place & 1))
