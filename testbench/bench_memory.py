"""The activation memory: two buffers from both ends of the same memories, read by every row while they are written."""

from typing import Any

import cocotb

from skipgrid.rtl.input.writer import write_layout
from skipgrid.rtl.layouts import entry_layout
from streams import Bench, Packing, config


@cocotb.test
async def both_buffers_and_all_rows(dut: object) -> None:
    bench = Bench(dut)
    settings = config()
    writes, entry = Packing(write_layout(settings)), Packing(entry_layout(settings))
    await bench.reset()
    half_entries, half_pixels = settings.entries // 2, settings.pixels // 2
    entries: list[dict[int, Any]] = [{}, {}]
    before_all = settings.pixels - 1  # the pixel -1, behind which nothing lies
    pointers: list[dict[int, int]] = [{}, {}]
    looked_up: list[tuple[int, int] | None] = [None] * settings.rows
    nothing = 0, {"entry_address": 0, "pixel": 0, "entries": [], "pointers": []}
    later = nothing  # what is stored at the end of the next cycle
    for _ in range(6000):
        buffer, read_buffer = bench.random.getrandbits(1), bench.random.getrandbits(1)
        write: dict[str, Any] = {
            "entry_address": bench.random.randrange(half_entries - settings.survivors + 1),
            "entries": [
                {
                    "enable": bench.random.getrandbits(1),
                    "value": bench.random.getrandbits(8),
                    "f": bench.random.randrange(settings.features),
                }
                for _ in range(settings.survivors)
            ],
            "pixel": bench.random.randrange(half_pixels - settings.pointers + 1),
            "pointers": [
                {"enable": bench.random.getrandbits(1), "pointer": bench.random.randrange(settings.entries + 1)}
                for _ in range(settings.pointers)
            ],
        }
        enable = bench.random.getrandbits(1)
        bench.set(write=writes.pack(write), write_enable=enable, write_buffer=buffer, read_buffer=read_buffer)
        addresses = []
        for row in range(settings.rows):
            address = bench.random.choice(list(entries[read_buffer]) or [0])
            start, end = (bench.random.choice(list(pointers[read_buffer]) or [0]) for _ in range(2))
            start = bench.random.choice((start, start, start, before_all))
            lookup = bench.random.getrandbits(1)
            addresses.append((address, start, end, lookup))
            pointer_ports = {"lookup": lookup, "start_pixel": start, "end_pixel": end}
            bench.set(**{f"reads_{row}_pointers_{name}": value for name, value in pointer_ports.items()})
            bench.set(**{f"reads_{row}_entries_address": address})
        given = (buffer, write) if enable else nothing
        landing, later = (given, nothing) if settings.serial else (later, given)
        place, new_entries, new_pointers = landing[0], *stored(landing[1])
        await bench.step()
        for row, (address, start, end, lookup) in enumerate(addresses):
            written = place == read_buffer
            if address in entries[read_buffer] and not (written and address in new_entries):
                assert entry.unpack(bench.get(f"reads_{row}_entries_entry")) == entries[read_buffer][address]
            if lookup:
                held = pointers[read_buffer] | {before_all: 0}
                known = {start, end} <= set(held)
                collides = written and {start, end} & set(new_pointers)
                looked_up[row] = (held[start], held[end]) if known and not collides else None
            if looked_up[row] is not None:  # it stays until the next lookup
                assert (bench.get(f"reads_{row}_pointers_start"), bench.get(f"reads_{row}_pointers_end")) == looked_up[row]
        entries[place] |= new_entries
        pointers[place] |= new_pointers
    assert all(len(held) > half_entries // 2 for held in entries)


def stored(write: dict[str, Any]) -> tuple[dict[int, Any], dict[int, int]]:
    """Entries and pointers, by their addresses."""
    enabled = [entry for entry in write["entries"] if entry["enable"]]
    entries = {write["entry_address"] + place: {"value": entry["value"], "f": entry["f"]} for place, entry in enumerate(enabled)}
    first, banks = write["pixel"], len(write["pointers"])
    placed = {first + (bank - first) % banks: pointer for bank, pointer in enumerate(write["pointers"])}
    return entries, {pixel: pointer["pointer"] for pixel, pointer in placed.items() if pointer["enable"]}
