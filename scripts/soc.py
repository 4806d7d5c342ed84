"""skipgrid soc: a model on the example system on a chip."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.soc.system import Transfers
from skipgrid.fpga.units import with_settings

from .console import (
    HeldOption,
    JsonOption,
    LimitOption,
    SettingsOption,
    building,
    from_options,
    output,
    preset_option,
    shipped_data,
    table,
    verdict,
    working,
    write_json,
)
from .devices import chosen_config
from .extras import need
from .files import shipped
from .model_run import compile_prepared, prepare

if TYPE_CHECKING:
    from .soc_run import SocRun

PRESET = "1x8"
MODEL, DATA, IMAGES = Path("models/lenet5.onnx"), Path("models/digits.npz"), 3  # what runs where no model is given


def soc(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="An int8 model that runs on the accelerator from one start an image; LeNet-5 if there is none.",
            callback=shipped_data,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA.npz]",
            help="The images, as `skipgrid run` takes them. Without data, one is drawn at random; for LeNet-5, three digits are taken.",
            callback=shipped_data,
        ),
    ] = None,
    preset_name: Annotated[str | None, preset_option(PRESET)] = None,
    board_name: HeldOption = None,
    system: Annotated[
        Transfers,
        typer.Option(help="How words get to the accelerator: by the CPU, which polls; or by a DMA, with interrupts."),
    ] = Transfers.DMA,
    limit: LimitOption = None,
    errors: Annotated[
        bool,
        typer.Option("--errors", help="Instead, provoke every error of accelerator and driver, and run an image after each."),
    ] = False,
    json: JsonOption = None,
    settings: SettingsOption = None,
) -> None:
    """Boot the example system on a chip in simulation: a RISC-V CPU, a memory and an accelerator, whose firmware runs a model.

    The model and the firmware, with the C driver, are compiled, the system's Verilog is simulated clock cycle by clock cycle, and what the
    firmware says is shown: what it recognised, and where the cycles went. Each output is compared with the golden model's, word by word.
    docs/soc.md says what the system is made of.

    Examples:

    - `skipgrid soc`

    - `skipgrid soc models/lenet5.onnx models/digits.npz --preset icebreaker --system polling --limit 20`

    - `skipgrid soc --errors`
    """
    chosen = chosen_config(preset_name, board_name)
    from skipgrid.host.firmware import GCC

    need("pythondata_cpu_picorv32", *([] if shutil.which(GCC) else ["ziglang"]))
    with from_options():
        config = with_settings(chosen or find_config(PRESET), settings or [])
    if model is None:
        model, data, limit = shipped(MODEL), data or shipped(DATA), limit or IMAGES
    prepared = prepare(config, model, data, limit)
    with working(f"compiling {model.name} for {config.name}"):
        compiled = compile_prepared(prepared)
    labels = None if prepared.labels is None else prepared.labels.tolist()
    from .soc_run import provoke_errors, run_soc

    with building(f"the system on a chip with {config.name}"):
        if errors:
            provoked = provoke_errors(compiled, system, _listen)
            output.print(f"{len(provoked)} errors were provoked, and the image behind each was right", highlight=False)
            write_json(json, {"config": config.name, "system": system.value, "errors": provoked})
            return
        run = run_soc(compiled, labels, system, _listen)
    _show(run)
    write_json(json, asdict(run))
    if not run.bit_exact_golden:
        raise RuntimeError("the accelerator's outputs differ from those of the golden model")


def _listen(line: str) -> None:
    output.print(line, highlight=False, markup=False, soft_wrap=True)


def _show(run: "SocRun") -> None:
    """Where the cycles went, and whether all was right."""
    shown = table(f"{run.model} on {run.config}, mean of an image", "", "cycles", "share")
    whole = run.mean("cycles")
    rows = {
        "the run": "cycles",
        "of these, the core runs": "core_cycles",
        "the CPU moves words": "moving_cycles",
        "the CPU is free": "free_cycles",
    }
    for name, figure in rows.items():
        shown.add_row(name, f"{run.mean(figure):,.0f}", f"{run.mean(figure) / whole:.0%}")
    output.print(shown)
    lines = {"loading": f"{run.load_cycles:,} cycles, {run.load_cycles / run.load_words:.2f} a word"}
    if run.system == Transfers.DMA.value:
        lines["input"] = f"{1 + run.mean('waits') / run.mean('words_in'):.2f} cycles a word, were the core always ready"
    if run.correct is not None:
        lines["recognised"] = f"{run.correct} of {len(run.images)}"
    lines["in memory"] = f"{run.firmware_bytes:,} bytes of firmware, with the model and the images"
    for name, text in lines.items():
        output.print(f"{name:16}{text}", highlight=False)
    output.print(f"{'equal to golden':16}", verdict(run.bit_exact_golden), sep="")
