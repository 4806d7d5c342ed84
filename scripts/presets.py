"""skipgrid presets: what can be built."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from skipgrid.fpga.board import all_boards
from skipgrid.reference.description import memories
from skipgrid.rtl.config import PRESETS, Config

from .console import JsonOption, output, table, write_json

SIZES = {
    "rows": "rows",
    "lanes": "lanes",
    "weights": "weights a lane, int8",
    "entries": "nonzeros, two buffers",
    "pixels": "pixels, two buffers",
    "features": "columns × channels",
    "side": "rows or columns",
    "channels": "output channels",
    "layers": "layers",
}


def presets(json: JsonOption = None) -> None:
    """Show the presets: their grid, and what their memories hold; and the same of the boards' own configurations.

    A preset's name is rows × lanes. Every row works on its own window, every lane on its own output channel, so that rows × lanes
    multiplications are made in a cycle. Columns × channels are those of a feature map's row, and its rows or columns the most on a side;
    output channels are those of all layers of a program together, and KiB those of all copies of a memory.

    Examples:

    - `skipgrid presets`

    - `skipgrid presets --json presets.json`
    """
    own = {name: board.config for name, board in all_boards().items()}
    output.print(_shown("Presets", PRESETS))
    output.print(_shown("The boards' own", own))
    write_json(json, [report(config) for config in PRESETS.values()])


def _shown(title: str, configs: dict[str, Config]) -> Table:
    shown = table(title, "", *configs)
    for size, meaning in SIZES.items():
        shown.add_row(meaning, *(f"{getattr(config, size):,}" for config in configs.values()))
    shown.add_section()
    for memory in ("weights", "entries", "pointers"):
        shown.add_row(f"KiB of {memory}", *(f"{memories(config)[memory] / 8192:,.0f}" for config in configs.values()))
    return shown


def report(config: Config) -> dict[str, Any]:
    """The JSON of one preset: its parameters, and the bits of its memories."""
    return (
        {"preset": config.name} | {key: value for key, value in asdict(config).items() if key != "name"} | {"memory_bits": memories(config)}
    )
