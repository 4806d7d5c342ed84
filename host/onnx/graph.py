"""An ONNX graph as a chain of nodes with their constants at hand."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Dtype

from ..network import ModelError

FLOAT, UINT8, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT8
CONTRIBUTED = ("com.microsoft", ("QGemm", "QuantizeLinear", "DequantizeLinear"))  # ONNX Runtime's own, and which of them are read
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QGemm", "QLinearMatMul")  # a quantised model has one of these
QUANTISE = (
    "quantise it with onnxruntime.quantization.quantize_static(FLOAT.onnx, INT8.onnx, READER, weight_type=QuantType.QInt8,"
    " extra_options={'WeightSymmetric': True})"
)


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant tensor.

    One that a DequantizeLinear gives keeps its integers, with scales and zero points: one, or one a slice of `axis`.
    """

    values: NDArray[np.generic]
    scale: NDArray[Any] | None = None
    zero_point: NDArray[np.generic] | None = None
    axis: int = 0


class Node:
    """An ONNX node. `str()` of it is how messages name it: 'name' (Operator)."""

    def __init__(self, proto: onnx.NodeProto, constants: dict[str, Constant]) -> None:
        contributed = proto.domain == CONTRIBUTED[0] and proto.op_type in CONTRIBUTED[1]
        known = proto.domain in ("", "ai.onnx") or contributed
        self.operator = proto.op_type if known else f"{proto.domain}::{proto.op_type}"
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        self.name = proto.name or proto.output[0]
        self.attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
        self._constants = constants

    def __str__(self) -> str:
        return f"{self.name!r} ({self.operator})"

    def refuse(self, problem: str) -> NoReturn:
        """Raise ModelError about this node."""
        raise ModelError(f"node {self}: {problem}")

    def has(self, index: int) -> bool:
        """Whether the optional input is given."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def constant(self, index: int, what: str) -> Constant:
        """The input as a constant; ModelError if it is none."""
        if not self.has(index) or self.inputs[index] not in self._constants:
            self.refuse(f"its {what} (input {index}) must be constant: an initializer, or one behind a DequantizeLinear")
        return self._constants[self.inputs[index]]

    def is_constant(self, index: int) -> bool:
        """Whether the input is given and constant."""
        return self.has(index) and self.inputs[index] in self._constants

    def plain(self, index: int, what: str) -> NDArray[np.generic]:
        """The values of a constant input that is not quantised."""
        constant = self.constant(index, what)
        if constant.scale is not None:
            self.refuse(f"its {what} (input {index}) must not be quantised")
        return constant.values

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """An attribute that lists integers, as many as the default has."""
        value = tuple(self.attributes.get(name, default))
        if len(value) != len(default):
            self.refuse(f"{name} = {value} is not supported; supported are two dimensions, with {len(default)} integers")
        return value

    def only(self, name: str, *allowed: object) -> None:
        """ModelError unless the attribute is missing or has one of these values."""
        if name not in self.attributes:
            return
        value = self.attributes[name]
        value = tuple(value) if isinstance(value, list) else value.decode() if isinstance(value, bytes) else value
        if value not in allowed:
            self.refuse(f"{name} = {value} is not supported; supported is {' or '.join(map(str, allowed))}")

    def scale(self, index: int, what: str) -> np.float32:
        """A constant float32 scale of a whole tensor."""
        value = self.plain(index, f"{what} scale")
        if value.dtype != np.float32 or value.size != 1:
            self.refuse(f"the {what} scale must be one positive float32; here it is {value.dtype} of shape {value.shape}")
        if not 0 < value.item() < np.inf:
            self.refuse(f"the {what} scale must be one positive float32; here it is {value.item():.6g}; calibrate with images that differ")
        return np.float32(value.item())

    def activation(self, index: int, what: str, default: Dtype) -> Activation:
        """How a tensor of activations is held, from its constant zero point; without one it is 0, of the default type."""
        if not self.has(index):
            return Activation(default)
        value = self.plain(index, f"{what} zero point")
        if value.dtype not in (np.uint8, np.int8) or value.size != 1:
            self.refuse(f"the {what} must be uint8 or int8 with one zero point; here that is {value.dtype} of shape {value.shape}")
        return Activation("uint8" if value.dtype == np.uint8 else "int8", int(value.item()))


@dataclass(frozen=True)
class Tensor:
    """The graph's input or output. shape: of one image; dtype: float32, uint8 or int8."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class Chain:
    """A graph that goes from one input to one output without branches. nodes: in that order."""

    name: str
    input: Tensor
    output: Tensor
    nodes: tuple[Node, ...]


def read_chain(path: Path) -> Chain:
    """The graph of an ONNX file. FileNotFoundError if it is not there; ModelError if it is no ONNX model or no chain."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError:
        raise
    except Exception as error:  # of protocol buffers, of the checker, of external data: a damaged file can meet any of them
        raise ModelError(f"{path} is not a valid ONNX model: {first_line(error)}") from error
    _check_quantised(model.graph, path)
    constants = _constants(model.graph)
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs and {len(model.graph.output)} outputs; supported are models with one of each")
    output = model.graph.output[0]
    nodes = tuple(_walk(model.graph, inputs[0].name, output.name, constants))
    return Chain(path.stem, _tensor(inputs[0], "input"), _tensor(output, "output"), nodes)


def first_line(error: Exception) -> str:
    """What an exception of another package says, in one line: that names itself and its reason."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_quantised(graph: onnx.GraphProto, path: Path) -> None:
    """ModelError, before anything else is said of it, if nothing of a model is quantised, or only while it runs."""
    operators = {proto.op_type for proto in graph.node}
    if "DynamicQuantizeLinear" in operators:
        raise ModelError(f"{path} is quantised dynamically, so that its scales are not known before it runs; {QUANTISE}")
    if not operators.intersection(QUANTISED):
        raise ModelError(f"{path} is not quantised, but a model in float; {QUANTISE}")


def _constants(graph: onnx.GraphProto) -> dict[str, Constant]:
    """Every constant by name: initializers, Constant nodes, and those behind QuantizeLinear and DequantizeLinear."""
    constants = {tensor.name: Constant(onnx.numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    for proto in graph.node:
        node = Node(proto, constants)
        if node.operator == "Constant" and "value" in node.attributes:
            constants[node.outputs[0]] = Constant(onnx.numpy_helper.to_array(node.attributes["value"]))
        elif node.operator == "DequantizeLinear" and node.is_constant(0):
            node.only("block_size", 0)
            values, scale = node.plain(0, "input"), node.plain(1, "scale")
            zero_point = node.plain(2, "zero point") if node.has(2) else np.zeros(1, values.dtype)
            axis = node.attributes.get("axis", 1) % max(values.ndim, 1) if scale.size > 1 else 0
            constants[node.outputs[0]] = Constant(values, scale, zero_point, axis)
    return constants


def _walk(graph: onnx.GraphProto, start: str, end: str, constants: dict[str, Constant]) -> Iterator[Node]:
    """The nodes from one tensor to another; ModelError where the way branches or stops."""
    readers: dict[str, list[Node]] = defaultdict(list)
    for proto in graph.node:
        node = Node(proto, constants)
        for name in set(node.inputs):
            readers[name].append(node)
    tensor, before = start, "the model's input"
    while tensor != end or readers[tensor]:
        if len(readers[tensor]) != 1 or tensor == end:
            where = [str(node) for node in readers[tensor]] + ["the model's output"] * (tensor == end)
            raise ModelError(f"{before}: {tensor!r} goes to {' and '.join(where) or 'nowhere'}; supported is a chain without branches")
        node = readers[tensor][0]
        if len([name for name in node.outputs if name]) != 1:
            node.refuse(f"{len(node.outputs)} outputs are not supported; supported is one")
        yield node
        tensor, before = node.outputs[0], f"node {node}"


def _tensor(value: onnx.ValueInfoProto, end: str) -> Tensor:
    """One end of the graph; ModelError for a type or shape that no image has."""
    kind = value.type.tensor_type
    if kind.elem_type not in (FLOAT, UINT8, INT8):
        name = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise ModelError(f"the model's {end} {value.name!r} is {name}; supported are FLOAT, UINT8 and INT8")
    sizes = [dimension.dim_value for dimension in kind.shape.dim]
    if len(sizes) < 2 or (end == "input" and 0 in sizes[1:]):
        raise ModelError(f"the model's {end} {value.name!r} has the sizes {sizes}; supported are a batch and after it sizes that are given")
    return Tensor(value.name, tuple(sizes[1:]), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
