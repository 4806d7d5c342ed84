"""ONNX Runtime's sessions, whose exceptions become sentences."""

import re
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from numpy.typing import NDArray

from ..network import ModelError
from .graph import first_line

EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # the next one is layouts alone


def opened(model: onnx.ModelProto | Path, path: Path, options: onnxruntime.SessionOptions | None = None) -> onnxruntime.InferenceSession:
    """ONNX Runtime's session of a model, or of a part of one; ModelError, about the file at `path`, if it takes it not."""
    options = options or onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        if isinstance(model, Path):
            return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        if model.ByteSize() < onnx.checker.MAXIMUM_PROTOBUF:
            return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
            file = Path(folder) / "model.onnx"
            onnx.save(model, file, save_as_external_data=True)
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's have no class of their own in common
        raise failure(path, error) from error


def ask(
    session: onnxruntime.InferenceSession, path: Path, given: Mapping[str, NDArray[Any]], names: list[str] | None
) -> list[NDArray[Any]]:
    """What a session answers; ModelError, about the file at `path`, if it fails."""
    try:
        return list(session.run(names, dict(given)))
    except Exception as error:  # as above
        raise failure(path, error) from error


def optimised(model: onnx.ModelProto, path: Path, level: onnxruntime.GraphOptimizationLevel) -> onnx.GraphProto:
    """What ONNX Runtime makes of a model before it runs it, with all that belongs to a level."""
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        opened(model, path, options)
        return onnx.load(options.optimized_model_filepath).graph


def integer_nodes(model: onnx.ModelProto, path: Path) -> set[str]:
    """The nodes of a model that ONNX Runtime computes with integers: those that it makes integer kernels of, under their names."""
    nodes = optimised(model, path, EXTENDED).node
    return {proto.name for proto in nodes if proto.op_type.startswith("Q") or "MaxPool" in proto.op_type}


def rounded_biases(model: onnx.ModelProto, path: Path) -> set[bytes]:
    """The constants of int32 that ONNX Runtime has when it runs a model: biases in float too, where it rounds them to steps of sums."""
    tensors = [tensor for tensor in optimised(model, path, EXTENDED).initializer if tensor.data_type == onnx.TensorProto.INT32]
    return {onnx.numpy_helper.to_array(tensor).tobytes() for tensor in tensors}


def failure(model: Path, error: Exception) -> ModelError:
    """The error in one sentence, without where in ONNX Runtime's sources it was found, and with what can be done."""
    reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", first_line(error)).rstrip(".")
    return ModelError(
        f"ONNX Runtime {version('onnxruntime')}, which computes what the accelerator does not, cannot run {model}: {reason};"
        " write the model with an opset and operators that it knows"
    )
