"""The firmware's header soc.h: addresses and registers, from the tables that the hardware is made from."""

from collections.abc import Iterator, Mapping

from skipgrid.rtl.register_map import Register

from . import console, dma_map, stream_port
from .areas import Area
from .cpu import ACCELERATOR_IRQ, DMA_IRQ
from .system import RAM_WORDS, Transfers

HEADER = """\
/* The system on a chip: addresses in its memory map, and the bits of its registers. Written by `skipgrid soc`. */
#pragma once

{lines}
"""
REGISTERS: dict[Area, Mapping[str, Register]] = {
    Area.STREAM_PORT: stream_port.REGISTERS,
    Area.DMA: dma_map.REGISTERS,
    Area.CONSOLE: console.REGISTERS,
}
"""Of each area that has any, but for the accelerator's, which are in skipgrid.h."""


def header(transfers: Transfers) -> str:
    """The content of soc.h for a system, which C and the assembler take."""
    defines = [
        *((area.name, f"{area.base:#010x}") for area in Area),
        ("RAM_BYTES", f"{4 * RAM_WORDS:#x}"),
        ("ACCELERATOR_IRQ", f"{1 << ACCELERATOR_IRQ:#x}"),
        ("DMA_IRQ", f"{1 << DMA_IRQ:#x}"),
        ("BY_DMA", f"{int(transfers is Transfers.DMA)}"),
        *(define for area, registers in REGISTERS.items() for define in _registers(area, registers)),
    ]
    lines = "\n".join(f"#define SOC_{name} {value}" for name, value in defines)
    return HEADER.format(lines=lines)


def _registers(area: Area, registers: Mapping[str, Register]) -> Iterator[tuple[str, str]]:
    """The address of each register, and the mask of each of its fields."""
    for register in registers.values():
        yield f"{area.name}_{register.name}", f"{area.base + register.address:#010x}"
        for name, *_ in register.fields:
            yield f"{area.name}_{register.name}_{name.upper()}", f"{register.mask(name):#x}"
