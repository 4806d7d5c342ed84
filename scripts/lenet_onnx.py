"""LeNet-5 as an ONNX graph, and its quantisation to 8 bits with ONNX Runtime's own tools. Needs the extra `train`."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


def float_graph(weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """LeNet-5 with these weights (conv1.weight, conv1.bias, ...) in float.

    Input "images" float32 (N, 1, 28, 28) in 0...1; output "logits" float32 (N, 10).
    """
    nodes, tensor = [], "images"

    def append(operator: str, name: str, constants: Sequence[str] = (), **attributes: Any) -> None:
        nonlocal tensor
        nodes.append(helper.make_node(operator, [tensor, *constants], [name], name, **attributes))
        tensor = name

    for layer, pads in (("conv1", 2), ("conv2", 0)):
        append("Conv", layer, [f"{layer}.weight", f"{layer}.bias"], pads=[pads] * 4)
        append("Relu", f"{layer}_relu")
        append("MaxPool", f"{layer}_pool", kernel_shape=[2, 2], strides=[2, 2])
    append("Flatten", "flatten")
    for layer, output in (("fc1", "fc1"), ("fc2", "fc2"), ("fc3", "logits")):
        nodes.append(helper.make_node("Gemm", [tensor, f"{layer}.weight", f"{layer}.bias"], [output], layer, transB=1))
        tensor = output
        if layer != "fc3":
            append("Relu", f"{layer}_relu")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 1, 28, 28])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    initializers = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "lenet5", [images], [logits], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """The digits that ONNX Runtime measures the activations' ranges on."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.batches = iter([{"images": images.astype(np.float32) / np.float32(255)}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch, or None after the last."""
        return next(self.batches, None)


def quantised(model: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """The model in 8 bits: activations uint8, weights int8, symmetric, a scale a channel, within +-64 (7 bits, `reduce_range`).

    Its input is the pixels themselves and its output the 8-bit logits, in place of the float tensors that the tools leave at the ends.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            Calibration(images),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={"WeightSymmetric": True},
        )
        model = onnx.load(target)
    graph = model.graph
    first = next(node for node in graph.node if graph.input[0].name in node.input)
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    parameters = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scale, zero_point = parameters[first.input[1]], parameters[first.input[2]]
    if scale != np.float32(1 / 255) or zero_point != 0:
        raise ValueError(f"a pixel must be its own code, but calibration gave scale {scale} and zero point {zero_point}; use more digits")
    renamed = {first.output[0]: graph.input[0].name, last.input[0]: graph.output[0].name}
    for node in (first, last):
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for tensor in (graph.input[0], graph.output[0]):
        tensor.type.tensor_type.elem_type = TensorProto.UINT8
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return model
