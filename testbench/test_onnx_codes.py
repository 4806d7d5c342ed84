"""What 8-bit codes stand for on their way to a layer: types, zero points, padding, and constants that subgraphs read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_models import Graph, run_onnxruntime
from skipgrid.host.execution import run_golden
from skipgrid.host.onnx.cut import cut_model
from test_onnx_import_graphs import INPUTS, MATRIX, X_SCALE, C, K, conv, image, matmul, paired, pool, rounded

AROUND = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)


ZERO_BIAS = np.zeros(K, np.float32)
FLOAT_BIAS = np.linspace(-1, 1, K, dtype=np.float32)
FIRST = (np.array([0], np.int64), np.array([40], np.int64), np.array([1], np.int64))  # 40 features


def codes() -> Graph:
    return Graph((C, 9, 8), "uint8")


def of_codes(value: int) -> Graph:
    """Padding of codes whose zero point, 7, only the DequantizeLinear behind it says."""
    return rounded(conv(codes().add("Pad", "pad", AROUND, np.uint8(value)).add("DequantizeLinear", "x_float", X_SCALE, np.uint8(7))))


def with_other_zeros() -> Graph:
    """Zeros around the image, which the layer reads with another zero point."""
    padded = rounded(image().add("Pad", "pad", AROUND), "padded", X_SCALE, np.uint8(7))
    return rounded(conv(padded.add("DequantizeLinear", "other", np.float32(0.02), np.uint8(3))))


def then_pooled() -> Graph:
    """Zeros around the image, and the lowest value around those."""
    return rounded(
        image().add("Pad", "pad", AROUND).add("MaxPool", "pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), "y", X_SCALE, np.uint8(7)
    )


WAYS: dict[str, tuple[Callable[[], Graph], int]] = {
    "padded with zeros": (lambda: of_codes(7), 1),
    "padded with something else": (lambda: of_codes(0), 0),
    "padded with other zeros": (with_other_zeros, 0),
    "padded, then pooled with padding": (then_pooled, 0),
    "uint8 becomes int8": (lambda: rounded(conv(paired(paired(image(), "a"), "b", zero_point=np.int8(100)), bias=ZERO_BIAS)), 1),
    "rounded three times": (lambda: rounded(conv(paired(paired(image(), "a"), "b", np.float32(0.03), np.uint8(9)), bias=ZERO_BIAS)), 1),
    "a float bias": (lambda: rounded(conv(image(), bias=FLOAT_BIAS)), 1),
    "a float bias that is not rounded": (lambda: rounded(conv(image(), bias=FLOAT_BIAS).add("Flatten", "flat")), 0),
    "a float bias in two dimensions": (
        lambda: rounded(matmul(image().add("Flatten", "flat").add("Slice", "some", *FIRST)).add("Add", "add", FLOAT_BIAS[np.newaxis])),
        0,
    ),
    "rounded again behind an Identity": (
        lambda: rounded(conv(paired(paired(image(), "a").add("Identity", "same"), "b", np.float32(0.03), np.uint8(9)), bias=ZERO_BIAS)),
        1,
    ),
    "a layer, rounded again": (
        lambda: rounded(paired(pool(paired(paired(conv(image()), "a"), "b", np.float32(0.03), np.uint8(9))), "c", np.float32(0.04))),
        2,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_way_to_a_layer(way: str, tmp_path: Path) -> None:
    build, layers = WAYS[way]
    equal(build().save(tmp_path / "model.onnx", "uint8"), layers)


def equal(path: Path, layers: int) -> None:
    """Cut a model, and compare some images with ONNX Runtime."""
    cut = cut_model(path, host_only=True)
    assert len(cut.layers) == layers
    expected = run_onnxruntime(path, INPUTS[:20])
    for number, theirs in enumerate(expected):
        ours = run_golden(cut, {"x": INPUTS[number : number + 1]})[cut.model.outputs[0].name][0]
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(expected)) > 10


def branch(operator: str, reads: str) -> onnx.GraphProto:
    node = helper.make_node(operator, [reads], [f"{operator}_out"], operator)
    return helper.make_graph([node], operator, [], [helper.make_tensor_value_info(f"{operator}_out", TensorProto.FLOAT, None)])


def test_a_condition_that_is_constant(tmp_path: Path) -> None:
    """What its branches read is not."""
    graph = paired(conv(image()), "a")
    reads = graph.tensor
    graph.tensor = graph.constant(np.array(True))
    graph.add("If", "if", then_branch=branch("Neg", reads), else_branch=branch("Abs", reads))
    equal(pool(rounded(graph)).save(tmp_path / "model.onnx", "uint8", (6, 3, 5)), 2)


def test_constants_of_other_kinds(tmp_path: Path) -> None:
    """A sequence of constants, and one that a function of the model makes."""
    graph = paired(conv(image()), "a")
    tensor, graph.tensor = graph.tensor, graph.constant(np.float32(0.1))
    graph.add("SequenceConstruct", "both", np.float32(0.2)).add("SequenceAt", "second", np.int64(1))
    graph.nodes.append(helper.make_node("Twice", [graph.tensor], ["twice_out"], "twice", domain="own"))
    graph.tensor = tensor
    model = rounded(graph.add("Mul", "mul", "twice_out")).model("uint8", (6, 7, 6))
    model.functions.append(
        helper.make_function("own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)])
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, tmp_path / "model.onnx")
    equal(tmp_path / "model.onnx", 1)


def test_sizes_that_depend_on_the_image(tmp_path: Path) -> None:
    """Rows that are chosen by their values, for a layer."""
    graph = paired(conv(image()), "a").add("Reshape", "rows", np.array([1, -1, 6], np.int64))
    rows = graph.tensor
    graph.add("ReduceMax", "largest", axes=[0, 2], keepdims=0).add("Less", "chosen", np.float32(1.2))
    chosen, graph.tensor = graph.tensor, rows
    graph = paired(graph.add("Compress", "compress", chosen, axis=1), "b")
    weights = graph.dequantised(MATRIX[:, :6].copy(), np.float32(0.01), np.int8(0))
    path = rounded(graph.add("MatMul", "matmul", weights)).save(tmp_path / "model.onnx", "uint8", ("rows", 6))
    cut = cut_model(path)
    assert [found.layer.name for found in cut.layers] == ["conv"]
    sizes = set()
    for number in range(10):
        theirs = run_onnxruntime(path, INPUTS[number : number + 1])
        ours = run_golden(cut, {"x": INPUTS[number : number + 1]})[cut.model.outputs[0].name]
        np.testing.assert_array_equal(ours, theirs)
        sizes.add(theirs.shape)
    assert len(sizes) > 1


def test_an_output_without_a_shape(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "model.onnx")
    equal(tmp_path / "model.onnx", 1)


@pytest.mark.parametrize("places", [[1, 4], [[1, 0, 0], [4, 0, 0]]], ids=["numbers", "indices"])
def test_sparse_initializers(places: list[Any], tmp_path: Path) -> None:
    model = rounded(paired(conv(image()), "a").add("Mul", "mul", "sparse")).model("uint8", (6, 7, 6))
    values = onnx.numpy_helper.from_array(np.array([1, 2], np.float32), "sparse")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, onnx.numpy_helper.from_array(np.array(places)), [6, 1, 1]))
    onnx.save(model, tmp_path / "model.onnx")
    equal(tmp_path / "model.onnx", 1)
