"""skipgrid plan: what of a model runs where, and in which order."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings

from .console import (
    PRESET,
    HeldOption,
    JsonOption,
    SettingsOption,
    from_options,
    output,
    preset_option,
    shipped_file,
    table,
    tails,
    write_json,
)
from .devices import chosen_config
from .files import BadOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skipgrid.host.onnx.cut import Rewrite

MEMORIES = ("weights", "channels", "layers", "features", "pixels", "functions")


def model_in_onnx(path: Path) -> Path:
    """A callback for a model to read, which is one of ONNX."""
    found = shipped_file(path)
    if found.suffix == ".npz":
        raise BadOption(
            f"{path} is a network or data in an .npz; name a model in ONNX (a network is one program, which skipgrid run compiles)"
        )
    return found


ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="An int8 model, as ONNX Runtime's static quantisation writes it.", callback=model_in_onnx)
]


def plan(
    model: ModelArgument,
    preset_name: Annotated[str | None, preset_option(PRESET)] = None,
    board_name: HeldOption = None,
    settings: SettingsOption = None,
    json: JsonOption = None,
) -> None:
    """Show in which steps a model runs: parts on the host, segments on the accelerator, layer by layer where they run in passes.

    A segment's layers run from one start, with all weights resident. Words go over the ports: those that are loaded (weights, parameters,
    programs), and those of the streams. How a large layer is cut and how long its code is depend on the nonzeros of its input; here half
    of all activations are. Behind each memory's name stands how much of it the accelerator has.

    Examples:

    - `skipgrid plan models/lenet5.onnx --preset 1x8`

    - `skipgrid plan your.onnx --board icebreaker --json plan.json`
    """
    from skipgrid.host.forecast import forecast
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.plan import plan_model

    with from_options():
        config = with_settings(chosen_config(preset_name, board_name) or find_config(PRESET), settings or [])
    planned = plan_model(cut_model(model), config)
    steps = forecast(planned)
    shown = table(f"{model.name} on {config.name}", "step", "where", "what", "passes", "words\nloaded", "words\nstreamed", left=3)
    held = [name for name in MEMORIES if getattr(config, name)]
    limits = [f"{name}\nof {getattr(config, name):,}" for name in held]
    memories = table("What of each memory a step takes", "step", *limits)
    short = dict(zip((names := [name for step in steps for name in step.names]), tails(names), strict=True))
    for number, step in enumerate(steps, 1):
        what = ", ".join(short[name] for name in step.names) or "between floats and 8 bits"
        if step.on == "host":
            shown.add_row(str(number), step.on, what, "", "", "")
            continue
        shown.add_row(str(number), step.on, what, f"{step.passes:,}", f"{step.load_words:,}", f"{step.stream_words:,}")
        memories.add_row(str(number), *(f"{getattr(step, name):,}" for name in held))
    output.print(shown)
    output.print(memories)
    show_rewritten(planned.rewritten)
    output.print(f"{planned.device_macs_share:.2%} of the multiplications run on the accelerator", highlight=False)
    write_json(
        json,
        {
            "model": model.name,
            "accelerator": config.name,
            "steps": [asdict(step) for step in steps],
            "rewritten": [asdict(each) for each in planned.rewritten],
            "device_macs_share": planned.device_macs_share,
        },
    )


def show_rewritten(rewritten: "Sequence[Rewrite]") -> None:
    """What was done to a model; of what was done to several layers, how many they are."""
    if not rewritten:
        return
    names = [each.layer for each in rewritten if each.layer]
    short = dict(zip(names, tails(names), strict=True))
    layers: dict[str, list[str]] = {}
    for each in rewritten:
        layers.setdefault(each.what, []).append(short.get(each.layer, "the model"))
    shown = table("Rewritten, each exactly", "layer", "what", left=2)
    for what, which in layers.items():
        shown.add_row(which[0] if len(which) == 1 else f"each of {len(which)} layers", what)
    output.print(shown)
