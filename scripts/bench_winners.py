"""skipgrid bench winners: what a network loses and gains when layers keep their largest outputs only."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.models import MODELS
from skipgrid.rtl.config import Config

from .console import JsonOption, PresetOption, bar, building, output, picture_file, table, verdict, write_json, wrote
from .images import read_data


def winners(
    preset_name: PresetOption = "4x32",
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N digits.", min=1)] = None,
    period: Annotated[int, typer.Option("--period", metavar="P", help="Keep the threshold, and renew it every P digits.", min=1)] = 1,
    per_pixel: Annotated[bool, typer.Option("--per-pixel", help="Choose among the channels of each pixel.")] = False,
    json: JsonOption = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE.png", help="Draw accuracy and cycles over the share.", callback=picture_file)
    ] = None,
) -> None:
    """Measure LeNet-5 with k winners after each of its two convolutions, for shares of winners from all down to a tenth.

    It is the LeNet-5 that was trained without a penalty on nonzeros; the accelerator is the preset's with the unit that chooses winners.
    Bits are those of both convolutions' outputs, coded. The plain network has no winners chosen, and nor has a share of 100 %. Choosing
    takes the cycles that a digit takes less when it comes again and its thresholds are known, with so many winners that none is tied with
    a loser: then both runs have the same winners. Waiting cycles are those in which an output waited for being chosen among, or a unit of
    work for what was chosen: with a period, only in the digits that renew the threshold. Cycles are those
    of the first 100 digits, of which every output is compared with the golden model's; what is recognised
    in all of them is the golden model's too.

    Examples:

    - `skipgrid bench winners --limit 50`

    - `skipgrid bench winners --preset 1x8 --json winners.json --draw winners.png`

    - `skipgrid bench winners --period 32`
    """
    report = measure_winners(find_config(preset_name), limit, period, per_pixel)
    shown = table(
        f"LeNet-5 with k winners on {report['preset']}", "winners", "recognised", "cycles", "choosing", "waiting", "bits", "exact"
    )
    for each in (report["plain"], *report["shares"]):
        name = "plain" if each["share"] is None else f"{each['share']:.0%}"
        exact = verdict(each["bit_exact"])
        fields = ("cycles_per_image", "choosing_cycles_per_image", "winners_cycles_per_image", "bits_per_image")
        means = ["–" if each[field] is None else f"{each[field]:,.0f}" for field in fields]
        shown.add_row(name, f"{each['accuracy']:.1%}", *means, exact)
    output.print(shown)
    write_json(json, report)
    if draw:
        from .drawing import draw_winners

        draw_winners(report, draw)
        wrote(draw)
    if not all(each["bit_exact"] for each in (report["plain"], *report["shares"])):
        raise RuntimeError("some outputs differ from the golden model's")


def measure_winners(config: Config, limit: int | None = None, period: int = 1, per_pixel: bool = False) -> dict[str, Any]:
    """Measure LeNet-5 with every share of winners on a configuration with the unit that chooses them; the report for JSON."""
    from skipgrid.benches.winners import SHARES, bench_winners, with_winners
    from skipgrid.host.onnx.importer import import_model
    from skipgrid.host.simulation.device import SimulatedDevice

    images, labels = read_data(MODELS / "digits.npz", limit)
    with building(f"{config.name} with winners"):
        device = SimulatedDevice(with_winners(config, per_pixel=per_pixel))
    network = import_model(MODELS / "lenet5-plain.onnx")
    measured = bench_winners(device, network, images, labels, period=period, per_pixel=per_pixel)
    with bar() as progress:
        description = f"shares on {config.name}"
        plain, *shares = [asdict(result) for result in progress.track(measured, total=1 + len(SHARES), description=description)]
    chosen = {"period": period, "per_pixel": per_pixel}
    return {"preset": config.name, "images": len(images)} | chosen | {"plain": plain, "shares": shares}
