"""Random graphs with branches, quantised in every way: cut, they give what ONNX Runtime gives, but for what its float32 kernels explain.

`pytest testbench/test_random_graphs.py --hypothesis-show-statistics` says how many are only explained, and of which layers.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnx_models import Branches, quantised
from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.runtime import Reference

LARGEST = 600  # elements of a tensor
BATCHES = 3
Draw = Callable[[st.SearchStrategy[Any]], Any]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Drawn:
    """A network, which of its tensors are outputs, and how it is quantised."""

    net: Branches
    outputs: list[str]
    quant_format: str
    activation: str
    per_channel: bool

    def __repr__(self) -> str:
        nodes = "; ".join(f"{node.op_type}({', '.join(node.input)}) -> {', '.join(node.output)}" for node in self.net.nodes)
        return f"{nodes}; outputs {self.outputs}, {self.quant_format}, {self.activation}, per channel: {self.per_channel}"


class Growing:
    """A network while nodes are drawn for it."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        batch = self.number(1, 2)
        shapes = {"x": self.image(batch)} | ({"y": self.image(batch)} if self.number(0, 3) == 0 else {})
        self.net = Branches(np.random.default_rng(self.number(0, 1 << 16)), **shapes)
        self.tensors = list(shapes)

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def one_of(self, choices: Sequence[Value]) -> Value:
        return choices[self.number(0, len(choices) - 1)]

    def image(self, batch: int) -> tuple[int, int, int, int]:
        return batch, self.number(1, 4), self.number(3, 8), self.number(3, 8)

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.net.shapes[tensor]

    def node(self) -> None:
        """Append a node that reads some tensor, most often the last one."""
        tensor = self.tensors[-1] if self.number(0, 3) else self.one_of(self.tensors)
        kinds = IMAGES if len(self.shape(tensor)) == 4 else VECTORS if len(self.shape(tensor)) == 2 else OTHERS
        before = len(self.net.nodes)
        made = kinds[self.number(0, len(kinds) - 1)](self, tensor)
        if any(prod(self.shape(name)) > LARGEST for name in made):
            del self.net.nodes[before:]
            return
        self.tensors += made

    def window(self, tensor: str) -> tuple[list[int], list[int], list[int]]:
        """Size, strides and pads of a pooling."""
        size = [self.number(1, min(3, side)) for side in self.shape(tensor)[2:]]
        return size, [self.number(1, 2), self.number(1, 2)], [self.number(0, size[axis % 2] - 1) for axis in range(4)]


def conv(g: Growing, tensor: str) -> list[str]:
    channels = g.shape(tensor)[1]
    groups = g.one_of([n for n in range(1, channels + 1) if channels % n == 0])
    size = [g.number(1, min(3, side)) for side in g.shape(tensor)[2:]]
    attributes = {
        "group": groups,
        "dilations": [g.number(1, 2) if 2 * taps - 1 <= side else 1 for taps, side in zip(size, g.shape(tensor)[2:], strict=True)],
        "strides": [g.number(1, 2), g.number(1, 2)],
        "pads": [g.number(0, 2) for _ in range(4)],
    }
    return [g.net.conv(tensor, groups * g.number(1, 3), size, relu=bool(g.number(0, 1)), **attributes)]


def conv_transpose(g: Growing, tensor: str) -> list[str]:
    weights = g.net.weights(g.shape(tensor)[1], g.number(1, 4), g.number(1, 3), g.number(1, 3))
    return [g.net.add("ConvTranspose", tensor, weights, strides=[g.number(1, 2), g.number(1, 2)])]


def max_pool(g: Growing, tensor: str) -> list[str]:
    size, strides, pads = g.window(tensor)
    reach = [side + first for side, first in zip(g.shape(tensor)[2:], pads, strict=False)]
    windows = [-(-(r + last - k) // s) + 1 for r, last, k, s in zip(reach, pads[2:], size, strides, strict=True)]
    # Of a window that begins in the padding at the end, onnx and ONNX Runtime think differently.
    whole = all((n - 1) * s < r for n, s, r in zip(windows, strides, reach, strict=True))
    return [g.net.add("MaxPool", tensor, kernel_shape=size, strides=strides, pads=pads, ceil_mode=g.number(0, 1) if whole else 0)]


def average_pool(g: Growing, tensor: str) -> list[str]:
    size, strides, pads = g.window(tensor)
    return [g.net.add("AveragePool", tensor, kernel_shape=size, strides=strides, pads=pads, count_include_pad=g.number(0, 1))]


def global_pool(g: Growing, tensor: str) -> list[str]:
    return [g.net.add(g.one_of(["GlobalMaxPool", "GlobalAveragePool"]), tensor)]


def pointwise(g: Growing, tensor: str) -> list[str]:
    if g.number(0, 2) == 0:
        return [g.net.add("Clip", tensor, np.float32(-g.number(0, 8) / 8), np.float32(g.number(1, 8) / 8))]
    if g.number(0, 3) == 0:
        return [g.net.add("Mul", tensor, g.net.add("Sigmoid", tensor))]
    return [g.net.add(g.one_of(["Relu", "Sigmoid", "LeakyRelu", "Tanh", "HardSwish", "Softplus"]), tensor)]


def add(g: Growing, tensor: str) -> list[str]:
    return [g.net.add("Add", tensor, g.one_of([name for name in g.tensors if g.shape(name) == g.shape(tensor)]))]


def concat(g: Growing, tensor: str) -> list[str]:
    shape = g.shape(tensor)
    others = [
        name for name in g.tensors if g.shape(name)[:1] + g.shape(name)[2:] == shape[:1] + shape[2:] and len(g.shape(name)) == len(shape)
    ]
    return [g.net.add("Concat", tensor, g.one_of(others), axis=1)]


def transpose(g: Growing, tensor: str) -> list[str]:
    axes = list(range(1, len(g.shape(tensor))))
    return [g.net.add("Transpose", tensor, perm=[0, *g.draw(st.permutations(axes))])]


def flatten(g: Growing, tensor: str) -> list[str]:
    return [g.net.add("Flatten", tensor)]


def reshape(g: Growing, tensor: str) -> list[str]:
    batch, *size = g.shape(tensor)
    of = prod(size)
    first = g.one_of([n for n in range(1, of + 1) if of % n == 0])
    rows = g.one_of([n for n in range(1, of // first + 1) if of // first % n == 0])
    target = g.one_of([[batch, first, of // first], [batch, first, rows, of // first // rows], [batch, of]])
    return [g.net.add("Reshape", tensor, np.array(target, np.int64))]


def cut_out(g: Growing, tensor: str) -> list[str]:
    axis = g.number(1, len(g.shape(tensor)) - 1)
    side = g.shape(tensor)[axis]
    start = g.number(0, side - 1)
    return [g.net.add("Slice", tensor, *(np.array([n], np.int64) for n in (start, g.number(start + 1, side), axis, g.number(1, 2))))]


def split(g: Growing, tensor: str) -> list[str]:
    axis = g.number(1, len(g.shape(tensor)) - 1)
    side = g.shape(tensor)[axis]
    if side == 1:
        return cut_out(g, tensor)
    first = g.number(1, side - 1)
    return g.net.several("Split", 2, tensor, np.array([first, side - first], np.int64), axis=axis)


def resize(g: Growing, tensor: str) -> list[str]:
    scales = np.array([1, 1, g.number(1, 2), g.number(1, 2)], np.float32)
    mode = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [g.net.add("Resize", tensor, "", scales, **(mode if g.number(0, 1) else {}))]


def gemm(g: Growing, tensor: str) -> list[str]:
    return [g.net.gemm(tensor, g.number(1, 8))]


def matmul(g: Growing, tensor: str) -> list[str]:
    return [g.net.add("MatMul", tensor, g.net.weights(g.shape(tensor)[-1], g.number(1, 8)))]


MOVES = [transpose, reshape, flatten, cut_out, split]
JOINS = [add, concat, pointwise]
IMAGES = [conv, conv, conv, conv_transpose, max_pool, max_pool, average_pool, global_pool, resize, matmul, *MOVES, *JOINS]
VECTORS = [gemm, gemm, matmul, reshape, cut_out, split, *JOINS]
OTHERS = [matmul, *MOVES, *JOINS]


@st.composite
def graphs(draw: Draw) -> Drawn:
    """A graph of 2 to 8 drawn nodes, with the last tensor as an output, and perhaps another one."""
    g = Growing(draw)
    for _ in range(g.number(2, 8)):
        g.node()
    if not g.net.nodes:
        gemm(g, flatten(g, "x")[0])
    outputs = [g.tensors[-1], g.one_of(g.tensors)][: g.number(1, 2)]
    made = [name for name in dict.fromkeys(outputs) if name not in ("x", "y")] or [g.net.nodes[-1].output[0]]
    return Drawn(g.net, made, g.one_of(["QDQ", "QDQ", "QOperator"]), g.one_of(["uint8", "int8"]), bool(g.number(0, 1)))


def unoptimised(path: Path, tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """The outputs of ONNX Runtime without its optimisations, which round some outputs that no node rounds."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [end.name for end in session.get_outputs()]
    return dict(zip(names, session.run(names, tensors), strict=True))


def check(drawn: Drawn) -> str:
    """Compare some batches; what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        model = drawn.net.save(Path(folder) / "model.onnx", *drawn.outputs)
        cut = cut_model(quantised(model, drawn.net.drawn(BATCHES), drawn.quant_format, drawn.activation, drawn.per_channel), host_only=True)
        reference = Reference(cut)
        explained: list[str] = []
        for tensors in drawn.net.drawn(BATCHES):
            try:
                theirs = reference.outputs(tensors)
            except ModelError:
                return "refused by ONNX Runtime itself"
            ours = run_golden(cut, tensors)
            plain = run_golden(cut.plain("there are no tables"), tensors)
            assert all(np.array_equal(ours[end], plain[end]) for end in theirs), "on the host, functions give something else"
            if all(ours[end].dtype == values.dtype and np.array_equal(ours[end], values) for end, values in theirs.items()):
                continue
            if all(np.array_equal(ours[end], values) for end, values in unoptimised(cut.model.path, tensors).items()):
                explained.append("what ONNX Runtime's optimisations change")
                continue
            operators = {found.layer.name: found.nodes[0].operator for found in cut.layers}
            named = [operators[each.layer] for each in reference.compare(tensors, ours, cut.model.batch)]
            assert all(reference.explains(tensors, image) for image in range(cut.model.batch)), (
                f"not explained; layers that differ: {named}"
            )
            explained += named or ["the host's parts"]
        return f"only explained, of {' and '.join(sorted(set(explained)))}" if explained else "equal"


PATIENT = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(PATIENT, max_examples=15)
@given(graphs())
def test_random_graphs(drawn: Drawn) -> None:
    event(check(drawn))


@pytest.mark.slow
@settings(PATIENT, max_examples=200)
@given(graphs())
def test_many_random_graphs(drawn: Drawn) -> None:
    event(check(drawn))
