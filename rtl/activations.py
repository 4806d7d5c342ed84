"""The activation buffers: nonzero activations in CSR by pixel, two tensors in one memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import RUN_BITS, Error, Token, entry_layout, pointer_shape


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


class ActivationWriter(wiring.Component):
    """Turns the tokens of one tensor into entries and pixel pointers.

    The pointer of pixel p = y * W + x is the index of its first entry; one more stands behind the last pixel. So the entries
    of adjacent pixels of a feature-map row are one range, found with two pointers.

    Members:
        start: begins a tensor of `C` channels, `H` rows and `W` columns (each at least 1), in place of the one held.
        stop: gives up the tensor that is being stored. drop: forgets the one held.
        tokens: of the tensor, in (y, x, c) order.
        writes: what to store.
        entries_limit, pixels_limit: entries and pixel pointers that the other tensor leaves free.
        entries, pixels: entries and pixel pointers stored so far.
        rows: feature-map rows that are complete.
        busy: from the cycle after `start` until the tensor is stored. complete: a tensor is held, of the shape
            held_C, held_H, held_W.
        failed: for one cycle; `error` is ENTRIES_FULL, PIXELS_FULL, FEATURES_TOO_MANY (W * C of the configuration), or
            DESCRIPTOR_SIZE (the tokens end where C * H * W do not).

    Throughput: one token a cycle, and one cycle for each further pixel that a run reaches. Latency: none to the write; 1 cycle
    after `start`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        size = config.features.bit_length()
        super().__init__(
            {
                "start": In(1),
                "stop": In(1),
                "drop": In(1),
                "C": In(size),
                "H": In(config.coordinate_bits),
                "W": In(config.coordinate_bits),
                "tokens": In(stream.Signature(Token)),
                "writes": Out(stream.Signature(write_layout(config))),
                "entries_limit": In(config.entry_bits + 1),
                "pixels_limit": In(config.pixel_bits + 1),
                "entries": Out(config.entry_bits + 1),
                "pixels": Out(config.pixel_bits + 1),
                "rows": Out(config.coordinate_bits),
                "busy": Out(1),
                "complete": Out(1),
                "held_C": Out(size),
                "held_H": Out(config.coordinate_bits),
                "held_W": Out(config.coordinate_bits),
                "failed": Out(1),
                "error": Out(Error),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        space = Signal.like(self.held_C)  # elements of the pixel that are still to come
        f = Signal(config.feature_bits)  # of the next element
        f_behind = Signal(config.feature_bits + 2)  # of the next pixel's first element; more bits tell a row that is too long
        columns_left = Signal(config.coordinate_bits)
        run_left = Signal(RUN_BITS)
        split = Signal()  # a run goes on in run_left
        run = Signal.like(run_left)
        token = self.tokens.payload
        write = self.writes.payload

        opening = Signal()  # store the pointer of pixel 0
        crosses, stores, ends_pixel, ends_row, step = Signal(), Signal(), Signal(), Signal(), Signal()
        finished = Signal()
        entries = Signal.like(self.entries)
        m.d.comb += [
            run.eq(Mux(split, run_left, token.run)),
            crosses.eq(run >= space),  # the run reaches the end of the pixel
            stores.eq(~crosses & token.value.any()),
            ends_pixel.eq(crosses | (stores & (run + 1 == space))),
            ends_row.eq(ends_pixel & (columns_left == 1)),
            # A run that ends with the pixel has nothing left only where no value follows it.
            finished.eq(~crosses | ((run == space) & ~token.value.any())),
            entries.eq(self.entries + stores),
            write.entry_enable.eq(stores),
            write.entry_address.eq(self.entries),
            write.entry.value.eq(token.value),
            write.entry.f.eq(f + run),
            write.pointer_enable.eq(ends_pixel),
            write.pixel.eq(self.pixels),
            write.pointer.eq(entries),
            self.writes.valid.eq(self.busy & self.tokens.valid & ~self.failed),
            step.eq(self.writes.valid & self.writes.ready & ~opening),
            self.tokens.ready.eq(step & finished),
        ]
        with m.If(opening):
            m.d.comb += [write.entry_enable.eq(0), write.pointer_enable.eq(1), write.pointer.eq(0), self.writes.valid.eq(1)]
            with m.If(self.writes.ready):
                m.d.sync += [opening.eq(0), self.pixels.eq(1)]

        wrong_size = Signal()  # the tokens end before the tensor, or the other way round
        m.d.comb += wrong_size.eq(finished & (token.last != (ends_row & (self.rows + 1 == self.held_H))))
        with m.If(self.busy & self.tokens.valid & ~opening):
            m.d.comb += self.failed.eq(1)
            with m.If(stores & (self.entries >= self.entries_limit)):
                m.d.comb += self.error.eq(Error.ENTRIES_FULL)
            with m.Elif(self.pixels >= self.pixels_limit):
                m.d.comb += self.error.eq(Error.PIXELS_FULL)
            with m.Elif(f_behind > config.features):
                m.d.comb += self.error.eq(Error.FEATURES_TOO_MANY)
            with m.Elif(wrong_size):
                m.d.comb += self.error.eq(Error.DESCRIPTOR_SIZE)
            with m.Else():
                m.d.comb += self.failed.eq(0)

        with m.If(step):
            m.d.sync += [
                self.entries.eq(entries),
                space.eq(space - run - stores),
                f.eq(f + run + stores),
                split.eq(~finished),
                run_left.eq(run - space),
            ]
            with m.If(ends_pixel):
                m.d.sync += [
                    self.pixels.eq(self.pixels + 1),
                    columns_left.eq(columns_left - 1),
                    space.eq(self.held_C),
                    f.eq(f_behind),
                    f_behind.eq(f_behind + self.held_C),
                ]
            with m.If(ends_row):
                m.d.sync += [
                    self.rows.eq(self.rows + 1),
                    columns_left.eq(self.held_W),
                    f.eq(0),
                    f_behind.eq(self.held_C),
                ]
            with m.If(finished & token.last):
                m.d.sync += [self.busy.eq(0), self.complete.eq(1)]
        with m.If(self.failed | self.stop):
            m.d.sync += [self.busy.eq(0), opening.eq(0)]
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
                opening.eq(1),
                self.rows.eq(0),
                space.eq(self.C),
                f.eq(0),
                f_behind.eq(self.C),
                columns_left.eq(self.W),
                split.eq(0),
            ]
        return m


class ActivationMemory(wiring.Component):
    """Entries and pixel pointers of two tensors, buffer 0 from the first address up and buffer 1 from the last one down.

    So each takes what it needs, and only their sum is limited. Every row reads an entry and both ends of a range in each
    cycle, from copies of its own: memories of one write and one read port, which load while they are read.

    Members:
        write, write_buffer: what to store, into which buffer; stored at the end of the cycle.
        read_buffer: the buffer that all rows read.
        reads: one for each row. `entry` follows `address`, and `first` and `behind` (the pointers of the pixels `first_pixel`
            and `behind_pixel`) follow these, by one cycle.

    Cost: rows x entries x (8 + feature bits), and 2 x rows x pixels x pointer bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(write_layout(config)),
                "write_enable": In(1),
                "write_buffer": In(1),
                "read_buffer": In(1),
                "reads": In(read_signature(config)).array(config.rows),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        write = self.write
        for row, read in enumerate(self.reads):
            entries = Memory(shape=entry_layout(config), depth=config.entries, init=[])
            m.submodules[f"entries{row}"] = entries
            entry_write, entry_read = entries.write_port(), entries.read_port()
            m.d.comb += [
                entry_write.en.eq(self.write_enable & write.entry_enable),
                entry_write.addr.eq(write.entry_address ^ self.write_buffer.replicate(config.entry_bits)),
                entry_write.data.eq(write.entry),
                entry_read.addr.eq(read.address ^ self.read_buffer.replicate(config.entry_bits)),
                read.entry.eq(entry_read.data),
            ]
            for name, pixel, pointer in (("first", read.first_pixel, read.first), ("behind", read.behind_pixel, read.behind)):
                pointers = Memory(shape=pointer_shape(config), depth=config.pixels, init=[])
                m.submodules[f"{name}{row}"] = pointers
                pointer_write, pointer_read = pointers.write_port(), pointers.read_port()
                m.d.comb += [
                    pointer_write.en.eq(self.write_enable & write.pointer_enable),
                    pointer_write.addr.eq(write.pixel ^ self.write_buffer.replicate(config.pixel_bits)),
                    pointer_write.data.eq(write.pointer),
                    pointer_read.addr.eq(pixel ^ self.read_buffer.replicate(config.pixel_bits)),
                    pointer_read.en.eq(read.lookup),
                    pointer.eq(pointer_read.data),
                ]
        return m


def read_signature(config: Config) -> wiring.Signature:
    """One row's way to the activations, seen from the row."""
    return wiring.Signature(
        {
            "address": Out(config.entry_bits),
            "entry": In(entry_layout(config)),
            "lookup": Out(1),
            "first_pixel": Out(config.pixel_bits),
            "first": In(pointer_shape(config)),
            "behind_pixel": Out(config.pixel_bits),
            "behind": In(pointer_shape(config)),
        }
    )
