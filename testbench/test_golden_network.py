"""Layers and networks against ONNX Runtime's own int8 operators, and against loops."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from skipgrid.golden import Activation, Layer, accumulate, max_pool, requantise_scale, run_layer, run_network

Four = tuple[int, int, int, int]
ONNX_TYPE = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


def random_layer(rng: np.random.Generator, weights: Four, shape: tuple[int, int, int], **fields: object) -> Layer:
    """A layer whose outputs fill their type. Weights stay within +-64, where ONNX Runtime is exact on every x86 machine."""
    K, C, R, S = weights
    spread = np.sqrt(C * R * S) * 37 * 74
    return Layer(
        name="random",
        weights=rng.integers(-64, 65, weights).astype(np.int8),
        bias=rng.integers(-int(spread), int(spread), K).astype(np.int32),
        scale=requantise_scale(rng.uniform(0.01, 0.1), rng.uniform(0.5, 1.5, K), spread * 0.055 / 60),
        shape=shape,
        **fields,  # type: ignore[arg-type]
    )


def random_input(rng: np.random.Generator, layer: Layer, zeros: float = 0.5) -> NDArray[np.integer]:
    x = rng.integers(layer.x.low, layer.x.high + 1, layer.shape)
    return np.where(rng.random(layer.shape) < zeros, layer.x.zero_point, x).astype(layer.x.dtype)


def onnxruntime_output(x: NDArray[np.integer], layers: list[Layer]) -> NDArray[np.integer]:
    """The last layer's output as QLinearConv and MaxPool compute it, with x_scale = y_scale = 1 and w_scale = scale."""
    nodes, constants = [], [numpy_helper.from_array(np.array(1, np.float32), "one")]
    name = "x"
    for number, layer in enumerate(layers):
        held = {
            f"{number}xz": np.array(layer.x.zero_point, layer.x.dtype),
            f"{number}w": layer.weights,
            f"{number}ws": layer.scale,
            f"{number}wz": np.zeros(layer.scale.size, np.int8),
            f"{number}yz": np.array(layer.y.zero_point, layer.y.dtype),
            f"{number}b": layer.bias,
        }
        constants += [numpy_helper.from_array(array, key) for key, array in held.items()]
        xz, w, ws, wz, yz, b = held
        inputs = [name, "one", xz, w, ws, wz, "one", yz, b]
        nodes.append(helper.make_node("QLinearConv", inputs, [f"{number}c"], pads=layer.pads, strides=layer.stride))
        nodes.append(helper.make_node("MaxPool", [f"{number}c"], [f"{number}y"], kernel_shape=layer.pool, strides=layer.pool_stride))
        name = f"{number}y"
    first, last = layers[0], layers[-1]
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", ONNX_TYPE[first.x.dtype], (1, *first.shape))],
        [helper.make_tensor_value_info(name, ONNX_TYPE[last.y.dtype], (1, *last.out_shape))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x[None]})[0][0])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (Activation("uint8", 0), Activation("uint8", 0)),
        (Activation("uint8", 131), Activation("uint8", 7)),
        (Activation("uint8", 255), Activation("uint8", 255)),
        (Activation("int8", 0), Activation("int8", 0)),
        (Activation("int8", -128), Activation("int8", -128)),
        (Activation("int8", 17), Activation("int8", -5)),
    ],
)
@pytest.mark.parametrize(
    ("weights", "shape", "stride", "pads"),
    [
        ((8, 3, 3, 3), (3, 12, 11), (1, 1), (1, 1, 1, 1)),
        ((5, 7, 5, 2), (7, 13, 9), (2, 3), (0, 2, 3, 1)),
        ((33, 20, 1, 1), (20, 6, 7), (2, 1), (0, 0, 0, 0)),
        ((10, 16, 4, 4), (16, 4, 4), (1, 1), (0, 0, 0, 0)),
        ((4, 2, 3, 3), (2, 1, 1), (1, 2), (4, 3, 2, 5)),
    ],
)
def test_convolution_is_onnxruntimes(
    x: Activation, y: Activation, weights: Four, shape: tuple[int, int, int], stride: tuple[int, int], pads: Four
) -> None:
    rng = np.random.default_rng([*weights, x.zero_point + 128])
    layer = random_layer(rng, weights, shape, x=x, y=y, stride=stride, pads=pads)
    for zeros in (0, 0.8, 1):
        data = random_input(rng, layer, zeros)
        ours = run_layer(data, layer)
        assert ours.dtype == y.dtype
        assert ours.shape == layer.out_shape
        np.testing.assert_array_equal(ours, onnxruntime_output(data, [layer]))


def test_many_random_outputs_are_onnxruntimes() -> None:
    rng = np.random.default_rng(3)
    layer = random_layer(rng, (96, 32, 3, 3), (32, 54, 54), x=Activation("uint8", 3), y=Activation("uint8", 128), pads=(1, 1, 1, 1))
    data = random_input(rng, layer, 0.3)
    ours = run_layer(data, layer)
    assert ours.size == 279_936
    assert np.unique(ours).size > 200
    np.testing.assert_array_equal(ours, onnxruntime_output(data, [layer]))


@pytest.mark.parametrize(("pool", "pool_stride"), [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((2, 3), (3, 1))])
def test_network_is_onnxruntimes(pool: tuple[int, int], pool_stride: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    middle, end = Activation("uint8", 0), Activation("uint8", 40)
    pooling = {"pool": pool, "pool_stride": pool_stride}
    first = random_layer(rng, (6, 1, 5, 5), (1, 21, 20), x=Activation("uint8", 33), y=middle, pads=(2, 1, 0, 3), **pooling)
    second = random_layer(rng, (10, *first.out_shape), first.out_shape, x=middle, y=end)
    third = random_layer(rng, (7, 10, 1, 1), (10, 1, 1), x=end, y=end)
    layers = [first, second, third]
    data = random_input(rng, first)
    outputs = run_network(data, layers)
    assert [y.shape for y in outputs] == [layer.out_shape for layer in layers]
    for number in (1, 2, 3):
        np.testing.assert_array_equal(outputs[number - 1], onnxruntime_output(data, layers[:number]))


def test_accumulators_of_extreme_values() -> None:
    """255 * -128, as often as int32 holds it, and once more."""
    most = 2**31 // (255 * 128)
    weights = np.full((1, most, 1, 1), -128, np.int8)
    layer = Layer("extreme", weights, np.zeros(1, np.int32), np.ones(1, np.float32), (most, 1, 1))
    x = np.full(layer.shape, 255, np.uint8)
    assert accumulate(x, layer)[0, 0, 0] == -255 * 128 * most
    more = layer.replaced(weights=np.full((1, most + 1, 1, 1), -128, np.int8), shape=(most + 1, 1, 1))
    with pytest.raises(ValueError, match=r"layer extreme: an accumulator reaches -21475.*, which int32 does not hold"):
        accumulate(np.full(more.shape, 255, np.uint8), more)


def test_accumulators_are_a_loops() -> None:
    rng = np.random.default_rng(5)
    layer = random_layer(rng, (3, 2, 2, 3), (2, 5, 6), x=Activation("int8", -9), stride=(2, 1), pads=(1, 0, 2, 1))
    x = random_input(rng, layer)
    sums = np.zeros(layer.conv_shape, np.int64)
    for k, row, column, c, r, s in np.ndindex(*layer.conv_shape, *layer.weights.shape[1:]):
        y, z = row * 2 + r - 1, column + s
        if 0 <= y < 5 and 0 <= z < 6:
            sums[k, row, column] += (int(x[c, y, z]) + 9) * int(layer.weights[k, c, r, s])
    np.testing.assert_array_equal(accumulate(x, layer), sums)


def test_bias_reaches_windows_with_nothing_in_them() -> None:
    bias = np.array([5, -5], np.int32)
    layer = Layer("bias", np.ones((2, 1, 1, 1), np.int8), bias, np.ones(2, np.float32), (1, 2, 2), pads=(1, 1, 1, 1))
    np.testing.assert_array_equal(run_layer(np.zeros((1, 2, 2), np.uint8), layer), np.broadcast_to([[[5]], [[0]]], (2, 4, 4)))


def test_clamp_pool_and_threshold_come_in_this_order() -> None:
    """Plain values through the identity: |y - 10| < 4 is 10 only after the largest of a pool was taken and the clamp applied."""
    one = Layer("order", np.ones((1, 1, 1, 1), np.int8), np.zeros(1, np.int32), np.ones(1, np.float32), (1, 2, 4))
    held = {"x": Activation("int8"), "y": Activation("int8", 10), "low": 5, "high": 90}
    layer = one.replaced(**held, pool=(2, 2), pool_stride=(2, 2), threshold=4)
    x = np.array([[[-50, 3, 4, 0], [-9, 2, 0, 0]]], np.int8)
    np.testing.assert_array_equal(run_layer(x, layer), [[[10, 14]]])
    np.testing.assert_array_equal(run_layer(np.full_like(x, 127), layer), [[[90, 90]]])
    np.testing.assert_array_equal(run_layer(np.full_like(x, -128), layer), [[[5, 5]]])


def test_max_pool_leaves_out_what_does_not_fill_a_window() -> None:
    x = np.arange(35).reshape(1, 5, 7)
    np.testing.assert_array_equal(max_pool(x, (2, 3), (2, 3)), [[[9, 12], [23, 26]]])
    np.testing.assert_array_equal(max_pool(x, (1, 1), (1, 1)), x)
    with pytest.raises(ValueError, match="a pool of 6 x 1 does not fit into 5 x 7"):
        max_pool(x, (6, 1), (1, 1))


GOOD = Layer("good", np.ones((2, 3, 3, 3), np.int8), np.zeros(2, np.int32), np.ones(2, np.float32), (3, 4, 4))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": np.ones((2, 3, 3, 3))}, TypeError, "weights is int8 with 4 axes, not float64"),
        ({"weights": np.ones((2, 27), np.int8)}, TypeError, r"4 axes, not int8 of shape \(2, 27\)"),
        ({"bias": np.zeros(2)}, TypeError, "bias is int32"),
        ({"scale": np.ones(2)}, TypeError, "scale is float32"),
        ({"weights": np.ones((0, 3, 3, 3), np.int8)}, ValueError, "hold one element or more"),
        ({"bias": np.zeros(3, np.int32)}, ValueError, "not 3 biases and 2 scales"),
        ({"shape": (4, 4, 4)}, ValueError, "the input has 4 channels, but the weights are for 3"),
        ({"scale": np.array([1, 0], np.float32)}, ValueError, "every scale is positive and finite"),
        ({"scale": np.array([1, np.nan], np.float32)}, ValueError, "every scale is positive and finite"),
        ({"stride": (0, 1)}, ValueError, "strides and pools are 1 or more"),
        ({"pads": (0, 0, -1, 0)}, ValueError, "pads and the threshold 0 or more"),
        ({"low": -1}, ValueError, "does not lie in the uint8 output's 0...255"),
        ({"low": 9, "high": 8}, ValueError, "the clamp"),
        ({"shape": (3, 2, 4)}, ValueError, "a filter of 3 x 3 does not fit into an input of 2 x 4"),
        ({"pool": (3, 1)}, ValueError, "a pool of 3 x 1 does not fit into 2 x 2 outputs"),
    ],
)
def test_layers_that_cannot_be(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="layer good: .*" + message):
        GOOD.replaced(**changes)


def test_wrong_inputs_and_networks() -> None:
    with pytest.raises(TypeError, match="layer good: its inputs are held as uint8, but the array is int8"):
        run_layer(np.zeros((3, 4, 4), np.int8), GOOD)
    with pytest.raises(ValueError, match=r"layer good: its input is \(C, H, W\) = \(3, 4, 4\), but the array's shape is \(3, 4, 5\)"):
        run_layer(np.zeros((3, 4, 5), np.uint8), GOOD)
    x = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"layer good makes \(2, 2, 2\), but layer good takes \(3, 4, 4\)"):
        run_network(x, [GOOD, GOOD])
    after = GOOD.replaced(name="after", weights=np.ones((2, 2, 2, 2), np.int8), shape=(2, 2, 2), x=Activation("uint8", 1))
    with pytest.raises(ValueError, match=r"zero_point=0.*, but layer after takes .*zero_point=1"):
        run_network(x, [GOOD, after])
