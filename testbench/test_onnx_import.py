"""Imported models against ONNX Runtime, bit for bit, and what is refused, by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization.shape_inference import quant_pre_process

from onnx_models import Graph, quantised, run_onnxruntime
from skipgrid.golden import run_network
from skipgrid.host.network import ModelError, Network
from skipgrid.host.onnx.importer import import_model

MODELS = Path(__file__).resolve().parent.parent / "models"


def golden(network: Network, images: NDArray[np.generic]) -> NDArray[np.generic]:
    """The model's output by the golden model."""
    return network.results(np.stack([run_network(x, network.layers)[-1] for x in network.activations(images)]))


def check(path: Path, images: NDArray[np.generic]) -> Network:
    """The imported network, once it has given exactly what ONNX Runtime gives."""
    network = import_model(path)
    expected = run_onnxruntime(path, images)
    actual = golden(network, images)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    assert len(np.unique(expected)) > 5, "the outputs hardly differ, so that equality says little"
    return network


def test_lenet5_on_all_held_out_digits() -> None:
    digits = np.load(MODELS / "digits.npz")
    network = import_model(MODELS / "lenet5.onnx")
    assert (network.name, network.input_shape, network.output_shape) == ("lenet5", (1, 28, 28), (10, 1, 1))
    assert [layer.name for layer in network.layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [layer.weights.shape[0] for layer in network.layers] == [6, 16, 120, 84, 10]
    assert all(np.abs(layer.weights).max() <= 64 for layer in network.layers)
    logits = golden(network, digits["images"])
    np.testing.assert_array_equal(logits, run_onnxruntime(MODELS / "lenet5.onnx", digits["images"]))
    assert (logits.argmax(1) == digits["labels"]).mean() >= 0.97


NETWORKS: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    "conv-pool-fc": (
        (3, 11, 9),
        [("Conv", 5, (3, 3), {"pads": [1, 1, 1, 1]}), "Relu", ("MaxPool", (2, 2), (2, 2)), "Flatten", ("Gemm", 12), "Relu", ("Gemm", 4)],
    ),
    "strides-pads": (
        (2, 13, 10),
        [("Conv", 7, (3, 5), {"pads": [0, 2, 1, 3], "strides": [2, 1]}), "Relu", ("Conv", 4, (2, 1), {"strides": [1, 3]})],
    ),
    "clip": (
        (4, 8, 8),
        [("Conv", 6, (1, 1), {}), "Clip", ("MaxPool", (3, 2), (2, 3)), ("Conv", 3, (3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]})],
    ),
    "same-lower": (
        (3, 7, 8),
        [("Conv", 5, (4, 2), {"auto_pad": "SAME_LOWER"}), "Relu", ("Conv", 5, (3, 3), {"auto_pad": "VALID"}), "Reshape", ("Gemm", 6)],
    ),
    "matmul": ((30,), [("MatMul", 20), "Relu", ("Gemm", 7)]),
}
"""The input's shape, and the operators with sizes: K, filter and attributes of a Conv, window and strides of a MaxPool, K of the others."""


def float_network(rng: np.random.Generator, shape: tuple[int, ...], layers: list[Any]) -> Graph:
    """The network in float with random weights."""
    graph = Graph(shape)
    rest: list[Any]
    for number, layer in enumerate(layers):
        operator, *rest = (layer,) if isinstance(layer, str) else layer
        name = f"{operator.lower()}{number}"
        inputs = graph.shape()[0] if number else shape[0]
        match operator, rest:
            case "Conv", (K, size, attributes):
                graph.add("Conv", name, *random_weights(rng, (K, inputs, *size)), **attributes)
            case "Gemm", (K,):
                graph.add("Gemm", name, *random_weights(rng, (K, inputs)), transB=1)
            case "MatMul", (K,):
                graph.add("MatMul", name, random_weights(rng, (K, inputs))[0].T.copy())
            case "MaxPool", (size, stride):
                graph.add("MaxPool", name, kernel_shape=size, strides=stride)
            case "Clip", _:
                graph.add("Clip", name, np.float32(-0.2), np.float32(0.9))
            case "Reshape", _:
                graph.add("Reshape", name, np.array([-1, int(np.prod(graph.shape()))]))
            case _:
                graph.add(operator, name)
    return graph


def random_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights whose channels differ in size, and biases."""
    K, *taps = shape
    weights = rng.normal(0, np.prod(taps) ** -0.5, shape) * rng.uniform(0.3, 2, (K, *[1] * len(taps)))
    return weights.astype(np.float32), rng.normal(0, 0.3, K).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"ActivationSymmetric": True}], ids=["asymmetric", "symmetric"])
@pytest.mark.parametrize("per_channel", [True, False], ids=["per-channel", "per-tensor"])
@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
@pytest.mark.parametrize("network", NETWORKS)
def test_quantised_networks(
    network: str, quant_format: str, activation: str, per_channel: bool, options: dict[str, bool], tmp_path: Path, seed: int = 5
) -> None:
    rng = np.random.default_rng(seed)
    shape, layers = NETWORKS[network]
    source = float_network(rng, shape, layers).save(tmp_path / "float.onnx")
    images = rng.normal(0.2, 1, (40, *shape)).astype(np.float32)
    imported = check(quantised(source, images, quant_format, activation, per_channel, **options), images)
    assert len(imported.layers) == sum(not isinstance(layer, str) and layer[0] != "MaxPool" for layer in layers)
    assert all(layer.x.dtype == layer.y.dtype == activation for layer in imported.layers)


def test_matmul_and_add_once_preprocessed(tmp_path: Path) -> None:
    """MatMul and Add with a rounding between are refused; ONNX Runtime's own pre-processing makes a Gemm of them, which is not."""
    rng = np.random.default_rng(9)
    images = rng.normal(0, 1, (50, 30)).astype(np.float32)
    weights, bias = random_weights(rng, (20, 30))
    source = Graph((30,)).add("MatMul", "dense", weights.T.copy()).add("Add", "dense_bias", bias).save(tmp_path / "float.onnx")
    with pytest.raises(ModelError, match=r"'dense_bias' \(Add\): adding to an already rounded tensor .*quant_pre_process"):
        import_model(quantised(source, images, "QDQ", "uint8", per_channel=True))
    quant_pre_process(source, tmp_path / "ready.onnx", skip_symbolic_shape=True)
    check(quantised(tmp_path / "ready.onnx", images, "QDQ", "uint8", per_channel=True), images)
