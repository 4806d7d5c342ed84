"""skipgrid run: a model over data, on a simulated accelerator or on a board."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings
from skipgrid.rtl.config import Config

from .console import (
    PRESET,
    HeldOption,
    JsonOption,
    LimitOption,
    ModelOrNetwork,
    SettingsOption,
    from_options,
    out_file,
    output,
    picture_file,
    preset_option,
    shipped_data,
    table,
    tails,
    trace_file,
    write_json,
    wrote,
)
from .devices import BaudOption, chosen_config, opened
from .files import BadOption, write_arrays
from .model_run import Measured, measure, measure_on, prepare


def run(
    model: ModelOrNetwork,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA.npz]",
            help="`images`, or an array for each input by its name, of the model's own type and shape, batch first; `labels` if there are"
            " any. Without data, an image is drawn at random.",
            callback=shipped_data,
        ),
    ] = None,
    preset_name: Annotated[str | None, preset_option(PRESET)] = None,
    board_name: HeldOption = None,
    device_name: Annotated[
        str | None, typer.Option("--device", "-d", metavar="NAME", help="Run on the board on this serial port, and nothing else.")
    ] = None,
    baud: BaudOption = None,
    limit: LimitOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.npz", help="Keep the outputs.", callback=out_file)] = None,
    json: JsonOption = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also compare each stored tensor with ONNX Runtime's, and name the first that differs.")
    ] = False,
    device_only: Annotated[bool, typer.Option("--device-only", help="Refuse a model of which something would run on the host.")] = False,
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

    What the accelerator can compute runs on it, in passes where its memories are small; everything else runs on the host by ONNX Runtime,
    and is listed with the reason. The simulation's Verilog is generated and compiled once, and kept for later runs. Every layer is
    compared, bit for bit, with the golden model's output, and the model's outputs with ONNX Runtime's if the model is one of ONNX. Cycles
    count from the first input word of a start to its last output word, over all starts of an image, with the weights resident; the dense
    grid that they are compared with has the same size, multiplies zeros too (but not padding) and is always busy. On a board, they
    include the time in which the input comes over the link. --set changes a parameter of the accelerator.

    Examples:

    - `skipgrid run models/lenet5.onnx models/digits.npz --limit 20`

    - `skipgrid run models/lenet5.onnx models/digits.npz --preset 1x8 --json digits.json --draw digits.png`

    - `skipgrid run your.onnx your.npz --compare --out outputs.npz`

    - `skipgrid run models/lenet5.onnx models/digits.npz --limit 1 --trace digit.fst`

    - `skipgrid run models/lenet5.onnx models/digits.npz --device /dev/ttyUSB1`

    - `skipgrid run models/experts.npz models/digits.npz --preset 1x8 --set experts=8 --set experts_chosen=2 --set weights=32768`
    """
    chosen = chosen_config(preset_name, board_name)
    if draw and data is None:
        raise BadOption("--draw draws the images of a file; name one, or leave --draw away")
    if device_name:
        if settings:
            raise ValueError("a board is what it was built as; leave --set or --device away")
        if trace:
            raise ValueError("waveforms come from the simulated accelerator; leave --trace or --device away")
        with opened(device_name, baud, chosen) as device:
            config = device.config
            prepared = prepare(config, model, data, limit, device_only=device_only)
            measured = measure_on(device, prepared, compare=compare)
    else:
        if baud:
            raise ValueError("--baud is a board's; say which one with --device")
        with from_options():
            config = with_settings(chosen or find_config(PRESET), settings or [])
        prepared = prepare(config, model, data, limit, device_only=device_only)
        measured = measure(config, prepared, trace=trace, compare=compare)
    summary = measured.summary
    if data is None:
        output.print(f"no data was given, so that inputs are drawn at random: {summary.images}", highlight=False)
    _show(config, model, measured, linked=bool(device_name))
    write_json(json, asdict(summary))
    if out:
        write_arrays(out, measured.outputs)
        wrote(out)
    if draw:
        from .drawing import draw_images

        images, labels = next(iter(prepared.inputs.values()))[: summary.images], prepared.labels
        labels = measured.classes if labels is None else labels[: summary.images]
        right = "" if summary.correct is None else f": {summary.correct} of {summary.images} right"
        draw_images(images, labels, measured.classes, draw, f"{model.name} on {config.name}{right}")
        wrote(draw)
    if trace:
        wrote(trace)
    if measured.problem:
        raise measured.problem
    if not summary.bit_exact_golden:
        raise RuntimeError("the accelerator's outputs differ from those of the golden model")
    if summary.bit_exact_onnxruntime is False and not measured.in_float:
        raise RuntimeError("the accelerator's outputs differ from those of ONNX Runtime; --compare names the first layer")


def _show(config: Config, model: Path, measured: Measured, *, linked: bool) -> None:
    from skipgrid.host.held import largest

    summary = measured.summary
    shown = table(
        f"{model.name} on {config.name}, mean of an image",
        "layer",
        "zeros in",
        "useful MACs",
        "cycles",
        "utilisation",
        "held by",
        "passes",
    )
    for name, layer in zip(tails([layer.name for layer in summary.layers]), summary.layers, strict=True):
        shown.add_row(
            name,
            f"{layer.sparsity_in:.1%}",
            f"{layer.useful_macs:,.0f}",
            f"{layer.cycles:,.0f}",
            f"{layer.utilisation:.1%}",
            largest(layer.held_by) if layer.held_by else "",
            f"{layer.passes:,.0f}",
        )
    output.print(shown)
    if summary.host_nodes:
        counts = Counter((node["op"], node["why"]) for node in summary.host_nodes)
        hosted = table("on the host, by ONNX Runtime", "nodes", "operator", "why", left=3)
        for (op, why), count in counts.items():
            hosted.add_row(str(count), op, why)
        output.print(hosted)
    verdict = {True: "[green]yes[/]", False: "[red]NO[/]", None: "not compared"}
    if summary.correct is not None:
        output.print(f"recognised            {summary.correct} of {summary.images}", highlight=False)
    speedup = summary.dense_cycles_per_image / summary.cycles_per_image
    waits, compared = (", with its input's way over the link", "") if linked else ("", f" ({speedup:.1f} times as many)")
    output.print(f"cycles an image       {summary.cycles_per_image:,.0f}{waits}", highlight=False)
    output.print(f"the same, dense grid  {summary.dense_cycles_per_image:,}{compared}", highlight=False)
    if summary.device_macs_share < 1:
        output.print(f"multiplications       {summary.device_macs_share:.2%} on the accelerator", highlight=False)
    if summary.host_nodes:
        output.print(f"the host's part       {1000 * summary.host_seconds_per_image:.2f} ms an image, on this machine", highlight=False)
    output.print(f"equal to golden       {verdict[summary.bit_exact_golden]}")
    if measured.in_float:
        output.print(
            f"equal to ONNX Runtime but for {measured.in_float} of {summary.images} images, by one step at ties, which it computes in"
            " float32: it has no integer kernel for a layer between two roundings to 8 bits",
            highlight=False,
            soft_wrap=True,
        )
    else:
        output.print(f"equal to ONNX Runtime {verdict[summary.bit_exact_onnxruntime]}")
    if measured.compared:
        _show_differences(measured)
    if summary.images > 1:
        output.print(f"images a second       {summary.images / measured.seconds:,.2f}, in simulation" * (not linked), highlight=False)


def _show_differences(measured: Measured) -> None:
    """What comparing each stored tensor found."""
    if not measured.differences:
        output.print("stored tensors        all equal to ONNX Runtime's")
        return
    first = measured.differences[0]
    place = ", ".join(map(str, first.element))
    why = ", which computes this layer in float32" if first.in_float else ""
    output.print(
        f"stored tensors        {len(measured.differences)} differ; first that of {first.layer}, in {first.count:,} elements, the first at"
        f" [{place}] (image, channel, row, column): {first.ours}, but ONNX Runtime{why} has {first.theirs}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
