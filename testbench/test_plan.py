"""Models planned for accelerators: what runs from one start, what in passes, what does not fit; and what is told of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from cli_support import MODEL, CommandLine
from onnx_models import Graph
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.fpga.board import all_boards, find_config
from skipgrid.host.execution import Runner, run_golden
from skipgrid.host.forecast import forecast
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.plan import plan_model
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import PRESETS
from test_onnx_import_graphs import INPUTS, WEIGHTS, Y_SCALE, Y_ZERO, K, conv, image, paired, pool, relu, rounded


def three_layers(graph: Graph) -> Graph:
    """A Conv behind another one, and a pooling with padding behind both."""
    rng = np.random.default_rng(0)
    weights = graph.dequantised(rng.integers(-64, 65, (9, K, 3, 3)).astype(np.int8), np.float32(0.005), np.int8(0))
    graph = rounded(relu(paired(conv(graph), "a", zero_point=np.uint8(0))), scale=Y_SCALE, zero_point=np.uint8(0))
    graph.add("DequantizeLinear", "b", Y_SCALE, np.uint8(0)).add("Conv", "second", weights)
    return rounded(pool(paired(graph, "c"), pads=[1, 1, 1, 1]), "last", Y_SCALE, Y_ZERO)


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return three_layers(image()).save(tmp_path / "model.onnx", "uint8")


def test_layers_that_follow_each_other_run_from_one_start(model: Path) -> None:
    plan = plan_model(cut_model(model), find_config("1x8"))
    assert [[found.layer.name for found in segment.layers] for segment in plan.segments] == [["conv", "second"], ["pool"]]
    assert plan.device_macs_share == 1
    few = plan_model(cut_model(model), find_config("1x8").replaced(channels=8))
    assert [segment.program is None for segment in few.segments] == [False, True, True]
    assert [step.passes for step in forecast(few)] == [1, 2, 2]


def test_what_was_rewritten_is_told(skipgrid: CommandLine, tmp_path: Path) -> None:
    weights = np.ascontiguousarray(WEIGHTS[:, :1])
    weights[2] = 0
    graph = rounded(conv(image().add("Transpose", "turn", perm=[0, 1, 3, 2]), weights, group=3))
    model = graph.save(tmp_path / "model.onnx", "uint8")
    outcome = skipgrid("check", model, "--preset", "1x8", "--json", tmp_path / "check.json")
    assert outcome.code == 0, outcome.errors
    told = [(each["layer"], each["what"]) for each in json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["rewritten"]]
    assert told == [
        ("conv", "reads its input in another order, without its being moved"),
        ("conv", "has zeros for the channels of other groups"),
        ("conv", "computes 5 of 6 channels, as the others are constant"),
    ]
    assert "computes 5 of 6 channels" in outcome.output


def test_what_does_not_fit_runs_on_the_host(model: Path) -> None:
    tiny = find_config("1x8").replaced(features=64, side=16, weights=256)
    cut = cut_model(model)
    plan = plan_model(cut, tiny.replaced(weights=256, channels=8))
    assert not plan.host_nodes
    narrow = three_layers(image()).save(model, "uint8")
    wide = cut_model(narrow)
    refused = {found: "there is no room" for found in wide.layers if found.layer.name == "second"}
    left = wide.without(refused)
    assert [(node.name, node.op, node.why) for node in left.host_nodes] == [("second", "Conv", "there is no room")]
    given = {"x": INPUTS[:1]}
    np.testing.assert_array_equal(run_golden(left, given)["last_out"], run_golden(wide, given)["last_out"])
    with pytest.raises(
        ModelError, match=r"nothing of .* would run on the accelerator: node 'conv' .*: too large; node 'second' .*: too large"
    ):
        wide.without(dict.fromkeys(wide.layers, "too large"))


@pytest.mark.xdist_group("small")
def test_a_vector_longer_than_a_row_is_folded(tmp_path: Path) -> None:
    graph = Graph((400,), "uint8").add("DequantizeLinear", "f", Y_SCALE, Y_ZERO)
    rng = np.random.default_rng(2)
    weights = graph.dequantised(rng.integers(-9, 10, (400, 5)).astype(np.int8), np.float32(0.002), np.int8(0))
    cut = cut_model(rounded(graph.add("MatMul", "wide", weights)).save(tmp_path / "wide.onnx", "uint8"))
    plan = plan_model(cut, SMALL)
    (segment,) = plan.segments
    assert segment.layers[0].layer.shape == (200, 2, 1)  # of 256 columns x channels
    x = np.where(rng.random((1, 400)) < 0.5, rng.integers(0, 256, (1, 400)), 100).astype(np.uint8)
    runner = Runner(SimulatedDevice(SMALL), plan)
    (run,) = runner.run({"x": x}, 1)
    assert run.layers[0].exact
    np.testing.assert_array_equal(runner.stored["y_out"], run_golden(cut, {"x": x})["y_out"])
    assert len(np.unique(runner.stored["y_out"])) > 3


@pytest.mark.xdist_group("small")
def test_an_image_with_too_many_nonzeros_is_cut_smaller(tmp_path: Path) -> None:
    large = Graph((3, 12, 11), "uint8").add("DequantizeLinear", "x_float", np.float32(0.013), np.uint8(7))
    cut = cut_model(three_layers(large).save(tmp_path / "large.onnx", "uint8"))
    device = SimulatedDevice(SMALL)
    runner = Runner(device, plan_model(cut, SMALL))
    rng = np.random.default_rng(1)
    starts = []
    for share in (0.02, 1.0):
        x = np.where(rng.random((1, 3, 12, 11)) < share, rng.integers(8, 256, (1, 3, 12, 11)), 7).astype(np.uint8)
        (run,) = runner.run({"x": x}, 1)
        assert all(layer.exact for layer in run.layers)
        np.testing.assert_array_equal(runner.stored["last_out"], run_golden(cut, {"x": x})["last_out"])
        starts.append(run.starts)
    assert starts == [2, 3]


def test_check_and_plan(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("check", MODEL, "--json", tmp_path / "check.json")
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert [each["layers"] for each in report["accelerators"]] == [5] * (len(PRESETS) + len(all_boards()))
    assert all(each["device_macs_share"] == 1 and not each["does_not_fit"] for each in report["accelerators"])
    outcome = skipgrid("plan", MODEL, "--preset", "1x8", "--json", tmp_path / "plan.json")
    assert outcome.code == 0, outcome.errors
    (step,) = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["steps"]
    assert (step["names"], step["passes"], step["layers"]) == (["conv1", "conv2", "fc1", "fc2", "fc3"], 1, 5)


def test_check_fails_where_a_layer_does_not_fit(skipgrid: CommandLine, tmp_path: Path) -> None:
    graph = Graph((1, 40, 40), "uint8").add("DequantizeLinear", "f", Y_SCALE, Y_ZERO)
    weights = graph.dequantised(np.ones((5, 1, 33, 33), np.int8), np.float32(0.01), np.int8(0))
    second = graph.dequantised(np.ones((3, 5, 1, 1), np.int8), np.float32(0.01), np.int8(0))
    wide = rounded(graph.add("Conv", "wide", weights)).add("DequantizeLinear", "g", Y_SCALE, Y_ZERO)
    model = rounded(wide.add("Conv", "small", second), "last").save(tmp_path / "wide.onnx", "uint8")
    outcome = skipgrid("check", model, "--board", "icebreaker")
    assert outcome.code == 1
    assert "needs 1,089 pixels of its input, but icebreaker holds 1,024; set pixels=2048 in its configuration" in outcome.output
    assert skipgrid("check", model, "--board", "icebreaker", "--set", "pixels=2048", "--set", "entries=2048").code == 0
    assert skipgrid("check", model).code == 0  # on others it does
    assert skipgrid.refuses("check", model, "--set", "pixels=2048").startswith("--set changes one accelerator")
