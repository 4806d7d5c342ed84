"""Int8 ONNX models for tests: random networks, quantised by ONNX Runtime's own tools, and small graphs written by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

ELEMENT = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}


class Graph:
    """A chain of ONNX nodes under construction, each reading the output of the one before it.

    shape: of the input without the batch; dtype: the input's type.
    """

    def __init__(self, shape: Sequence[int], dtype: str = "float32") -> None:
        self.input = helper.make_tensor_value_info("x", ELEMENT[dtype], ["N", *shape])
        self.tensor = "x"
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Any) -> str:
        """The name of a new initializer."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator: str, name: str, *constants: Any, **attributes: Any) -> "Graph":
        """Append a node whose further inputs are these constants: arrays, or names of tensors; None leaves one out."""
        inputs = [value if isinstance(value, str) else "" if value is None else self.constant(value) for value in constants]
        self.nodes.append(helper.make_node(operator, [self.tensor, *inputs], [f"{name}_out"], name, **attributes))
        self.tensor = f"{name}_out"
        return self

    def dequantised(self, values: Any, scale: Any, zero_point: Any, axis: int = 0) -> str:
        """The name of a constant behind a DequantizeLinear."""
        inputs = [self.constant(values), self.constant(scale), self.constant(zero_point)]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{inputs[0]}_float"], f"{inputs[0]}_dequantize", axis=axis))
        return f"{inputs[0]}_float"

    def model(self, dtype: str = "float32", shape: Sequence[int | str] | None = None, opset: int = 17) -> onnx.ModelProto:
        """The model. dtype: the output's type; shape: the output's without the batch, inferred if None."""
        output = helper.make_tensor_value_info(self.tensor, ELEMENT[dtype], None if shape is None else ["N", *shape])
        graph = helper.make_graph(self.nodes, "graph", [self.input], [output], self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return onnx.shape_inference.infer_shapes(model) if shape is None else model

    def shape(self) -> tuple[int, ...]:
        """The inferred shape of what the last node gives, without the batch."""
        return tuple(size.dim_value for size in self.model().graph.output[0].type.tensor_type.shape.dim[1:])

    def save(self, path: Path, dtype: str = "float32", shape: Sequence[int | str] | None = None, opset: int = 17) -> Path:
        """Write the model."""
        onnx.save(self.model(dtype, shape, opset), path)
        return path


class Branches:
    """A float network under construction, of any graph; weights are drawn.

    inputs: their shapes, with the batch.
    """

    def __init__(self, rng: np.random.Generator, **inputs: Sequence[int]) -> None:
        self.rng = rng
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        self.shapes = {name: tuple(shape) for name, shape in inputs.items()}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def several(self, operator: str, count: int, *tensors: Any, **attributes: Any) -> list[str]:
        """Append a node, of which inputs that are no names are constants; the names of its outputs."""
        names = []
        for value in tensors:
            if not isinstance(value, str):
                self.constants.append(numpy_helper.from_array(np.asarray(value), f"constant{len(self.constants)}"))
            names.append(value if isinstance(value, str) else self.constants[-1].name)
        name = f"{operator.lower()}{len(self.nodes)}"
        outputs = [f"{name}_out{number}" for number in range(count)]
        self.nodes.append(helper.make_node(operator, names, outputs, name, **attributes))
        inferred = onnx.shape_inference.infer_shapes(self._model([]), strict_mode=True, data_prop=True).graph.value_info
        self.shapes |= {value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim) for value in inferred}
        return outputs

    def add(self, operator: str, *tensors: Any, **attributes: Any) -> str:
        """The same of one output."""
        return self.several(operator, 1, *tensors, **attributes)[0]

    def weights(self, *shape: int) -> NDArray[np.float32]:
        """Drawn, of such a size that sums stay small."""
        return np.asarray(self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])), np.float32)

    def conv(self, tensor: str, channels: int, size: int | Sequence[int] = 3, *, relu: bool = True, **attributes: Any) -> str:
        """A convolution with a bias, of images or signals, padded so that their size stays; and a Relu."""
        taps = (size,) * (len(self.shapes[tensor]) - 2) if isinstance(size, int) else tuple(size)
        pads = [(each - 1) // 2 for each in taps] + [each // 2 for each in taps]
        weights = self.weights(channels, self.shapes[tensor][1] // attributes.get("group", 1), *taps)
        out = self.add("Conv", tensor, weights, self.weights(channels, 1).reshape(-1) / 4, **{"pads": pads, **attributes})
        return self.add("Relu", out) if relu else out

    def gemm(self, tensor: str, features: int) -> str:
        """A fully connected layer of (N, C)."""
        return self.add("Gemm", tensor, self.weights(features, self.shapes[tensor][1]), self.weights(features, 1).reshape(-1), transB=1)

    def save(self, path: Path, *outputs: str) -> Path:
        """Write the model."""
        onnx.save(onnx.shape_inference.infer_shapes(self._model(outputs)), path)
        return path

    def drawn(self, count: int) -> list[dict[str, NDArray[np.float32]]]:
        """So many random batches for all inputs."""
        names = [value.name for value in self.inputs]
        return [{name: self.rng.standard_normal(self.shapes[name]).astype(np.float32) for name in names} for _ in range(count)]

    def _model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in outputs]
        graph = helper.make_graph(self.nodes, "network", self.inputs, ends, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.batches, None)


def quantised(
    source: Path,
    images: NDArray[np.float32] | Sequence[dict[str, NDArray[np.float32]]],
    quant_format: str,
    activation: str,
    per_channel: bool,
    **options: Any,
) -> Path:
    """ONNX Runtime's static quantisation of the model in a file: the file beside it that holds the int8 model.

    images: of the input "x", or batches of all inputs. quant_format: "QDQ" or "QOperator"; activation: "uint8" or "int8". Weights stay
    within +-64, where every x86 machine is exact.
    """
    target = source.with_suffix(".int8.onnx")
    quantize_static(
        source,
        target,
        _Calibration([{"x": images}] if isinstance(images, np.ndarray) else images),
        quant_format=QuantFormat[quant_format],
        activation_type=QuantType.QUInt8 if activation == "uint8" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        reduce_range=True,
        extra_options={"WeightSymmetric": True, **options},
    )
    return target


def run_onnxruntime(path: Path, images: NDArray[np.generic]) -> NDArray[np.generic]:
    """The model's output by ONNX Runtime's CPU provider, with the optimisations it does by default."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])
