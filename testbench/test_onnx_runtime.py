"""ONNX Runtime to compare with: what it cannot run, batches, and the differences that its float32 kernels explain."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnx_models import Graph
from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.runtime import Reference
from test_onnx_import_graphs import INPUTS, Y_SCALE, Y_ZERO, clip, conv, image, pool, relu, rounded


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


def test_a_batch_that_is_fixed(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    onnx.save(model, tmp_path / "any.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    one, four = (cut_model(tmp_path / f"{name}.onnx") for name in ("any", "four"))
    assert (one.model.batch, four.model.batch) == (1, 4)
    expected = np.concatenate([Reference(one).outputs({"x": INPUTS[n : n + 1]})["y_out"] for n in range(4)])
    np.testing.assert_array_equal(Reference(four).outputs({"x": INPUTS[:4]})["y_out"], expected)
    np.testing.assert_array_equal(run_golden(four, {"x": INPUTS[:4]})["y_out"], expected)


def test_a_model_that_onnxruntime_cannot_run(tmp_path: Path) -> None:
    model = rounded(conv(image())).model("uint8")
    model.opset_import[0].version = 99
    onnx.save(model, tmp_path / "new.onnx")
    with pytest.raises(
        ModelError, match=r"ONNX Runtime .* cannot run .*new\.onnx: .*Opset 99 is .*; write the model with an opset"
    ) as refused:
        cut_model(tmp_path / "new.onnx")
    assert "onnxruntime_src" not in str(refused.value)


def test_a_run_that_onnxruntime_refuses(tmp_path: Path) -> None:
    reference = Reference(cut_model(rounded(conv(image())).save(tmp_path / "model.onnx", "uint8")))
    with pytest.raises(ModelError, match=r"cannot run .*model\.onnx: .*; write the model with"):
        reference.outputs({"x": INPUTS[:1, :1]})


@pytest.mark.parametrize("behind", [None, False, True], ids=["last", "before integers", "before floats"])
@pytest.mark.parametrize("between", [relu, clip, pool], ids=["relu", "clip", "pool"])
def test_ties_in_float32_are_told_from_all_other_differences(
    between: Callable[[Graph], Graph], behind: bool | None, tmp_path: Path
) -> None:
    graph = rounded(between(conv(image())))
    model = (graph if behind is None else then_gemm(graph, behind)).save(tmp_path / "model.onnx", "uint8")
    cut = cut_model(model)
    reference, end = Reference(cut), cut.model.outputs[0].name
    different = []
    for number in range(len(INPUTS)):
        tensors = {"x": INPUTS[number : number + 1]}
        if not np.array_equal(run_golden(cut, tensors)[end], reference.outputs(tensors)[end]):
            different.append(number)
    assert different or behind is not None or between is pool, "no value lies at a tie, so that there is nothing to tell"
    for number in (*different, 0):
        assert reference.explains({"x": INPUTS[number : number + 1]}, 0)


def test_a_wrong_layer_is_not_explained_and_is_named(tmp_path: Path) -> None:
    """Whether ONNX Runtime computes it in float32 or not: only values near a tie may differ."""
    for between in (relu, lambda graph: graph):
        cut = cut_model(rounded(between(conv(image()))).save(tmp_path / "model.onnx", "uint8"))
        (found,) = cut.layers
        tensors = {"x": INPUTS[:1]}
        wrong = replace(cut, steps=(replace(found, layer=found.layer.replaced(bias=found.layer.bias + 40)),))
        assert Reference(cut).explains(tensors, 0)
        assert not Reference(wrong).explains(tensors, 0)
        assert len(Reference(cut).compare(tensors, run_golden(cut, tensors), 1)) <= 1
        (difference,) = Reference(wrong).compare(tensors, run_golden(wrong, tensors), 1)
        assert difference.layer == "conv"
        assert difference.element[0] == 0
        assert difference.ours != difference.theirs
