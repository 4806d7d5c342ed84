"""Graphs written by hand: what quantisers other than ONNX Runtime's write, and everything that is refused, each by its node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from onnx_models import Graph, run_onnxruntime
from skipgrid.golden import Activation, run_network
from skipgrid.host.network import ModelError, Network, Port, quantise
from skipgrid.host.onnx.importer import import_model

C, K = 3, 6
X_SCALE, Y_SCALE = np.float32(0.013), np.float32(0.02)
Y_ZERO = np.uint8(100)
W_SCALE = np.linspace(0.003, 0.01, K, dtype=np.float32)
RNG = np.random.default_rng(3)
WEIGHTS = RNG.integers(-64, 65, (K, C, 3, 3)).astype(np.int8)
MATRIX = RNG.integers(-64, 65, (K, 40)).astype(np.int8)
BIAS = RNG.integers(-3000, 3000, K).astype(np.int32)
ZEROS = np.zeros(K, np.int8)
INPUTS = RNG.integers(0, 256, (300, C, 9, 8)).astype(np.uint8)


def image() -> Graph:
    """An 8-bit image, dequantised."""
    return Graph((C, 9, 8), "uint8").add("DequantizeLinear", "x_float", X_SCALE, np.uint8(7))


def vector() -> Graph:
    """40 8-bit features, dequantised."""
    return Graph((40,), "uint8").add("DequantizeLinear", "x_float", X_SCALE, np.uint8(7))


def conv(graph: Graph, weights: Any = WEIGHTS, zero_point: Any = ZEROS, bias: Any = None, **attributes: Any) -> Graph:
    """A quantised Conv, with an int32 bias if none is given, still in float."""
    bias = graph.dequantised(BIAS, X_SCALE * W_SCALE, ZEROS.astype(np.int32)) if bias is None else bias
    return graph.add("Conv", "conv", graph.dequantised(weights, W_SCALE, zero_point), bias, **attributes)


def matmul(graph: Graph) -> Graph:
    """A quantised MatMul, still in float."""
    return graph.add("MatMul", "matmul", graph.dequantised(MATRIX.T.copy(), W_SCALE, ZEROS, axis=1))


def gemm(graph: Graph, **attributes: Any) -> Graph:
    """A quantised Gemm, still in float."""
    return graph.add("Gemm", "gemm", graph.dequantised(MATRIX, W_SCALE, ZEROS), transB=1, **attributes)


def rounded(graph: Graph, name: str = "y", scale: Any = Y_SCALE, zero_point: Any = Y_ZERO) -> Graph:
    """Rounded to 8 bits."""
    return graph.add("QuantizeLinear", name, scale, zero_point)


def paired(graph: Graph, name: str, scale: Any = Y_SCALE, zero_point: Any = Y_ZERO) -> Graph:
    """Rounded to 8 bits and float again."""
    return rounded(graph, f"{name}_q", scale, zero_point).add("DequantizeLinear", f"{name}_dq", scale, zero_point)


def relu(graph: Graph) -> Graph:
    return graph.add("Relu", "relu")


def clip(graph: Graph) -> Graph:
    return graph.add("Clip", "clip", np.float32(-0.31), np.float32(1.234))


def pool(graph: Graph, **attributes: Any) -> Graph:
    return graph.add("MaxPool", "pool", **{"kernel_shape": [2, 2], "strides": [2, 1], **attributes})


def imported(graph: Graph, path: Path, dtype: str = "uint8", shape: tuple[int, ...] | None = None) -> Network:
    return import_model(graph.save(path / "model.onnx", dtype, shape))


def outputs(network: Network, images: NDArray[np.generic]) -> NDArray[np.generic]:
    return network.results(np.stack([run_network(x, network.layers)[-1] for x in network.activations(images)]))


EXACT: dict[str, Callable[[], Graph]] = {
    "conv": lambda: rounded(conv(image(), pads=[1, 0, 1, 2])),
    "float bias": lambda: rounded(conv(image(), bias=np.linspace(-1, 1, K, dtype=np.float32))),
    "relu before rounding": lambda: rounded(relu(conv(image())), zero_point=np.uint8(0)),
    "relu after rounding": lambda: rounded(relu(paired(conv(image()), "a"))),
    "clip after rounding": lambda: rounded(clip(paired(conv(image()), "a"))),
    "pool after rounding": lambda: rounded(pool(paired(conv(image()), "a"))),
    "pool, then relu": lambda: rounded(relu(pool(paired(conv(image()), "a")))),
    "pool of 8 bits": lambda: pool(rounded(conv(image()))),
    "ceil_mode with whole windows": lambda: pool(rounded(conv(image())), ceil_mode=1, kernel_shape=[3, 2], strides=[2, 2]),
    "float output": lambda: paired(conv(image()), "y"),
    "gemm": lambda: rounded(gemm(vector())),
    "matmul": lambda: rounded(matmul(vector())),
    "matmul and float bias": lambda: rounded(matmul(vector()).add("Add", "add", np.linspace(-1, 1, K, dtype=np.float32))),
    "matmul, bias, relu": lambda: rounded(relu(matmul(vector()).add("Add", "add", np.full(K, 0.3, np.float32))), zero_point=np.uint8(0)),
}


@pytest.mark.parametrize("case", EXACT)
def test_equal_to_onnxruntime(case: str, tmp_path: Path) -> None:
    graph = EXACT[case]()
    network = imported(graph, tmp_path, "float32" if case == "float output" else "uint8")
    images = INPUTS if len(network.input.shape) == 3 else INPUTS.reshape(-1, 40)[:300]
    expected = run_onnxruntime(tmp_path / "model.onnx", images)
    actual = outputs(network, images)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    assert len(np.unique(expected)) > 20


@pytest.mark.parametrize("between", [relu, clip, pool], ids=["relu", "clip", "pool"])
def test_float_between_conv_and_rounding(between: Callable[[Graph], Graph], tmp_path: Path) -> None:
    """ONNX Runtime computes these in float32, rounding at every addition: rarely, an output differs by one step."""
    network = imported(rounded(between(conv(image()))), tmp_path)
    expected = run_onnxruntime(tmp_path / "model.onnx", INPUTS).astype(int)
    difference = np.abs(outputs(network, INPUTS).astype(int) - expected)
    assert difference.max() <= 1 and difference.mean() < 1e-3


def test_clamps_and_pooling_join_their_layer(tmp_path: Path) -> None:
    graph = pool(rounded(clip(paired(relu(paired(conv(image(), strides=[2, 1]), "a")), "b"))))
    (layer,) = imported(graph, tmp_path).layers
    assert (layer.name, layer.x, layer.y) == ("conv", Activation("uint8", 7), Activation("uint8", 100))
    assert (layer.low, layer.high) == (100, 162)  # relu; 1.234 / 0.02 + 100
    assert (layer.stride, layer.pool, layer.pool_stride) == ((2, 1), (2, 2), (2, 1))
    np.testing.assert_array_equal(layer.bias, BIAS)
    np.testing.assert_array_equal(layer.scale, X_SCALE * W_SCALE / Y_SCALE)


def twice(graph: Graph) -> Graph:
    """Two MatMuls' worth of rounding for one."""
    return rounded(paired(matmul(graph), "a").add("Add", "add", np.ones(K, np.float32)))


REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "operator": (
        lambda: rounded(conv(image()).add("Sigmoid", "curve")),
        r"'curve' \(Sigmoid\): the operator is not supported; supported are .*Conv",
    ),
    "dilations": (
        lambda: rounded(conv(image(), dilations=[2, 1])),
        r"'conv' \(Conv\): dilations = \(2, 1\) is not supported; supported is \(1, 1\)",
    ),
    "group": (lambda: rounded(conv(image(), WEIGHTS[:, :1].copy(), group=3)), r"'conv' \(Conv\): group = 3 is not supported"),
    "asymmetric": (lambda: rounded(conv(image(), zero_point=ZEROS + np.int8(1))), r"'conv' \(Conv\): asymmetric weights"),
    "uint8 weights": (
        lambda: rounded(conv(image(), WEIGHTS.view(np.uint8), ZEROS.view(np.uint8))),
        r"'conv' \(Conv\): uint8 weights are not",
    ),
    "float weights": (
        lambda: rounded(image().add("Conv", "conv", WEIGHTS.astype(np.float32))),
        r"'conv' \(Conv\): float32 weights are not",
    ),
    "1-D pads": (lambda: rounded(conv(image(), pads=[-1, 0, 0, 0])), r"'conv' \(Conv\): pads = \(-1, 0, 0, 0\) is not supported"),
    "pool pads": (lambda: pool(rounded(conv(image())), pads=[1, 0, 0, 0]), r"'pool' \(MaxPool\): pooling with padding \(1, 0, 0, 0\)"),
    "pool dilations": (lambda: pool(rounded(conv(image())), dilations=[2, 2]), r"'pool' \(MaxPool\): dilations"),
    "pool ceil_mode": (
        lambda: pool(rounded(conv(image())), ceil_mode=1),
        r"'pool' \(MaxPool\): ceil_mode with windows over the edge of 7 x 6",
    ),
    "pool first": (lambda: rounded(conv(pool(image()))), r"'pool' \(MaxPool\): max pooling here is not supported"),
    "pool twice": (
        lambda: pool(rounded(conv(image()))).add("MaxPool", "second", kernel_shape=[2, 2]),
        r"'second' \(MaxPool\): max pooling here is not supported; supported is one after each Conv",
    ),
    "average": (lambda: rounded(conv(image()).add("AveragePool", "mean", kernel_shape=[2, 2])), r"'mean' \(AveragePool\)"),
    "rounding twice": (lambda: twice(vector()), r"'add' \(Add\): adding to an already rounded tensor .*quant_pre_process"),
    "other scale": (
        lambda: rounded(relu(paired(conv(image()), "a", np.float32(0.03)))),
        r"'y' \(QuantizeLinear\): rounding twice .* 0.03 .* 0.02",
    ),
    "float output": (lambda: conv(image()), r"'conv' \(Conv\): a float output is not supported here"),
    "relu at the end": (lambda: relu(paired(conv(image()), "a")), r"'relu' \(Relu\): a float output is not supported here"),
    "relu first": (lambda: rounded(conv(relu(image()))), r"'relu' \(Relu\): clamping the network's input"),
    "relu of 8 bits": (lambda: rounded(conv(image()), zero_point=np.int8(0)).add("Relu", "relu"), r"'relu' \(Relu\): an 8-bit input"),
    "conv of float": (
        lambda: rounded(conv(Graph((C, 9, 8)))),
        r"'conv' \(Conv\): a float model is not supported; supported .*quantize_static",
    ),
    "int16": (lambda: rounded(conv(image()), zero_point=np.int16(0)), r"'y' \(QuantizeLinear\): the output must be uint8 or int8 .* int16"),
    "no scale": (
        lambda: rounded(conv(image()), scale=np.float32(np.inf)),
        r"'y' \(QuantizeLinear\): the output scale must be one positive float32; here it is inf",
    ),
    "scale of 0": (
        lambda: rounded(conv(Graph((C, 9, 8), "uint8").add("DequantizeLinear", "x_float", np.float32(0), np.uint8(7)))),
        r"'x_float' \(DequantizeLinear\): the input scale must be one positive float32; here it is 0;",
    ),
    "scale a channel": (
        lambda: rounded(conv(image()), scale=W_SCALE, zero_point=np.uint8(0)),
        r"'y' \(QuantizeLinear\): the output scale must be one",
    ),
    "bias scale": (
        lambda: rounded(conv(g := image(), bias=g.dequantised(BIAS, W_SCALE, ZEROS.astype(np.int32)))),
        r"'conv' \(Conv\): a bias scale of its own is not supported: that of channel 5 is 0.01.*; supported is .*, here 0.00013",
    ),
    "matmul of an image": (
        lambda: rounded(matmul(Graph((5, 8, 40), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(0)))),
        r"'matmul' .* after a Flatten",
    ),
    "conv of a vector": (lambda: rounded(conv(image().add("Flatten", "flat").add("Relu", "r"))), r"'conv' \(Conv\): a flattened input"),
    "reshape": (
        lambda: rounded(conv(image().add("Reshape", "turn", np.array([-1, C, 8, 9])))),
        r"'turn' \(Reshape\): the shape \(-1, 3, 8, 9\)",
    ),
    "flatten axis": (lambda: rounded(matmul(image().add("Flatten", "flat", axis=2))), r"'flat' \(Flatten\): axis = 2"),
    "window too large": (
        lambda: rounded(conv(Graph((C, 2, 8), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(0)))),
        r"'conv' \(Conv\): a window of 3 x 3",
    ),
    "transA": (lambda: rounded(gemm(vector(), transA=1)), r"'gemm' \(Gemm\): transA = 1 is not supported; supported is 0"),
    "alpha": (lambda: rounded(gemm(vector(), alpha=0.5)), r"'gemm' \(Gemm\): alpha = 0.5 is not supported; supported is 1.0"),
    "bias without a number": (
        lambda: rounded(conv(image(), bias=np.array([1, 2, np.nan, 4, 5, 6], np.float32))),
        r"'conv' \(Conv\): the bias of channel 2 is nan; supported are finite numbers",
    ),
    "scale overflow": (
        lambda: rounded(conv(image()), scale=np.float32(1e-44)),
        r"'conv' \(Conv\): the factor x_scale \* weight_scale / y_scale of channel 0 is .* = inf; supported",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case: str, tmp_path: Path) -> None:
    build, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        imported(build(), tmp_path, shape=(1,))


def test_branches_are_refused(tmp_path: Path) -> None:
    graph = rounded(conv(image()))
    tensor = graph.tensor
    pool(graph)
    graph.tensor = tensor
    with pytest.raises(
        ModelError, match=r"node 'y' \(QuantizeLinear\): 'y_out' goes to 'pool' \(MaxPool\) and the model's output; supported is a chain"
    ):
        imported(graph, tmp_path)


def test_input_types_and_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the model's input 'x' is \(N, 3, 9\); supported are \(N, C, H, W\) and \(N, C\)"):
        imported(Graph((C, 9), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(0)), tmp_path, "float32")
    with pytest.raises(ModelError, match="has no layer"):
        imported(image(), tmp_path, "float32")
    model = rounded(conv(image())).model("uint8")
    model.graph.input[0].type.tensor_type.shape.dim[2].Clear()
    onnx.save(model, tmp_path / "sizes.onnx")
    with pytest.raises(ModelError, match=r"input 'x' has the sizes \[0, 3, 0, 8\]"):
        import_model(tmp_path / "sizes.onnx")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "type.onnx")
    with pytest.raises(ModelError, match="input 'x' is FLOAT16; supported are FLOAT, UINT8 and INT8"):
        import_model(tmp_path / "type.onnx")


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        import_model(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("this is no model", encoding="utf-8")
    with pytest.raises(ModelError, match=r"text.onnx is not a valid ONNX model"):
        import_model(tmp_path / "text.onnx")


def test_wrong_images_and_outputs(tmp_path: Path) -> None:
    network = imported(paired(conv(image()), "y"), tmp_path, "float32")
    with pytest.raises(TypeError, match="the images are float32, but the model's input 'x' is uint8"):
        network.activations(INPUTS.astype(np.float32))
    with pytest.raises(ValueError, match=r"the images' shape is \(300, 9, 8, 3\), but the model's input 'x' is \(N, 3, 9, 8\)"):
        network.activations(np.moveaxis(INPUTS, 1, -1))
    with pytest.raises(TypeError, match="the outputs are int8, but the last layer stores uint8"):
        network.results(np.zeros((1, *network.output_shape), np.int8))
    with pytest.raises(ValueError, match=r"the outputs' shape is \(1, 6\), but the last layer stores \(N, 6, 7, 6\)"):
        network.results(np.zeros((1, 6), np.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_hold_no_numbers(value: float, tmp_path: Path) -> None:
    graph = Graph((C, 9, 8)).add("QuantizeLinear", "x_q", X_SCALE, np.uint8(7)).add("DequantizeLinear", "x_dq", X_SCALE, np.uint8(7))
    network = imported(rounded(conv(graph)), tmp_path)
    images = INPUTS[:3].astype(np.float32)
    network.activations(images)
    images[2, 1, 3, 3] = value
    with pytest.raises(ValueError, match=f"image 2 holds {value}, which no 8-bit activation stands for"):
        network.activations(images)


def test_models_that_are_not_quantised(tmp_path: Path) -> None:
    graph = Graph((C, 9, 8)).add("Conv", "conv", WEIGHTS.astype(np.float32)).add("Relu", "left")
    sentence = r"model\.onnx is not quantised, but a model in float; quantise it with onnxruntime\.quantization\.quantize_static\("
    with pytest.raises(ModelError, match=sentence):
        imported(graph, tmp_path, "float32")
    graph.tensor = "conv_out"
    graph.add("Relu", "right").add("Add", "join", "left_out")  # branches, too, are said after that
    with pytest.raises(ModelError, match=sentence):
        imported(graph, tmp_path, "float32")
    dynamic = onnx.helper.make_node("DynamicQuantizeLinear", ["conv_out"], ["a", "b", "c"], "dynamic")
    graph.nodes.append(dynamic)
    with pytest.raises(ModelError, match="is quantised dynamically, so that its scales are not known before it runs; quantise it"):
        imported(graph, tmp_path, "float32")


def test_operators_of_other_domains_are_not_taken_for_onnxs(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    next(node for node in model.graph.node if node.op_type == "Conv").domain = "my.domain"
    model.opset_import.append(onnx.helper.make_opsetid("my.domain", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"'conv' \(my\.domain::Conv\): the operator is not supported; supported are .*Conv"):
        import_model(tmp_path / "model.onnx")


def test_quantise_rounds_ties_to_even_and_saturates() -> None:
    values = np.array([-1e30, -0.75, 0.25, 0.75, 1.25, 1e30, np.inf], np.float32)
    np.testing.assert_array_equal(quantise(values, np.float32(0.5), Activation("int8", 3)), [-128, 1, 3, 5, 5, 127, 127])


def test_ports_know_the_models_own_type() -> None:
    assert Port("x", (1,), Activation("int8")).dtype == np.int8
    assert Port("x", (1,), Activation("int8"), np.float32(1)).dtype == np.float32
