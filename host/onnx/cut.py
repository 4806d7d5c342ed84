"""A model cut in two: layers for the accelerator, and parts for the host, where ONNX Runtime computes them.

cut = cut_model("model.onnx")
for step in cut.steps: ...           # parts and layers, in an order in which each comes behind what it reads

Both ends of a part are tensors of 8 bits (or the model's own inputs and outputs), so that a part computes what ONNX Runtime computes for
these nodes in the whole model.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from skipgrid.golden.layer import Layer
from skipgrid.golden.network import run_layer
from skipgrid.golden.numerics import INT32, look_up, requantise

from ..compiler.bounds import sums
from ..network import ModelError
from .graph import PAIR, Node
from .layers import COMPUTING, ZERO, Found, Stored, find_layer
from .model import Model
from .moves import is_move
from .parts import Part
from .session import integer_nodes, rounded_biases

WEIGHING = ("Conv", "QLinearConv", "ConvTranspose", "Gemm", "QGemm", "MatMul", "QLinearMatMul")
LARGEST_PRODUCT = 128 * 255  # of a weight and an activation
ASKED = 8  # inputs for which ONNX Runtime is asked what it computes


@dataclass(frozen=True)
class HostNode:
    """A node that the accelerator does not compute, and why."""

    name: str
    op: str
    why: str


@dataclass(frozen=True)
class Rewrite:
    """What is done to a model, exactly. layer: to which layer; empty for the whole model. what: a sentence without its subject."""

    layer: str
    what: str


@dataclass(frozen=True, eq=False)
class Cut:
    """A model, cut.

    steps: parts and layers, in order. host_nodes: nodes that compute something on the host; not those that only move values, or
    quantise what the model is given. rewritten: what was done to the model.
    """

    model: Model
    steps: tuple[Part | Found, ...]
    host_nodes: tuple[HostNode, ...]
    rewritten: tuple[Rewrite, ...]

    @property
    def layers(self) -> list[Found]:
        """The accelerator's."""
        return [step for step in self.steps if isinstance(step, Found)]

    @property
    def device_macs_share(self) -> float:
        """The share of the model's multiplications, those with zeros and padding too, that run on the accelerator."""
        claimed = {node.name for found in self.layers for node in found.nodes}
        every = {node.name: multiplications(self.model, node) for node in self.model.nodes}
        return sum(macs for name, macs in every.items() if name in claimed) / max(sum(every.values()), 1)

    def follows(self, before: Found, after: Found) -> bool:
        """Whether a layer reads just what another one stores, as it lies, and nothing else does."""
        model = self.model
        return (
            after.source == before.output
            and before.layer.y == after.layer.x
            and before.layer.out_shape == after.layer.shape
            and self.readers(before.output) == [after]
            and after.take.size == before.place.size - (before.place < 0).sum()
            and np.array_equal(after.take.reshape(-1), _numbers(before.place, after.take.size))
            and all(end.name != before.output for end in model.outputs)
        )

    def without(self, refused: dict[Found, str]) -> "Cut":
        """The same with some layers on the host, for the reasons given; ModelError if none is left."""
        layers = [found for found in self.layers if found not in refused]
        if not layers:
            reasons = "; ".join(f"node {found.nodes[0]}: {why}" for found, why in refused.items())
            raise ModelError(f"nothing of {self.model.path} would run on the accelerator: {reasons}")
        nodes = [HostNode(found.nodes[0].name, found.nodes[0].operator, why) for found, why in refused.items()]
        return replace(self, steps=tuple(_steps(self.model, layers)), host_nodes=(*self.host_nodes, *nodes))

    def plain(self, why: str) -> "Cut":
        """The same with the functions of layers on the host, for this reason."""
        joined = [found for found in self.layers if found.plain is not None]
        layers = [found.plain or found for found in self.layers]
        nodes = [HostNode(*node, why) for found in joined for node in _computing(found)]
        notes = {(found.layer.name, note) for found in layers for note in found.notes}
        every = {(found.layer.name, note) for found in joined for note in found.notes}
        rewritten = [each for each in self.rewritten if (each.layer, each.what) not in every - notes]
        return replace(self, steps=tuple(_steps(self.model, layers)), host_nodes=(*self.host_nodes, *nodes), rewritten=tuple(rewritten))

    def readers(self, tensor: str) -> list[Part | Found]:
        """The steps that read a tensor."""
        return [step for step in self.steps if (tensor in step.inputs if isinstance(step, Part) else step.source == tensor)]


def cut_model(path: str | Path, *, host_only: bool = False) -> Cut:
    """Read a model and cut it; FileNotFoundError, or ModelError if ONNX Runtime cannot run it, or if no node has a layer.

    host_only: whether a model that is not quantised, or of which no node has a layer, is cut too, into parts of the host.
    """
    model = Model(Path(path), quantised=not host_only)
    if not model.batch and not host_only:
        raise ModelError(f"the model's input {model.inputs[0].name!r} holds 0 images; supported is a batch of 1 or more, or an open one")
    layers, why = _layers(model)
    if not layers and not host_only:
        named = {node.name: node for node in model.nodes}
        reasons = "; ".join(f"node {named[name]}: {reason}" for name, reason in why.items())
        none = "it has no Conv, Gemm or MatMul; run it with ONNX Runtime alone"
        raise ModelError(f"nothing of {path} would run on the accelerator: {reasons or none}")
    claimed = {node.name for found in layers for node in found.nodes}
    computed = [node for node in model.nodes if node.name not in claimed and node.operator not in PAIR and not is_move(node)]
    needed = _needed(model, layers)
    nodes = tuple(HostNode(node.name, node.operator, why.get(node.name) or _reason(node)) for node in computed if node.name in needed)
    steps = tuple(_steps(model, layers))
    cut = Cut(model, steps, nodes, (*_of_model(model), *(Rewrite(found.layer.name, note) for found in layers for note in found.notes)))
    return _without_dead_channels(cut)


def _computing(found: Found) -> list[tuple[str, str]]:
    """Name and operator of the nodes that compute a layer's function."""
    assert found.plain is not None
    return [(node.name, node.operator) for node in found.nodes if node not in found.plain.nodes and node.operator not in PAIR]


def _of_model(model: Model) -> Iterator[Rewrite]:
    """What was done before anything was cut."""
    counts = Counter(proto.op_type for proto in model.proto.graph.node)
    written = sum(counts.values()) - counts["Constant"] - counts["DequantizeLinear"]
    kept = [node for node in model.every_node if node.operator not in ("Constant", "DequantizeLinear")]
    if written > len(kept):
        yield Rewrite("", f"has {written - len(kept)} nodes whose results are constant, and computed once")
    if len(model.every_node) > len(model.nodes):
        yield Rewrite("", f"has {len(model.every_node) - len(model.nodes)} nodes that no output depends on, and leaves them out")


def _reason(node: Node) -> str:
    """Why a node that computes nothing like a layer runs on the host."""
    if node.operator == "Add" and any(map(node.is_constant, range(2))):
        return (
            "adding to an already rounded tensor is no layer; of a MatMul and its Add"
            " onnxruntime.quantization.shape_inference.quant_pre_process makes one Gemm"
        )
    if "AveragePool" in node.operator or node.operator == "ReduceMean":
        return "ONNX Runtime averages in float32, and rounds otherwise than once, from exact integers"
    return "the accelerator has no such operation"


def multiplications(model: Model, node: Node) -> int:
    """Those of a node for one image: of weights with what they are for; 0 for all that has no weights."""
    weights = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}.get(node.operator, 1)
    if node.operator not in WEIGHING or not node.is_constant(weights):
        return 0
    shape = node.constant(weights, "weights").values.shape
    if node.operator == "ConvTranspose":
        return prod(model.sizes[node.inputs[0]][2:]) * prod(shape)
    out = model.sizes[node.outputs[0]][1:]
    if "Conv" in node.operator:
        return prod(out[1:]) * prod(shape)
    return prod(out[:-1]) * prod(shape[-2:])


def _layers(model: Model) -> tuple[list[Found], dict[str, str]]:
    """The layers, in order, and for each other node that might have been one why it is none."""
    layers: list[Found] = []
    why: dict[str, str] = {}
    stored: dict[str, Stored] = {}
    claimed: set[str] = set()
    biases: set[bytes] | None = None
    for node in model.nodes:
        if node.operator not in COMPUTING or node.name in claimed:
            continue
        try:
            found = find_layer(model, node, stored)
            _check_sums(found)
            if found.bias_rounded:
                biases = rounded_biases(model.proto, model.path) if biases is None else biases
                if found.layer.bias.tobytes() not in biases:
                    node.refuse("ONNX Runtime adds its bias in float32, not rounded to steps of its sums; supported are biases of int32")
            if found.asked:
                _ask(model, found)
        except (ModelError, ValueError) as error:
            why[node.name] = str(error).removeprefix(f"node {node}: ")
            continue
        layers.append(found)
        claimed.update(each.name for each in found.nodes)
        stored[found.output] = Stored(found.layer.out_shape, found.place)
    return layers, why


def _check_sums(found: Found) -> None:
    """ModelError if a layer's sums can leave 32 bits: of few weights they cannot."""
    if found.layer.weights[0].size * LARGEST_PRODUCT <= INT32.max:
        return
    lowest, highest = sums(found.layer)
    reached = max(int(highest.max()), -int(lowest.min()))
    if reached > INT32.max:
        found.nodes[0].refuse(f"its sums can reach {reached:,}, which 32 bits do not hold; supported are fewer or smaller weights")


def _ask(model: Model, found: Found) -> None:
    """ModelError if ONNX Runtime computes something else for these nodes than the layer does."""
    part, node = Part(model, {found.source}, [found.output]), found.nodes[0]
    if node.operator == "GlobalAveragePool" and node.name not in integer_nodes(model.proto, model.path):
        node.refuse("ONNX Runtime computes it in float32, and rounds otherwise than once, from exact integers")
    size = model.sizes[found.source]
    rng = np.random.default_rng(0)
    info = np.iinfo(model.dtypes[found.source])
    for number in range(ASKED):
        codes = rng.integers(info.min, info.max, size, endpoint=True).astype(model.dtypes[found.source])
        if number == 0:
            codes = np.arange(prod(size)).reshape(size).astype(model.dtypes[found.source])  # each value, if it is large enough
        if number % 2:
            codes = np.where(rng.random(size) < 0.7, found.layer.x.zero_point, codes).astype(codes.dtype)
        theirs = part.run({found.source: codes})[found.output]
        for image in range(model.batch):
            ours = found.stored(run_layer(found.read(codes[image]), found.layer))
            if ours.dtype != theirs.dtype or not np.array_equal(ours, theirs[image].reshape(ours.shape)):
                node.refuse("ONNX Runtime rounds it otherwise than once, from exact integers")


def _needed(model: Model, layers: list[Found]) -> set[str]:
    """Names of the nodes that outputs and layers depend on, but for those of layers."""
    made = {found.output: found for found in layers}
    wanted = [end.name for end in model.outputs]
    seen: set[str] = set()
    names: set[str] = set()
    while wanted:
        tensor = wanted.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if tensor in made:
            wanted.append(made[tensor].source)
        elif tensor in model.maker:
            node = model.maker[tensor]
            names.add(node.name)
            wanted += node.reads
    return names


def _steps(model: Model, layers: list[Found]) -> Iterator[Part | Found]:
    """Layers, and before each round of layers the part of the host that they and later parts read from."""
    made = {found.output: found for found in layers}
    stage: dict[str, int] = {end.name: 0 for end in model.inputs}  # how many parts are run before a tensor is at hand

    def at(tensor: str) -> int:
        """The stage of a tensor: that of its part, or of the layer's that makes it."""
        waiting = [tensor]
        while waiting:
            name = waiting[-1]
            if name in stage or name in model.constants:
                waiting.pop()
                continue
            reads = [made[name].source] if name in made else model.maker[name].reads
            missing = [each for each in reads if each not in stage and each not in model.constants]
            if missing:
                waiting += missing
                continue
            if name in made:
                stage[name] = stage[reads[0]]
            else:
                stage[name] = max((stage[each] + (each in made) for each in reads if each in stage), default=0)
            waiting.pop()
        return stage.get(tensor, 0)

    at_hand = {end.name for end in model.inputs}
    wanted = {found.source: at(found.source) for found in layers if found.source not in made and found.source not in at_hand}
    wanted |= {end.name: at(end.name) for end in model.outputs if end.name not in made and end.name not in at_hand}
    inside = {node.name for found in layers for node in found.nodes}
    for node in model.nodes:  # what a part rounds to 8 bits and a later one reads is not computed twice
        if node.name not in inside:
            stages = {name: at(name) for name in node.reads if name not in model.constants}
            here = max(at(name) for name in node.outputs if name)
            for name in _codes(model, [name for name, its in stages.items() if its < here]) - at_hand - made.keys():
                wanted[name] = at(name)
    last = max([*wanted.values(), *(at(found.output) for found in layers)], default=-1)
    for number in range(last + 1):
        outputs = [name for name, its in wanted.items() if its == number]
        if outputs:
            yield Part(model, frozenset(at_hand), outputs)
            at_hand.update(name for name in outputs if model.is_code(name))
        for found in layers:
            if at(found.output) == number:
                yield found
                at_hand.add(found.output)


def _codes(model: Model, tensors: Sequence[str]) -> set[str]:
    """The tensors of 8 bits from which some tensors are computed in float; those of them that have 8 bits themselves."""
    found: set[str] = set()
    waiting, seen = list(tensors), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name in model.constants:
            continue
        seen.add(name)
        if model.is_code(name):
            found.add(name)
        elif name in model.maker:
            waiting += model.maker[name].reads
    return found


def _without_dead_channels(cut: Cut) -> Cut:
    """The same without the output channels that are constant, as all of their weights are zero.

    One that is the zero point is neither computed nor stored nor read. Another one goes into the biases of its readers, where these have
    no padding, in which it would be seen to be missing.
    """
    steps, rewritten = list(cut.steps), []
    for number, found in enumerate(steps):
        if not isinstance(found, Found):
            continue
        cut = replace(cut, steps=tuple(steps))
        readers = cut.readers(found.output)
        layers = [reader for reader in readers if isinstance(reader, Found)]
        if not all(_reads_as_stored(found, reader) for reader in layers):
            continue
        constant = _constants(found.layer)
        dead = [channel for channel, value in constant.items() if all(_spares(reader.layer, channel, value) for reader in layers)]
        dead = dead[: len(found.layer.bias) - 1]  # a layer has one or more
        if not dead:
            continue
        live = np.setdiff1d(np.arange(len(found.layer.bias)), dead)
        steps[number] = _pruned(found, live, constant)
        for reader in layers:
            steps[steps.index(reader)] = _reading(reader, live, {channel: constant[channel] for channel in dead})
        rewritten.append(Rewrite(found.layer.name, f"computes {len(live)} of {len(found.layer.bias)} channels, as the others are constant"))
    return replace(cut, steps=tuple(steps), rewritten=(*cut.rewritten, *rewritten))


def _reads_as_stored(before: Found, after: Found) -> bool:
    """Whether a layer's input is another one's output, as it lies."""
    return (
        before.layer.out_shape == after.layer.shape
        and before.layer.y == after.layer.x
        and np.array_equal(after.take.reshape(-1), _numbers(before.place, before.place.size))
    )


def _numbers(place: np.ndarray, size: int) -> np.ndarray:
    """Of each stored element, in order, its number in the model's tensor."""
    numbers = np.full(size, ZERO)
    flat = place.reshape(-1)
    kept = flat >= 0
    numbers[flat[kept]] = np.flatnonzero(kept)
    return numbers


def _constants(layer: Layer) -> dict[int, int]:
    """Output channels whose weights are all zero, and the value that each has everywhere."""
    dead = np.flatnonzero(~layer.weights.reshape(len(layer.bias), -1).any(axis=1))
    if not dead.size or layer.mixture is not None or layer.winners is not None:
        return {}
    sums = np.zeros((len(layer.bias), 1, 1), np.int32)
    y = look_up(requantise(sums, layer.bias, layer.scale, layer.rounded.zero_point, *layer.clamp), layer).reshape(-1)
    return {int(channel): int(y[channel]) for channel in dead}


def _spares(layer: Layer, channel: int, value: int) -> bool:
    """Whether a layer does not need a channel of its input that is constant."""
    away = value - layer.x.zero_point
    if away == 0:
        return True
    taps = layer.weights[:, channel].astype(np.int64).sum(axis=(1, 2)) * away + layer.bias
    return not any(layer.pads) and bool((np.abs(taps) < 2**31).all())


def _pruned(found: Found, live: np.ndarray, constant: dict[int, int]) -> Found:
    """A layer with some of its output channels; the others' elements of the tensor are filled in."""
    layer = found.layer
    K, rows, columns = layer.out_shape
    pixels = rows * columns
    new = np.full(K, ZERO)
    new[live] = np.arange(live.size)
    channel, pixel = found.place // pixels, found.place % pixels
    kept = (found.place >= 0) & (new[channel] >= 0)
    values = np.array([constant.get(number, 0) for number in range(K)])
    return replace(
        found,
        layer=layer.replaced(weights=layer.weights[live], bias=layer.bias[live], scale=layer.scale[live]),
        present=None if found.present is None else found.present[live],
        place=np.where(kept, new[channel] * pixels + pixel, ZERO),
        fill=np.where(kept | (found.place < 0), found.fill, values[channel]).astype(found.fill.dtype),
    )


def _reading(found: Found, live: np.ndarray, dead: dict[int, int]) -> Found:
    """A layer that reads some of its input's channels; what the constant ones add goes into its bias."""
    layer = found.layer
    bias = layer.bias.astype(np.int64)
    for channel, value in dead.items():
        bias += layer.weights[:, channel].astype(np.int64).sum(axis=(1, 2)) * (value - layer.x.zero_point)
    return replace(
        found,
        layer=layer.replaced(
            weights=np.ascontiguousarray(layer.weights[:, live]), bias=bias.astype(np.int32), shape=(live.size, *layer.shape[1:])
        ),
        present=None if found.present is None else found.present[:, live],
        take=found.take[live],
        plain=found.plain and _reading(found.plain, live, dead),
    )
