"""The activation memory: nonzero activations in CSR by pixel, two tensors in one memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import entry_layout, pointer_shape
from .writer import write_layout


def entries_signature(config: Config) -> wiring.Signature:
    """One row's reads of entries, seen from the row: `entry` follows `address` by one cycle."""
    return wiring.Signature({"address": Out(config.entry_bits), "entry": In(entry_layout(config))})


def pointers_signature(config: Config) -> wiring.Signature:
    """One row's reads of pointers, seen from the row.

    `start` and `end`, the pointers of `start_pixel` and `end_pixel`, follow these by one cycle, and stay while lookup is 0. A pixel's
    pointer is the index behind its last entry; a range of pixels begins behind the pixel before it, which for the first one is -1.
    """
    pixel, pointer = config.pixel_bits, pointer_shape(config)
    return wiring.Signature(
        {"lookup": Out(1), "start_pixel": Out(pixel), "start": In(pointer), "end_pixel": Out(pixel), "end": In(pointer)}
    )


def read_signature(config: Config) -> wiring.Signature:
    """One row's way to the activations, seen from the row."""
    return wiring.Signature({"entries": Out(entries_signature(config)), "pointers": Out(pointers_signature(config))})


class ActivationMemory(wiring.Component):
    """Entries and pixel pointers of two tensors, buffer 0 from the first address up and buffer 1 from the last one down.

    So each takes what it needs, and only their sum is limited. Every row reads an entry and both ends of a range in each
    cycle, from copies of its own: memories of one write and one read port, which load while they are read.

    Members:
        write, write_buffer: what to store, into which buffer; stored at the end of the cycle.
        read_buffer: the buffer that all rows read.
        reads: one for each row.

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
                entry_read.addr.eq(read.entries.address ^ self.read_buffer.replicate(config.entry_bits)),
                read.entries.entry.eq(entry_read.data),
            ]
            looked_up = read.pointers
            before = Signal(pointer_shape(config))  # behind the pixel before the range
            for name, pixel, pointer in (("starts", looked_up.start_pixel, before), ("ends", looked_up.end_pixel, looked_up.end)):
                pointers = Memory(shape=pointer_shape(config), depth=config.pixels, init=[])
                m.submodules[f"{name}{row}"] = pointers
                pointer_write, pointer_read = pointers.write_port(), pointers.read_port()
                m.d.comb += [
                    pointer_write.en.eq(self.write_enable & write.pointer_enable),
                    pointer_write.addr.eq(write.pixel ^ self.write_buffer.replicate(config.pixel_bits)),
                    pointer_write.data.eq(write.pointer),
                    pointer_read.addr.eq(pixel ^ self.read_buffer.replicate(config.pixel_bits)),
                    pointer_read.en.eq(looked_up.lookup),
                    pointer.eq(pointer_read.data),
                ]
            first = Signal(name=f"first{row}")
            with m.If(looked_up.lookup):
                m.d.sync += first.eq(looked_up.start_pixel.all())
            m.d.comb += looked_up.start.eq(Mux(first, 0, before))
        return m
