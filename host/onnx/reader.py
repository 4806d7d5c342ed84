"""Reading ONNX nodes: one list of steps for both of ONNX Runtime's int8 formats.

QDQ writes a quantised operator as DequantizeLinear - operator - QuantizeLinear; QOperator as one node (QLinearConv, QGemm,
QLinearMatMul), which here becomes the same three steps. Every attribute is checked, every constant looked up, every padding resolved.
Sources: the ONNX operator specifications; ONNX Runtime's contributed operators for QGemm.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Dtype

from ..network import ModelError
from .graph import INT8, Chain, Constant, Node
from .steps import Clamp, Dequantise, Linear, Pads, Pair, Pool, Quantise, Shape, Step


def read_steps(chain: Chain) -> list[Step]:
    """The steps of a chain, in order. ModelError names the first node that is not supported."""
    reader = _Reader(chain)
    for node in chain.nodes:
        reader.read(node)
    return reader.steps


class _Reader:
    """Reads nodes in order and knows the tensor between them.

    steps: of the nodes read so far.
    shape: (C, H, W) of one image's tensor, kept where the model flattens it, so that a fully connected layer reads it as it is stored.
    flat: whether the model has flattened it.
    dtype: its 8-bit type, or that of the last tensor that had one.
    """

    def __init__(self, chain: Chain) -> None:
        shape = chain.input.shape
        if len(shape) not in (1, 3):
            raise ModelError(
                f"the model's input {chain.input.name!r} is (N, {', '.join(map(str, shape))}); supported are (N, C, H, W) and (N, C)"
            )
        self.steps: list[Step] = []
        self.flat = len(shape) == 1
        self.shape: Shape = (shape[0], 1, 1) if self.flat else cast(Shape, shape)
        self.dtype: Dtype = "int8" if chain.input.dtype == np.int8 else "uint8"
        self.operators: dict[str, Callable[[Node], Iterator[Step]]] = {
            "QuantizeLinear": self.quantise,
            "DequantizeLinear": self.dequantise,
            "Conv": self.conv,
            "QLinearConv": self.qlinear_conv,
            "Gemm": self.gemm,
            "QGemm": self.qgemm,
            "MatMul": self.matmul,
            "QLinearMatMul": self.qlinear_matmul,
            "Add": self.add,
            "Relu": self.relu,
            "Clip": self.clip,
            "MaxPool": self.max_pool,
            "Flatten": self.flatten,
            "Reshape": self.reshape,
        }

    def read(self, node: Node) -> None:
        """Append the node's steps."""
        if node.operator not in self.operators:
            node.refuse(f"the operator is not supported; supported are {', '.join(self.operators)}")
        self.steps += self.operators[node.operator](node)

    def quantise(self, node: Node) -> Iterator[Step]:
        yield self._stored(node, 1, "int8" if node.attributes.get("output_dtype") == INT8 else "uint8")

    def dequantise(self, node: Node) -> Iterator[Step]:
        yield Dequantise(node, node.scale(1, "input"), node.activation(2, "input", self.dtype))

    def conv(self, node: Node) -> Iterator[Step]:
        yield self._convolution(node, node.constant(1, "weights"), node.constant(2, "bias") if node.has(2) else None)

    def qlinear_conv(self, node: Node) -> Iterator[Step]:
        weights, bias = _qlinear_weights(node, axis=0, bias=8)
        yield Dequantise(node, node.scale(1, "input"), node.activation(2, "input", self.dtype))
        yield self._convolution(node, weights, bias)
        yield self._stored(node, 6)

    def gemm(self, node: Node) -> Iterator[Step]:
        node.only("beta", 1.0)
        yield self._gemm(node, node.constant(1, "weights"), node.constant(2, "bias") if node.has(2) else None)

    def qgemm(self, node: Node) -> Iterator[Step]:
        weights, bias = _qlinear_weights(node, axis=0 if node.attributes.get("transB", 0) else 1, bias=6)
        yield Dequantise(node, node.scale(1, "input"), node.activation(2, "input", self.dtype))
        yield self._gemm(node, weights, bias)
        if not node.has(7):
            node.refuse("a float output is not supported; supported is an 8-bit output with its scale (input 7) and zero point (input 8)")
        yield self._stored(node, 7)

    def matmul(self, node: Node) -> Iterator[Step]:
        yield self._fully_connected(node, node.constant(1, "weights"), None, axis=1)

    def qlinear_matmul(self, node: Node) -> Iterator[Step]:
        weights, _ = _qlinear_weights(node, axis=1, bias=None)
        yield Dequantise(node, node.scale(1, "input"), node.activation(2, "input", self.dtype))
        yield self._fully_connected(node, weights, None, axis=1)
        yield self._stored(node, 6)

    def add(self, node: Node) -> Iterator[Step]:
        last = self.steps[-1] if self.steps else None
        if not isinstance(last, Linear) or last.bias is not None or not self.flat:
            node.refuse(
                "adding to an already rounded tensor is not supported; supported is the bias of a MatMul or Gemm, with no QuantizeLinear"
                " between (onnxruntime.quantization.shape_inference.quant_pre_process makes Gemm of MatMul and Add)"
            )
        constant = node.constant(0 if node.is_constant(0) else 1, "addend")
        self.steps[-1] = replace(last, bias=_bias(node, constant, self.shape[0]))
        return iter(())

    def relu(self, node: Node) -> Iterator[Step]:
        yield Clamp(node, 0.0, np.inf)

    def clip(self, node: Node) -> Iterator[Step]:
        low, high = node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)  # attributes before opset 11
        low = node.plain(1, "minimum").item() if node.has(1) else low
        high = node.plain(2, "maximum").item() if node.has(2) else high
        yield Clamp(node, float(low), float(high))

    def max_pool(self, node: Node) -> Iterator[Step]:
        self._want_image(node)
        node.only("dilations", (1, 1))
        size = cast(Pair, node.integers("kernel_shape", (1, 1)))
        stride = cast(Pair, node.integers("strides", (1, 1)))
        if any(_pads(node, self.shape, size, stride)):
            node.refuse(f"pooling with padding {_pads(node, self.shape, size, stride)} is not supported; supported is max pooling without")
        _, height, width = self.shape
        if node.attributes.get("ceil_mode", 0) and ((height - size[0]) % stride[0] or (width - size[1]) % stride[1]):
            node.refuse(f"ceil_mode with windows over the edge of {height} x {width} is not supported; supported are whole windows")
        self.shape = (self.shape[0], *_windows(node, self.shape, size, stride, (0, 0, 0, 0)))
        yield Pool(node, size, stride)

    def flatten(self, node: Node) -> Iterator[Step]:
        node.only("axis", 1)
        self.flat = True
        return iter(())

    def reshape(self, node: Node) -> Iterator[Step]:
        target = tuple(int(size) for size in node.plain(1, "shape").ravel())
        if len(target) != 2 or target[1] not in (-1, prod(self.shape)):
            node.refuse(f"the shape {target} is not supported; supported is one that flattens, here (N, {prod(self.shape)})")
        self.flat = True
        return iter(())

    def _stored(self, node: Node, scale: int, default: Dtype = "uint8") -> Quantise:
        """The rounding to 8 bits. scale: the number of the input that has it; the zero point is the next one."""
        activation = node.activation(scale + 1, "output", default)
        self.dtype = activation.dtype
        return Quantise(node, node.scale(scale, "output"), activation)

    def _convolution(self, node: Node, weights: Constant, bias: Constant | None) -> Linear:
        self._want_image(node)
        node.only("group", 1)
        node.only("dilations", (1, 1))
        if weights.values.ndim != 4 or weights.values.shape[1] != self.shape[0]:
            node.refuse(f"weights of shape {weights.values.shape} are not supported; supported here is (K, {self.shape[0]}, R, S)")
        values, scale = _weights(node, weights, axis=0)
        size = (values.shape[2], values.shape[3])
        node.only("kernel_shape", size)
        stride = cast(Pair, node.integers("strides", (1, 1)))
        pads = _pads(node, self.shape, size, stride)
        layer = Linear(node, values, scale, _bias(node, bias, len(values)) if bias else None, self.shape, stride, pads)
        self.shape = (len(values), *_windows(node, self.shape, size, stride, pads))
        return layer

    def _gemm(self, node: Node, weights: Constant, bias: Constant | None) -> Linear:
        node.only("alpha", 1.0)
        node.only("transA", 0)
        return self._fully_connected(node, weights, bias, axis=0 if node.attributes.get("transB", 0) else 1)

    def _fully_connected(self, node: Node, weights: Constant, bias: Constant | None, axis: int) -> Linear:
        """axis: that of the output channels in the weights."""
        inputs = prod(self.shape)
        if not self.flat:
            node.refuse(f"an input (N, {', '.join(map(str, self.shape))}) is not supported; supported is (N, {inputs}), after a Flatten")
        if weights.values.ndim != 2 or weights.values.shape[1 - axis] != inputs:
            node.refuse(f"weights of shape {weights.values.shape} are not supported; supported here is {inputs} along axis {1 - axis}")
        values, scale = _weights(node, weights, axis)
        values = np.ascontiguousarray(np.moveaxis(values, axis, 0)).reshape(-1, *self.shape)
        layer = Linear(node, values, scale, _bias(node, bias, len(values)) if bias else None, self.shape)
        self.shape = (len(values), 1, 1)
        return layer

    def _want_image(self, node: Node) -> None:
        if self.flat:
            node.refuse(f"a flattened input (N, {prod(self.shape)}) is not supported; supported is (N, C, H, W)")


def _qlinear_weights(node: Node, axis: int, bias: int | None) -> tuple[Constant, Constant | None]:
    """Weights (inputs 3 to 5) and bias (input number `bias`) of a QOperator node, with the scales that QDQ writes beside them."""
    scale: NDArray[Any] = node.plain(4, "weight scale")
    weights = Constant(node.plain(3, "weights"), scale, node.plain(5, "weight zero point"), axis)
    if bias is None or not node.has(bias):
        return weights, None
    return weights, Constant(node.plain(bias, "bias"), np.atleast_1d(node.scale(1, "input") * scale))


def _weights(node: Node, weights: Constant, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 weights and their float32 scales (K,), K being the size along the axis."""
    if weights.values.dtype != np.int8 or weights.scale is None or weights.zero_point is None:
        node.refuse(f"{weights.values.dtype} weights are not supported; supported are int8 weights with a scale and DequantizeLinear")
    if weights.scale.dtype != np.float32:
        node.refuse(f"weight scales of {weights.scale.dtype} are not supported; supported are float32")
    if np.any(weights.zero_point):
        node.refuse("asymmetric weights (a zero point other than 0) are not supported; supported are symmetric int8 weights")
    channels, scales = weights.values.shape[axis], weights.scale.size
    if scales != 1 and (weights.axis != axis or weights.scale.shape != (channels,)):
        node.refuse(f"{scales} weight scales along axis {weights.axis} are not supported; supported is 1, or {channels} along axis {axis}")
    return weights.values.astype(np.int8, copy=False), np.broadcast_to(weights.scale.reshape(-1), channels).copy()


def _bias(node: Node, bias: Constant, channels: int) -> Constant:
    """The bias (K,): int32 with scales (K,), or float32 without."""
    if bias.values.size != channels or bias.values.shape[-1] != channels:
        node.refuse(
            f"a bias of shape {bias.values.shape} is not supported; supported is one value for each of the {channels} output channels"
        )
    if bias.values.dtype != (np.float32 if bias.scale is None else np.int32) or (bias.zero_point is not None and np.any(bias.zero_point)):
        node.refuse(f"a bias of {bias.values.dtype} is not supported; supported are float32, and int32 with a scale and the zero point 0")
    scale = None if bias.scale is None else np.broadcast_to(bias.scale.reshape(-1), channels)
    return Constant(bias.values.reshape(channels), scale)


def _pads(node: Node, shape: Shape, size: Pair, stride: Pair) -> Pads:
    """(top, left, bottom, right), with auto_pad resolved."""
    node.only("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    auto = node.attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "NOTSET":
        pads = cast(Pads, node.integers("pads", (0, 0, 0, 0)))
        if min(pads) < 0:
            node.refuse(f"pads = {pads} is not supported; supported are pads of 0 or more")
        return pads
    if auto == "VALID":
        return 0, 0, 0, 0
    # SAME: as many windows as input / stride, rounded up; the odd pixel goes to the end (UPPER) or the beginning (LOWER).
    total = [max((-(-extent // step) - 1) * step + taps - extent, 0) for extent, taps, step in zip(shape[1:], size, stride, strict=True)]
    less, more = [pixels // 2 for pixels in total], [pixels - pixels // 2 for pixels in total]
    (top, left), (bottom, right) = (less, more) if auto == "SAME_UPPER" else (more, less)
    return top, left, bottom, right


def _windows(node: Node, shape: Shape, size: Pair, stride: Pair, pads: Pads) -> Pair:
    """Rows and columns of windows; ModelError if there is none."""
    if min(stride) < 1:
        node.refuse(f"strides = {stride} is not supported; supported are strides of 1 or more")
    rows = (shape[1] + pads[0] + pads[2] - size[0]) // stride[0] + 1
    columns = (shape[2] + pads[1] + pads[3] - size[1]) // stride[1] + 1
    if min(rows, columns) < 1:
        node.refuse(f"a window of {size[0]} x {size[1]} does not fit into {shape[1]} x {shape[2]} pixels with pads {pads}")
    return rows, columns
