"""skipgrid docs: the generated pages of the documentation."""

from pathlib import Path

from skipgrid.rtl.config import preset

from .console import wrote
from .files import write

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


def docs() -> None:
    """Write the generated pages: docs/registers.md, docs/router-registers.md, and the picture docs/dataflow.svg."""
    folder = project() / "docs"
    for name, text in made_pages().items():
        write(folder / name, text)
        wrote(folder / name)


def made_pages() -> dict[str, str]:
    """Name and content of every generated page."""
    from . import pages
    from .diagram import dataflow

    config = preset("4x32")
    reference = REFERENCE.format(
        config=config,
        ports=pages.ports(config),
        rules=pages.REGISTER_RULES,
        registers=pages.registers(config),
        interrupts=pages.INTERRUPTS,
        load=pages.load_packets(config),
        descriptor=pages.descriptor(),
        errors=pages.errors(),
    )
    router = ROUTER.format(registers=pages.router_registers())
    return {"registers.md": reference, "router-registers.md": router, "dataflow.svg": dataflow()}


def project() -> Path:
    """The folder of the clone that the command is run in; ValueError if it is run elsewhere."""
    folder = Path.cwd()
    if not (folder / "docs").is_dir() or not (folder / "rtl" / "accelerator.py").is_file():
        raise ValueError(f"{folder} is not a clone of the project; run this command in one")
    return folder
