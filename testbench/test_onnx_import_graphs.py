"""Graphs written by hand: what quantisers other than ONNX Runtime's write, and everything that is refused, each by its node."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from onnx_models import Graph, run_onnxruntime
from skipgrid.golden import Activation, run_network
from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError, Network, Port, quantise
from skipgrid.host.onnx.cut import cut_model
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


RUNS: dict[str, tuple[Callable[[], Graph], int, str]] = {
    "dilations": (lambda: rounded(conv(image(), dilations=[2, 1])), 1, ""),
    "group": (lambda: rounded(conv(image(), WEIGHTS[:, :1].copy(), group=3)), 1, ""),
    "uint8 weights around 128": (
        lambda: rounded(conv(image(), WEIGHTS.view(np.uint8) ^ np.uint8(128), np.full(K, 128, np.uint8))),
        1,
        "",
    ),
    "pool pads": (lambda: pool(rounded(conv(image())), pads=[1, 0, 0, 0]), 2, ""),
    "pool pads, outputs below zero": (lambda: rounded(pool(paired(conv(image()), "a"), pads=[1, 1, 1, 1])), 2, ""),
    "pool dilations": (lambda: pool(rounded(conv(image())), dilations=[2, 2]), 1, r"'pool' \(MaxPool\): dilations"),
    "pool ceil_mode": (lambda: pool(rounded(conv(image())), ceil_mode=1), 2, ""),
    "pool twice": (lambda: pool(rounded(conv(image()))).add("MaxPool", "second", kernel_shape=[2, 2]), 2, ""),
    "pool first": (lambda: rounded(conv(paired(pool(image()), "a", X_SCALE, np.uint8(7)))), 2, ""),
    "rounding twice": (lambda: rounded(paired(matmul(vector()), "a").add("Add", "add", np.ones(K, np.float32))), 1, r"'add' \(Add\)"),
    "other scale": (lambda: rounded(relu(paired(conv(image()), "a", np.float32(0.03)))), 1, ""),
    "matmul of vectors": (lambda: rounded(matmul(Graph((5, 8, 40), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(0)))), 1, ""),
    "conv of a signal": (
        lambda: rounded(
            (g := Graph((C, 30), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(0))).add(
                "Conv", "conv", g.dequantised(WEIGHTS[:, :, 0].copy(), W_SCALE, ZEROS), pads=[2, 1], strides=[2]
            )
        ),
        1,
        "",
    ),
    "reshape": (lambda: rounded(conv(image().add("Reshape", "turn", np.array([-1, C, 8, 9])))), 1, ""),
    "transpose": (lambda: rounded(conv(image().add("Transpose", "turn", perm=[0, 1, 3, 2]))), 1, ""),
    "pad": (lambda: rounded(conv(image().add("Pad", "pad", np.array([0, 0, 1, 2, 0, 0, 0, 1])))), 1, ""),
    "flatten and gemm": (
        lambda: rounded(gemm(Graph((2, 4, 5), "uint8").add("DequantizeLinear", "f", X_SCALE, np.uint8(9)).add("Flatten", "flat"))),
        1,
        "",
    ),
    "global pool": (lambda: paired(conv(image()), "a").add("GlobalMaxPool", "most").add("QuantizeLinear", "y", Y_SCALE, Y_ZERO), 1, ""),
    "global average": (
        lambda: paired(conv(image()), "a").add("GlobalAveragePool", "mean").add("QuantizeLinear", "y", np.float32(0.011), Y_ZERO),
        2,
        "",
    ),
    "average": (
        lambda: rounded(paired(conv(image()), "a").add("AveragePool", "mean", kernel_shape=[2, 2])),
        1,
        r"'mean' \(AveragePool\): ONNX Runtime averages in float32",
    ),
    "relu and softmax": (
        lambda: rounded(
            paired(rounded(conv(image()), "a").add("DequantizeLinear", "b", Y_SCALE, Y_ZERO), "c").add("Softmax", "curve", axis=1)
        ),
        1,
        r"'curve' \(Softmax\)",
    ),
}
"""Graphs of which so many layers run on the accelerator, and what is said of a node that does not."""

REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "operator": (
        lambda: rounded(conv(image()).add("Sigmoid", "curve")),
        r"'conv' \(Conv\): 'conv_out' goes to 'curve' \(Sigmoid\) without being rounded to 8 bits first; supported are",
    ),
    "asymmetric": (lambda: rounded(conv(image(), zero_point=ZEROS + np.int8(1))), r"'conv' \(Conv\): asymmetric weights"),
    "uint8 weights": (
        lambda: rounded(conv(image(), WEIGHTS.view(np.uint8), ZEROS.view(np.uint8))),
        r"'conv' \(Conv\): asymmetric weights .* uint8 ones with 128",
    ),
    "float weights": (
        lambda: rounded(image().add("Conv", "conv", WEIGHTS.astype(np.float32))),
        r"'conv' \(Conv\): float32 weights are not",
    ),
    "pool before rounding": (
        lambda: rounded(conv(pool(image()))),
        r"'conv' \(Conv\): its input 'pool_out', from 'pool' \(MaxPool\), was not",
    ),
    "average": (
        lambda: rounded(conv(image()).add("AveragePool", "mean", kernel_shape=[2, 2])),
        r"'conv' \(Conv\): 'conv_out' goes to 'mean' \(AveragePool\) without",
    ),
    "float output": (lambda: conv(image()), r"'conv' \(Conv\): 'conv_out' goes to the model's output without being rounded"),
    "relu first": (lambda: rounded(conv(relu(image()))), r"'conv' \(Conv\): its input 'relu_out', from 'relu' \(Relu\), was not rounded"),
    "conv of float": (
        lambda: rounded(conv(Graph((C, 9, 8)))),
        r"'conv' \(Conv\): its input 'x' is float32; supported .*quantize_static",
    ),
    "int16": (
        lambda: rounded(conv(image()), zero_point=np.int16(0)).add("DequantizeLinear", "back", Y_SCALE, np.int16(0)),
        r"'y' \(QuantizeLinear\): the output must be uint8 or int8 .* int16|ONNX Runtime .* cannot run",
    ),
    "no scale": (
        lambda: rounded(conv(image()), scale=np.float32(np.inf)),
        r"a scale is inf in node 'y'; supported are positive numbers: quantise it anew",
    ),
    "scale of 0": (
        lambda: rounded(conv(Graph((C, 9, 8), "uint8").add("DequantizeLinear", "x_float", np.float32(0), np.uint8(7)))),
        r"a scale is 0 in node 'x_float'; supported are positive numbers",
    ),
    "weight scale": (
        lambda: rounded((g := image()).add("Conv", "conv", g.dequantised(WEIGHTS, np.float32(-0.5), np.int8(0)))),
        r"a scale is -0.5 in node 'constant2_dequantize'; supported are positive numbers",
    ),
    "bias scale": (
        lambda: rounded(conv(g := image(), bias=g.dequantised(BIAS, W_SCALE, ZEROS.astype(np.int32)))),
        r"'conv' \(Conv\): a bias scale of its own is not supported: that of channel 5 is 0.01.*; supported is .*, here 0.00013",
    ),
    "alpha": (lambda: rounded(gemm(vector(), alpha=0.5)), r"'gemm' \(Gemm\): alpha = 0.5 is not supported; supported is 1.0"),
    "bias without a number": (
        lambda: rounded(conv(image(), bias=np.array([1, 2, np.nan, 4, 5, 6], np.float32))),
        r"'conv' \(Conv\): the bias of channel 2 is nan; supported are finite numbers",
    ),
    "scale overflow": (
        lambda: rounded(conv(image()), scale=np.float32(1e-44)),
        r"'conv' \(Conv\): the factor x_scale \* weight_scale / y_scale of channel 0 is .* = inf; supported",
    ),
    "no layer": (image, r"it has no Conv, Gemm or MatMul"),
}
"""Graphs of which nothing would run on the accelerator, and what is said of them."""


@pytest.mark.parametrize("case", RUNS)
def test_runs_and_says_what_does_not(case: str, tmp_path: Path) -> None:
    build, layers, message = RUNS[case]
    cut = cut_model(build().save(tmp_path / "model.onnx", "uint8"))
    assert len(cut.layers) == layers
    told = [f"{node.name!r} ({node.op}): {node.why}" for node in cut.host_nodes]
    assert len(told) == bool(message)
    assert re.search(message, " ".join(told))
    (put,), (end,) = cut.model.inputs, cut.model.outputs
    images = RNG.integers(0, 256, (20, *put.shape[1:])).astype(np.uint8)  # type: ignore[arg-type]
    expected = run_onnxruntime(tmp_path / "model.onnx", images)
    for number in range(len(images)):
        actual = run_golden(cut, {put.name: images[number : number + 1]})[end.name]
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected[number : number + 1])
    assert len(np.unique(expected)) > 10


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case: str, tmp_path: Path) -> None:
    build, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        imported(build(), tmp_path, "uint8" if case not in ("float output", "no layer", "int16") else "float32")


def test_what_onnxruntime_cannot_run_is_refused(tmp_path: Path) -> None:
    for graph in (rounded(gemm(vector(), transA=1)), rounded(conv(image()), scale=W_SCALE, zero_point=np.uint8(0))):
        with pytest.raises(ModelError, match=r"ONNX Runtime .*, which computes what the accelerator does not, cannot run .*; write"):
            imported(graph, tmp_path, shape=(1,))


def test_a_branch_is_no_network_but_runs(tmp_path: Path) -> None:
    graph = rounded(conv(image()))
    tensor = graph.tensor
    left = rounded(pool(graph.add("DequantizeLinear", "float", Y_SCALE, Y_ZERO)), "left").tensor
    graph.tensor = tensor
    graph.add("MaxPool", "right", kernel_shape=[2, 2], strides=[2, 1])
    graph.add("Concat", "both", left, axis=1)
    path = graph.save(tmp_path / "model.onnx", "uint8")
    with pytest.raises(
        ModelError, match=r"node 'both' \(Concat\): .*; such a model is no network of layers only, but `skipgrid run` runs it"
    ):
        import_model(path)
    cut = cut_model(path)
    assert len(cut.layers) == 3
    actual = run_golden(cut, {"x": INPUTS[:1]})[cut.model.outputs[0].name]
    np.testing.assert_array_equal(actual, run_onnxruntime(path, INPUTS[:1]))


def test_input_types_and_shapes_are_refused(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    model.graph.input[0].type.tensor_type.shape.dim[2].Clear()
    onnx.save(model, tmp_path / "sizes.onnx")
    with pytest.raises(ModelError, match=r"input 'x' is \(\?, 3, \?, 8\); only the batch may be left open"):
        import_model(tmp_path / "sizes.onnx")


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
    sentence = r"model\.onnx is not quantised, but a model in float; quantise it with `skipgrid quantise FLOAT\.onnx --calibrate "
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
    with pytest.raises(ModelError, match=r"model\.onnx cannot be run: ONNX Runtime has no my\.domain::Conv \(node 'conv'\)"):
        import_model(tmp_path / "model.onnx")


def test_quantise_rounds_ties_to_even_and_saturates() -> None:
    values = np.array([-1e30, -0.75, 0.25, 0.75, 1.25, 1e30, np.inf], np.float32)
    np.testing.assert_array_equal(quantise(values, np.float32(0.5), Activation("int8", 3)), [-128, 1, 3, 5, 5, 127, 127])


def test_ports_know_the_models_own_type() -> None:
    assert Port("x", (1,), Activation("int8")).dtype == np.int8
    assert Port("x", (1,), Activation("int8"), np.float32(1)).dtype == np.float32
