"""An ONNX file as a graph: nodes in order, constants and sizes at hand, whatever of it can run on the accelerator."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from ..network import ModelError
from .faults import graph_faults, scale_faults
from .graph import INT8, QUANTISE, QUANTISED, UINT8, Constant, Node, first_line
from .pairs import join_pairs
from .session import ask, opened
from .varying import Varying

CODES = (np.dtype(np.uint8), np.dtype(np.int8))
DRAWN = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")  # never constant
FOLDED_BYTES = 1 << 28  # of a constant that is computed before the model runs


@dataclass(frozen=True)
class End:
    """An input or output of a model. shape: with the batch, which is None where the model takes any."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]

    @property
    def of_image(self) -> tuple[int, ...]:
        """The shape without the batch, of which all is known."""
        return tuple(size or 0 for size in self.shape[1:])


class Model:
    """A model that ONNX Runtime can run; ModelError says why a file is none. quantised: whether one that is not quantised is refused.

    batch: how many images it takes at once: as many as it is fixed at, or 1.
    nodes: those that an output depends on, in an order in which each comes behind what it reads; none whose result is constant.
    every_node: those too that no output depends on.
    constants: every constant tensor by name. sizes: of every other tensor and of the outputs, with the batch. dtypes: likewise.
    readers: of each tensor, the nodes that read it; all_readers: those too that no output depends on, which ONNX Runtime keeps.
    maker: of each tensor, the node that gives it.
    """

    def __init__(self, path: Path, *, quantised: bool = True) -> None:
        self.path = path
        self.proto = read_model(path)
        if quantised:
            _check_quantised(self.proto, path)
        graph = self.proto.graph
        _name(graph)
        join_pairs(self.proto, path)
        self.opset = next((each.version for each in self.proto.opset_import if each.domain in ("", "ai.onnx")), 1)
        self.constants = {tensor.name: Constant(_values(tensor, path)) for tensor in graph.initializer}
        self.inputs = tuple(_end(value, "input") for value in graph.input if value.name not in self.constants)
        self.outputs = tuple(_end(value, "output") for value in graph.output)
        if not self.inputs:
            raise ModelError(f"{path} has no input; supported are models that compute something of data")
        if not self.outputs:
            raise ModelError(f"{path} has no output; supported are models that say what they compute")
        self.batch = batch_of(self.inputs)
        self.sizes, self.dtypes = self._sizes()
        self._varying = Varying(self.proto)
        self.every_node = tuple(self._fold())
        if wrong := scale_faults(graph, self.constants):
            raise ModelError(f"{path}: {'; '.join(wrong)}; supported are positive numbers: quantise it anew, with images that differ")
        for end in self.outputs:
            if end.name in self.constants:
                values = self.constants[end.name].values
                self.sizes.setdefault(end.name, values.shape)
                self.dtypes.setdefault(end.name, values.dtype)
        self.nodes = tuple(self._live(self.every_node))
        self.readers, self.all_readers = _readers(self.nodes), _readers(self.every_node)
        self.maker = {name: node for node in self.nodes for name in node.outputs if name}

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.path.stem

    def varies(self, tensor: str) -> bool:
        """Whether the size of a tensor depends on what the model is given."""
        return tensor in self._varying.names

    def is_code(self, tensor: str) -> bool:
        """Whether a tensor has 8 bits, and is no constant."""
        return self.dtypes.get(tensor) in CODES and tensor not in self.constants

    def _sizes(self) -> tuple[dict[str, tuple[int, ...]], dict[str, np.dtype[Any]]]:
        """Shape and type of each tensor that a node gives, as ONNX Runtime finds them: it runs once, over zeros."""
        dtypes = {end.name: end.dtype for end in self.inputs}
        zeros = {end.name: np.zeros((self.batch, *end.of_image), end.dtype) for end in self.inputs}
        sizes = {name: values.shape for name, values in zeros.items()}
        names = [name for proto in self.proto.graph.node for name in proto.output if name]
        if not names:
            return sizes, dtypes
        exposed = onnx.ModelProto()
        exposed.CopyFrom(self.proto)
        known = {value.name for value in exposed.graph.output}
        exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        results = ask(opened(exposed, self.path, options), self.path, zeros, names)
        for name, values in zip(names, results, strict=True):
            if isinstance(values, np.ndarray):
                sizes[name], dtypes[name] = values.shape, values.dtype
        return sizes, dtypes

    def _fold(self) -> Iterator[Node]:
        """All nodes but those whose result is constant, which goes to `constants`."""
        for proto in self.proto.graph.node:
            node = Node(proto, self.constants)
            self._varying.add(node)
            if node.operator == "Shape" and node.inputs[0] in self.sizes and not self.varies(node.inputs[0]):
                size = np.array(self.sizes[node.inputs[0]], np.int64)
                self.constants[node.outputs[0]] = Constant(size[node.attributes.get("start", 0) : node.attributes.get("end", len(size))])
            else:
                constant = all(name in self.constants for name in node.reads)
                if not constant or node.operator in DRAWN or not self._folded(node, proto):
                    yield node

    def _folded(self, node: Node, proto: onnx.NodeProto) -> bool:
        """Whether the result of a node whose inputs are constant is kept."""
        put = self.constants.get(node.inputs[0]) if node.inputs else None
        if node.operator == "DequantizeLinear":
            if put is None or put.scale is not None or node.attributes.get("block_size", 0):
                return False
            values, scale = put.values, node.plain(1, "scale")
            zero_point = node.plain(2, "zero point") if node.has(2) else np.zeros(1, values.dtype)
            axis = node.attributes.get("axis", 1) % max(values.ndim, 1) if scale.size > 1 else 0
            self.constants[node.outputs[0]] = Constant(values, scale, zero_point, axis)
            return True
        if put is not None and put.scale is not None:
            moved = _moved(node, put)
            if moved is not None:
                self.constants[node.outputs[0]] = moved
            return moved is not None
        given = [self.constants[name] for name in dict.fromkeys(node.reads)]
        if any(each.scale is not None for each in given) or sum(each.values.nbytes for each in given) > FOLDED_BYTES:
            return False
        whole = self.proto
        single = onnx.ModelProto(ir_version=whole.ir_version, opset_import=whole.opset_import, functions=whole.functions)
        single.graph.name = "constant"
        single.graph.node.append(proto)
        for name in dict.fromkeys(node.reads):
            single.graph.initializer.append(onnx.numpy_helper.from_array(self.constants[name].values, name))
        single.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.outputs if name)
        results = ask(opened(single, self.path), self.path, {}, None)
        if not all(isinstance(values, np.ndarray) for values in results):  # but sequences
            return False
        self.constants.update({name: Constant(values) for name, values in zip(filter(None, node.outputs), results, strict=True)})
        return True

    def _live(self, nodes: Sequence[Node]) -> list[Node]:
        """Of some nodes, in order, those that an output depends on."""
        wanted = {end.name for end in self.outputs}
        live = []
        for node in reversed(nodes):
            if wanted.intersection(node.outputs):
                wanted.update(node.reads)
                live.append(node)
        return live[::-1]


def batch_of(inputs: Sequence[End]) -> int:
    """Images at once, for a model with these inputs; ModelError if sizes other than the batch are open, or if inputs differ in it."""
    single = [repr(each.name) for each in inputs if not each.shape]
    if single:
        raise ModelError(f"the model's input {' and '.join(single)} is a single number; supported are tensors with a batch")
    open_ends = [each for each in inputs if None in each.shape[1:]]
    if open_ends:
        sizes = {each.name: ", ".join("?" if size is None else str(size) for size in each.shape) for each in open_ends}
        listed = " and ".join(f"{name!r} is ({shape})" for name, shape in sizes.items())
        raise ModelError(
            f"the model's input {listed}; only the batch may be left open: fix the other sizes with"
            f" python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {open_ends[0].name} --input_shape SIZES IN.onnx OUT.onnx"
        )
    found = {each.shape[0]: each.name for each in inputs}
    fixed = {size: name for size, name in found.items() if size is not None}
    if len(fixed) > 1:
        listed = " and ".join(f"{name!r} takes {size}" for size, name in fixed.items())
        raise ModelError(f"the model's inputs differ in their batch: {listed}; supported is one batch for all")
    return next(iter(fixed), 1)


def read_model(path: Path) -> onnx.ModelProto:
    """The file, whatever its numbers are; OSError if it is not there, ModelError if it is no ONNX model."""
    try:
        model = onnx.load(path)
        faults = graph_faults(model)
        if not faults:
            _check(model, path)
            _write_out(model.graph)
    except OSError:
        raise
    except Exception as error:  # of protocol buffers, of the checker, of external data: a damaged file can meet any of them
        raise ModelError(
            f"{path} is not a valid ONNX model: {first_line(error).rstrip('.')}; export it anew, or copy it with all its files"
        ) from error
    if faults:
        raise ModelError(f"{path} cannot be run: {'; '.join(faults)}")
    for proto in model.graph.node:
        texts = (proto.name, proto.op_type, proto.domain, *proto.input, *proto.output)
        if wrong := [text for text in texts if not isinstance(text, str)]:
            raise ModelError(f"{path} is not a valid ONNX model: the name {wrong[0]!r} is not in UTF-8")
    return model


def _check(model: onnx.ModelProto, path: Path) -> None:
    """An exception of ONNX's checker about the file; outputs without a shape, which ONNX Runtime takes, are none for it."""
    if model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF:
        onnx.checker.check_model(str(path))
        return
    kinds = [value.type.tensor_type for value in model.graph.output if value.type.HasField("tensor_type")]
    open_kinds = [kind for kind in kinds if not kind.HasField("shape")]
    for kind in open_kinds:
        kind.shape.SetInParent()
    onnx.checker.check_model(model)
    for kind in open_kinds:
        kind.ClearField("shape")


def _write_out(graph: onnx.GraphProto) -> None:
    """Make plain initializers of sparse ones: their places are numbers of elements, or indices along each axis."""
    for sparse in graph.sparse_initializer:
        values, places = onnx.numpy_helper.to_array(sparse.values), onnx.numpy_helper.to_array(sparse.indices)
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        dense[np.unravel_index(places, dense.shape) if places.ndim == 1 else tuple(places.T)] = values
        graph.initializer.append(onnx.numpy_helper.from_array(dense, sparse.values.name))
    del graph.sparse_initializer[:]


def _check_quantised(model: onnx.ModelProto, path: Path) -> None:
    """ModelError unless a model has operators that quantisers write, or an input of 8 bits."""
    operators = Counter(proto.op_type for proto in model.graph.node)
    if operators["DynamicQuantizeLinear"]:
        raise ModelError(f"{path} is quantised dynamically, so that its scales are not known before it runs; {QUANTISE}")
    codes = any(value.type.tensor_type.elem_type in (UINT8, INT8) for value in model.graph.input)
    if not codes and not any(operators[name] for name in QUANTISED):
        raise ModelError(f"{path} is not quantised, but a model in float; {QUANTISE}")


def _readers(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for name in dict.fromkeys(node.reads):
            found[name].append(node)
    return found


def _name(graph: onnx.GraphProto) -> None:
    """Give nodes without a name that of the first tensor they give, so that each has a name of its own; ONNX Runtime refuses two alike."""
    taken = {proto.name for proto in graph.node}
    for proto in graph.node:
        if not proto.name:
            name = next(filter(None, proto.output), proto.op_type)
            while name in taken:
                name += "_"
            proto.name = name
            taken.add(name)


def _values(tensor: onnx.TensorProto, path: Path) -> NDArray[Any]:
    """A tensor's values; ModelError if the file is damaged."""
    try:
        return onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # of what is written in too few bytes, or has a type that is none
        raise ModelError(f"{path} is not a valid ONNX model: tensor {tensor.name!r} cannot be read: {first_line(error)}") from error


def _end(value: onnx.ValueInfoProto, what: str) -> End:
    kind = value.type.tensor_type
    if kind.elem_type not in onnx.TensorProto.DataType.values() or not kind.elem_type:
        raise ModelError(f"the model's {what} {value.name!r} is no tensor; supported are tensors")
    # A size below 0 is how some write that it is open.
    known = [dimension.HasField("dim_value") and dimension.dim_value >= 0 for dimension in kind.shape.dim]
    sizes = [dimension.dim_value if fixed else None for dimension, fixed in zip(kind.shape.dim, known, strict=True)]
    return End(value.name, tuple(sizes), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))


def _moved(node: Node, constant: Constant) -> Constant | None:
    """A quantised constant behind a node that only moves it; None if the node does more."""
    values, axis = constant.values, constant.axis
    single = constant.scale is None or constant.scale.size == 1
    if node.operator == "Identity":
        return constant
    if node.operator == "Transpose":
        order = list(node.attributes.get("perm", range(values.ndim)[::-1]))
        return Constant(values.transpose(order), constant.scale, constant.zero_point, 0 if single else order.index(axis))
    if node.operator == "Reshape" and single:
        target = [int(size) for size in node.plain(1, "shape").ravel()]
        target = [values.shape[place] if size == 0 else size for place, size in enumerate(target)]
        return Constant(values.reshape(target), constant.scale, constant.zero_point, 0)
    return None
