"""skipgrid run: a model over data, on a simulated accelerator or on a board."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings
from skipgrid.rtl.config import Config

from .console import (
    JsonOption,
    SettingsOption,
    from_options,
    known_board,
    known_preset,
    output,
    picture_file,
    shipped_file,
    table,
    trace_file,
    write_json,
    wrote,
)
from .devices import BaudOption, chosen_config, opened
from .images import read_data
from .model_run import Measured, measure, measure_on, prepare


def run(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="An int8 model, as ONNX Runtime's static quantisation writes it; or a network in an .npz.",
            callback=shipped_file,
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA.npz", help="`images`, of the model's own type and shape, batch first, and `labels`.", callback=shipped_file
        ),
    ],
    preset_name: Annotated[
        str | None,
        typer.Option(
            "--preset", "-p", help="The accelerator: one of those that `skipgrid presets` lists; otherwise 4x32.", callback=known_preset
        ),
    ] = None,
    board_name: Annotated[
        str | None, typer.Option("--board", "-b", help="The accelerator that this board holds.", callback=known_board)
    ] = None,
    device_name: Annotated[
        str | None, typer.Option("--device", "-d", metavar="NAME", help="Run on the board on this serial port, and nothing else.")
    ] = None,
    baud: BaudOption = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N images.", min=1)] = None,
    json: JsonOption = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace", metavar="FILE.fst", help="Write the waveforms, for GTKWave or Surfer (.vcd too); slow.", callback=trace_file
        ),
    ] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE.png", help="Draw the images with what was recognised.", callback=picture_file)
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Run a model over images, on the simulated accelerator, or with `--device` on a board.

    The simulation's Verilog is generated and compiled once, and kept for later runs. Every output is compared, bit for bit, with the
    golden model's, and with ONNX Runtime's if the model is one of ONNX. Cycles count from an image's first input word to its last output
    word, with the weights resident; the dense grid that they are compared with has the same size, multiplies zeros too (but not padding)
    and is always busy. On a board, they include the time in which the input comes over the link. --set changes a parameter of the
    accelerator.

    Examples:

    - `skipgrid run models/lenet5.onnx models/digits.npz --limit 20`

    - `skipgrid run models/lenet5.onnx models/digits.npz --preset 1x8 --json digits.json --draw digits.png`

    - `skipgrid run models/lenet5.onnx models/digits.npz --limit 1 --trace digit.fst`

    - `skipgrid run models/lenet5.onnx models/digits.npz --device /dev/ttyUSB1`

    - `skipgrid run models/experts.npz models/digits.npz --preset 1x8 --set experts=8 --set experts_chosen=2 --set weights=32768`
    """
    chosen = chosen_config(preset_name, board_name)
    images, labels = read_data(data, limit)
    if device_name:
        if settings:
            raise ValueError("a board is what it was built as; leave --set or --device away")
        if trace:
            raise ValueError("waveforms come from the simulated accelerator; leave --trace or --device away")
        with opened(device_name, baud, chosen) as device:
            config = device.config
            measured = measure_on(device, prepare(config, model, images, labels))
    else:
        if baud:
            raise ValueError("--baud is a board's; say which one with --device")
        with from_options():
            config = with_settings(chosen or find_config("4x32"), settings or [])
        measured = measure(config, model, images, labels, trace=trace)
    summary = measured.summary
    _show(config, model, measured, linked=bool(device_name))
    write_json(json, asdict(summary))
    if draw:
        from .drawing import draw_images

        some = slice(summary.images)
        title = f"{model.name} on {config.name}: {summary.correct} of {summary.images} right"
        draw_images(images[some], labels[some], measured.classes, draw, title)
        wrote(draw)
    if trace:
        wrote(trace)
    if measured.problem:
        raise measured.problem
    for differ, whom in (
        (not summary.bit_exact_golden, "the golden model"),
        (summary.bit_exact_onnxruntime is False and not measured.in_float, "ONNX Runtime"),
    ):
        if differ:
            raise RuntimeError(f"the accelerator's outputs differ from those of {whom}")


def _show(config: Config, model: Path, measured: Measured, *, linked: bool) -> None:
    summary = measured.summary
    shown = table(
        f"{model.name} on {config.name}, mean of an image", "layer", "zeros in", "useful MACs", "dense MACs", "cycles", "utilisation"
    )
    for layer in summary.layers:
        shown.add_row(
            layer.name,
            f"{layer.sparsity_in:.1%}",
            f"{layer.useful_macs:,.0f}",
            f"{layer.dense_macs:,}",
            f"{layer.cycles:,.0f}",
            f"{layer.utilisation:.1%}",
        )
    output.print(shown)
    verdict = {True: "[green]yes[/]", False: "[red]NO[/]", None: "not compared"}
    output.print(f"recognised            {summary.correct} of {summary.images}", highlight=False)
    speedup = summary.dense_cycles_per_image / summary.cycles_per_image
    waits, compared = (", with its way over the link", "") if linked else ("", f" ({speedup:.1f} times as many)")
    output.print(f"cycles an image       {summary.cycles_per_image:,.0f}{waits}", highlight=False)
    output.print(f"the same, dense grid  {summary.dense_cycles_per_image:,}{compared}", highlight=False)
    output.print(f"equal to golden       {verdict[summary.bit_exact_golden]}")
    if measured.in_float:
        output.print(
            f"equal to ONNX Runtime but for {measured.in_float} of {summary.images} images, by one step at ties, which it computes in"
            " float32: a Clip, Relu or pooling stands before a rounding to 8 bits",
            highlight=False,
            soft_wrap=True,
        )
    else:
        output.print(f"equal to ONNX Runtime {verdict[summary.bit_exact_onnxruntime]}")
