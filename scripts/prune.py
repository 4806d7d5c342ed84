"""skipgrid prune: small activations of an int8 model become zeros, as far as what it recognises allows."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from skipgrid.fpga.board import find_config

from .console import JsonOption, PresetOption, input_file, model_file, output, picture_file, table, tails, working, write_json, wrote
from .files import BadOption, write
from .images import check_inputs, check_labels, read_inputs
from .model_run import measure, prepare

TIMED = 20  # images


@dataclass(frozen=True)
class PrunedLayer:
    """A layer of the accelerator: outputs that are fewer steps from zero become zero; nonzeros that it reads of an image, mean."""

    name: str
    threshold: int
    nonzeros_before: float
    nonzeros: float


@dataclass(frozen=True)
class PruningStep:
    """After a step of some layer's threshold: the share of images recognised, and about that of the products that are left."""

    accuracy: float
    products: float


@dataclass(frozen=True)
class Report:
    """What thresholds leave of a model's work.

    correct_before, correct: images that ONNX Runtime recognises, or, without labels, of which both models say the same. products_before,
    products: of weights and what is not zero, of an image, mean. cycles_before, cycles: of an image, mean of the first `timed` ones.
    """

    preset: str
    images: int
    timed: int
    labelled: bool
    max_drop: float
    correct_before: int
    correct: int
    products_before: float
    products: float
    cycles_before: float
    cycles: float
    layers: list[PrunedLayer]
    steps: list[PruningStep]


def prune(
    model_path: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A model in int8.", callback=input_file)],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA.npz",
            help="`images`, or an array for each input by its name, batch first; `labels` if there are any.",
            callback=input_file,
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The model with thresholds.", callback=model_file)],
    max_drop: Annotated[
        float, typer.Option("--max-drop", metavar="POINTS", help="Of a hundred images, how many fewer may be recognised.", min=0, max=100)
    ] = 0.5,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Take only the first N images.", min=1)] = None,
    preset_name: PresetOption = "4x32",
    json: JsonOption = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE.png", help="Draw accuracy over what is left to do.", callback=picture_file)
    ] = None,
) -> None:
    """Leave out small activations: give each layer a threshold below which its outputs become zero, as high as accuracy allows.

    The accelerator skips zeros, so the layers behind take less time. Thresholds are raised step by step, the one first that saves most for
    what it costs, as long as ONNX Runtime recognises as many of the images as it has to. Without labels, an image counts as recognised if
    the model says of it what it said before. A threshold is a Shrink in the model: it runs anywhere, and on the accelerator it takes no
    cycle. What thresholds cost on other images than these, only other images can tell. Cycles are measured on the first 20 images.

    Examples:

    - `skipgrid prune models/lenet5-plain.onnx models/digits.npz -o pruned.onnx`

    - `skipgrid prune int8.onnx images.npz --max-drop 1 --limit 500 -o pruned.onnx --json pruned.json --draw pruned.png`
    """
    if out.resolve() == model_path.resolve():
        raise BadOption(f"{out} is the model itself; name another file for the one with thresholds")
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.onnx.prune import judged, scores_of, search, with_thresholds, work

    cut = cut_model(model_path)
    tensors, labels = read_inputs(data, [end.name for end in cut.model.inputs], limit)
    check_inputs(tensors, cut.model.inputs)
    labelled, images = labels is not None, len(next(iter(tensors.values())))
    with working(f"running {model_path} over {images:,} images"):
        scores = scores_of(cut, cut.model.proto, tensors)
        if labels is None:
            labels = scores.argmax(axis=1)
        check_labels(labels, scores.shape[1])
        before = work(cut, tensors)
    with working("raising thresholds"):
        raised = list(search(cut, tensors, labels, max_drop / 100))
    thresholds = raised[-1].thresholds if raised else {}
    made = with_thresholds(cut, thresholds)
    write(out, made.SerializeToString())
    wrote(out)
    with working(f"running {out} over {images:,} images"):
        after = work(cut_model(out), tensors)
        accuracies = [judged(each, labels).accuracy for each in (scores, scores_of(cut, made, tensors))]
    timed = min(images, TIMED)
    summaries = [_measured(preset_name, path, data, timed) for path in (model_path, out)]
    of_layers = {each.layer.name: threshold for each, threshold in thresholds.items()}
    steps = [(accuracies[0], 0.0), *((each.worth.accuracy, each.saved) for each in raised)]
    report = Report(
        preset=preset_name,
        images=images,
        timed=timed,
        labelled=labelled,
        max_drop=max_drop,
        correct_before=round(accuracies[0] * images),
        correct=round(accuracies[1] * images),
        products_before=before.products,
        products=after.products,
        cycles_before=summaries[0],
        cycles=summaries[1],
        steps=[PruningStep(accuracy, 1 - saved / before.products) for accuracy, saved in steps],
        layers=[PrunedLayer(name, of_layers.get(name, 0), count, after.nonzeros[name]) for name, count in before.nonzeros.items()],
    )
    _show(out, report)
    write_json(json, asdict(report))
    if draw:
        from .drawing import draw_pruning

        draw_pruning(asdict(report), draw)
        wrote(draw)
    output.print(f"next: skipgrid run {out} {data}", highlight=False, markup=False, soft_wrap=True)


def _measured(preset_name: str, path: Path, data: Path, images: int) -> float:
    """The cycles of an image on a simulated accelerator, mean of the first ones; ValueError if its outputs are not ONNX Runtime's."""
    config = find_config(preset_name)
    prepared = prepare(config, path, data, images)
    measured = measure(config, prepared)
    if measured.problem:
        raise measured.problem
    return measured.summary.cycles_per_image


def _show(out: Path, report: Report) -> None:
    shown = table(out.name, "layer", "threshold", "nonzeros in", "before")
    for name, layer in zip(tails([layer.name for layer in report.layers]), report.layers, strict=True):
        shown.add_row(name, str(layer.threshold or "-"), f"{layer.nonzeros:,.0f}", f"{layer.nonzeros_before:,.0f}")
    output.print(shown)
    what = "recognised" if report.labelled else "the same"
    compared = table(f"on {report.preset}", "model", what, "products an image", "cycles an image")
    before = f"{report.correct_before:,} of {report.images:,}", f"{report.products_before:,.0f}", f"{report.cycles_before:,.0f}"
    after = f"{report.correct:,} of {report.images:,}", f"{report.products:,.0f}", f"{report.cycles:,.0f}"
    compared.add_row("before", *before)
    compared.add_row("after", *after)
    output.print(compared)
