"""ONNX nodes with their constants at hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import onnx
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Dtype

from ..network import ModelError

FLOAT, UINT8, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT8
CONTRIBUTED = (
    "com.microsoft",
    ("QGemm", "QLinearGlobalAveragePool", "QuantizeLinear", "DequantizeLinear"),
)  # ONNX Runtime's own, and which of them are read
PAIR = ("QuantizeLinear", "DequantizeLinear")  # from floats to 8 bits, and back
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QGemm", "QLinearMatMul")  # a quantised model has one of these
QUANTISE = "quantise it with `skipgrid quantise FLOAT.onnx --calibrate DATA.npz -o INT8.onnx`"


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
        self.proto = proto
        self.operator = proto.op_type if known else f"{proto.domain}::{proto.op_type}"
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        self.name = proto.name
        self.attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
        self._constants = constants

    def __str__(self) -> str:
        return f"{self.name!r} ({self.operator})"

    @property
    def reads(self) -> list[str]:
        """The tensors that it reads, those too that only its subgraphs name."""
        return list(reads(self.proto))

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
        return np.float32(value.item())

    def activation(self, index: int, what: str, default: Dtype) -> Activation:
        """How a tensor of activations is held, from its constant zero point; without one it is 0, of the default type."""
        if not self.has(index):
            return Activation(default)
        value = self.plain(index, f"{what} zero point")
        if value.dtype not in (np.uint8, np.int8) or value.size != 1:
            self.refuse(f"the {what} must be uint8 or int8 with one zero point; here that is {value.dtype} of shape {value.shape}")
        return Activation("uint8" if value.dtype == np.uint8 else "int8", int(value.item()))


def reads(proto: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node reads, those too that only its subgraphs name."""
    yield from filter(None, proto.input)
    for attribute in proto.attribute:
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            read = [name for inner in graph.node for name in reads(inner)] + [value.name for value in graph.output]
            yield from (name for name in read if name not in own)


def first_line(error: Exception) -> str:
    """What an exception of another package says, in one line: that names itself and its reason, and the next one behind a colon."""
    first, *others = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first.rstrip()} {others[0].strip()}" if first.rstrip().endswith(":") and others else first
