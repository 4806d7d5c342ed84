"""A float model becomes an int8 one, by ONNX Runtime's static quantisation with the settings that suit the accelerator.

Activations are uint8 as a rule: behind a ReLU the zero point is then the type's lowest value, so that each zero is a zero of the
accelerator, and ONNX Runtime has integer kernels for them on every machine. Of int8 activations it makes uint8 ones on x86, and computes
in float32 where it cannot. Weights are int8 and symmetric, as the grid multiplies them, with a scale for each output channel.

On x86 processors without VNNI, ONNX Runtime's kernels add two products of uint8 and int8 in 16 bits, which saturate if weights reach
beyond +-64; the accelerator's sums never do. `reduce_range` keeps weights within, for outputs that can be compared on any machine.
Sources: ONNX Runtime's guide to quantisation; its pull request 12088, "x86/64 U8S8 Gemm Precision Fix".
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from skipgrid.golden import coded_bytes, sparsity

from ..network import ModelError
from .cut import Cut
from .graph import QUANTISED, first_line
from .model import End, batch_of, read_model
from .runtime import Reference
from .session import ask, opened

Tensors = Mapping[str, NDArray[Any]]
DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "ConvInteger", "MatMulInteger", "MatMulNBits")
OPSET = 13  # the first in which weights have a scale for each channel
EXPORT = "export it anew, with opset 17 and all sizes but the batch fixed"


@dataclass(frozen=True)
class FloatModel:
    """A model in float that ONNX Runtime can run.

    inputs: as it takes them. batch: how many images it takes at once: as many as it is fixed at, or 1.
    """

    path: Path
    proto: onnx.ModelProto
    inputs: tuple[End, ...]
    batch: int


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives calibration its images, batch by batch."""

    def __init__(self, given: Iterator[dict[str, NDArray[Any]]]) -> None:
        self._given = given

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, or None after the last."""
        return next(self._given, None)


def read_float_model(path: Path) -> FloatModel:
    """Read a model in float; OSError if it is not there, ModelError if it is none, is quantised, or cannot be run with fixed sizes."""
    proto = read_model(path)
    for node in proto.graph.node:
        if node.op_type in (*QUANTISED, *DYNAMIC) or node.op_type.startswith("QLinear"):
            raise ModelError(
                f"{path} is already quantised, as node {node.name or node.output[0]!r} ({node.op_type}) shows; `skipgrid run` takes it as"
                " it is, or quantise the float model that it was made of"
            )
    inputs = tuple(_end(each) for each in opened(path, path).get_inputs())
    if not inputs:
        raise ModelError(f"{path} has no input; supported are models that compute something of data")
    for each in inputs:
        if each.dtype.kind == "f" and each.dtype != np.float32:
            raise ModelError(f"the model's input {each.name!r} is {each.dtype}; supported are models in float32: export it as such")
    return FloatModel(path, proto, inputs, batch_of(inputs))


def quantise(
    model: FloatModel,
    images: Tensors,
    *,
    activations: Literal["uint8", "int8"] = "uint8",
    per_channel: bool = True,
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """The model in int8, in the QDQ format: its inputs and outputs stay as they are.

    images: for each input, from which the ranges of all activations are measured. activations: their type. per_channel: whether each
    output channel of a layer has a scale of its own. reduce_range: whether weights stay within 7 bits. ModelError if ONNX Runtime cannot
    quantise it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder, _silent():
            prepared, made = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
            _prepare(model, prepared)
            quantize_static(
                prepared,
                made,
                _Reader(given for given, _ in batches(images, model.batch)),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8 if activations == "uint8" else QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=per_channel,
                reduce_range=reduce_range,
                extra_options={"WeightSymmetric": True},
            )
            result = onnx.load(made)
    except OSError:
        raise
    except Exception as error:  # of the optimiser, of shape inference, of the quantiser: they have no class in common
        raise ModelError(
            f"ONNX Runtime {version('onnxruntime')} cannot quantise {model.path}: {first_line(error).rstrip('.')}; {EXPORT}"
        ) from error
    if not any(node.op_type in QUANTISED for node in result.graph.node):
        raise ModelError(f"{model.path} has no node that ONNX Runtime quantises; supported are models with a Conv, Gemm or MatMul")
    return result


def batches(tensors: Tensors, batch: int) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """Tensors in batches of one size, the last one filled up with its last image, and how many images of each count."""
    images = len(next(iter(tensors.values())))
    for first in range(0, images, batch):
        some = {name: tensor[first : first + batch] for name, tensor in tensors.items()}
        count = min(batch, images - first)
        yield {name: np.concatenate([tensor, tensor[-1:].repeat(batch - count, axis=0)]) for name, tensor in some.items()}, count


def scores(model: onnx.ModelProto | Path, path: Path, images: Tensors, batch: int) -> NDArray[Any] | None:
    """A model's output for each image and class (N, classes), by ONNX Runtime; None unless it has one output, of that shape.

    path: of the file that errors are about. batch: how many images the model takes at once. ModelError if ONNX Runtime fails.
    """
    session = opened(model, path)
    found = []
    for given, count in batches(images, batch):
        outputs = ask(session, path, given, None)
        if len(outputs) != 1 or outputs[0].ndim < 2 or outputs[0].size != batch * outputs[0].shape[1]:
            return None
        found.append(outputs[0].reshape(batch, -1)[:count])
    return np.concatenate(found)


def zeros_read(cut: Cut, images: Tensors) -> list[tuple[str, int, float]]:
    """Of each layer, in order: its name, how many values of an image it reads, and the mean share of zeros among them."""
    reference = Reference(cut)
    shares: list[list[float]] = [[] for _ in cut.layers]
    for given, count in batches(images, cut.model.batch):
        stored = reference.stored(given)
        for found, its in zip(cut.layers, shares, strict=True):
            its += [sparsity(coded_bytes(found.read(image), found.layer.x)) for image in stored[found.source][:count]]
    return [(found.layer.name, found.take.size, float(np.mean(its))) for found, its in zip(cut.layers, shares, strict=True)]


def saturates() -> bool:
    """Whether ONNX Runtime's sums of products of uint8 and int8 saturate on this machine: it is asked to add up the largest ones."""
    size = 64
    node = onnx.helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    weights = onnx.numpy_helper.from_array(np.full((size, size), 127, np.int8), "w")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, (size, size))
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, (size, size))
    graph = onnx.helper.make_graph([node], "largest", [x], [y], [weights])
    asked = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    name = Path("largest.onnx")
    (sums,) = ask(opened(asked, name), name, {"x": np.full((size, size), 255, np.uint8)}, None)
    return bool((sums != size * 255 * 127).any())


def _prepare(model: FloatModel, target: Path) -> None:
    """Fold constants and batch normalisation, make a Gemm of a MatMul and its Add, and infer all shapes."""
    source = target.with_name("float.onnx")  # in one file, wherever its weights were
    opset = next((each.version for each in model.proto.opset_import if each.domain in ("", "ai.onnx")), 1)
    onnx.save(model.proto if opset >= OPSET else onnx.version_converter.convert_version(model.proto, OPSET), source)
    try:
        quant_pre_process(source, target)
    except Exception:  # sympy is missing, or does not get through this model: the shapes that ONNX infers do for most
        quant_pre_process(source, target, skip_symbolic_shape=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Where what the tools and their sessions log is not shown; what matters of it is in their exceptions."""
    before = logging.root.manager.disable
    logging.disable()
    onnxruntime.set_default_logger_severity(4)  # fatal errors alone
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # warnings, as at the beginning
        logging.disable(before)


def _end(value: Any) -> End:
    """An input as ONNX Runtime's session describes it, such as tensor(float)."""
    names = {"float": "float32", "double": "float64"}
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype(names.get(kind, kind))
    except TypeError as error:
        raise ModelError(f"the model's input {value.name!r} is {value.type}; supported are tensors of numbers") from error
    return End(value.name, tuple(size if isinstance(size, int) else None for size in value.shape), dtype)
