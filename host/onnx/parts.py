"""A part of a model as a model of its own, which ONNX Runtime runs on the host.

It has to choose the same kernels for the part as for these nodes in the whole model. It joins nodes only where nothing else reads what is
between them; so what has readers in other parts or in layers too has another one in the part, a Cast that nobody asks for. On x86, it has
fewer kernels for int8 than for uint8, and makes uint8 of a tensor between one QuantizeLinear and one DequantizeLinear, but not at a
model's ends. Where a part begins or ends at such a tensor, the same is done here.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .graph import PAIR, UINT8, Node
from .model import Model
from .session import ask, opened

SIGN = np.uint8(128)  # what an int8 code and its uint8 one differ in


class Part:
    """All that lies between some tensors that are at hand and some that are wanted.

    inputs: of the tensors at hand, those that are read. outputs: what is wanted. shifted: those of both that are int8, but uint8 in the
    part's own model. held: what other nodes read too.
    """

    def __init__(self, model: Model, at_hand: Collection[str], outputs: list[str]) -> None:
        self.outputs = outputs
        self.model = model
        protos, self.inputs = _between(model, at_hand, outputs)
        self.shifted = {name for name in (*self.inputs, *outputs) if _in_one_pair(model, name)}
        self.protos = [_shifted(proto, self.shifted) for proto in protos]
        self.held = _held(model, protos, outputs)
        self._session = None

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs for tensors at hand, each with the whole batch."""
        if self._session is None:
            self._session = opened(self.proto(), self.model.path)
        given = {name: tensors[name].view(np.uint8) ^ SIGN if name in self.shifted else tensors[name] for name in self.inputs}
        results = dict(zip(self.outputs, ask(self._session, self.model.path, given, self.outputs), strict=True))
        return {name: (tensor ^ SIGN).view(np.int8) if name in self.shifted else tensor for name, tensor in results.items()}

    def proto(self) -> onnx.ModelProto:
        """The part as a model."""
        whole = self.model.proto
        part = onnx.ModelProto(ir_version=whole.ir_version, opset_import=whole.opset_import, functions=whole.functions)
        part.graph.name = whole.graph.name or "part"
        part.graph.node.extend(self.protos)
        used = {name for proto in self.protos for name in Node(proto, {}).reads} | set(self.outputs)
        part.graph.initializer.extend(each for each in whole.graph.initializer if each.name in used)
        for name in self.shifted:
            zero_point = self.model.maker[name].plain(2, "zero point").view(np.uint8) ^ SIGN
            part.graph.initializer.append(onnx.numpy_helper.from_array(zero_point, _zero_point_of(name)))
        for name in self.inputs:
            kind = UINT8 if name in self.shifted else onnx.helper.np_dtype_to_tensor_dtype(self.model.dtypes[name])
            size = [None if self.model.varies(name) else each for each in self.model.sizes[name]]
            part.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, size))
        part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs)
        for name in self.held:
            reader = f"{name} is read"
            part.graph.node.append(onnx.helper.make_node("Cast", [name], [reader], reader, to=onnx.TensorProto.BOOL))
            part.graph.output.append(onnx.ValueInfoProto(name=reader))
        return part


def _between(model: Model, at_hand: Collection[str], outputs: list[str]) -> tuple[list[onnx.NodeProto], list[str]]:
    """The nodes on the way from tensors at hand to outputs, in order, and which of these tensors they read."""
    wanted = set(outputs)
    protos, inputs = [], []
    for proto in reversed(model.proto.graph.node):
        if wanted.intersection(proto.output):
            protos.append(proto)
            wanted.update(name for name in Node(proto, {}).reads if name not in at_hand)
            inputs += [name for name in Node(proto, {}).reads if name in at_hand]
    return protos[::-1], list(dict.fromkeys(inputs[::-1]))


def _in_one_pair(model: Model, tensor: str) -> bool:
    """Whether an int8 tensor lies between a QuantizeLinear and a DequantizeLinear with one reader, and nothing else reads it."""
    maker, readers = model.maker.get(tensor), model.all_readers[tensor]
    if model.dtypes.get(tensor) != np.int8 or maker is None or [maker.operator, *(each.operator for each in readers)] != [*PAIR]:
        return False
    (reader,) = readers
    if any(not each.is_constant(2) or "output_dtype" in each.attributes for each in (maker, reader)):
        return False
    edges = [name for node in model.all_readers[reader.outputs[0]] for name in node.reads if name == reader.outputs[0]]
    return len(edges) == 1 and not {tensor, reader.outputs[0]}.intersection(end.name for end in model.outputs)


def _zero_point_of(tensor: str) -> str:
    return f"{tensor} zero point"


def _shifted(proto: onnx.NodeProto, shifted: Collection[str]) -> onnx.NodeProto:
    """A node as it is with uint8 instead of int8 tensors: QuantizeLinear and DequantizeLinear have another zero point."""
    tensor = proto.output[0] if proto.op_type == "QuantizeLinear" else proto.input[0] if proto.op_type == "DequantizeLinear" else ""
    if tensor not in shifted:
        return proto
    changed = onnx.NodeProto()
    changed.CopyFrom(proto)
    changed.input[2] = _zero_point_of(tensor)
    return changed


def _held(model: Model, protos: list[onnx.NodeProto], outputs: list[str]) -> list[str]:
    """Of the tensors of numbers that a part makes, those that other nodes read too: all but what layers and other parts ask for."""
    made = [name for proto in protos for name in proto.output if name in model.dtypes and model.dtypes[name].kind in "biuf"]
    own = {name for proto in protos for name in proto.output if name}
    ends = set(outputs).difference(end.name for end in model.outputs)
    return [name for name in made if name not in ends and not all(own.intersection(node.outputs) for node in model.all_readers[name])]
