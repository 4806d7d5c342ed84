"""skipgrid synth: area and clock of an accelerator, or of one of its parts, without a board."""

from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .build import place_all, shown
from .console import JsonOption, PresetOption, SettingsOption, from_options, output, output_folder, write_json

if TYPE_CHECKING:
    from skipgrid.fpga.board import Board
    from skipgrid.fpga.ring import Ring


def synth(
    family_name: Annotated[str, typer.Option("--family", "-f", help="ice40 (UP5K), ecp5 (85F, speed 6) or gowin (GW1NR-9C).")],
    preset_name: PresetOption = "1x8",
    unit: Annotated[str, typer.Option("--unit", "-u", help="A part by itself: decoder, row, …, streaming-topk, …")] = "accelerator",
    settings: SettingsOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the placement.")] = 1,
    json: JsonOption = None,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep netlist, logs and reports there.", callback=output_folder)
    ] = None,
) -> None:
    """Synthesise, place and route an accelerator or one of its parts for a family of FPGAs, and show its area and clock.

    Inputs come from a shift register and outputs go to one, so that pins do not limit what fits. The flip-flops of these registers are
    counted with the part's, and told.

    Examples:

    - `skipgrid synth --preset 1x8 --family ecp5`

    - `skipgrid synth --preset 1x8 --set slots=0 --family ecp5`

    - `skipgrid synth --unit decoder --family ice40 --json decoder.json`

    - `skipgrid synth --unit streaming-topk --set cells=16 --family ecp5`
    """
    figures = measure(family_name, preset_name, unit, settings or [], seed, folder)
    chosen = ", ".join(f"{key}={value}" for key, value in figures["settings"].items())
    of = f"with {chosen}" if chosen else f"of {figures['preset']}"
    output.print(shown(f"{unit} {of} on {figures['device']}", figures))
    output.print(f"Of the flip-flops, {figures['ring_ff']:,} are the shift registers around it.", highlight=False)
    write_json(json, figures)


def alone(family_name: str, preset_name: str, unit: str, texts: list[str]) -> "tuple[Board, Ring, dict[str, Any]]":
    """A family's reference board with a part of a configuration in a ring of registers, instead of its system; and what was set.

    texts: "name=value", settings of a unit that is of use by itself, or for a part parameters of its configuration.
    """
    from skipgrid.fpga.board import find_board, find_config
    from skipgrid.fpga.families import find_family
    from skipgrid.fpga.ring import Ring
    from skipgrid.fpga.units import ALONE, make_unit, read_settings, with_settings

    with from_options():
        family, preset = find_family(family_name), find_config(preset_name)
        if unit in ALONE:
            config, settings = preset, read_settings(unit, texts)
        else:
            config = with_settings(preset, texts)
            settings = {key: value for key, value in asdict(config).items() if key != "name" and value != getattr(preset, key)}
        ring = Ring(make_unit(unit, config, settings))
    return replace(find_board(family.reference), config=config, floorplan={}), ring, settings


def measure(family_name: str, preset_name: str, unit: str, settings: list[str], seed: int, folder: Path | None) -> dict[str, Any]:
    """Synthesise, place and route; the figures for JSON."""
    from skipgrid.fpga import tools
    from skipgrid.fpga.families import find_family

    board, ring, chosen = alone(family_name, preset_name, unit, settings)
    family, config = find_family(family_name), board.config
    with TemporaryDirectory() as temporary:
        _, (placement,) = place_all(board, folder or Path(temporary), [seed], jobs=1, design=ring)
    return {
        "preset": config.name,
        "unit": unit,
        "settings": chosen,
        "family": family_name,
        "device": board.device,
        **asdict(placement.area),
        "ring_ff": ring.registers,
        "fmax_mhz": placement.fmax_mhz,
        "seed": placement.seed,
        "tools": tools.versions("yosys", family.placer),
        "config_hash": f"{config.hash:#010x}",
    }
