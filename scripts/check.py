"""skipgrid check: what of a model runs on the accelerator, what on the host and why, and what does not fit."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import all_boards
from skipgrid.fpga.units import with_settings
from skipgrid.rtl.config import PRESETS, Config

from .console import JsonOption, SettingsOption, from_options, known_board, known_preset, output, table, tails, write_json
from .devices import chosen_config
from .files import BadOption
from .model_run import check_device_only
from .plan import ModelArgument, show_rewritten

if TYPE_CHECKING:
    from skipgrid.host.onnx.cut import Cut, HostNode


def check(
    model: ModelArgument,
    preset_name: Annotated[
        str | None, typer.Option("--preset", "-p", help="Only this accelerator; otherwise all presets and boards.", callback=known_preset)
    ] = None,
    board_name: Annotated[
        str | None, typer.Option("--board", "-b", help="Only the accelerator that this board holds.", callback=known_board)
    ] = None,
    device_only: Annotated[bool, typer.Option("--device-only", help="Fail also if anything of the model computes on the host.")] = False,
    settings: SettingsOption = None,
    json: JsonOption = None,
) -> None:
    """Say what of a model runs on the accelerator, what runs on the host and why, and what does not fit, for all presets and boards.

    A layer that does not fit runs on the host; the table says how many, and below it stands the setting that would hold it. The exit code
    is 0 if the accelerator (or, without --preset and --board, one of them) has room for every layer, and 1 otherwise.

    Examples:

    - `skipgrid check models/lenet5.onnx`

    - `skipgrid check your.onnx --preset 4x32 --set weights=16384`

    - `skipgrid check your.onnx --board ulx3s-85f --device-only --json check.json`
    """
    from skipgrid.host.network import ModelError
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.plan import with_functions

    chosen = chosen_config(preset_name, board_name)
    if settings and chosen is None:
        raise BadOption("--set changes one accelerator; choose it with --preset or --board")
    configs = [chosen] if chosen else [*PRESETS.values(), *(board.config for board in all_boards().values())]
    with from_options():
        configs = [with_settings(config, settings or []) for config in configs]
    cut = cut_model(model)
    if chosen:
        cut = with_functions(cut, configs[0])
    if cut.host_nodes:
        _show_host(f"{model.name}: on the host, by ONNX Runtime", cut.host_nodes)
    show_rewritten(cut.rewritten)
    reports = [_report(cut, config) for config in configs]
    _show(model.name, reports)
    fits = [not report["does_not_fit"] for report in reports]
    write_json(
        json,
        {
            "model": model.name,
            "host_nodes": [asdict(node) for node in cut.host_nodes],
            "rewritten": [asdict(each) for each in cut.rewritten],
            "accelerators": reports,
        },
    )
    if device_only:
        check_device_only(model, cut.host_nodes)
    if not any(fits):
        which = reports[0]["accelerator"] if len(reports) == 1 else "none of them"
        raise ModelError(
            f"of {model.name}, {which} {'has no' if len(reports) == 1 else 'has'} room for every layer; the table says what would help"
        )


def _report(cut: "Cut", config: Config) -> dict[str, Any]:
    """How a model is planned for one accelerator."""
    from skipgrid.host.network import ModelError
    from skipgrid.host.plan import plan_model, refused_layers, with_folded, with_functions

    plain = with_functions(cut, config)
    refused = refused_layers(with_folded(plain, config), config)
    functions = [{"node": node.name, "why": node.why} for node in plain.host_nodes if node not in cut.host_nodes]
    report: dict[str, Any] = {"accelerator": config.name, "layers": len(cut.layers), "starts": 0, "in_passes": 0}
    report |= {"does_not_fit": [{"layer": found.layer.name, "why": why} for found, why in refused.items()], "device_macs_share": 0.0}
    report["functions_on_host"] = functions
    try:
        plan = plan_model(cut, config)
    except ModelError:  # none of them fits
        return report
    report["starts"] = sum(segment.program is not None for segment in plan.segments)
    report["in_passes"] = sum(segment.program is None for segment in plan.segments)
    report["device_macs_share"] = plan.device_macs_share
    return report


def _show(name: str, reports: list[dict[str, Any]]) -> None:
    shown = table(name, "accelerator", "layers", "segments", "in passes", "do not fit", "multiplications")
    for report in reports:
        counts = (report["layers"], report["starts"], report["in_passes"], len(report["does_not_fit"]))
        shown.add_row(report["accelerator"], *(f"{count:,}" for count in counts), f"{report['device_macs_share']:.2%}")
    output.print(shown)
    hindered = [(report["accelerator"], each["layer"], each["why"]) for report in reports for each in report["does_not_fit"]]
    hindered += [(report["accelerator"], each["node"], each["why"]) for report in reports for each in report["functions_on_host"]]
    if hindered:
        listed = table("What does not fit, and runs on the host", "accelerator", "layer or node", "why", left=3)
        for (accelerator, _, why), layer in zip(hindered, tails([layer for _, layer, _ in hindered]), strict=True):
            listed.add_row(accelerator, layer, why.partition(": ")[2] or why)
        output.print(listed)


def _show_host(title: str, nodes: "tuple[HostNode, ...]") -> None:
    """Nodes on the host, those together that have the same operator and reason."""
    shown = table(title, "nodes", "operator", "why", left=3)
    for (op, why), count in Counter((node.op, node.why) for node in nodes).items():
        shown.add_row(str(count), op, why)
    output.print(shown)
