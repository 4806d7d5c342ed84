"""skipgrid bench layers: single layers, in cycles against their limit."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.rtl.config import Config

from .console import JsonOption, PresetOption, bar, building, input_file, notes, output, picture_file, table, write_json, wrote

if TYPE_CHECKING:
    from skipgrid.benches.layers import LayerResult, Workload


def layers(
    preset_name: PresetOption = "4x32",
    table_file: Annotated[
        Path | None, typer.Option("--table", metavar="FILE.csv", help="Layers to measure, instead of the 13.", callback=input_file)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same layers.", min=0)] = 0,
    clustered: Annotated[bool, typer.Option("--clustered", help="Zeros lie together, as in real feature maps.")] = False,
    weights: Annotated[
        float | None, typer.Option("--weights", metavar="SHARE", help="Make this share of the weights zero, the smallest.", min=0, max=1)
    ] = None,
    unstructured: Annotated[
        bool, typer.Option("--unstructured", help="With --weights: anywhere, instead of equally many for each lane at each tap.")
    ] = False,
    layer: Annotated[str | None, typer.Option("--layer", metavar="NAME", help="Only this layer of the table.")] = None,
    json: JsonOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the layers' utilisation and speed-up.", callback=picture_file)
    ] = None,
) -> None:
    """Measure single layers: 13 of LeNet, AlexNet and GoogLeNet, or those of a table.

    Weights are random; inputs have exactly the table's share of zeros, and so have the outputs. Every output word is compared with the
    golden model's. Utilisation is the limit (useful multiplications / PEs) over the cycles that were needed; speed-up is against a dense
    grid of the same size, which multiplies zeros too (but not padding) and is always busy.
    With --weights, the two-sided limit counts only multiplications by weights that are not zero, and bits are those of all weights in
    memory, for each weight that is not zero.
    Held by says what took most of the rows' time: entries, or waiting for survivors to be drained, look-ups, loading, or the port.

    A layer too big for the memories runs in passes: 8 × 6 of them are over 8 sets of output channels and 6 bands of input rows. Both
    bands that meet hold the rows that both need.

    A table has the columns layer, C, H, W, K, R, S, pad, stride and sparsity.

    Examples:

    - `skipgrid bench layers --preset 4x32`

    - `skipgrid bench layers --preset 2x64 --clustered --json layers.json --plot layers.png`

    - `skipgrid bench layers --layer "LeNet Conv2" --seed 7`
    """
    config = find_config(preset_name)
    if unstructured and weights is None:
        raise typer.BadParameter("it says which weights are zero; --weights says how many", param_hint="--unstructured")
    report, results, refused = measure_layers(
        config, table_file, seed, clustered=clustered, layer=layer, weights=weights, unstructured=unstructured
    )
    _show(config, results, refused, report, two_sided=weights is not None)
    write_json(json, report)
    if plot:
        from .drawing import draw_layers

        draw_layers(report, plot, two_sided=weights is not None)
        wrote(plot)
    wrong = [result.layer for result in results if not result.bit_exact]
    if wrong:
        raise RuntimeError(f"these layers' outputs differ from the golden model's: {', '.join(wrong)}")


def measure_layers(
    config: Config,
    table_file: Path | None = None,
    seed: int = 0,
    *,
    clustered: bool = False,
    layer: str | None = None,
    weights: float | None = None,
    unstructured: bool = False,
) -> tuple[dict[str, Any], "list[LayerResult]", dict[str, str]]:
    """Measure a table's layers: the report for JSON, what was measured, and why the other layers do not fit, by name."""
    from skipgrid.benches.layers import Pruned, geomean_utilisation, mean_speedup, mean_weight_bits, measure_layer, read_table
    from skipgrid.host.compiler.fits import DoesNotFit
    from skipgrid.host.simulation.device import SimulatedDevice

    chosen = chosen_layers(read_table(table_file), layer)
    with building(config.name):
        device = SimulatedDevice(config)
    results, refused = [], {}
    pruned = None if weights is None else Pruned(weights, None if unstructured else config)
    with bar() as progress:
        task = progress.add_task(f"layers on {config.name}", total=len(chosen))
        for number, workload in chosen:
            progress.update(task, description=workload.layer)
            try:
                results.append(measure_layer(device, workload, seed + number, clustered=clustered, pruned=pruned))
            except DoesNotFit as reason:
                refused[workload.layer] = str(reason)
            progress.advance(task)
    if not results:
        raise ValueError(f"no layer fits {config.name}: {'; '.join(refused.values())}")
    report: dict[str, Any] = {"preset": config.name, "rows": config.rows, "lanes": config.lanes}
    report["layers"] = [asdict(result) for result in results]
    report |= {"geomean_utilisation": geomean_utilisation(results), "mean_speedup": mean_speedup(results)}
    report |= {"geomean_two_sided_utilisation": geomean_utilisation(results, two_sided=True), "mean_weight_bits": mean_weight_bits(results)}
    if refused:
        report["do_not_fit"] = [{"layer": name, "reason": reason} for name, reason in refused.items()]
    return report, results, refused


def chosen_layers(workloads: "list[Workload]", layer: str | None) -> "list[tuple[int, Workload]]":
    """The layers to measure with their place in the table, which their random numbers depend on."""
    chosen = [(number, workload) for number, workload in enumerate(workloads) if layer in (None, workload.layer)]
    if not chosen:
        raise ValueError(f"the table has no layer {layer!r}; it has {', '.join(workload.layer for workload in workloads)}")
    return chosen


def _show(config: Config, results: "list[LayerResult]", refused: dict[str, str], report: dict[str, Any], *, two_sided: bool) -> None:
    from skipgrid.host.held import largest

    columns = ("of the limit", "bits") if two_sided else ("utilisation",)
    shown = table(f"Layers on {config.name}", "layer", "passes", "cycles", *columns, "held by", "speed-up")
    for r in results:
        shown.add_row(
            r.layer,
            f"{r.passes // r.bands} × {r.bands}" if r.bands > 1 else str(r.passes),
            f"{r.cycles:,}",
            *((f"{r.two_sided_utilisation:.1%}", f"{r.weight_bits:.1f}") if two_sided else (f"{r.utilisation:.1%}",)),
            largest(r.held_by),
            f"{r.speedup:.2f}",
        )
    output.print(shown)
    mean = f"utilisation, geometric mean: {report['geomean_utilisation']:.1%}"
    if two_sided:
        mean = f"of the two-sided limit, geometric mean: {report['geomean_two_sided_utilisation']:.1%}"
    output.print(f"{mean}; speed-up, mean: {report['mean_speedup']:.2f}", highlight=False)
    if two_sided:
        output.print(f"bits of all layers' weights: {report['mean_weight_bits']:.1f} for each that is not zero", highlight=False)
    if all(result.bit_exact for result in results):
        output.print("all outputs equal the golden model's", highlight=False)
    for reason in refused.values():
        notes.print(f"[yellow]not measured:[/] {reason}", highlight=False, soft_wrap=True)
