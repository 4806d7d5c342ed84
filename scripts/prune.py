"""skipgrid prune: small weights and activations of an int8 model become zeros, as far as what it recognises allows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.rtl.config import Config

from .console import (
    JsonOption,
    PresetOption,
    from_options,
    input_file,
    model_file,
    output,
    picture_file,
    table,
    tails,
    working,
    write_json,
    wrote,
)
from .files import BadOption, write
from .images import check_labels, read_inputs
from .model_run import measure, prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skipgrid.host.onnx.cut import Cut
    from skipgrid.host.onnx.prune import Candidate
    from skipgrid.host.onnx.weights import Cost, Pattern, Thinned

TIMED = 20  # images
ZEROS = 0.8  # the share of a layer's weights that may become zero, if nothing is said


@dataclass(frozen=True)
class PrunedLayer:
    """A layer of the accelerator.

    threshold: outputs that are fewer steps from zero become zero. nonzeros: that it reads of an image, mean. weights: that are not zero.
    weight_bits: of all of them in memory, in the way that is fastest for the layer by itself. zeros: the share of weights that are zero.
    dense: why its weights stay as they are; empty if they do not, or if none were to become zero.
    """

    name: str
    threshold: int
    nonzeros_before: float
    nonzeros: float
    weights_before: int
    weights: int
    weight_bits_before: int
    weight_bits: int
    zeros_before: float
    zeros: float
    dense: str


@dataclass(frozen=True)
class PruningStep:
    """After a step of some layer's weights or threshold: the share of images recognised, and about that of the cycles that are left."""

    accuracy: float
    cycles: float


@dataclass(frozen=True)
class Report:
    """What pruning leaves of a model's work.

    correct_before, correct: images that ONNX Runtime recognises, or, without labels, of which both models say the same. products_before,
    products: of weights and activations that are not zero, of an image, mean. cycles_before, cycles: of an image, mean of the first
    `timed` ones. weights, weight_bits: of all layers. pattern: of the weights that become zero; None if none were to. thresholds: whether
    activations were to.
    """

    preset: str
    images: int
    timed: int
    labelled: bool
    max_drop: float
    pattern: str | None
    thresholds: bool
    correct_before: int
    correct: int
    products_before: float
    products: float
    cycles_before: float
    cycles: float
    weights_before: int
    weights: int
    weight_bits_before: int
    weight_bits: int
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
    out: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The pruned model.", callback=model_file)],
    weights: Annotated[
        float | None,
        typer.Option("--weights", metavar="SHARE", help="Which share of a layer's weights may become zero at most.", min=0.05, max=0.95),
    ] = None,
    pattern_name: Annotated[
        str,
        typer.Option(
            "--pattern",
            metavar="PATTERN",
            help="Which weights: balanced over the lanes, unstructured, or all but n of each m input channels, such as 2:4.",
        ),
    ] = "balanced",
    thresholds: Annotated[bool, typer.Option("--thresholds", help="Raise thresholds below which activations become zero.")] = False,
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
    """Leave out small weights and activations, layer by layer, as far as accuracy allows; no training.

    The accelerator skips zeros of both. `--weights` makes the smallest weights of a layer zero, and corrects its bias; `--thresholds` gives
    layers a threshold below which their outputs become zero. With neither option, it does both. It goes step by step, the one first
    that saves most cycles on the preset for what it costs, as long as ONNX Runtime recognises as many of the images as it has to. Without
    labels, an image counts as recognised if the model says of it what it said before. A layer that is no faster with zeros is left dense.
    The model runs anywhere. What pruning costs on other images than these, only other images can tell. Cycles are measured on the first 20
    images.

    Examples:

    - `skipgrid prune models/lenet5-plain.onnx models/digits.npz --preset 1x8 -o pruned.onnx`

    - `skipgrid prune int8.onnx images.npz --weights 0.8 --pattern unstructured --max-drop 1 --limit 500 -o pruned.onnx`

    - `skipgrid prune int8.onnx images.npz --thresholds -o pruned.onnx --json pruned.json --draw pruned.png`
    """
    if out.resolve() == model_path.resolve():
        raise BadOption(f"{out} is the model itself; name another file for the pruned one")
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.onnx.prune import judged, pruned, scores_of, search, work
    from skipgrid.host.onnx.weights import costs_of, pattern_of

    with from_options():
        pattern = pattern_of(pattern_name)
    both = weights is None and not thresholds
    most = weights if weights is not None else max(ZEROS, pattern.share) if both else None
    if most is None and pattern_name != "balanced":
        raise BadOption(
            f"--pattern {pattern_name} is one of weights, but --thresholds alone leaves these as they are; add --weights {ZEROS}"
        )
    if most is not None and pattern.share > most + 1e-9:
        raise BadOption(f"{pattern_name} makes {pattern.share:.3g} of the weights zero, but --weights allows {most:g}; allow as much")
    config = find_config(preset_name)
    cut = cut_model(model_path)
    tensors, labels = read_inputs(data, cut.model.inputs, limit)
    labelled, images = labels is not None, len(next(iter(tensors.values())))
    with working(f"running {model_path} over {images:,} images"):
        scores = scores_of(cut, cut.model.proto, tensors)
        if labels is None:
            labels = scores.argmax(axis=1)
        check_labels(labels, scores.shape[1])
        before = work(cut, tensors)
    with working("pruning"):
        costs = costs_of(cut, config)
        layers, dense = _prunable(cut, tensors, pattern, most, config, activations=thresholds or both, required=not both)
        found = list(search(cut, tensors, labels, max_drop / 100, layers, costs, before.nonzeros))
    last = found[-1] if found else None
    made = pruned(cut, last.thresholds if last else {}, last.weights if last else {})
    write(out, made.SerializeToString())
    wrote(out)
    with working(f"running {out} over {images:,} images"):
        cut_again = cut_model(out)
        after = work(cut_again, tensors)
        accuracies = [judged(each, labels).accuracy for each in (scores, scores_of(cut, made, tensors))]
    timed = min(images, TIMED)
    summaries = [_measured(config, path, data, timed) for path in (model_path, out)]
    taken = {each.found.layer.name for each in last.weights} if last else set()
    dense = {name: why for name, why in dense.items() if name not in taken}
    rows = _layers(cut, cut_again, costs, costs_of(cut_again, config), before.nonzeros, after.nonzeros, dense)
    steps = [(accuracies[0], 1.0), *((each.worth.accuracy, each.cycles) for each in found)]
    report = Report(
        preset=preset_name,
        images=images,
        timed=timed,
        labelled=labelled,
        max_drop=max_drop,
        pattern=None if most is None else pattern_name,
        thresholds=thresholds or both,
        correct_before=round(accuracies[0] * images),
        correct=round(accuracies[1] * images),
        products_before=before.products,
        products=after.products,
        cycles_before=summaries[0],
        cycles=summaries[1],
        weights_before=sum(row.weights_before for row in rows),
        weights=sum(row.weights for row in rows),
        weight_bits_before=sum(row.weight_bits_before for row in rows),
        weight_bits=sum(row.weight_bits for row in rows),
        steps=[PruningStep(*step) for step in steps],
        layers=rows,
    )
    _show(out, report)
    write_json(json, asdict(report))
    if draw:
        from .drawing import draw_pruning

        draw_pruning(asdict(report), draw)
        wrote(draw)
    output.print(f"next: skipgrid run {out} {data}", highlight=False, markup=False, soft_wrap=True)


def _prunable(
    cut: "Cut",
    tensors: "dict[str, NDArray[Any]]",
    pattern: "Pattern",
    most: float | None,
    config: Config,
    *,
    activations: bool,
    required: bool,
) -> "tuple[list[Candidate | Thinned], dict[str, str]]":
    """What may be pruned, and why the weights of some layers, by name, may not, or why they might not be in the end.

    most: the share of a layer's weights that may become zero, or None if none may. required: whether it is an error if one of the two that
    was asked for is impossible; otherwise it is if both are.
    """
    from skipgrid.host.network import ModelError
    from skipgrid.host.onnx.prune import candidates
    from skipgrid.host.onnx.weights import kept_weights, thinned

    layers: list[Candidate | Thinned] = []
    dense: dict[str, str] = {}
    if most is not None:
        kept, why = kept_weights(cut)
        if not kept and (required or not activations):
            raise ModelError(f"{cut.model.path} has no layer whose weights can become zero: " + "; ".join(why.values()))
        found = thinned(cut, tensors, pattern, most, config, kept)
        layers += found
        dense = {each.layer.name: reason for each, reason in why.items()}
        for each in found:
            slower = f"it would be no faster on {config.name}"
            dense[each.found.layer.name] = slower if len(each.steps) == 1 else "zeros among them would cost more accuracy than allowed"
    if activations:
        try:
            layers += candidates(cut, tensors)
        except ModelError:
            if required or not layers:
                raise
    return layers, dense


def _layers(
    cut: "Cut",
    made: "Cut",
    costs: "Mapping[str, Cost]",
    costs_after: "Mapping[str, Cost]",
    nonzeros: Mapping[str, float],
    nonzeros_after: Mapping[str, float],
    dense: Mapping[str, str],
) -> list[PrunedLayer]:
    """The layers of a model before and after it was pruned. dense: why the weights of some stay as they are."""
    from skipgrid.host.onnx.prune import nonzero_weights

    rows = []
    again = {found.nodes[0].name: found for found in made.layers}
    for found in cut.layers:
        name, node = found.layer.name, found.nodes[0].name
        size = found.layer.weights.size if found.present is None else int(found.present.sum())
        held = [int(nonzero_weights(each).sum()) for each in (found, again[node])]
        rows.append(
            PrunedLayer(
                name=name,
                threshold=again[node].layer.threshold,
                nonzeros_before=nonzeros[name],
                nonzeros=nonzeros_after[name],
                weights_before=held[0],
                weights=held[1],
                weight_bits_before=costs[node].bits,
                weight_bits=costs_after[node].bits,
                zeros_before=1 - held[0] / size if size else 0.0,
                zeros=1 - held[1] / size if size else 0.0,
                dense=dense.get(name, ""),
            )
        )
    return rows


def _measured(config: Config, path: Path, data: Path, images: int) -> float:
    """The cycles of an image on a simulated accelerator, mean of the first ones; ValueError if its outputs are not ONNX Runtime's."""
    prepared = prepare(config, path, data, images)
    measured = measure(config, prepared)
    if measured.problem:
        raise measured.problem
    return measured.summary.cycles_per_image


def _show(out: Path, report: Report) -> None:
    shown = table(out.name, "layer", "threshold", "nonzeros in", "before", "zero weights", "before")
    names = tails([layer.name for layer in report.layers])
    for name, layer in zip(names, report.layers, strict=True):
        zeros = [f"{100 * share:.1f}%" for share in (layer.zeros, layer.zeros_before)]
        shown.add_row(name, str(layer.threshold or "-"), f"{layer.nonzeros:,.0f}", f"{layer.nonzeros_before:,.0f}", *zeros)
    output.print(shown)
    for name, layer in zip(names, report.layers, strict=True):
        if layer.dense:
            output.print(f"{name}: its weights are left dense, as {layer.dense}", highlight=False, markup=False, soft_wrap=True)
    what = "recognised" if report.labelled else "the same"
    compared = table(f"on {report.preset}", "model", what, "products an image", "cycles an image", "weights held", "their bits")
    for which, correct, *figures in (
        ("before", report.correct_before, report.products_before, report.cycles_before, report.weights_before, report.weight_bits_before),
        ("after", report.correct, report.products, report.cycles, report.weights, report.weight_bits),
    ):
        compared.add_row(which, f"{correct:,} of {report.images:,}", *(f"{figure:,.0f}" for figure in figures))
    output.print(compared)
