"""From nodes to layers: what of a model the accelerator computes, and in what sentence the rest is left to the host.

A layer begins at a tensor of 8 bits, goes over nodes that move its elements to the one that computes, and ends at the next rounding to 8
bits; clamps, and a pooling of whole windows, join it before or behind that rounding, and functions of one value between two roundings
behind it. ONNX Runtime's formats come to the same: QDQ writes
DequantizeLinear - operator - QuantizeLinear, QOperator one node.
Sources: the ONNX operator specifications; ONNX Runtime's contributed operators for QGemm.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Function, Layer
from skipgrid.golden.layer import Dtype as CodeType
from skipgrid.golden.numerics import look_up

from ..network import ModelError
from .folding import Held, bias_is_rounded, clamped, made_layer, shown
from .functions import function_behind, threshold_of, values_of
from .graph import INT8, PAIR, Constant, Node
from .model import Model
from .moves import is_move, moved
from .operands import bias_of, padding, qlinear_weights, weights_of
from .steps import Clamp, Linear, Pads, Pair, Pool

Places = NDArray[np.intp]
COMPUTING = (
    "Conv",
    "QLinearConv",
    "ConvTranspose",
    "Gemm",
    "QGemm",
    "MatMul",
    "QLinearMatMul",
    "MaxPool",
    "GlobalMaxPool",
    "GlobalAveragePool",
    "QLinearGlobalAveragePool",
)
AVERAGING = ("GlobalAveragePool", "QLinearGlobalAveragePool")
POOLING = ("MaxPool", "GlobalMaxPool", *AVERAGING)
OUTPUT_SCALE = {"QGemm": 7, "QLinearGlobalAveragePool": 3}  # the number of the input that has it; of others, 6
LARGEST_WEIGHTS = 1 << 25  # elements of an array of weights, most of them zeros, that a pooling or a group is written as
ZERO = -1  # among the places of an input: an element that is the zero point


@dataclass(frozen=True, eq=False)
class Found:
    """A layer, and where it is in the model.

    nodes: which it computes; the first one gives it its name.
    source: the tensor that it reads; take: of each element (C, H, W) of its input, the number in an image of that, or ZERO.
    output: the tensor that it stores; place: of each element of an image of that, its number in what the layer stores, or below 0 where
        it is constant; fill: those constants, of the same shape.
    present: which of the layer's weights the model has, if it has not all; of a pooling, none.
    asked: whether ONNX Runtime has to be asked if it computes the same, since it rounds otherwise as a rule.
    notes: in which other form than the model's the layer is written, in sentences without their subject.
    bias_rounded: whether the model's bias is in float, and the layer's is that rounded to steps of its sums.
    plain: what it was before a function joined it, for accelerators that have no tables.
    """

    layer: Layer
    nodes: tuple[Node, ...]
    source: str
    take: Places
    output: str
    place: Places
    fill: NDArray[Any]
    present: NDArray[np.bool_] | None
    asked: bool
    notes: tuple[str, ...] = ()
    bias_rounded: bool = False
    plain: "Found | None" = None

    def read(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The layer's input (C, H, W) from an image of its source."""
        zero = np.asarray(self.layer.x.zero_point, codes.dtype)
        flat = np.append(codes.reshape(-1), zero)  # ZERO is the last one
        return np.asarray(flat[self.take])

    def stored(self, y: NDArray[Any]) -> NDArray[Any]:
        """An image of the model's tensor from what the layer stores."""
        return np.where(self.place >= 0, np.append(y.reshape(-1), 0)[self.place], self.fill).astype(y.dtype)


@dataclass(frozen=True)
class Stored:
    """How a tensor of 8 bits lies where it was made: shape (C, H, W); place: of each of an image's elements in the model's order."""

    shape: tuple[int, int, int]
    place: Places


def natural(model: Model, tensor: str) -> Stored:
    """How a tensor that the host makes goes to the accelerator, if nothing else is asked."""
    size = model.sizes[tensor][1:]
    return Stored(cast(Any, size) if len(size) == 3 else (prod(size), 1, 1), np.arange(prod(size)).reshape(size))


def find_layer(model: Model, node: Node, stored: dict[str, Stored]) -> Found:
    """The layer that a node computes, with as many of those behind it as join; ModelError says why there is none.

    stored: how tensors lie that layers have made.
    """
    return _Growth(model, node, stored).grown()


class _Growth:
    """A layer while it grows along the nodes.

    index: of each element of the tensor that has been reached, in the model's order and without the batch, its number in the source, or,
    behind the node that computes, in what the layer will store.
    """

    def __init__(self, model: Model, node: Node, stored: dict[str, Stored]) -> None:
        self.model, self.node = model, node
        self.notes: list[str] = []
        before = self._before(node, stored)
        self.source = before[0].inputs[0] if before else node.inputs[0]
        if model.sizes[self.source][:1] != (model.batch,):
            node.refuse(
                f"its input {self.source!r} is {model.sizes[self.source]}, but the model's input {model.inputs[0].name!r} has"
                f" {model.batch:,} image{'s' * (model.batch > 1)}; supported are tensors whose first axis is the batch: export the model so"
            )
        if model.varies(self.source):
            node.refuse(f"the size of its input {self.source!r} depends on what the model is given; supported are sizes that are fixed")
        size = model.sizes[self.source][1:]
        self.index: Places = np.arange(prod(size)).reshape(size)
        self.held: Held | None = None
        self.padded: list[tuple[Node, int]] = []  # by which nodes, and with which code
        self.lies = stored.get(self.source) or natural(model, self.source)
        for each, after in zip(before, [*before, node][1:], strict=True):
            self._approach(each, next(name for name in each.outputs if name in after.inputs))
        self.take: Places = self.index
        self.nodes: list[Node] = []
        self.linear: Linear
        self.computed: tuple[int, int, int]
        self.present: NDArray[np.bool_] | None = None
        self.asked = False
        self.bias_rounded = False
        self.plain: Found | None = None

    # Up to the node that computes.

    def _before(self, node: Node, stored: dict[str, Stored]) -> list[Node]:
        """The nodes from the source to the one that computes, which leave every value as it is."""
        before: list[Node] = []
        tensor = node.inputs[0]
        while (
            tensor not in stored
            and (maker := self.model.maker.get(tensor)) is not None
            and (self._passes(maker) or not self.model.is_code(tensor))
        ):
            if not self._passes(maker):
                node.refuse(
                    f"its input {tensor!r}, from {maker}, was not rounded to 8 bits; supported is one after QuantizeLinear and"
                    " DequantizeLinear"
                )
            before.insert(0, maker)
            tensor = maker.inputs[0]
        if tensor in self.model.constants:
            node.refuse(f"its input {tensor!r} is constant; supported are constant weights, in its second input")
        if not self.model.is_code(tensor):
            node.refuse(
                f"its input {tensor!r} is {self.model.dtypes[tensor]}; supported are models that"
                " onnxruntime.quantization.quantize_static has quantised"
            )
        # Behind a rounding to other steps than before nothing of that is left to see.
        held: tuple[Any, ...] | None = None
        first = 0
        for place, each in enumerate(before):
            if each.operator in PAIR:
                steps = self._steps(each)
                if held is not None and steps != held and each.operator == "QuantizeLinear":
                    first = place + 1
                held = steps
        return before[first:]

    def _steps(self, node: Node) -> tuple[Any, ...]:
        """What a QuantizeLinear or DequantizeLinear says its 8 bits stand for; its name, where that is not one constant step."""
        if not node.is_constant(1) or node.plain(1, "scale").size != 1:
            return (node.name,)
        zero = node.plain(2, "zero point").item() if node.has(2) and node.is_constant(2) else 0
        codes = node.outputs[0] if node.operator == "QuantizeLinear" else node.inputs[0]
        return node.plain(1, "scale").item(), zero, self.model.dtypes[codes]

    def _passes(self, node: Node) -> bool:
        """Whether a node on the way to the one that computes only moves values, or says what they stand for."""
        if node.operator == "DequantizeLinear":
            return not node.is_constant(0)
        if node.operator == "QuantizeLinear":
            before = self.model.maker.get(node.inputs[0])
            return before is not None and (before.operator == "DequantizeLinear" or (is_move(before) and self._passes(before)))
        if is_move(node) or node.operator == "Pad":
            before = self.model.maker.get(node.inputs[0])
            return self.model.is_code(node.inputs[0]) or (before is not None and self._passes(before))
        return False

    def _approach(self, node: Node, output: str) -> None:
        """Go over a node before the one that computes."""
        if node.operator == "DequantizeLinear":
            self.held = node.scale(1, "input"), node.activation(2, "input", self._code_type(node.inputs[0]))
        elif node.operator == "Pad":
            self.index = self._padded(node)
        elif node.operator != "QuantizeLinear":
            before, self.index = self.index.reshape(-1), self._moved(node, output)
            if not np.array_equal(before, self.index.reshape(-1)):
                self.notes.append("reads its input in another order, without its being moved")

    def _moved(self, node: Node, output: str) -> Places:
        index = moved(self.model, node, self.index, output)
        if index is None:
            node.refuse("it moves elements from one image of the batch to another; supported are moves within an image")
        return index

    def _padded(self, node: Node) -> Places:
        """The index with zeros around it, by a node that pads."""
        node.only("mode", "constant")
        pads = node.plain(1, "pads").ravel().tolist() if node.has(1) else list(node.attributes["pads"])
        value = node.plain(2, "value").item() if node.has(2) else node.attributes.get("value", 0)
        axes = node.plain(3, "axes").ravel().tolist() if node.has(3) else range(len(pads) // 2)
        by_axis = {int(axis): (pads[place], pads[place + len(pads) // 2]) for place, axis in enumerate(axes)}
        amounts = [by_axis.get(axis, by_axis.get(axis - self.index.ndim - 1, (0, 0))) for axis in range(self.index.ndim + 1)]
        is_code = self.model.is_code(node.inputs[0])
        if (value != 0 and not is_code) or min(map(min, amounts)) < 0 or amounts[0] != (0, 0):
            self._refuse_pad(node)
        self.padded.append((node, int(value) if is_code or self.held is None else self.held[1].zero_point))
        self.notes.append("has the padding of a node before it")
        return np.pad(self.index, amounts[1:], constant_values=ZERO)

    def _refuse_pad(self, node: Node) -> NoReturn:
        node.refuse("supported is padding with zeros, or with the zero point, of what is not the batch")

    def _code_type(self, tensor: str) -> CodeType:
        return "uint8" if self.model.dtypes[tensor] == np.uint8 else "int8"

    # From there on.

    def grown(self) -> Found:
        """The layer, up to the last rounding that joins it."""
        self.clamps: list[Clamp] = []
        self.pool: Pool | None = None
        self.layer: Layer | None = None  # as it is when it has been rounded
        self.is_float = True
        tensor = self._compute()
        found = self._joined(tensor, None if self.is_float else self._found(tensor))
        while (looked_up := self._looked_up(found)) is not None:
            found = self._joined(looked_up.output, looked_up)
        return found

    def _joined(self, tensor: str, found: Found | None) -> Found:
        """The layer with what joins it behind a tensor. found: as it is there, if that has 8 bits."""
        while (node := self._next(tensor)) is not None:
            try:
                self._join(node)
            except ModelError:
                if found is None and node.operator in ("QuantizeLinear", "Add", "MaxPool"):
                    raise
                break
            self.nodes.append(node)
            tensor = next(name for name in node.outputs if name)
            if not self.is_float and not self.clamps:
                found = self._found(tensor)
        if found is None:
            readers = " and ".join(map(str, self.model.readers[tensor])) or "the model's output"
            self.node.refuse(
                f"{tensor!r} goes to {readers} without being rounded to 8 bits first; supported are a clamp, max pooling of whole windows"
                " and what moves elements before one QuantizeLinear, with a scale of its own"
            )
        return found

    def _looked_up(self, found: Found) -> Found | None:
        """The layer with the function behind it; None if there is none."""
        between = function_behind(self.model, found.output)
        if between is None or (values := values_of(self.model, found.output, between)) is None:
            return None
        before, function = found.layer, Function(found.layer.y, values)
        self.y = between.scale, between.held
        self.nodes, self.index = [*found.nodes, *between.nodes], found.place
        self.is_float, self.clamps = False, []
        threshold = threshold_of(function, between.held)
        if threshold is not None:
            if threshold > 1:  # a function that changes nothing is one of 1
                self.layer = before.replaced(threshold=max(before.threshold, threshold))
                note = f"takes outputs for zero that are less than {threshold} steps from it, by {between.named}"
            else:
                self.layer, note = before, f"passes by {between.named}, which changes no output"
            self.notes = [*found.notes, note]
            return self._found(between.output)
        if before.function is not None or before.threshold:
            of = before.rounded
            every = np.arange(of.low, of.low + 256).astype(of.dtype)
            function = Function(of, function(look_up(every, before)))
        self.layer = before.replaced(y=between.held, function=function, threshold=0)
        self.notes = [*found.notes, f"looks up what becomes of each of 256 outputs, by {between.named}"]
        self.plain = found.plain or found
        return self._found(between.output)

    def _next(self, tensor: str) -> Node | None:
        """The only reader of a tensor; None if there are several, or if it is an output of the model."""
        readers = self.model.readers[tensor]
        wanted = any(end.name == tensor for end in self.model.outputs)
        return readers[0] if len(readers) == 1 and not wanted else None

    def _found(self, tensor: str) -> Found:
        assert self.layer is not None
        fill = np.zeros(self.index.shape, self.layer.y.dtype)
        return Found(
            self.layer,
            tuple(self.nodes),
            self.source,
            self.take,
            tensor,
            self.index,
            fill,
            self.present,
            self.asked,
            tuple(self.notes),
            self.bias_rounded,
            self.plain,
        )

    def _join(self, node: Node) -> None:
        """Take a node behind the one that computes into the layer; ModelError if it does not join."""
        if is_move(node) and sum(map(bool, node.outputs)) == 1:
            self.index = self._moved(node, node.outputs[0])
        elif node.operator == "QuantizeLinear":
            self._round(node, 1, "int8" if node.attributes.get("output_dtype") == INT8 else "uint8")
        elif node.operator == "DequantizeLinear":
            if (node.scale(1, "input"), node.activation(2, "input", "uint8")) != self.y:
                node.refuse("it reads its input with another scale or zero point than it was rounded to")
            self.is_float = True
        elif node.operator == "Add" and self.layer is None and self.linear.bias is None and not self.clamps and self.pool is None:
            constant = node.constant(0 if node.is_constant(0) else 1, "addend")
            if self.index.shape[-1] != len(self.linear.weights) and constant.values.size > 1 and self.index.ndim != 3:
                node.refuse("its addend is not one number a channel")
            per_channel = replace(constant, values=constant.values.reshape(-1)) if self._by_channel(constant) else constant
            self.linear = replace(self.linear, bias=bias_of(node, per_channel, len(self.linear.weights)))
        elif node.operator in ("Relu", "Clip") and (self.plain is not None or (self.layer is not None and self.layer.threshold)):
            node.refuse("it comes behind a function, and joins that")
        elif node.operator == "Relu" and self.is_float:
            self.clamps.append(Clamp(node, 0.0, np.inf))
        elif node.operator == "Clip" and self.is_float:
            low, high = node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)  # attributes before opset 11
            low = node.plain(1, "minimum").item() if node.has(1) else low
            high = node.plain(2, "maximum").item() if node.has(2) else high
            self.clamps.append(Clamp(node, float(low), float(high)))
        elif node.operator in ("MaxPool", "GlobalMaxPool"):
            self._pool(node)
        else:
            node.refuse("it joins no layer")

    def _by_channel(self, constant: Constant) -> bool:
        """Whether an addend has one value for each output channel, along the channels' axis."""
        shape, channels = constant.values.shape, len(self.linear.weights)
        axis = 1 if self.linear.node.operator in ("Conv", "ConvTranspose") else self.index.ndim
        padded = (1,) * (self.index.ndim + 1 - len(shape)) + shape
        return len(padded) == self.index.ndim + 1 and padded[axis] == channels == constant.values.size

    def _round(self, node: Node, scale: int, default: CodeType) -> None:
        """The rounding to 8 bits. scale: the number of the input that has it; the zero point is the next one."""
        y = node.scale(scale, "output"), node.activation(scale + 1, "output", default)
        if self.layer is None:
            self.y = y
            assert self.held is not None
            self.layer = self._made(y)
        elif y != self.y:
            node.refuse(f"rounding twice is not supported: its input was rounded to {shown(self.y)}, its output to {shown(y)}")
        if self.clamps:
            self.layer = clamped(self.layer, self.clamps, y)
            self.clamps = []
        self.is_float = False

    def _made(self, y: Held) -> Layer:
        assert self.held is not None
        if self.linear.node.operator not in POOLING:
            layer = made_layer(self.linear, self.pool, self.held, y)
            self.bias_rounded = bias_is_rounded(self.linear, layer, self.held[0])
            return layer
        linear, K = self.linear, len(self.linear.weights)
        with np.errstate(over="ignore", under="ignore"):  # as ONNX Runtime's QLinearGlobalAveragePool has it
            scale = np.float32(1) if self.held[0] == y[0] and self.taps == 1 else self.held[0] / (y[0] * np.float32(self.taps))
        if not 0 < scale < np.inf:
            linear.node.refuse(f"the factor x_scale / y_scale is {scale:.6g}; supported are positive float32 numbers")
        self.asked |= self.held != y or self.taps > 1
        lowest = Activation(self.held[1].dtype, self.held[1].low) if any(linear.pads) and self.taps == 1 else self.held[1]
        shift = 0 if lowest == self.held[1] else self.held[1].low - self.held[1].zero_point
        if shift and self.held != y:
            linear.node.refuse("pooling with padding is not supported where its output is rounded otherwise than its input")
        if shift and self.padded:
            linear.node.refuse("pooling with padding is not supported of what has been padded with zeros")
        return Layer(
            name=linear.node.name,
            weights=linear.weights,
            bias=np.zeros(K, np.int32),
            scale=np.full(K, scale, np.float32),
            shape=linear.shape,
            x=lowest,
            y=lowest if shift else y[1],
            stride=linear.stride,
            pads=linear.pads,
            pool=self.pool.size if self.pool else (1, 1),
            pool_stride=self.pool.stride if self.pool else (1, 1),
        )

    def _pool(self, node: Node) -> None:
        """Max pooling that joins: of whole windows, and the only one."""
        if self.pool is not None or (self.layer is not None and self.layer.pool != (1, 1)):
            node.refuse("its input has been pooled")
        if self.layer is not None and self.layer.function is not None and not self.layer.function.never_falls:
            node.refuse("its input is given by a function that falls somewhere")
        out = self.computed if self.layer is None else self.layer.out_shape
        node.only("dilations", (1, 1), (1,))
        if self.index.shape not in (out, (out[0], out[2])) or not np.array_equal(self.index.reshape(-1), np.arange(self.index.size)):
            node.refuse("its input is not (N, C, H, W) as it was computed")
        size, stride, pads = _pool_window(node, out)
        rows, columns = _as_image(self.model.sizes[node.outputs[0]][2:])
        whole = (rows - 1) * stride[0] + size[0] <= out[1] and (columns - 1) * stride[1] + size[1] <= out[2]
        if any(pads[:2]) or not whole or (rows, columns) != tuple((out[a] - size[a - 1]) // stride[a - 1] + 1 for a in (1, 2)):
            node.refuse("padding does not join")
        pool = Pool(node, size, stride)
        if self.layer is not None:
            self.layer = replace(self.layer, pool=size, pool_stride=stride)
        else:
            self.pool = pool
        self.index = np.arange(out[0] * rows * columns).reshape(self.model.sizes[node.outputs[0]][1:])

    # What computes.

    def _compute(self) -> str:
        """Begin the layer at the node that computes; the tensor that has been reached."""
        node, operator = self.node, self.node.operator
        self.nodes.append(node)
        self.taps = 1
        if operator.startswith("Q"):
            self.held = node.scale(1, "input"), node.activation(2, "input", self._code_type(node.inputs[0]))
        elif operator in ("MaxPool", "GlobalMaxPool") and self.model.is_code(node.inputs[0]):
            self.held = np.float32(1), Activation(self._code_type(node.inputs[0]), self._lies_at())
        if self.held is None:
            node.refuse("an 8-bit input is not supported; supported is a float one, after a DequantizeLinear")
        for each, code in self.padded:
            if code != self.held[1].zero_point:
                self._refuse_pad(each)
        match operator:
            case "Conv":
                self._convolve(node.constant(1, "weights"), node.constant(2, "bias") if node.has(2) else None)
            case "QLinearConv":
                self._convolve(*qlinear_weights(node, axis=0, bias=8))
            case "ConvTranspose":
                self.asked = True
                self.notes.append("is a convolution over its input with zeros put between")
                self._convolve_transposed(node.constant(1, "weights"), node.constant(2, "bias") if node.has(2) else None)
            case "Gemm" | "QGemm":
                node.only("alpha", 1.0)
                node.only("beta", 1.0)
                node.only("transA", 0)
                axis = 0 if node.attributes.get("transB", 0) else 1
                weights = node.constant(1, "weights") if operator == "Gemm" else None
                bias = node.constant(2, "bias") if operator == "Gemm" and node.has(2) else None
                self._connect(*((weights, bias) if weights else qlinear_weights(node, axis=axis, bias=6)), axis=axis)
            case "MatMul":
                self._connect(node.constant(1, "weights"), None, axis=1)
            case "QLinearMatMul":
                self._connect(*qlinear_weights(node, axis=1, bias=None), axis=1)
            case _:
                self._pool_alone()
        if operator.startswith("Q"):
            output = OUTPUT_SCALE.get(operator, 6)
            if not node.has(output):
                node.refuse("a float output is not supported; supported is an 8-bit one, with its scale and zero point")
            self._round(node, output, "uint8")
        elif operator in ("MaxPool", "GlobalMaxPool") and self.model.is_code(node.outputs[0]):
            self.y = self.held
            self.layer = self._made(self.y)
            self.is_float = False
        return str(node.outputs[0])

    def _lies_at(self) -> int:
        """The zero point of a tensor that is pooled as it is: whatever is read of it, else the type's lowest value."""
        for reader in self.model.readers[self.node.outputs[0]] + self.model.readers[self.source]:
            if reader.operator == "DequantizeLinear" or reader.operator.startswith("QLinear"):
                return reader.activation(2, "input", self._code_type(self.source)).zero_point
        return int(np.iinfo(self.model.dtypes[self.source]).min)

    def _image(self) -> tuple[int, int, int]:
        """(C, H, W) of what the node reads; a signal (C, L) is an image of one row."""
        if self.index.ndim not in (2, 3):
            self.node.refuse(
                f"an input (N, {', '.join(map(str, self.index.shape))}) is not supported; supported are (N, C, H, W) and (N, C, L)"
            )
        if self.index.ndim == 2:
            self.index = self.index[:, np.newaxis, :]
        return cast(tuple[int, int, int], self.index.shape)

    def _convolve(self, weights: Constant, bias: Constant | None) -> None:
        node, (C, H, W) = self.node, self._image()
        signal = weights.values.ndim == 3
        if weights.values.ndim not in (3, 4):
            node.refuse(f"weights of shape {weights.values.shape} are not supported; supported are (K, C, R, S) and (K, C, R)")
        values, scale = weights_of(node, weights, axis=0)
        values = values[:, :, np.newaxis, :] if signal else values
        groups = node.attributes.get("group", 1)
        if groups < 1 or C % groups or len(values) % groups or values.shape[1] != C // groups:
            node.refuse(f"weights of shape {weights.values.shape} do not go with {C} channels in {groups} groups")
        node.only("kernel_shape", values.shape[-1:] if signal else values.shape[2:])
        dilations = _as_pair(node, "dilations", signal)
        stride = _as_pair(node, "strides", signal)
        if groups > 1:
            self.notes.append("has zeros for the channels of other groups")
        if dilations != (1, 1):
            self.notes.append("has zeros in the gaps of its filter")
        if groups > 1 or dilations != (1, 1):
            self.present = _dilated(_apart(node, np.ones_like(values), groups), dilations).astype(bool)
        values = _dilated(_apart(node, values, groups), dilations)
        size = (values.shape[2], values.shape[3])
        pads = padding(node, (C, H, W), size, stride, signal=signal)
        self._linear(values, scale, bias_of(node, bias, len(values)) if bias else None, (C, H, W), stride, pads)

    def _convolve_transposed(self, weights: Constant, bias: Constant | None) -> None:
        """As a convolution over the input with zeros put between, with the filter turned over."""
        node, (C, H, W) = self.node, self._image()
        signal = weights.values.ndim == 3
        groups = node.attributes.get("group", 1)
        if weights.values.ndim not in (3, 4) or groups != 1 or weights.values.shape[0] != C:
            node.refuse(f"weights of shape {weights.values.shape} in {groups} groups are not supported; supported is ({C}, K, R, S) in one")
        values, scale = weights_of(node, weights, axis=1)
        values = values[:, :, np.newaxis, :] if signal else values
        dilations = _as_pair(node, "dilations", signal)
        values = np.ascontiguousarray(values.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        self.present = _dilated(np.ones_like(values), dilations).astype(bool) if dilations != (1, 1) else None
        values = _dilated(values, dilations)
        steps = _as_pair(node, "strides", signal)
        spread = np.full((C, (H - 1) * steps[0] + 1, (W - 1) * steps[1] + 1), ZERO)
        spread[:, :: steps[0], :: steps[1]] = self.index
        self.index = spread
        rows, columns = _as_image(self.model.sizes[node.outputs[0]][2:])
        given = (
            padding(node, spread.shape, (1, 1), (1, 1), signal=signal) if node.attributes.get("auto_pad", b"NOTSET") == b"NOTSET" else None
        )
        R, S = values.shape[2:]
        full = (spread.shape[1] + R - 1, spread.shape[2] + S - 1)
        if given is None or node.attributes.get("output_shape"):
            # So many are left out of the full output that it has the size asked for; of an odd number, one more at the end.
            out = [whole - wanted for whole, wanted in zip(full, (rows, columns), strict=True)]
            upper = node.attributes.get("auto_pad") == b"SAME_UPPER"
            first = [(each // 2 if upper else -(-each // 2)) for each in out]
        else:
            first = [given[0], given[1]]
        pads = (R - 1 - first[0], S - 1 - first[1], rows - (spread.shape[1] - first[0]), columns - (spread.shape[2] - first[1]))
        if min(pads) < 0:
            node.refuse("pads that are wider than the filter are not supported")
        self._linear(values, scale, bias_of(node, bias, len(values)) if bias else None, cast(Any, spread.shape), (1, 1), pads)

    def _linear(
        self,
        values: NDArray[np.int8],
        scale: NDArray[np.float32],
        bias: Constant | None,
        shape: tuple[int, int, int],
        stride: Pair,
        pads: Pads,
    ) -> None:
        """What computes, in the form that all have in common."""
        self.linear = Linear(self.node, values, scale, bias, shape, stride, pads)
        self.take = self.index
        rows = (shape[1] + pads[0] + pads[2] - values.shape[2]) // stride[0] + 1
        columns = (shape[2] + pads[1] + pads[3] - values.shape[3]) // stride[1] + 1
        self.computed = (len(values), rows, columns)
        self.index = np.arange(prod(self.computed)).reshape(self.model.sizes[self.node.outputs[0]][1:])

    def _connect(self, weights: Constant, bias: Constant | None, axis: int) -> None:
        """A fully connected layer: of all of an input, or of each of its vectors along the last axis."""
        node = self.node
        if not self.index.ndim:
            node.refuse("its input has one axis, the batch; supported are (N, C) and more")
        inputs = self.index.shape[-1]
        if weights.values.ndim != 2 or weights.values.shape[1 - axis] != inputs:
            node.refuse(f"weights of shape {weights.values.shape} are not supported; supported here is {inputs} along axis {1 - axis}")
        values, scale = weights_of(node, weights, axis)
        values = np.ascontiguousarray(np.moveaxis(values, axis, 0))
        bias = bias_of(node, bias, len(values)) if bias else None
        vectors = self.index.size // inputs
        if vectors > 1:
            self.index = np.moveaxis(self.index.reshape(vectors, inputs), 1, 0)[:, np.newaxis, :]
            self._linear(values[:, :, np.newaxis, np.newaxis], scale, bias, (inputs, 1, vectors), (1, 1), (0, 0, 0, 0))
            out = self.model.sizes[node.outputs[0]][1:]
            self.index = np.moveaxis(np.arange(prod(out)).reshape(len(values), vectors), 0, 1).reshape(out)
            return
        shape, elements = self.lies.shape, self.index.reshape(-1)
        if elements.size == self.lies.place.size and np.array_equal(np.sort(elements), np.arange(elements.size)):
            # The weights are put in the order in which the input lies.
            lying = self.lies.place.reshape(-1)[elements]
            if (lying >= 0).all() and np.array_equal(np.sort(lying), np.arange(prod(shape))):
                ordered = np.empty_like(values)
                ordered[:, lying] = values
                values = ordered
                numbers = np.empty_like(lying)
                numbers[self.lies.place.reshape(-1)] = np.arange(lying.size)
                self.index = numbers.reshape(shape)
                self._linear(values.reshape(-1, *shape), scale, bias, shape, (1, 1), (0, 0, 0, 0))
                return
        self.index = elements.reshape(-1, 1, 1)
        self._linear(values[:, :, np.newaxis, np.newaxis], scale, bias, (inputs, 1, 1), (1, 1), (0, 0, 0, 0))

    def _pool_alone(self) -> None:
        """A pooling as a layer of its own: filters of one channel each, with a weight of 1 (and a pool, of maxima)."""
        node, (C, H, W) = self.node, self._image()
        average = node.operator in AVERAGING
        node.only("channels_last", 0)
        if C * C * (H * W if average else 1) > LARGEST_WEIGHTS:
            node.refuse(f"as a convolution of {C} channels it would have too many weights")
        eye, one = np.eye(C, dtype=np.int8).reshape(C, C, 1, 1), np.ones(C, np.float32)
        size, stride, pads = _pool_window(node, (C, H, W))
        rows, columns = _as_image(self.model.sizes[node.outputs[0]][2:])
        if average:
            self.taps = H * W
            self._linear_pool(eye.repeat(H, axis=2).repeat(W, axis=3), one, (C, H, W), pads)
        else:
            node.only("dilations", (1, 1), (1,))
            # Where windows reach over the edge, whether by pads or by ceil_mode, there is padding.
            bottom = max((rows - 1) * stride[0] + size[0] - H - pads[0], 0)
            right = max((columns - 1) * stride[1] + size[1] - W - pads[1], 0)
            self._linear_pool(eye, one, (C, H, W), (pads[0], pads[1], bottom, right))
            self.pool = Pool(node, size, stride)
        self.computed = (C, rows, columns)
        self.index = np.arange(C * rows * columns).reshape(self.model.sizes[node.outputs[0]][1:])

    def _linear_pool(self, values: NDArray[np.int8], scale: NDArray[np.float32], shape: tuple[int, int, int], pads: Pads) -> None:
        self.linear = Linear(self.node, values, scale, None, shape, (1, 1), pads)
        self.present = np.zeros(values.shape, bool)
        self.notes.append("is a convolution with weights of 1")
        self.take = self.index


def _as_image(size: tuple[int, ...]) -> Pair:
    return cast(Pair, (1, *size) if len(size) == 1 else size)


def _as_pair(node: Node, name: str, signal: bool) -> Pair:
    """An attribute of an image's rows and columns; a signal's is one of columns."""
    return cast(Pair, (1, *node.integers(name, (1,))) if signal else node.integers(name, (1, 1)))


def _pool_window(node: Node, shape: tuple[int, int, int]) -> tuple[Pair, Pair, Pads]:
    """Size, stride and pads of a pooling."""
    if "Global" in node.operator:
        return (shape[1], shape[2]), (1, 1), (0, 0, 0, 0)
    signal = len(node.attributes["kernel_shape"]) == 1
    size = cast(Pair, (1, *node.integers("kernel_shape", (1,))) if signal else node.integers("kernel_shape", (1, 1)))
    stride = _as_pair(node, "strides", signal)
    return size, stride, padding(node, shape, size, stride, signal=signal)


def _apart(node: Node, weights: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """The weights (K, C / groups, R, S) of groups of channels as (K, C, R, S), with zeros for the channels of other groups."""
    if groups == 1:
        return weights
    K, each, R, S = weights.shape
    if K * each * groups * R * S > LARGEST_WEIGHTS:
        node.refuse(f"in {groups} groups it would have {K * each * groups * R * S:,} weights, most of them zeros")
    apart = np.zeros((groups, K // groups, groups, each, R, S), np.int8)
    for group in range(groups):
        apart[group, :, group] = weights.reshape(groups, K // groups, each, R, S)[group]
    return apart.reshape(K, groups * each, R, S)


def _dilated(weights: NDArray[np.int8], dilations: Pair) -> NDArray[np.int8]:
    """A filter with zeros between its weights."""
    if dilations == (1, 1):
        return weights
    K, C, R, S = weights.shape
    wide = np.zeros((K, C, (R - 1) * dilations[0] + 1, (S - 1) * dilations[1] + 1), np.int8)
    wide[:, :, :: dilations[0], :: dilations[1]] = weights
    return wide
