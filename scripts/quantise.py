"""skipgrid quantise: a model in float becomes one in int8, as the accelerator takes it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import JsonOption, input_file, model_file, notes, output, table, tails, working, write_json, wrote
from .files import BadOption, write
from .images import check_labels, read_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Activations(StrEnum):
    """The types that activations can have."""

    uint8 = "uint8"
    int8 = "int8"


@dataclass(frozen=True)
class LayerZeros:
    """A layer of the accelerator: how many values of an image it reads, and the mean share of zeros among them."""

    name: str
    values: int
    zeros: float


@dataclass(frozen=True)
class Report:
    """How a model was quantised, and what became of it over all images.

    float_correct, int8_correct: images that ONNX Runtime recognises; None without labels, or without a single output of classes. zeros: of
    all values that layers read; None if the accelerator computes none of the model.
    """

    activations: str
    per_channel: bool
    reduce_range: bool
    calibrated: int
    images: int
    float_correct: int | None
    int8_correct: int | None
    zeros: float | None
    layers: list[LayerZeros]


def quantise(
    model_path: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A model in float.", callback=input_file)],
    data: Annotated[
        Path,
        typer.Option(
            "--calibrate",
            "-c",
            metavar="DATA.npz",
            help="`images`, or an array for each input by its name, float32 and prepared as for training, batch first; `labels` if there"
            " are any.",
            callback=input_file,
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The model in int8.", callback=model_file)],
    activations: Annotated[
        Activations,
        typer.Option("--activations", "-a", help="Their type: uint8, which has integer kernels on every machine, or int8."),
    ] = Activations.uint8,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="One scale for all of a layer's weights, not one a channel.")] = False,
    reduce_range: Annotated[
        bool | None,
        typer.Option(
            "--reduce-range/--full-range",
            help="Keep weights within 7 bits, or let them have 8; otherwise 7 where ONNX Runtime's sums of larger ones saturate, which is"
            " on x86 without VNNI.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", help="Calibrate with the first N images; all are measured.", min=1)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Make an int8 model of one in float, by ONNX Runtime's static quantisation with settings that suit the accelerator.

    Batch normalisation is folded, and the ranges of all activations are measured on the data: some hundred images as the model will meet.
    Activations are uint8, so that the zeros that a ReLU leaves are at the type's lowest value; weights are int8, symmetric, with a scale
    for each output channel. The model's inputs and outputs stay float. With labels, the accuracy of both models by ONNX Runtime is shown,
    and always the share of zeros in what layers read, which the accelerator skips.

    Examples:

    - `skipgrid quantise float.onnx --calibrate images.npz -o int8.onnx`

    - `skipgrid quantise float.onnx --calibrate images.npz --limit 200 -o int8.onnx --json int8.json`

    - `skipgrid quantise float.onnx --calibrate images.npz -o int8.onnx --activations int8 --per-tensor --reduce-range`
    """
    if out.resolve() == model_path.resolve():
        raise BadOption(f"{out} is the model in float; name another file for the one in int8")
    from skipgrid.host.onnx.quantise import quantise as quantised
    from skipgrid.host.onnx.quantise import read_float_model, saturates

    model = read_float_model(model_path)
    tensors, labels = read_inputs(data, model.inputs)
    some = {name: tensor[:limit] for name, tensor in tensors.items()}
    calibrated, images = (len(next(iter(each.values()))) for each in (some, tensors))
    float_correct = _correct(model_path, tensors, labels, model.batch)
    if reduce_range is None:
        reduce_range = saturates()
        if reduce_range:
            _note("ONNX Runtime's sums of uint8 times int8 saturate on this processor, so that weights have 7 bits; see --full-range")
    with working(f"calibrating with {calibrated:,} images"):
        made = quantised(model, some, activations=activations.value, per_channel=not per_tensor, reduce_range=reduce_range)
    write(out, made.SerializeToString())
    wrote(out)
    zeros, layers = _zeros(out, tensors)
    report = Report(
        activations=activations.value,
        per_channel=not per_tensor,
        reduce_range=reduce_range,
        calibrated=calibrated,
        images=images,
        float_correct=float_correct,
        int8_correct=None if float_correct is None else _correct(out, tensors, labels, model.batch),
        zeros=zeros,
        layers=layers,
    )
    _show(out, report)
    write_json(json, asdict(report))
    output.print(f"next: skipgrid check {out}, then skipgrid run {out} {data}", highlight=False, markup=False, soft_wrap=True)


def _correct(path: Path, tensors: "Mapping[str, NDArray[Any]]", labels: "NDArray[Any] | None", batch: int) -> int | None:
    """How many images ONNX Runtime recognises with a model; None if the labels do not number its outputs, or if there are none."""
    if labels is None:
        return None
    from skipgrid.host.onnx.quantise import scores

    with working(f"running {path} over {len(labels):,} images"):
        found = scores(path, path, tensors, batch)
    if found is None:
        return None
    check_labels(labels, found.shape[1])
    return int((found.argmax(axis=1) == labels).sum())


def _zeros(path: Path, tensors: "Mapping[str, NDArray[Any]]") -> tuple[float | None, list[LayerZeros]]:
    """The mean share of zeros in what layers read, of all values and of each layer's; None, and why, if nothing runs on the accelerator."""
    from skipgrid.host.network import ModelError
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.onnx.quantise import zeros_read

    with working(f"looking for zeros in {path}"):
        try:
            found = zeros_read(cut_model(path), tensors)
        except ModelError as error:  # what is written may be of use all the same
            _note(str(error))
            return None, []
    layers = [LayerZeros(*each) for each in found]
    return sum(layer.zeros * layer.values for layer in layers) / sum(layer.values for layer in layers), layers


def _show(out: Path, report: Report) -> None:
    if report.layers:
        shown = table(out.name, "layer", "values in", "zeros in")
        for name, layer in zip(tails([layer.name for layer in report.layers]), report.layers, strict=True):
            shown.add_row(name, f"{layer.values:,}", f"{layer.zeros:.1%}")
        output.print(shown)
    if report.float_correct is not None and report.int8_correct is not None:
        compared = table("by ONNX Runtime", "model", "recognised", "accuracy")
        for name, correct in (("float", report.float_correct), ("int8", report.int8_correct)):
            compared.add_row(name, f"{correct:,} of {report.images:,}", f"{correct / report.images:.1%}")
        output.print(compared)
    if report.zeros is not None:
        output.print(f"zeros in what layers read  {report.zeros:.1%}, mean of {report.images:,} images", highlight=False)


def _note(text: str) -> None:
    notes.print(f"note: {text}", highlight=False, markup=False, soft_wrap=True)
