"""What is wrong with a model's graph, all of it at once: ONNX's checker and ONNX Runtime name the first fault alone, and often no node."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx

from .graph import Constant, reads

HELD = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")  # domains whose operators ONNX Runtime may have
STANDARD = HELD[:2]
SCALES = {
    "QuantizeLinear": (1,),
    "DequantizeLinear": (1,),
    "QLinearConv": (1, 4, 6),
    "QLinearMatMul": (1, 4, 6),
    "QLinearAdd": (1, 4, 6),
    "QLinearMul": (1, 4, 6),
    "QGemm": (1, 4, 7),
    "QLinearAveragePool": (1, 3),
    "QLinearGlobalAveragePool": (1, 3),
    "QLinearLeakyRelu": (1, 3),
    "QLinearSigmoid": (1, 3),
    "QLinearSoftmax": (1, 3),
}  # by operator, the numbers of the inputs that are scales
NAMED = 8  # nodes of one fault


def graph_faults(model: onnx.ModelProto) -> list[str]:
    """What is wrong and what to do, for each fault.

    Operators that nobody has, inputs without a shape, tensors that nobody gives, or two, and nodes that wait for each other.
    """
    return [*_operators(model), *_shapeless(model.graph), *_dangling(model.graph), *_circles(model.graph)]


def scale_faults(graph: onnx.GraphProto, constants: Mapping[str, Constant]) -> list[str]:
    """Constant scales that are no positive numbers: each value, and the nodes that have it."""
    found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for proto in graph.node:
        scales = [name for number, name in enumerate(proto.input) if number in SCALES.get(proto.op_type, ())]
        values = np.concatenate([constants[name].values.reshape(-1) for name in scales if name in constants] or [np.ones(1)])
        for value in dict.fromkeys(f"{wrong:.6g}" for wrong in values[~((values > 0) & (values < np.inf))]):
            found[value].append(proto)
    return [f"a scale is {value} in {_listed(nodes)}" for value, nodes in found.items()]


def _operators(model: onnx.ModelProto) -> Iterator[str]:
    """Those that neither ONNX Runtime nor the model has, and those that ONNX has at other opsets."""
    opset = next((each.version for each in model.opset_import if each.domain in STANDARD), 1)
    own = {(function.domain, function.name) for function in model.functions}
    nowhere: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    elsewhere: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for proto in _every_node(model.graph):
        if (proto.domain, proto.op_type) in own:
            continue
        if proto.domain not in HELD:
            nowhere[f"{proto.domain}::{proto.op_type}"].append(proto)
        elif proto.domain in STANDARD and not onnx.defs.has(proto.op_type):
            nowhere[proto.op_type].append(proto)
        elif proto.domain in STANDARD and not _defined(proto.op_type, opset):
            elsewhere[proto.op_type].append(proto)
    if nowhere:
        yield f"ONNX Runtime has no {_of_nodes(nowhere)}: write the model with operators of ONNX, or with functions in it"
    if elsewhere:
        yield f"opset {opset} of ONNX has no {_of_nodes(elsewhere)}: write the model with another opset, such as 17"


def _shapeless(graph: onnx.GraphProto) -> Iterator[str]:
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in constants and value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            yield f"the input {value.name!r} has no shape: give it one, of which the batch alone may be open"


def _dangling(graph: onnx.GraphProto) -> Iterator[str]:
    """Tensors that two nodes give, and tensors that are read, or are outputs, and that nothing gives."""
    makers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for proto in graph.node:
        for name in filter(None, proto.output):
            makers[name].append(proto)
    for name, nodes in makers.items():
        if len(nodes) > 1:
            yield f"{name!r} is given by {_listed(nodes)}: give each a name of its own"
    given = makers.keys() | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    given |= {tensor.values.name for tensor in graph.sparse_initializer}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for proto in graph.node:
        for name in dict.fromkeys(reads(proto)):
            if name not in given:
                readers[name].append(proto)
    for name, nodes in readers.items():
        yield f"nothing gives {name!r}, which is read by {_listed(nodes)}: mend the name, or export the model anew"
    for value in graph.output:
        if value.name not in given:
            yield f"nothing gives the output {value.name!r}: mend the name, or export the model anew"


def _circles(graph: onnx.GraphProto) -> Iterator[str]:
    """Nodes that wait for what comes of them: those that are left when all that can be computed is, and all that nobody waits for."""
    read = [frozenset(reads(proto)) for proto in graph.node]
    left = _stuck(list(range(len(read))), read, [frozenset(proto.output) for proto in graph.node])
    left = _stuck(left[::-1], [frozenset(proto.output) for proto in graph.node], read)[::-1]
    if left:
        yield f"a circle of nodes, of which each waits for another one, has {_listed([graph.node[number] for number in left])}: break it"


def _stuck(nodes: list[int], needs: Sequence[frozenset[str]], gives: Sequence[frozenset[str]]) -> list[int]:
    """Of some nodes, those that are never reached, where each is reached once none of the others gives what it needs."""
    while True:
        waiting = Counter(name for number in nodes for name in gives[number])
        left = []
        for number in nodes:
            if any(waiting[name] for name in needs[number]):
                left.append(number)
            else:
                waiting.subtract(gives[number])
        if len(left) == len(nodes):
            return left
        nodes = left


def _every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Those of subgraphs too."""
    for proto in graph.node:
        yield proto
        for attribute in proto.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _every_node(inner)


def _defined(operator: str, opset: int) -> bool:
    try:
        onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError:
        return False
    return True


def _of_nodes(operators: dict[str, list[onnx.NodeProto]]) -> str:
    return ", ".join(f"{operator} ({_listed(nodes)})" for operator, nodes in operators.items())


def _listed(nodes: Sequence[onnx.NodeProto]) -> str:
    """Nodes by their names, or by what they give; of many, the first ones."""
    names = [repr(proto.name or next(filter(None, proto.output), "")) for proto in nodes]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return f"node{'s' * (len(names) > 1)} {', '.join(names[:NAMED] + more)}"
