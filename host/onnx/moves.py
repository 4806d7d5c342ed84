"""Nodes that only move elements: where each element of their output comes from, found by moving the elements' numbers.

ONNX Runtime itself moves them, so that no operator's rules are written down here a second time.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from .graph import Node
from .model import Model
from .session import ask, opened

MOVES = (
    "DepthToSpace",
    "Dropout",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Expand",
)
EXACT = 1 << 24  # numbers that float32 holds


def is_move(node: Node) -> bool:
    """Whether a node has one input that is not constant, and gives elements of it as they are."""
    if node.operator not in MOVES and not (node.operator == "Resize" and _nearest(node)):
        return False
    return not node.is_constant(0) and all(node.is_constant(index) for index in range(1, len(node.inputs)) if node.has(index))


def moved(model: Model, node: Node, index: NDArray[np.intp], output: str) -> NDArray[np.intp] | None:
    """An image's elements by their numbers, without the batch, behind a node that moves them; None if it mixes images.

    index: the numbers before it. output: the node's, of which there may be several.
    """
    put = model.sizes[node.inputs[0]]
    if put[0] != model.batch or model.sizes[output][0] != model.batch or np.prod(put) >= EXACT:
        return None
    numbers = np.arange(np.prod(put), dtype=np.float32).reshape(put)
    single = onnx.ModelProto(ir_version=model.proto.ir_version, opset_import=model.proto.opset_import)
    single.graph.name = "move"
    single.graph.node.append(node.proto)
    single.graph.input.append(onnx.helper.make_tensor_value_info(node.inputs[0], onnx.TensorProto.FLOAT, put))
    for name in filter(None, node.inputs[1:]):
        single.graph.initializer.append(onnx.numpy_helper.from_array(model.constants[name].values, name))
    single.graph.output.append(onnx.ValueInfoProto(name=output))
    places = ask(opened(single, model.path), model.path, {node.inputs[0]: numbers}, [output])[0].astype(np.intp)
    size = int(np.prod(put[1:]))
    if any(not np.array_equal(places[image], places[0] + image * size) for image in range(model.batch)):
        return None
    return np.asarray(index.reshape(-1)[places[0]])


def _nearest(node: Node) -> bool:
    return (
        node.attributes.get("mode", b"nearest") == b"nearest"
        and node.attributes.get("coordinate_transformation_mode") != b"tf_crop_and_resize"
    )
