"""The activation memory: nonzero activations in CSR by pixel, two tensors in one memory."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

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


def stores_layout(shape: ShapeLike, depth: int, banks: int) -> data.ArrayLayout:
    """What is stored in each bank of a memory, at an address within the bank."""
    return data.ArrayLayout(data.StructLayout({"enable": 1, "address": exact_log2(depth // banks), "data": shape}), banks)


class BankedMemory(wiring.Component):
    """A memory that stores something in each of its banks in one cycle: address a is in bank a modulo their number.

    Members:
        stores: what is stored at the end of the cycle.
        read_address: what lies there is `read_data` in the next cycle, and stays while read_enable is 0.
    """

    def __init__(self, shape: ShapeLike, depth: int, banks: int) -> None:
        self.shape, self.depth, self.banks = shape, depth, banks
        super().__init__(
            {
                "stores": In(stores_layout(shape, depth, banks)),
                "read_enable": In(1),
                "read_address": In(exact_log2(depth)),
                "read_data": Out(shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bank_bits = exact_log2(self.banks)
        read_bank = Signal(bank_bits)
        with m.If(self.read_enable):
            m.d.sync += read_bank.eq(self.read_address)
        for number, store in enumerate(self.stores):
            m.submodules[f"bank{number}"] = bank = Memory(shape=self.shape, depth=self.depth // self.banks, init=[])
            write, read = bank.write_port(), bank.read_port()
            m.d.comb += [
                write.en.eq(store.enable),
                write.addr.eq(store.address),
                write.data.eq(store.data),
                read.en.eq(self.read_enable),
                read.addr.eq(self.read_address[bank_bits:]),
            ]
            with m.If(read_bank == number):
                m.d.comb += self.read_data.eq(read.data)
        return m


class ActivationMemory(wiring.Component):
    """Entries and pixel pointers of two tensors, buffer 0 from the first address up and buffer 1 from the last one down.

    So each takes what it needs, and only their sum is limited. Every row reads an entry and both ends of a range in each
    cycle, from copies of its own: memories of one write and one read port a bank, which load while they are read.

    Members:
        write, write_enable, write_buffer: what to store, into which buffer; stored at the end of the cycle where parts work serially,
            otherwise of the next one.
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
        config, write = self.config, self.write
        m = Module()
        entry_sizes = entry_layout(config), config.entries, config.survivors
        pointer_sizes = pointer_shape(config), config.pixels, config.pointers

        # Each bank's part of what is written, seen from the buffer's own end.
        entry_parts, pointer_parts = Signal(stores_layout(*entry_sizes)), Signal(stores_layout(*pointer_sizes))
        for number, part in enumerate(entry_parts):
            m.d.comb += part.address.eq(_in_bank(write.entry_address, number, config.survivors))
            address = write.entry_address
            for entry in write.entries:
                with m.If(entry.enable & (address[: exact_log2(config.survivors)] == number)):
                    m.d.comb += [part.enable.eq(1), part.data.value.eq(entry.value), part.data.f.eq(entry.f)]
                address = address + entry.enable
        for number, (part, pointer) in enumerate(zip(pointer_parts, write.pointers, strict=True)):
            m.d.comb += [
                part.enable.eq(pointer.enable),
                part.address.eq(_in_bank(write.pixel, number, config.pointers)),
                part.data.eq(pointer.pointer),
            ]
        entry_stores, pointer_stores = self._stores(m, entry_parts), self._stores(m, pointer_parts)

        for row, read in enumerate(self.reads):
            looked_up = read.pointers
            first = Signal(name=f"first{row}")  # the range begins with pixel 0
            with m.If(looked_up.lookup):
                m.d.sync += first.eq(looked_up.start_pixel.all())
            m.submodules[f"entries{row}"] = entries = BankedMemory(*entry_sizes)
            m.submodules[f"starts{row}"] = starts = BankedMemory(*pointer_sizes)
            m.submodules[f"ends{row}"] = ends = BankedMemory(*pointer_sizes)
            for memory, stores, enable, address in (
                (entries, entry_stores, 1, read.entries.address),
                (starts, pointer_stores, looked_up.lookup, looked_up.start_pixel),
                (ends, pointer_stores, looked_up.lookup, looked_up.end_pixel),
            ):
                m.d.comb += [
                    memory.stores.eq(stores),
                    memory.read_enable.eq(enable),
                    memory.read_address.eq(address ^ self.read_buffer.replicate(len(address))),
                ]
            m.d.comb += [
                read.entries.entry.eq(entries.read_data),
                looked_up.start.eq(Mux(first, 0, starts.read_data)),
                looked_up.end.eq(ends.read_data),
            ]
        return m

    def _stores(self, m: Module, parts: data.View) -> data.View:
        """What each bank stores, of the parts that are seen from the buffer's own end; registers halve the way to memories everywhere."""
        stores = Signal(parts.shape())
        domain = "comb" if self.config.serial else "sync"
        for store, part, mirrored in zip(stores, parts, reversed(list(parts)), strict=True):
            m.d[domain] += [
                store.enable.eq(self.write_enable & Mux(self.write_buffer, mirrored.enable, part.enable)),
                store.address.eq(Mux(self.write_buffer, ~mirrored.address, part.address)),
                Value.cast(store.data).eq(Mux(self.write_buffer, mirrored.data, part.data)),
            ]
        return stores


def _in_bank(address: Value, number: int, banks: int) -> Value:
    """Of the addresses from this one on, the first in the bank of that number, as an address within the bank."""
    return (address + (banks - 1 - number)) >> exact_log2(banks)
