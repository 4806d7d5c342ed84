"""Tensors whose size depends on what a model is given, as after NonZero: no layer can read them."""

import onnx

from .graph import Node

OF_VALUES = ("Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "Scan", "SequenceAt", "StringSplit", "Unique")
BY_AN_INPUT = (
    "CenterCropPad",
    "ConstantOfShape",
    "Expand",
    "MaxUnpool",
    "OneHot",
    "Pad",
    "Range",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "SplitToSequence",
    "Squeeze",
    "Tile",
    "TopK",
    "Unsqueeze",
    "Upsample",
)  # an input that is not constant says how large their output is


class Varying:
    """Finds those tensors, while the nodes of a model are gone over in order."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.names: set[str] = set()
        self._model = model
        self._fixed: set[str] | None = None

    def add(self, node: Node) -> None:
        """Note the outputs of a node, those before it being known."""
        first = 0 if node.operator in ("ConstantOfShape", "Range") else 1
        given = [index for index in range(first, len(node.inputs)) if node.has(index)]
        by_input = node.operator in BY_AN_INPUT and not all(map(node.is_constant, given))
        if by_input or node.operator in OF_VALUES or not self.names.isdisjoint(node.reads):
            self.names.update(name for name in node.outputs if name and name not in self._known())

    def _known(self) -> set[str]:
        """The tensors whose size, but for the batch, ONNX finds to be the same whatever is given."""
        if self._fixed is None:
            try:
                graph = onnx.shape_inference.infer_shapes(self._model, data_prop=True).graph
            except Exception:  # it is larger than a protocol buffer, or has operators that ONNX knows not
                return set()
            batches = {value.type.tensor_type.shape.dim[0].dim_param for value in graph.input if value.type.tensor_type.shape.dim}
            self._fixed = {value.name for value in [*graph.value_info, *graph.output] if _is_fixed(value, batches)}
        return self._fixed


def _is_fixed(value: onnx.ValueInfoProto, batches: set[str]) -> bool:
    """Whether all sizes of a tensor are known; the first one may be the batch."""
    kind = value.type.tensor_type
    sizes = [each.HasField("dim_value") or (not place and each.dim_param in batches - {""}) for place, each in enumerate(kind.shape.dim)]
    return kind.HasField("shape") and all(sizes)
