"""Names in a model: nodes that have none, or the same one, are not taken for each other."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.runtime import Reference
from test_onnx_import_graphs import INPUTS, conv, image, pool, relu, rounded


def named(names: list[str], path: Path) -> Path:
    """A convolution, its clamp and its rounding, then a softmax and another rounding, under other names."""
    graph = rounded(pool(relu(conv(image()))), zero_point=np.uint8(0))
    graph.add("DequantizeLinear", "middle", np.float32(0.02), np.uint8(0)).add("Softmax", "softmax", axis=1)
    model = rounded(graph, "last", np.float32(1 / 256), np.uint8(0)).model("uint8")
    for number, node in enumerate(model.graph.node):
        node.name = names[number % len(names)]
    onnx.save(model, path / "model.onnx")
    return path / "model.onnx"


@pytest.mark.parametrize("names", [[""], ["", "conv_out"], ["", "", "y_out", "x_float"]], ids=["none", "a tensor's", "some"])
def test_nodes_without_names(names: list[str], tmp_path: Path) -> None:
    """What a part of the host is called has no part in what a layer takes."""
    if len(names) > 1:  # each name once
        names = [*names, *[""] * 20]
    cut = cut_model(named(names, tmp_path))
    assert len({node.name for node in cut.model.nodes}) == len(cut.model.nodes)
    assert [node.op for node in cut.host_nodes] == ["Softmax"]
    assert len(cut.layers) == 1
    tensors = {"x": INPUTS[:1]}
    np.testing.assert_array_equal(run_golden(cut, tensors)["last_out"], Reference(cut).outputs(tensors)["last_out"])


def test_two_nodes_of_one_name_are_refused_by_onnxruntime(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot run .*model\.onnx: .*'?twice'?"):
        cut_model(named(["twice"], tmp_path))
