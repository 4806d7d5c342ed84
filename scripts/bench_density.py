"""skipgrid bench density: a layer's cycles over its share of nonzeros."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.rtl.config import Config

from .bench_layers import chosen_layers
from .console import JsonOption, PresetOption, bar, building, output, picture_file, table, verdict, write_json, wrote

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def density(
    preset_name: PresetOption = "4x32",
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same layers.", min=0)] = 0,
    layer: Annotated[str, typer.Option("--layer", metavar="NAME", help="The layer whose sizes are taken.")] = "GoogLeNet Inception4e.3",
    json: JsonOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw cycles over density.", callback=picture_file)
    ] = None,
) -> None:
    """Measure one layer's cycles while its share of nonzeros goes from 1 % to 100 %, against the limit and a dense grid.

    Example: `skipgrid bench density --preset 4x32 --plot density.png`
    """
    report = measure_density(find_config(preset_name), layer, seed)
    shown = table(f"{layer} on {report['preset']}", "nonzeros", "cycles", "limit", "dense", "exact")
    for point in report["points"]:
        exact = verdict(point["bit_exact"])
        shown.add_row(
            f"{point['density']:.0%}", f"{point['cycles']:,}", f"{point['limit_cycles']:,.0f}", f"{report['dense_cycles']:,}", exact
        )
    output.print(shown)
    write_json(json, report)
    if plot:
        from .drawing import draw_density

        draw_density(report, plot)
        wrote(plot)
    if not all(point["bit_exact"] for point in report["points"]):
        raise RuntimeError("some outputs differ from the golden model's")


def measure_density(config: Config, layer: str, seed: int = 0) -> dict[str, Any]:
    """Measure a layer of the published table at every density; the report for JSON."""
    from skipgrid.benches.layers import make_layer, measure_layer, read_table
    from skipgrid.golden import dense_cycles
    from skipgrid.host.simulation.device import SimulatedDevice

    ((_, workload),) = chosen_layers(read_table(), layer)
    with building(config.name):
        device = SimulatedDevice(config)
    points = []
    with bar() as progress:
        for share in progress.track(DENSITIES, description=f"{layer} on {config.name}"):
            result = measure_layer(device, replace(workload, sparsity=1 - share), seed)
            points.append({"density": share, "cycles": result.cycles, "limit_cycles": result.limit_cycles, "bit_exact": result.bit_exact})
    dense = dense_cycles(make_layer(workload, seed)[0], config.rows, config.lanes)
    return {"preset": config.name, "rows": config.rows, "lanes": config.lanes, "layer": layer, "dense_cycles": dense, "points": points}
