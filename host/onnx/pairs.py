"""Two roundings to 8 bits behind each other, as converters from TensorFlow Lite write them: ONNX Runtime makes them one, with other steps.

Of QuantizeLinear - DequantizeLinear - QuantizeLinear - DequantizeLinear it keeps the first node and the last one, with a scale and a zero
point for what both pairs can hold. The numbers are other ones than those that the model says, so that they are asked for.
"""

from collections import defaultdict
from pathlib import Path

import onnx
import onnxruntime

from .graph import PAIR
from .session import optimised

PASSED = (*PAIR, "Identity", "Dropout")  # all that may lie between the first and the last


def join_pairs(model: onnx.ModelProto, path: Path) -> None:
    """Write those pairs as one that ONNX Runtime makes one of, in the model itself. Nodes have names."""
    graph = model.graph
    ends = {value.name for value in graph.output}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)

    def chain(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes of pairs behind a node, each the only reader of the one before it; none but the last gives an output of the model."""
        found: list[onnx.NodeProto] = []
        while len(after := readers[node.output[0]]) == 1 and after[0].op_type in PASSED and after[0].input[0] == node.output[0]:
            found += after
            node = after[0]
            if node.output[0] in ends:
                break
        return found

    chains = [(node, chain(node)) for node in graph.node if node.op_type == PAIR[0] and node.output[0] not in ends]
    chains = [(node, after) for node, after in chains if sum(each.op_type in PAIR for each in after) > 2]
    if not chains:
        return
    made = optimised(model, path, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC)
    nodes = {node.name: node for node in made.node}
    constants = {tensor.name: tensor for tensor in made.initializer}
    known = {tensor.name for tensor in graph.initializer}
    left_out: set[str] = set()
    for first, after in chains:
        number = next((number for number, node in enumerate(after) if node.name in nodes), 0)
        last = after[number]
        if not number or first.name not in nodes or nodes[last.name].input[0] != nodes[first.name].output[0]:
            continue
        left_out.update(node.name for node in after[:number])
        for node, inputs in ((first, [first.input[0]]), (last, [first.output[0]])):
            del node.input[:]
            node.input.extend([*inputs, *nodes[node.name].input[1:]])
            new = [name for name in node.input[1:] if name not in known]
            graph.initializer.extend(constants[name] for name in new)
            known.update(new)
    kept = [node for node in graph.node if node.name not in left_out]
    del graph.node[:]
    graph.node.extend(kept)
