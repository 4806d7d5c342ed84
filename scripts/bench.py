"""skipgrid bench: measure cycles against their limit."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.rtl.config import Config

from .bench_boards import boards
from .bench_experts import experts
from .bench_winners import winners
from .console import (
    JsonOption,
    PresetOption,
    bar,
    building,
    input_file,
    notes,
    output,
    picture_file,
    table,
    verdict,
    working,
    write_json,
    wrote,
)

if TYPE_CHECKING:
    from skipgrid.benches.layers import LayerResult, Workload

bench = typer.Typer(no_args_is_help=True, help="Measure cycles against their limit.", rich_markup_mode="markdown")


@bench.callback()
def _bench() -> None:
    pass


@bench.command()
def layers(
    preset_name: PresetOption = "4x32",
    table_file: Annotated[
        Path | None, typer.Option("--table", metavar="FILE.csv", help="Layers to measure, instead of the 13.", callback=input_file)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same layers.", min=0)] = 0,
    clustered: Annotated[bool, typer.Option("--clustered", help="Zeros lie together, as in real feature maps.")] = False,
    layer: Annotated[str | None, typer.Option("--layer", metavar="NAME", help="Only this layer of the table.")] = None,
    json: JsonOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the layers' utilisation and speed-up.", callback=picture_file)
    ] = None,
) -> None:
    """Measure single layers: 13 of LeNet, AlexNet and GoogLeNet, or those of a table.

    Weights are random; inputs have exactly the table's share of zeros, and so have the outputs. Every output word is compared with the
    golden model's. Utilisation is the limit (useful multiplications / PEs) over the cycles that were needed; speed-up is against a dense
    grid of the same size, which multiplies zeros too (but not padding) and is always busy; code is the coded input's size over its entropy.

    A layer too big for the memories runs in passes: 8 × 6 of them are over 8 sets of output channels and 6 bands of input rows. Both
    bands that meet hold the rows that both need, and code counts these twice.

    A table has the columns layer, C, H, W, K, R, S, pad, stride and sparsity.

    Examples:

    - `skipgrid bench layers --preset 4x32`

    - `skipgrid bench layers --preset 2x64 --clustered --json layers.json --plot layers.png`

    - `skipgrid bench layers --layer "LeNet Conv2" --seed 7`
    """
    config = find_config(preset_name)
    report, results, refused = measure(config, table_file, seed, clustered=clustered, layer=layer)
    _show(config, results, refused, report)
    write_json(json, report)
    if plot:
        from .drawing import draw_layers

        draw_layers(report, plot)
        wrote(plot)
    wrong = [result.layer for result in results if not result.bit_exact]
    if wrong:
        raise RuntimeError(f"these layers' outputs differ from the golden model's: {', '.join(wrong)}")


DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@bench.command()
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


@bench.command()
def topk(
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same tensors.", min=0)] = 0,
    json: JsonOption = None,
) -> None:
    """Measure the two Top-K units on tensors of up to 100,000 elements with ties everywhere, and compare their winners.

    StreamingTopK has 16 compare cells; HistogramTopK orders by value and by magnitude. The input's cycles are those from a tensor's
    first element to its last one; the cycles, those from then on until the last winner, the slowest tensor's.

    Examples:

    - `skipgrid bench topk`

    - `skipgrid bench topk --seed 7 --json topk.json`
    """
    report = measure_topk(seed)
    shown = table("Top-K units", "unit", "k", "n", "input, cycles", "cycles", "exact")
    for each in report["units"]:
        exact = verdict(each["bit_exact"])
        shown.add_row(each["unit"], f"{each['k']:,}", f"{each['n']:,}", f"{each['input_cycles']:,}", f"{each['cycles']:,}", exact)
    output.print(shown)
    write_json(json, report)
    if not all(each["bit_exact"] for each in report["units"]):
        raise RuntimeError("some winners differ from the golden model's")


@bench.command()
def router(
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same tokens.", min=0)] = 0,
    json: JsonOption = None,
) -> None:
    """Measure how even the expert router makes the load of 8 experts, of which each token goes to 2, when one is favoured ten to one.

    The busiest expert's load over the mean is that of the 1,024 tokens before the 4,096th, first with the rule that moves biases switched
    off, then on. 16,384 tokens are sent each time, and every pair is compared with the golden model's.

    Examples:

    - `skipgrid bench router`

    - `skipgrid bench router --seed 7 --json router.json`
    """
    report = measure_router(seed)
    shown = table("Expert router", "favoured by", "busiest over mean", "with balance", "lost", "repeated", "exact")
    for each in report["streams"]:
        before, after = each["busiest_over_mean_before"], each["busiest_over_mean_after"]
        exact = verdict(each["bit_exact"])
        shown.add_row(each["favour"], f"{before:.2f}", f"{after:.2f}", str(each["lost"]), str(each["repeated"]), exact)
    output.print(shown)
    write_json(json, report)
    if not all(each["bit_exact"] and not each["lost"] + each["repeated"] for each in report["streams"]):
        raise RuntimeError("some pairs differ from the golden model's")


bench.command()(winners)
bench.command()(boards)
bench.command()(experts)


def measure_router(seed: int = 0) -> dict[str, Any]:
    """Measure the expert router on a stream of each kind; the report for JSON."""
    from skipgrid.benches.router import Favour, bench_router

    with working("measuring the expert router"), building("the expert router"):
        return {"seed": seed, "streams": [asdict(bench_router(seed, favour)) for favour in Favour]}


def measure_topk(seed: int = 0) -> dict[str, Any]:
    """Measure both Top-K units; the report for JSON."""
    from skipgrid.benches.topk import bench_topk

    with working("measuring the Top-K units"), building("a Top-K unit"):
        return {"seed": seed, "units": [asdict(result) for result in bench_topk(seed)]}


def measure_density(config: Config, layer: str, seed: int = 0) -> dict[str, Any]:
    """Measure a layer of the published table at every density; the report for JSON."""
    from skipgrid.benches.layers import make_layer, measure_layer, read_table
    from skipgrid.golden import dense_cycles
    from skipgrid.host.simulation.device import SimulatedDevice

    ((_, workload),) = _chosen(read_table(), layer)
    with building(config.name):
        device = SimulatedDevice(config)
    points = []
    with bar() as progress:
        for share in progress.track(DENSITIES, description=f"{layer} on {config.name}"):
            result = measure_layer(device, replace(workload, sparsity=1 - share), seed)
            points.append({"density": share, "cycles": result.cycles, "limit_cycles": result.limit_cycles, "bit_exact": result.bit_exact})
    dense = dense_cycles(make_layer(workload, seed)[0], config.rows, config.lanes)
    return {"preset": config.name, "rows": config.rows, "lanes": config.lanes, "layer": layer, "dense_cycles": dense, "points": points}


def measure(
    config: Config, table_file: Path | None = None, seed: int = 0, *, clustered: bool = False, layer: str | None = None
) -> tuple[dict[str, Any], "list[LayerResult]", dict[str, str]]:
    """Measure a table's layers: the report for JSON, what was measured, and why the other layers do not fit, by name."""
    from skipgrid.benches.layers import geomean_utilisation, mean_speedup, measure_layer, read_table
    from skipgrid.host.compiler.fits import DoesNotFit
    from skipgrid.host.simulation.device import SimulatedDevice

    chosen = _chosen(read_table(table_file), layer)
    with building(config.name):
        device = SimulatedDevice(config)
    results, refused = [], {}
    with bar() as progress:
        task = progress.add_task(f"layers on {config.name}", total=len(chosen))
        for number, workload in chosen:
            progress.update(task, description=workload.layer)
            try:
                results.append(measure_layer(device, workload, seed + number, clustered=clustered))
            except DoesNotFit as reason:
                refused[workload.layer] = str(reason)
            progress.advance(task)
    if not results:
        raise ValueError(f"no layer fits {config.name}: {'; '.join(refused.values())}")
    report: dict[str, Any] = {"preset": config.name, "rows": config.rows, "lanes": config.lanes}
    report["layers"] = [asdict(result) for result in results]
    report |= {"geomean_utilisation": geomean_utilisation(results), "mean_speedup": mean_speedup(results)}
    if refused:
        report["do_not_fit"] = [{"layer": name, "reason": reason} for name, reason in refused.items()]
    return report, results, refused


def _chosen(workloads: "list[Workload]", layer: str | None) -> "list[tuple[int, Workload]]":
    """The layers to measure with their place in the table, which their random numbers depend on."""
    chosen = [(number, workload) for number, workload in enumerate(workloads) if layer in (None, workload.layer)]
    if not chosen:
        raise ValueError(f"the table has no layer {layer!r}; it has {', '.join(workload.layer for workload in workloads)}")
    return chosen


def _show(config: Config, results: "list[LayerResult]", refused: dict[str, str], report: dict[str, Any]) -> None:
    shown = table(f"Layers on {config.name}", "layer", "zeros", "passes", "cycles", "utilisation", "speed-up", "code")
    for r in results:
        shown.add_row(
            r.layer,
            f"{r.sparsity:.0%}",
            f"{r.passes // r.bands} × {r.bands}" if r.bands > 1 else str(r.passes),
            f"{r.cycles:,}",
            f"{r.utilisation:.1%}",
            f"{r.speedup:.2f}",
            f"{r.stream_bits / r.entropy_bits:.3f}" if r.entropy_bits else "",
        )
    output.print(shown)
    output.print(
        f"utilisation, geometric mean: {report['geomean_utilisation']:.1%}; speed-up, mean: {report['mean_speedup']:.2f}", highlight=False
    )
    if all(result.bit_exact for result in results):
        output.print("all outputs equal the golden model's", highlight=False)
    for reason in refused.values():
        notes.print(f"[yellow]not measured:[/] {reason}", highlight=False, soft_wrap=True)
