"""skipgrid presets: what can be built."""

from dataclasses import asdict
from typing import Any

from skipgrid.rtl.config import PRESETS, Config

from .console import JsonOption, output, table, write_json
from .description import memories


def presets(json: JsonOption = None) -> None:
    """Show the presets: their grid, and what their memories hold.

    A preset's name is rows × lanes. Every row works on its own window, every lane on its own output channel, so that rows × lanes
    multiplications are made in a cycle.

    Examples:

    - `skipgrid presets`

    - `skipgrid presets --json presets.json`
    """
    shown = table("Presets", "preset", "rows", "lanes", "PEs", "weights\na lane", "entries", "pixels", "feature\nrow", "channels", "layers", "KiB")
    for config in PRESETS.values():
        sizes = (config.rows, config.lanes, config.rows * config.lanes, config.weights, config.entries, config.pixels)
        sizes += (config.features, config.channels, config.layers)
        shown.add_row(config.name, *(f"{size:,}" for size in sizes), f"{sum(memories(config).values()) / 8192:,.0f}")
    output.print(shown)
    output.print(
        "weights: int8, held a lane. entries: nonzero activations, and pixels: pixel pointers, held by both activation buffers together.\n"
        "feature row: the longest row of a feature map, in columns × channels. channels: output channels over all resident layers.\n"
        "layers: layers in a program. KiB: of the weight and activation memories, with their copies for several rows.",
        style="dim",
    )
    write_json(json, [report(config) for config in PRESETS.values()])


def report(config: Config) -> dict[str, Any]:
    """The JSON of one preset: its parameters, and the bits of its memories."""
    return {"preset": config.name} | {key: value for key, value in asdict(config).items() if key != "name"} | {"memory_bits": memories(config)}
