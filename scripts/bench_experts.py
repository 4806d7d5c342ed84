"""skipgrid bench experts: what a mixture of experts saves and loses, when each image goes to a few of them only."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.models import MODELS
from skipgrid.rtl.config import Config

from .console import JsonOption, PresetOption, bar, building, output, picture_file, table, working, write_json, wrote
from .images import read_data


def experts(
    preset_name: PresetOption = "1x8",
    seed: Annotated[int, typer.Option(help="Of the router's stream; every seed is another one.", min=0)] = 0,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N digits.", min=1)] = None,
    json: JsonOption = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE.png", help="Draw which digits go to which experts.", callback=picture_file)
    ] = None,
) -> None:
    """Measure a network whose last layers are 8 experts, of which each digit goes to 2, against the same with all 8 at work.

    The accelerator is the preset's with a router, and with room for all experts' weights. The gate's cycles end when the router has
    chosen; cycles are the gate's and those of all behind it, the convolutions before it left out. The bound is the gate's cycles and as
    large a share of all experts' cycles as of all experts are chosen. Every output, and what the router counts, is compared with the golden
    model's. The router is then measured alone, as by `skipgrid bench router`.

    Examples:

    - `skipgrid bench experts --limit 50`

    - `skipgrid bench experts --json experts.json --draw experts.png`
    """
    report = measure_experts(find_config(preset_name), seed, limit)
    shown = table(f"{report['images']} digits on {report['preset']}", "experts", "recognised", "gate", "cycles", "with convolutions")
    for name, end in ((f"{report['chosen']} of {report['experts']}", ""), ("all", "_all_experts")):
        gate, whole = report[f"gate_cycles{end}"], report[f"cycles_per_image{end}"]
        cycles = report["cycles"] if not end else gate + report["all_experts_cycles"]
        shown.add_row(name, f"{report[f'accuracy{end}']:.1%}", f"{gate:,.0f}", f"{cycles:,.0f}", f"{whole:,.0f}")
    output.print(shown)
    output.print(
        f"Cycles are {report['cycles'] / report['bound_cycles']:.3f} times the bound, {report['bound_cycles']:,.0f}.", highlight=False
    )
    shown = table("The experts' load", "expert", "digits", "share")
    for number, load in enumerate(report["load"]):
        shown.add_row(str(number), f"{load:,}", f"{load / sum(report['load']):.1%}")
    output.print(shown)
    router = report["router"]
    output.print(
        f"Router, one expert favoured ten to one, {router['tokens']:,} tokens: the busiest expert has"
        f" {router['busiest_over_mean_before']:.2f} times the mean, and {router['busiest_over_mean_after']:.2f} times with the rule;"
        f" {router['lost']} lost, {router['repeated']} repeated.",
        highlight=False,
    )
    write_json(json, report)
    if draw:
        from .drawing import draw_experts

        draw_experts(report, draw)
        wrote(draw)
    if not (report["bit_exact"] and router["bit_exact"]):
        raise RuntimeError("some outputs differ from the golden model's")


def measure_experts(config: Config, seed: int = 0, limit: int | None = None) -> dict[str, Any]:
    """Measure the network with its own number of experts for each digit and with all, and the router; the report for JSON."""
    from skipgrid.benches.experts import bench_experts, experts_of, with_chosen, with_experts
    from skipgrid.benches.router import bench_router
    from skipgrid.host.network_file import load_network
    from skipgrid.host.simulation.device import SimulatedDevice

    images, labels = read_data(MODELS / "digits.npz", limit)
    network = load_network(MODELS / "experts.npz")
    mixture = experts_of(network)
    results = []
    for chosen in (mixture.k, mixture.experts):
        with building(f"{config.name} with {mixture.experts} experts"):
            device = SimulatedDevice(with_experts(config, network, chosen))
        with bar() as progress:
            track = partial(progress.track, total=len(images), description=f"{chosen} experts on {config.name}")
            results.append(bench_experts(device, with_chosen(network, chosen), images, labels, track))
    few, everyone = results
    with working("measuring the router by itself"), building("the expert router"):
        router = bench_router(seed)
    return {
        "preset": config.name,
        "images": len(images),
        "experts": mixture.experts,
        "chosen": mixture.k,
        "accuracy": few.accuracy,
        "accuracy_all_experts": everyone.accuracy,
        "cycles": few.gate_cycles + few.experts_cycles,
        "gate_cycles": few.gate_cycles,
        "all_experts_cycles": everyone.experts_cycles,
        "gate_cycles_all_experts": everyone.gate_cycles,
        "bound_cycles": few.gate_cycles + mixture.k / mixture.experts * everyone.experts_cycles,
        "cycles_per_image": few.cycles_per_image,
        "cycles_per_image_all_experts": everyone.cycles_per_image,
        "bit_exact": few.bit_exact and everyone.bit_exact,
        "load": few.load,
        "chosen_by": few.chosen_by,
        "router": asdict(router),
    }
