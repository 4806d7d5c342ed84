"""Small weights become zeros: of the layers of a model of 8 bits, step by step more, each step as far as it saves the accelerator cycles.

A weight that is zero is the zero point among the integers that the model holds, so that its nodes stay what they are. What the sums of an
output channel lose with its small weights, in the mean over some images, goes into its bias.

Sources: S. Han and others, "Learning both weights and connections for efficient neural networks", NeurIPS 2015, for leaving out those of
small magnitude; M. Nagel and others, "Data-free quantization through weight equalization and bias correction", ICCV 2019, for the bias.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from skipgrid.golden.layer import Layer
from skipgrid.host.compiler.listing import unit_slots
from skipgrid.host.compiler.passes import cut_channels, with_channels
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.compiler.way import Way
from skipgrid.host.compiler.ways import ways
from skipgrid.rtl.config import Config

from .cut import Cut, cut_model
from .graph import Node
from .layers import POOLING, Found
from .quantise import Tensors, batches
from .session import ask, opened
from .sparsity import Mask, balanced, n_of_m, unstructured, with_every_channel

FIRST, EACH = 0.3, 0.1  # the share of zeros of the first step, and what each further one adds
FASTER = 0.99  # of the cycles of the step before, which a step takes at most
SIDES = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (1, None), "ConvTranspose": (1, None)}  # inputs: weights, and a bias that is corrected
WHOLE = {"QLinearConv": (3, None), "QGemm": (3, None), "QLinearMatMul": (3, None)}  # likewise, of the QOperator format

Changed = tuple[NDArray[np.int8], NDArray[np.int32]]
"""Weights (K, taps...) and biases (K,) that a layer gets."""


@dataclass(frozen=True)
class Pattern:
    """Which weights become zero: the smallest of each lane alike, or of all, or all but the n largest of each m input channels.

    text: "balanced", "unstructured", or "n:m". n, m: of the latter, else 0.
    """

    text: str
    n: int = 0
    m: int = 0

    @property
    def share(self) -> float:
        """Of the weights, that become zero where n of m are kept; else 0."""
        return 1 - self.n / self.m if self.m else 0.0

    def masks(self, weights: NDArray[np.int8], layer: Layer, most: float, config: Config) -> Iterator[Mask]:
        """Step by step fewer weights (K, taps...) that are kept, until the share `most` is zero. layer: that has these weights."""
        if self.m:
            for kept in range(self.m - 1, self.n - 1, -1):
                if 1 - kept / self.m <= most + 1e-9:
                    yield n_of_m(weights, kept, self.m)
            return
        for zeros in shares(most):
            if self.text == "unstructured":
                yield unstructured(weights, zeros)
            else:
                yield _balanced(weights, layer, zeros, config)


@dataclass(frozen=True, eq=False)
class Kept:
    """How a model keeps a layer's weights.

    tensor: its constant of 8 bits. axis: of that, the output channels'. values: (K, taps...) int8, the zero point taken off.
    bias: the constant that holds the bias, or None if that cannot be corrected; with it, biases: (K,) int32, and steps: (K,), what a
    weight's step is in steps of the bias, for an input of 1.
    """

    found: Found
    tensor: str
    axis: int
    values: NDArray[np.int8]
    bias: str | None
    biases: NDArray[np.int32]
    steps: NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """What a layer takes in the way that is fastest by itself: about how many cycles, and bits of weights in memory."""

    cycles: float
    bits: int


@dataclass(frozen=True, eq=False)
class Sparse:
    """A layer's weights with some more zeros, its bias, and about how many cycles it takes then."""

    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    cycles: float


@dataclass(frozen=True, eq=False)
class Thinned:
    """A layer whose weights may become zero: steps, from none on, each of which is faster than the one before."""

    kept: Kept
    steps: tuple[Sparse, ...]

    @property
    def found(self) -> Found:
        """The layer."""
        return self.kept.found


def pattern_of(text: str) -> Pattern:
    """The pattern of such a name; ValueError if there is none."""
    if text in ("balanced", "unstructured"):
        return Pattern(text)
    if match := re.fullmatch(r"(\d{1,3}):(\d{1,3})", text):
        n, m = map(int, match.groups())
        if 1 <= n < m:
            return Pattern(text, n, m)
    raise ValueError(f"{text!r} is no pattern; it is balanced, unstructured, or n:m, such as 2:4, with n from 1 to m - 1")


def shares(most: float) -> list[float]:
    """The shares of zeros, step by step, of which the last one is `most`."""
    count = int((most - FIRST) / EACH - 1e-9) + 1 if most > FIRST else 0
    return [*(round(FIRST + number * EACH, 6) for number in range(count)), most]


def _balanced(weights: NDArray[np.int8], layer: Layer, zeros: float, config: Config) -> Mask:
    """Balanced over the lanes that compute the channels of a layer, which are those that have weights at all, if it has fewer than K."""
    live = np.flatnonzero(weights.reshape(len(weights), -1).any(axis=1))
    if len(live) != len(layer.bias):
        live = np.arange(len(weights))
    mask = np.zeros(weights.shape, bool)
    some = weights[live]
    chosen = balanced(some, zeros, config.lanes, unit_slots(layer.weights.shape, zeros, config))
    mask[live] = with_every_channel(some, chosen, config.lanes)
    return mask


def kept_weights(cut: Cut) -> tuple[list[Kept], dict[Found, str]]:
    """The layers whose weights can become zero, and why those of others cannot."""
    kept, why = [], {}
    for found in cut.layers:
        node = next((each for each in found.nodes if each.operator in SIDES | WHOLE), None)
        if node is None:
            why[found] = "it has no weights" if found.nodes[0].operator in POOLING else f"{found.nodes[0].operator} keeps none of its own"
            continue
        if node.attributes.get("group", 1) != 1:
            why[found] = "its channels are in groups"
            continue
        places = (SIDES | WHOLE)[node.operator]
        weights = _constant(cut, node, places[0])
        if weights is None:
            why[found] = "its weights are computed, or are another node's too"
            continue
        kept.append(_kept(cut, found, node, weights))
    return kept, why


def _kept(cut: Cut, found: Found, node: Node, weights: tuple[str, NDArray[Any], str | None]) -> Kept:
    tensor, values, scale = weights
    first = node.operator in ("Conv", "QLinearConv") or node.attributes.get("transB", 0)
    axis = 0 if first else 1
    signed = (values ^ np.uint8(128)).view(np.int8) if values.dtype == np.uint8 else values.astype(np.int8)
    signed = np.ascontiguousarray(np.moveaxis(signed, axis, 0))
    none = Kept(found, tensor, axis, signed, None, np.zeros(0, np.int32), np.zeros(0))
    place = SIDES.get(node.operator, (0, None))[1]
    bias = _constant(cut, node, place) if place is not None and node.has(place) else None
    if bias is None or scale is None or bias[2] is None or bias[1].dtype != np.int32 or bias[1].shape != (len(signed),):
        return none
    of_weights, of_bias = (cut.model.constants[name].values.astype(np.float64).reshape(-1) for name in (scale, bias[2]))
    return Kept(found, tensor, axis, signed, bias[0], bias[1], np.broadcast_to(of_weights / of_bias, len(signed)))


def _constant(cut: Cut, node: Node, place: int) -> tuple[str, NDArray[Any], str | None] | None:
    """The name and values of the constant that is an input, and its scale's name if a DequantizeLinear gives it; None if others read it."""
    graph = cut.model.proto.graph
    makers = {name: each for each in graph.node for name in each.output if each.op_type != "Constant"}
    read = Counter(name for each in graph.node for name in each.input)
    name, scale = node.inputs[place], None
    if name in makers:
        between = makers[name]
        if between.op_type != "DequantizeLinear" or read[name] != 1 or len(cut.model.all_readers[name]) != 1:
            return None
        name, scale = between.input[0], between.input[1]
    if name in makers or read[name] != 1 or name not in cut.model.constants or any(end.name == name for end in graph.output):
        return None
    if scale is not None and scale not in cut.model.constants:
        return None
    return name, cut.model.constants[name].values, scale


def thinned(cut: Cut, images: Tensors, pattern: Pattern, most: float, config: Config, kept: Sequence[Kept]) -> list[Thinned]:
    """The steps of these layers. most: the share of a layer's weights that may be zero."""
    means = means_of(cut, images, kept)
    made = {
        each: [without(each, mask, means.get(each)) for mask in pattern.masks(each.values, each.found.layer, most, config)] for each in kept
    }
    count = max(map(len, made.values()), default=0)
    costs = [
        costs_of(_read_anew(cut, {each: its[min(number, len(its) - 1)] for each, its in made.items() if its}), config)
        for number in range(count)
    ]
    dense = costs_of(cut, config)
    result = []
    for each, its in made.items():
        name = each.found.nodes[0].name
        steps = [Sparse(each.values, each.biases, dense[name].cycles)]
        for (weights, biases), of in zip(its, costs, strict=False):
            if name in of and of[name].cycles < FASTER * steps[-1].cycles:
                steps.append(Sparse(weights, biases, of[name].cycles))
        result.append(Thinned(each, tuple(steps)))
    return result


def without(kept: Kept, mask: Mask, mean: NDArray[np.float64] | None) -> Changed:
    """Weights where the mask is False are zero; the biases have what they add in the mean. mean: (taps...) of the layer's input."""
    weights = np.where(mask, kept.values, 0).astype(np.int8)
    if mean is None:
        return weights, kept.biases
    lost = ((kept.values.astype(np.float64) - weights) * mean).reshape(len(weights), -1).sum(axis=1) * kept.steps
    limits = np.iinfo(np.int32)
    return weights, np.clip(np.rint(kept.biases + lost), limits.min, limits.max).astype(np.int32)


def means_of(cut: Cut, images: Tensors, kept: Sequence[Kept]) -> dict[Kept, NDArray[np.float64]]:
    """Of layers whose bias can be corrected, what each tap reads, (taps...), mean over images and windows."""
    nodes = {each: next(node for node in each.found.nodes if node.operator in SIDES) for each in kept if each.bias is not None}
    names = list(dict.fromkeys(node.inputs[0] for node in nodes.values()))
    if not names:
        return {}
    exposed = onnx.ModelProto()
    exposed.CopyFrom(cut.model.proto)
    known = {value.name for value in (*exposed.graph.output, *exposed.graph.input)}
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    session = opened(exposed, cut.model.path)
    sums: dict[str, Any] = dict.fromkeys(names, 0.0)
    count = 0
    for given, some in batches(images, cut.model.batch):
        count += some
        for name, values in zip(names, ask(session, cut.model.path, given, names), strict=True):
            sums[name] = sums[name] + values[:some].sum(axis=0, dtype=np.float64)
    return {each: _of_taps(each, node, sums[node.inputs[0]] / count) for each, node in nodes.items()}


def _of_taps(kept: Kept, node: Node, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each tap reads in the mean, from the mean of the input: (C, ...) of a Conv, (C,) or vectors of it (..., C) of others."""
    taps = kept.values.shape[1:]
    if node.operator != "Conv":
        return np.asarray(mean.reshape(-1, *taps).mean(axis=0))
    layer, signal = kept.found.layer, len(taps) == 2
    image = mean[:, np.newaxis] if signal else mean
    top, left, bottom, right = layer.pads
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
    R, S = (1, taps[1]) if signal else taps[1:]
    between = node.attributes.get("dilations", [1, 1])
    dilations = (1, between[0]) if signal else tuple(between)
    rows, columns = layer.conv_shape[1:]
    made = np.empty((taps[0], R, S))
    for r in range(R):
        for s in range(S):
            first = r * dilations[0], s * dilations[1]
            windows = padded[:, first[0] :: layer.stride[0], first[1] :: layer.stride[1]][:, :rows, :columns]
            made[:, r, s] = windows.mean(axis=(1, 2))
    return made.reshape(taps)


def with_weights(cut: Cut, chosen: Mapping[Kept, Changed]) -> onnx.ModelProto:
    """The model with other weights (K, taps...) and biases (K,) of some layers."""
    made = onnx.ModelProto()
    made.CopyFrom(cut.model.proto)
    values: dict[str, NDArray[Any]] = {}
    for kept, (weights, biases) in chosen.items():
        ordered = np.ascontiguousarray(np.moveaxis(weights, 0, kept.axis))
        held = cut.model.constants[kept.tensor].values.dtype
        values[kept.tensor] = ordered.view(np.uint8) ^ np.uint8(128) if held == np.uint8 else ordered
        if kept.bias is not None:
            values[kept.bias] = biases
    for tensor in made.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
    for node in made.graph.node:
        if node.op_type == "Constant" and node.output[0] in values:
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(values[node.output[0]])))
    return made


def _read_anew(cut: Cut, chosen: Mapping[Kept, Changed]) -> Cut:
    """The model with these weights, as it is read."""
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
        path = Path(folder, cut.model.path.name)
        path.write_bytes(with_weights(cut, chosen).SerializeToString())
        return cut_model(path)


def costs_of(cut: Cut, config: Config) -> dict[str, Cost]:
    """What each layer takes, by the name of its first node."""
    return {found.nodes[0].name: _cost(found.layer, config) for found in cut.layers}


def _cost(layer: Layer, config: Config) -> Cost:
    """Of a layer by itself; of one that is too large for the memory of weights, of its parts."""
    found = [(way, layer) for way in ways(layer, config) if way.weights <= config.weights]
    chosen = [min(found, key=_cycles)] if found else []
    if not found:
        for cut in cut_channels(layer, config):
            part = with_channels(layer, cut)
            chosen.append(min(((way, part) for way in ways(part, config)), key=_cycles))
    bits = sum(Placed(part, 0, 0, way=way).weight_bits(config) for way, part in chosen)
    return Cost(sum(way.cycles for way, _ in chosen), bits)


def _cycles(of: tuple[Way, Layer]) -> float:
    return of[0].cycles
