"""The generated pages of the documentation, which `skipgrid docs` writes."""

from skipgrid.rtl.config import preset

from . import tables
from .diagram import dataflow

REFERENCE = """\
# Ports, registers, descriptors, errors

This page is written by `skipgrid docs` from the hardware's own definitions; `skipgrid generate` writes the same, for its preset, beside
the Verilog. Sizes that depend on the preset are those of `{config.name}`. [formats.md](formats.md) explains what travels in the streams.

## Ports

{ports}

## Registers

{rules}

{registers}

## Interrupts

{interrupts}
## Load packets

{load}

## Layer descriptor

{descriptor}

## Errors

{errors}
"""

ROUTER = """\
# Registers of the expert router

This page is written by `skipgrid docs` from the hardware's own definitions. [router.md](router.md) explains what they do.

All are 32 bits wide. An access to another address, of the wrong kind, a write of fewer than four bytes, or one of a value that the
register cannot hold is answered with SLVERR and changes nothing. Where the value after a reset is not always the same, its place has a
dash.

{registers}
"""

SOC = """\
# Registers of the example system on a chip

This page is written by `skipgrid docs` from the hardware's own definitions. [soc.md](soc.md) explains what they do; the accelerator's own
are in [registers.md](registers.md).

All are 32 bits wide. An access to another address, of the wrong kind, or a write of fewer than four bytes is refused, and changes nothing.
Where the value after a reset is not always the same, or nothing can be read, its place has a dash.

{registers}
"""


def made_pages() -> dict[str, str]:
    """Name and content of every generated page."""
    config = preset("4x32")
    reference = REFERENCE.format(
        config=config,
        ports=tables.ports(config),
        rules=tables.REGISTER_RULES,
        registers=tables.registers(config),
        interrupts=tables.INTERRUPTS,
        load=tables.load_packets(config),
        descriptor=tables.descriptor(),
        errors=tables.errors(),
    )
    router = ROUTER.format(registers=tables.router_registers())
    soc = SOC.format(registers=tables.soc_registers())
    return {"registers.md": reference, "router-registers.md": router, "soc-registers.md": soc, "dataflow.svg": dataflow()}
