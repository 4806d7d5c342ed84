"""A part of a model as a model of its own, which ONNX Runtime runs on the host."""

from collections.abc import Collection, Mapping
from typing import Any

import onnx
from numpy.typing import NDArray

from .graph import Node
from .model import Model
from .session import ask, opened


class Part:
    """All that lies between some tensors that are at hand and some that are wanted.

    inputs: of the tensors at hand, those that are read. outputs: what is wanted. names: of its nodes.
    """

    def __init__(self, model: Model, at_hand: Collection[str], outputs: list[str]) -> None:
        self.outputs = outputs
        self.model = model
        self.protos, self.inputs = _between(model, at_hand, outputs)
        self._session = None

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs for tensors at hand, each with the whole batch."""
        if self._session is None:
            self._session = opened(self.proto(), self.model.path)
        given = {name: tensors[name] for name in self.inputs}
        return dict(zip(self.outputs, ask(self._session, self.model.path, given, self.outputs), strict=True))

    def proto(self) -> onnx.ModelProto:
        """The part as a model."""
        whole = self.model.proto
        part = onnx.ModelProto(ir_version=whole.ir_version, opset_import=whole.opset_import, functions=whole.functions)
        part.graph.name = whole.graph.name or "part"
        part.graph.node.extend(self.protos)
        used = {name for proto in self.protos for name in Node(proto, {}).reads} | set(self.outputs)
        part.graph.initializer.extend(each for each in whole.graph.initializer if each.name in used)
        for name in self.inputs:
            kind = onnx.helper.np_dtype_to_tensor_dtype(self.model.dtypes[name])
            part.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, self.model.sizes[name]))
        part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs)
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
