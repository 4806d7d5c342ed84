"""Thresholds: a Shrink behind a layer joins it, ONNX Runtime says the same of it, and `skipgrid prune` raises them as far as allowed."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from cli_support import CommandLine
from onnx_models import Branches, quantised
from skipgrid.golden import useful_macs
from skipgrid.host.execution import run_golden
from skipgrid.host.onnx.cut import Cut, cut_model
from skipgrid.host.onnx.prune import candidates, judged, scores_of, search, with_thresholds, work
from skipgrid.host.onnx.runtime import Reference

MODELS = Path(__file__).parent.parent / "models"
FORMATS = pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
ON_1X8 = pytest.mark.xdist_group("1x8")  # one worker builds the simulation
TYPES = pytest.mark.parametrize("activation", ["uint8", "int8"])


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def network(folder: Path, quant_format: str, activation: str, behind: Callable[[Branches, str], str] = lambda _, x: x) -> Cut:
    """Two convolutions with something between them, and a third one, whose output is the model's."""
    net = Branches(np.random.default_rng(3), x=(1, 3, 8, 8))
    out = net.conv(net.conv(behind(net, net.conv("x", 6, relu=activation == "uint8")), 5, relu=False), 4, relu=False)
    return cut_model(
        quantised(net.save(folder / "model.onnx", out), net.drawn(4), quant_format, activation, per_channel=quant_format == "QDQ")
    )


def saved(cut: Cut, thresholds: dict[str, int], folder: Path) -> Cut:
    """The model with thresholds of these layers, read anew."""
    found = {each: thresholds[each.layer.name] for each in cut.layers if each.layer.name in thresholds}
    onnx.save(with_thresholds(cut, found), folder / "pruned.onnx")
    return cut_model(folder / "pruned.onnx")


def equal(cut: Cut, count: int = 4) -> None:
    """The golden model gives what ONNX Runtime gives."""
    reference, (end,) = Reference(cut), cut.model.inputs
    for seed in range(count):
        x = np.random.default_rng(seed).normal(0, 100 if end.dtype == np.uint8 else 1, (1, *end.of_image))
        given = {end.name: np.abs(x).clip(0, 255).astype(np.uint8) if end.dtype == np.uint8 else x.astype(np.float32)}
        ours = run_golden(cut, given)
        for name, theirs in reference.outputs(given).items():
            np.testing.assert_array_equal(ours[name], theirs)


@FORMATS
@TYPES
@pytest.mark.parametrize("threshold", [2, 9, 40, 100])
def test_a_threshold_joins_its_layer(threshold: int, activation: str, quant_format: str, tmp_path: Path) -> None:
    cut = network(tmp_path, quant_format, activation)
    names = [found.layer.name for found in cut.layers]
    made = saved(cut, dict.fromkeys(names[:2], threshold), tmp_path)
    assert [found.layer.threshold for found in made.layers] == [threshold, threshold, 0]
    assert all(found.layer.function is None for found in made.layers)
    assert sum(f"less than {threshold} steps" in each.what for each in made.rewritten) == 2
    assert not made.host_nodes
    equal(made)


@pytest.mark.parametrize(
    ("function", "threshold", "looked_up"),
    [
        (lambda net, x: net.add("Shrink", x, lambd=0.3, bias=0.0), True, False),
        (lambda net, x: net.add("Shrink", x, lambd=0.3, bias=0.1), False, True),  # which changes what is left
        (lambda net, x: net.add("Tanh", net.add("Shrink", x, lambd=0.3, bias=0.0)), False, True),
        (lambda net, x: net.add("ThresholdedRelu", x, alpha=0.3), False, True),  # which leaves no negative output
    ],
    ids=["a threshold", "with a bias", "and a function behind it", "of positive values"],
)
@FORMATS
def test_what_is_a_threshold_and_what_a_function(
    function: Callable[[Branches, str], str], threshold: bool, looked_up: bool, quant_format: str, tmp_path: Path
) -> None:
    cut = network(tmp_path, quant_format, "int8", function)
    first = cut.layers[0].layer
    assert (first.threshold > 1, first.function is not None) == (threshold, looked_up)
    equal(cut)


def test_steps_leave_ever_less_and_tell_how_much(tmp_path: Path) -> None:
    cut = network(tmp_path, "QDQ", "int8")
    images = {"x": np.random.default_rng(1).normal(0, 1, (6, 3, 8, 8)).astype(np.float32)}
    found = candidates(cut, images)
    assert [each.found for each in found] == cut.layers[:2]
    stored = [Reference(cut).stored({"x": image[None]}) for image in images["x"]]
    for each in found:
        thresholds = [step.threshold for step in each.steps]
        assert thresholds[0] == 0
        assert all(b > max(a, 1) for a, b in pairwise(thresholds))
        zero = each.found.layer.y.zero_point
        for step in each.steps:
            left = [int((np.abs(one[each.found.output].astype(int) - zero) >= max(step.threshold, 1)).sum()) for one in stored]
            assert step.nonzeros == pytest.approx(np.mean(left))


def test_the_work_is_that_of_the_golden_model(tmp_path: Path) -> None:
    cut = network(tmp_path, "QDQ", "uint8")
    images = np.random.default_rng(1).normal(0, 1, (3, 3, 8, 8)).astype(np.float32)
    found = work(cut, {"x": images})
    products, nonzeros = 0, 0
    for image in images:
        stored = run_golden(cut, {"x": image[None]})
        inputs = [each.read(stored[each.source][0]) for each in cut.layers]
        products += sum(useful_macs(x, each.layer) for x, each in zip(inputs, cut.layers, strict=True))
        nonzeros += sum(int((x != each.layer.x.zero_point).sum()) for x, each in zip(inputs, cut.layers, strict=True))
    assert found.products == pytest.approx(products / 3)
    assert sum(found.nonzeros.values()) == pytest.approx(nonzeros / 3)


def test_what_a_model_is_worth() -> None:
    scores = np.array([[1000.0, 0.0], [0.0, 0.0], [0.0, np.log(3.0)]])
    found = judged(scores, np.array([0, 0, 0]))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx((0 + np.log(2) + np.log(4)) / 3)


def test_no_more_is_lost_than_allowed_and_each_step_saves() -> None:
    cut = cut_model(MODELS / "lenet5-plain.onnx")
    with np.load(MODELS / "digits.npz") as data:
        images, labels = {"images": data["images"][:20]}, data["labels"][:20]
    before = judged(scores_of(cut, cut.model.proto, images), labels).accuracy
    found = list(search(cut, images, labels, 0.05))
    assert found
    for less, more in pairwise(found):
        assert sum(more.thresholds.values()) > sum(less.thresholds.values())
        assert more.saved > less.saved
    worth = judged(scores_of(cut, with_thresholds(cut, found[-1].thresholds), images), labels)
    assert worth == found[-1].worth
    assert worth.accuracy >= before - 0.05


@ON_1X8
def test_prune(skipgrid: CommandLine, tmp_path: Path) -> None:
    out, report = tmp_path / "out.onnx", tmp_path / "out.json"
    command = ("prune", MODELS / "lenet5-plain.onnx", MODELS / "digits.npz", "--limit", 20, "--max-drop", 5, "--preset", "1x8", "-o", out)
    outcome = skipgrid(*command, "--json", report, "--draw", tmp_path / "out.png")
    assert outcome.code == 0, outcome.errors
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["correct"] >= found["correct_before"] - 0.05 * 20
    assert found["products"] < 0.8 * found["products_before"]
    cut = cut_model(out)
    assert [layer["threshold"] for layer in found["layers"]] == [each.layer.threshold for each in cut.layers]
    assert all(layer["nonzeros"] <= layer["nonzeros_before"] for layer in found["layers"])
    assert found["cycles"] < 0.8 * found["cycles_before"]
    assert [step["accuracy"] for step in found["steps"]][-1] == found["correct"] / 20
    assert "cycles an image" in outcome.output
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert any(each.layer.pool != (1, 1) and each.layer.threshold for each in cut.layers)
    equal(cut)


@ON_1X8
def test_without_labels_the_model_has_to_say_what_it_said(skipgrid: CommandLine, tmp_path: Path) -> None:
    with np.load(MODELS / "digits.npz") as data:
        np.savez(tmp_path / "images.npz", images=data["images"][:20])
    command = (
        "prune",
        MODELS / "lenet5-plain.onnx",
        tmp_path / "images.npz",
        "--max-drop",
        0,
        "--preset",
        "1x8",
        "-o",
        tmp_path / "out.onnx",
    )
    outcome = skipgrid(*command, "--json", tmp_path / "out.json")
    assert outcome.code == 0, outcome.errors
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (found["labelled"], found["correct_before"], found["correct"]) == (False, 20, 20)


def test_what_is_refused(skipgrid: CommandLine, tmp_path: Path) -> None:
    model, data = MODELS / "lenet5-plain.onnx", MODELS / "digits.npz"
    assert "is the model itself" in skipgrid.refuses("prune", model, data, "-o", model)
    net = Branches(np.random.default_rng(3), x=(1, 3, 8, 8))
    alone = quantised(net.save(tmp_path / "one.onnx", net.conv("x", 4, relu=False)), net.drawn(4), "QDQ", "uint8", per_channel=True)
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 3, 8, 8), np.float32))
    sentence = skipgrid.refuses("prune", alone, tmp_path / "x.npz", "-o", tmp_path / "out.onnx")
    assert "that another one reads" in sentence or "no single output of classes" in sentence
