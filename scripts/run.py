"""skipgrid run: a model over data, on a simulated accelerator or on a board."""

from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings
from skipgrid.rtl.config import Config

from .console import (
    JsonOption,
    SettingsOption,
    bar,
    building,
    from_options,
    known_board,
    known_preset,
    output,
    picture_file,
    shipped_file,
    table,
    trace_file,
    working,
    write_json,
    wrote,
)
from .devices import BaudOption, chosen_config, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skipgrid.host.devices.device import Device
    from skipgrid.host.onnx.importer import Imported
    from skipgrid.host.onnx.reference import Reference
    from skipgrid.host.runner import Program, Summary

SAVE = "numpy.savez(FILE, images=IMAGES, labels=LABELS) writes such a file"


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
    _show(config, model, measured)
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


@dataclass(frozen=True)
class Prepared:
    """A model that is compiled for a configuration, and its images, also as activations, with their labels.

    imported, reference: the model in ONNX and in ONNX Runtime, unless it is a network of this package's own.
    """

    program: "Program"
    images: "NDArray[Any]"
    labels: "NDArray[Any]"
    inputs: "NDArray[np.integer]"
    imported: "Imported | None"
    reference: "Reference | None"


@dataclass(frozen=True)
class Measured:
    """What a run gave.

    summary: of the images that ran. classes: recognised in them. in_float: images whose outputs differ from ONNX Runtime's, where that
    computes in float32, as `Reference.explains` says; 0 if any differ otherwise. problem: what kept the other images from running, or the
    outputs from being compared.
    """

    summary: "Summary"
    classes: "NDArray[np.intp]"
    in_float: int
    problem: Exception | None


def prepare(config: Config, model: Path, images: "NDArray[Any]", labels: "NDArray[Any]") -> Prepared:
    """Read a model and compile it for the images; an error says why it cannot be, before anything runs."""
    from skipgrid.host.network_file import ENDING, load_network
    from skipgrid.host.onnx.importer import read_model
    from skipgrid.host.onnx.reference import Reference
    from skipgrid.host.runner import compile_network

    imported = None if model.suffix == ENDING else read_model(model)
    network = imported.network if imported else load_network(model)
    inputs = network.activations(images)
    _check_labels(labels, prod(network.output_shape))
    reference = Reference(model) if imported else None
    return Prepared(compile_network(network, config, inputs), images, labels, inputs, imported, reference)


def measure(config: Config, model: Path, images: "NDArray[Any]", labels: "NDArray[Any]", *, trace: Path | None = None) -> Measured:
    """Run a model over images in simulation."""
    from skipgrid.host.simulation.device import SimulatedDevice

    prepared = prepare(config, model, images, labels)
    if trace:
        trace.parent.mkdir(parents=True, exist_ok=True)
    with building(config.name):
        device = SimulatedDevice(config, trace=trace)
    result = measure_on(device, prepared)
    device.close()
    return result


def measure_on(device: "Device", prepared: Prepared) -> Measured:
    """Run a model over its images on a device. What has been measured when something fails is in the result, if it is anything."""
    import numpy as np

    from skipgrid.host.runner import ImageResult, recognised, run_images, summarise

    config, network, inputs = device.config, prepared.program.network, prepared.inputs
    results: list[ImageResult] = []
    problem: Exception | None = None
    with bar() as progress:
        runs = run_images(device, prepared.program, inputs)
        try:
            for result in progress.track(runs, total=len(inputs), description=f"images on {config.name}"):
                results.append(result)  # noqa: PERF402 -- they stay when the next one fails
        except (ValueError, RuntimeError, OSError) as error:
            if not results:
                raise
            problem = error
    images, labels = prepared.images[: len(results)], prepared.labels[: len(results)]
    outputs = network.results(np.stack([result.output for result in results]))
    expected, in_float = None, 0
    if prepared.reference and prepared.imported:
        with working("running ONNX Runtime"):
            try:
                expected = prepared.reference.outputs(images).reshape(outputs.shape)
                different = [number for number in range(len(images)) if not np.array_equal(outputs[number], expected[number])]
                # Until one is found that float32 does not explain.
                explained = (prepared.reference.explains(prepared.imported, images[n : n + 1], expected[n : n + 1]) for n in different)
                in_float = len(different) if different and all(explained) else 0
            except ValueError as error:
                problem = problem or error
    return Measured(summarise(network, config, results, labels, expected), recognised(outputs), in_float, problem)


def read_data(path: Path, limit: int | None = None) -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """The images and labels of an npz file, at most `limit`; ValueError says what the file lacks."""
    import numpy as np

    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError(f"{path} holds a single array; {SAVE}")
            missing = [name for name in ("images", "labels") if name not in arrays]
            if missing:
                raise ValueError(f"{path} has no array {missing[0]!r}; it has {', '.join(map(repr, arrays)) or 'none'}; {SAVE}")
            images, labels = arrays["images"][:limit], arrays["labels"][:limit]
    except OSError:
        raise
    except Exception as error:  # of zip files, of compression, of NumPy: a damaged file can meet any of them
        if str(error).startswith(str(path)):
            raise
        if "pickle" in str(error):
            raise ValueError(f"{path} is not an npz file of plain arrays; {SAVE}") from error
        raise ValueError(f"{path} is not a readable npz file: {error}; {SAVE}") from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise TypeError(f"the labels are {labels.dtype} of shape {labels.shape}; one integer for each image is needed")
    if images.ndim == 0 or len(images) != len(labels):
        raise ValueError(f"the images' shape is {images.shape}, but there are {len(labels)} labels; one label for each image is needed")
    if not len(images):
        raise ValueError(f"{path} holds no images")
    return images, labels


def _check_labels(labels: "NDArray[Any]", classes: int) -> None:
    """ValueError unless each label is one of the classes that the model tells apart."""
    wrong = [number for number, label in enumerate(labels.tolist()) if not 0 <= label < classes]
    if wrong:
        raise ValueError(
            f"image {wrong[0]} has the label {labels[wrong[0]]}, but the model tells {classes} classes apart, 0 to {classes - 1};"
            " number the labels as the model's outputs"
        )


def _show(config: Config, model: Path, measured: Measured) -> None:
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
    output.print(f"cycles an image       {summary.cycles_per_image:,.0f}", highlight=False)
    speedup = summary.dense_cycles_per_image / summary.cycles_per_image
    output.print(f"the same, dense grid  {summary.dense_cycles_per_image:,} ({speedup:.1f} times as many)", highlight=False)
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
