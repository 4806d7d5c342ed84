"""ONNX Runtime to compare with: what it cannot run, batches, and the differences that its float32 kernels explain."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnx_models import Graph
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.importer import read_model
from skipgrid.host.onnx.runtime import Reference
from test_onnx_import_graphs import INPUTS, Y_SCALE, Y_ZERO, clip, conv, image, outputs, pool, relu, rounded


def then_gemm(graph: Graph, flatten_floats: bool) -> Graph:
    """A fully connected layer behind, whose input is flattened as floats or in 8 bits."""
    if not flatten_floats:
        graph.add("Flatten", "flat")
    graph.add("DequantizeLinear", "middle", Y_SCALE, Y_ZERO)
    if flatten_floats:
        graph.add("Flatten", "flat")
    weights = np.random.default_rng(0).integers(-64, 65, (7, graph.shape()[0])).astype(np.int8)
    graph.add("Gemm", "gemm", graph.dequantised(weights, np.float32(0.004), np.int8(0)), transB=1)
    return rounded(graph, "last", np.float32(0.1))


def test_a_batch_that_is_fixed_is_filled_up(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    onnx.save(model, tmp_path / "any.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    expected = Reference(tmp_path / "any.onnx").outputs(INPUTS[:6])
    np.testing.assert_array_equal(Reference(tmp_path / "four.onnx").outputs(INPUTS[:6]), expected)


def test_a_model_that_onnxruntime_cannot_run(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    model.opset_import[0].version = 99
    onnx.save(model, tmp_path / "new.onnx")
    read_model(tmp_path / "new.onnx")
    with pytest.raises(
        ModelError, match=r"ONNX Runtime .* cannot run .*new\.onnx, .* Opset 99 is .*; write the model with an opset"
    ) as refused:
        Reference(tmp_path / "new.onnx")
    assert "onnxruntime_src" not in str(refused.value)


def test_a_run_that_onnxruntime_refuses(tmp_path: Path) -> None:
    reference = Reference(rounded(conv(image())).save(tmp_path / "model.onnx", "uint8"))
    with pytest.raises(ModelError, match=r"cannot run .*model\.onnx, .*; write the model with"):
        reference.outputs(INPUTS[:, :1])


@pytest.mark.parametrize("in_float", [(True,), (True, False), (True, True)], ids=["last", "before integers", "before floats"])
@pytest.mark.parametrize("between", [relu, clip, pool], ids=["relu", "clip", "pool"])
def test_ties_in_float32_are_told_from_all_other_differences(
    between: Callable[[Graph], Graph], in_float: tuple[bool, ...], tmp_path: Path
) -> None:
    graph = rounded(between(conv(image())))
    model = (then_gemm(graph, in_float[1]) if in_float[1:] else graph).save(tmp_path / "model.onnx", "uint8")
    imported, reference = read_model(model), Reference(model)
    assert imported.in_float == in_float
    expected, actual = reference.outputs(INPUTS), outputs(imported.network, INPUTS)
    different = [number for number in range(len(INPUTS)) if not np.array_equal(actual[number], expected[number])]
    assert different or in_float[1:] or between is pool, "no value lies at a tie, so that there is nothing to tell"
    for number in (*different, 0):
        here = slice(number, number + 1)
        assert reference.explains(imported, INPUTS[here], expected[here])
        wrong = expected[here].copy()
        wrong.flat[0] ^= 1
        assert not reference.explains(imported, INPUTS[here], wrong)


def test_a_wrong_layer_is_not_explained(tmp_path: Path) -> None:
    """Whether ONNX Runtime computes it in float32 or not: only values near a tie may differ."""
    for between in (relu, lambda graph: graph):
        model = rounded(between(conv(image()))).save(tmp_path / "model.onnx", "uint8")
        imported, reference = read_model(model), Reference(model)
        (layer,) = imported.network.layers
        wrong = type(imported.network)("wrong", (layer.replaced(bias=layer.bias + 40),), imported.network.input, imported.network.output)
        expected = reference.outputs(INPUTS[:1])
        assert reference.explains(imported, INPUTS[:1], expected)
        assert not reference.explains(type(imported)(wrong, imported.tensors, imported.in_float), INPUTS[:1], expected)
