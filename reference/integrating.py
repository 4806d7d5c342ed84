"""The tables of docs/integrating.md: cycles at the ports, and what configurations take of an FPGA."""

from pathlib import Path
from typing import Any

from skipgrid.fpga.board import all_boards
from skipgrid.rtl.config import PRESETS

from .description import memories
from .marks import between
from .throughput import throughput_table

PAGE = Path("docs/integrating.md")
COMMAND = "skipgrid docs"
THROUGHPUT, SIZES = "throughput", "sizes"
HEADS = (
    "configuration",
    "PEs",
    "weights, KiB",
    "activations, KiB",
    "FPGA",
    "LUT4",
    "flip-flops",
    "multipliers",
    "block RAMs",
    "clock, MHz",
)


def with_throughput(text: str) -> str:
    """The page's text with the table of cycles between its marks; ValueError if a mark is missing."""
    return between(text, THROUGHPUT, COMMAND, throughput_table(), str(PAGE))


def with_sizes(text: str, builds: dict[str, dict[str, Any]]) -> str:
    """The same with that of sizes, for the boards' kept builds, by their names."""
    configs = PRESETS | {name: board.config for name, board in all_boards().items()}
    lines = ["| " + " | ".join(HEADS) + " |", "| --- | ---: | ---: | ---: | --- |" + " ---: |" * 5]
    for name, config in configs.items():
        held = memories(config)
        built = builds.get(name)
        kept = (held["weights"], held["entries"] + held["pointers"])
        cells = [f"`{name}`", f"{config.rows} × {config.lanes}", *(f"{bits / 8192:,.1f}" for bits in kept)]
        if built:
            cells += [built["device"], *(f"{built[key]:,}" for key in ("lut", "ff", "dsp", "bram")), f"{built['fmax_mhz']:.0f}"]
        lines.append("| " + " | ".join(cells + [""] * (len(HEADS) - len(cells))) + " |")
    return between(text, SIZES, COMMAND, "\n".join(lines), str(PAGE))
