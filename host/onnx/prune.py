"""Small activations and weights become zeros in a model of 8 bits, layer by layer, as far as what it recognises allows.

A threshold is a `Shrink` between a DequantizeLinear and a QuantizeLinear behind a layer's output. ONNX Runtime runs it as it is, and the
accelerator does it as it requantises, without a cycle more.

Source: B. Reagen and others, "Minerva", ISCA 2016, for leaving out small activations within a bound on accuracy; those of
weights.py for weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from skipgrid.golden.limits import linked
from skipgrid.host.compiler.unrolling import SHARE

from ..network import ModelError
from .cut import Cut
from .functions import OUTPUT_SCALE
from .graph import Node
from .layers import OUTPUT_SCALE as LAYERS_OUTPUT_SCALE
from .layers import Found
from .quantise import Tensors, batches, scores
from .runtime import Reference
from .weights import Cost, Sparse, Thinned, with_weights

STEP = 0.025  # of the nonzeros that a tensor has at first, which a step of its threshold leaves out at least
SHRINK_SINCE = 9  # the opset


@dataclass(frozen=True)
class Judged:
    """What a model is worth: the share of images that it recognises, and the mean cross entropy of its scores with what they show."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Step:
    """A threshold of a tensor, and the mean of the nonzeros that it leaves of an image's."""

    threshold: int
    nonzeros: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """A layer whose outputs other layers read: each zero more among them is work less. steps: its thresholds, from none on."""

    found: Found
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Pruning:
    """What is pruned, what the model is worth then, and about which share of its cycles is left.

    thresholds: of layers. weights: that layers have in place of their own.
    """

    thresholds: dict[Found, int]
    weights: dict[Thinned, Sparse]
    worth: Judged
    cycles: float


@dataclass(frozen=True)
class Work:
    """Of an image, in the mean: products of two factors that are not zero, and nonzeros that each layer reads, by its name."""

    products: float
    nonzeros: dict[str, float]


def candidates(cut: Cut, images: Tensors) -> list[Candidate]:
    """The layers that may have a threshold, with the nonzeros that each of its values leaves; ModelError if there are none."""
    ends = {end.name for end in cut.model.outputs}
    read = {found: [each for each in cut.readers(found.output) if isinstance(each, Found)] for found in cut.layers}
    chosen = [found for found in cut.layers if found.output not in ends and read[found]]
    if not chosen:
        raise ModelError(f"{cut.model.path} has no layer on the accelerator that another one reads, so that thresholds would save nothing")
    near = {found: np.zeros(257) for found in chosen}  # outputs that are so many steps from zero
    count, reference = 0, Reference(cut)
    for given, some in batches(images, cut.model.batch):
        stored = reference.stored(given)
        count += some
        for found in chosen:
            values = stored[found.output][:some].astype(np.int32) - found.layer.y.zero_point
            near[found] += np.bincount(np.abs(values).reshape(-1), minlength=257)[:257]
    return [Candidate(found, _steps(near[found] / count)) for found in chosen]


def _steps(near: NDArray[np.floating]) -> tuple[Step, ...]:
    """From no threshold on, each leaves out a further share of the nonzeros. near: outputs at each distance from zero."""
    left = np.append(near[1:].sum(), near[1:].sum() - np.cumsum(near[1:]))  # by a threshold of 1, 2, …
    steps = [Step(0, float(left[0]))]
    for threshold in range(2, 257):
        nonzeros = float(left[threshold - 1])
        if steps[-1].nonzeros - nonzeros > STEP * left[0]:
            steps.append(Step(threshold, nonzeros))
    return tuple(steps)


def judged(outputs: NDArray[np.floating], labels: NDArray[np.integer]) -> Judged:
    """outputs: (N, classes), of which the largest one is taken for the image's class; labels: (N,)."""
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    likelihoods = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return Judged(float((outputs.argmax(axis=1) == labels).mean()), -float(likelihoods[np.arange(len(labels)), labels].mean()))


def scores_of(cut: Cut, proto: onnx.ModelProto, images: Tensors) -> NDArray[np.floating]:
    """What a model says of each image, (N, classes); ModelError unless that is its only output."""
    found = scores(proto, cut.model.path, images, cut.model.batch)
    if found is None:
        raise ModelError(f"{cut.model.path} has no single output of classes, by which it could be told what pruning costs")
    return found


def search(
    cut: Cut,
    images: Tensors,
    labels: NDArray[np.integer],
    max_drop: float,
    layers: Sequence[Candidate | Thinned],
    costs: Mapping[str, Cost],
    nonzeros: Mapping[str, float],
) -> Iterator[Pruning]:
    """Prune step by step, and give what is pruned after each step; the last one is the result.

    The step that is taken is the one that saves most cycles for what it costs, of those after which as many images are recognised as have
    to be. It costs what it adds to the loss, and to the share of images that are not recognised, and an image at least: below that
    it is chance. A layer's cycles are taken to grow with the nonzeros that it reads.

    labels: (N,). max_drop: in the share of images. layers: what may be pruned. costs: of the layers as they are, by the name of their
    first node. nonzeros: that each layer reads of an image, by its name.
    """
    at = dict.fromkeys(layers, 0)  # the number of its step
    now = judged(scores_of(cut, cut.model.proto, images), labels)
    least = now.accuracy - max_drop - 1e-9
    before = left = _cycles(cut, at, costs, nonzeros)
    while True:
        best: tuple[float, float, Candidate | Thinned, Judged] | None = None
        for each in layers:
            if at[each] + 1 == len(each.steps):
                continue
            tried = at | {each: at[each] + 1}
            found = judged(scores_of(cut, _applied(cut, tried), images), labels)
            if found.accuracy < least:
                continue
            cycles = _cycles(cut, tried, costs, nonzeros)
            worth = (left - cycles) / max(found.loss - now.loss + now.accuracy - found.accuracy, 1 / len(labels))
            if best is None or worth > best[0]:
                best = worth, cycles, each, found
        if best is None:
            return
        _, left, taken, now = best
        at[taken] += 1
        yield Pruning(_thresholds(at), _weights(at), now, left / before)


def _cycles(cut: Cut, at: Mapping[Candidate | Thinned, int], costs: Mapping[str, Cost], nonzeros: Mapping[str, float]) -> float:
    """About how many cycles all layers take, of which each has so many steps."""
    read = {each.found.output: each.steps[number].nonzeros for each, number in at.items() if isinstance(each, Candidate)}
    sparse = {each.found: its.cycles for each, its in _weights(at).items()}
    return sum(
        sparse.get(found, costs[found.nodes[0].name].cycles)
        * (read.get(found.source, nonzeros[found.layer.name]) / (SHARE * found.take.size))
        for found in cut.layers
    )


def _thresholds(at: Mapping[Candidate | Thinned, int]) -> dict[Found, int]:
    return {each.found: each.steps[number].threshold for each, number in at.items() if isinstance(each, Candidate) and number}


def _weights(at: Mapping[Candidate | Thinned, int]) -> dict[Thinned, Sparse]:
    return {each: each.steps[number] for each, number in at.items() if isinstance(each, Thinned) and number}


def _applied(cut: Cut, at: Mapping[Candidate | Thinned, int]) -> onnx.ModelProto:
    return pruned(cut, _thresholds(at), _weights(at))


def pruned(cut: Cut, thresholds: Mapping[Found, int], weights: Mapping[Thinned, Sparse]) -> onnx.ModelProto:
    """The model with these weights, and a threshold behind the outputs of some layers; ModelError if its opset has no Shrink for one."""
    made = with_weights(cut, {each.kept: (its.weights, its.biases) for each, its in weights.items()})
    opset = next((each.version for each in made.opset_import if each.domain in ("", "ai.onnx")), 1)
    if thresholds and opset < SHRINK_SINCE:
        raise ModelError(f"{cut.model.path} has opset {opset}, without Shrink, which is what a threshold is; export it anew, with opset 17")
    graph = made.graph
    for found, threshold in thresholds.items():
        tensor = found.output
        name = f"{tensor}_threshold"
        scale, zero_point = _held(found)
        graph.initializer.extend([numpy_helper.from_array(scale, f"{name}_scale"), numpy_helper.from_array(zero_point, f"{name}_zero")])
        for node in graph.node:
            for place, read in enumerate(node.input):
                if read == tensor:
                    node.input[place] = name
        how = [f"{name}_scale", f"{name}_zero"]
        nodes = [
            helper.make_node("DequantizeLinear", [tensor, *how], [f"{name}_in"], f"{name}_in"),
            helper.make_node("Shrink", [f"{name}_in"], [f"{name}_out"], f"{name}_shrink", lambd=float((threshold - 0.5) * scale), bias=0.0),
            helper.make_node("QuantizeLinear", [f"{name}_out", *how], [name], name),
        ]
        behind = next(number for number, node in enumerate(graph.node) if tensor in node.output) + 1
        for offset, node in enumerate(nodes):
            graph.node.insert(behind + offset, node)
    return made


def _held(found: Found) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Scale and zero point of what a layer stores."""
    for node in reversed(found.nodes):
        place = _place(node)
        if place is not None:
            return np.array(node.scale(place, "output"), np.float32), np.array(found.layer.y.zero_point, found.layer.y.dtype)
    raise AssertionError(f"no node of {found.layer.name} rounds to 8 bits")


def _place(node: Node) -> int | None:
    """The number of the input that has the scale of a node's output; None if there is none."""
    operator = node.operator.rpartition(":")[2]
    places = OUTPUT_SCALE | LAYERS_OUTPUT_SCALE
    return places.get(node.operator, places.get(operator, 6 if operator.startswith("QLinear") else None))


def nonzero_weights(found: Found) -> NDArray[np.bool_]:
    """(K, C, R, S): which weights of a layer are not zero; those that only a pooling is written with are none."""
    there = np.asarray(found.layer.weights != 0)
    return there if found.present is None else there & found.present


def work(cut: Cut, images: Tensors) -> Work:
    """What the layers on the accelerator have to do."""
    reference = Reference(cut)
    products, nonzeros, count = 0, dict.fromkeys((found.layer.name for found in cut.layers), 0), 0
    taps = {found: nonzero_weights(found).sum(axis=0) for found in cut.layers}
    for given, some in batches(images, cut.model.batch):
        stored = reference.stored(given)
        count += some
        for found in cut.layers:
            for image in stored[found.source][:some]:
                x = found.read(image)
                there = x != found.layer.x.zero_point
                products += linked(there.astype(np.int64), found.layer, taps[found])
                nonzeros[found.layer.name] += int(np.count_nonzero(there))
    return Work(products / count, {name: each / count for name, each in nonzeros.items()})
