"""Thresholds and small weights: what `skipgrid prune` leaves of a model stays that model to ONNX Runtime, within what may be lost.

A Shrink behind a layer joins it; weights that become zero are balanced, save cycles, and are made up for by the bias in the mean.
"""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cli_support import CommandLine
from onnx_models import Branches, quantised
from skipgrid.fpga.board import find_config
from skipgrid.golden import accumulate, two_sided_macs
from skipgrid.golden.lists import present_slots
from skipgrid.host.compiler.ways import ways
from skipgrid.host.execution import run_golden
from skipgrid.host.onnx.cut import Cut, cut_model
from skipgrid.host.onnx.prune import Candidate, candidates, judged, pruned, scores_of, search, work
from skipgrid.host.onnx.runtime import Reference
from skipgrid.host.onnx.sparsity import unstructured
from skipgrid.host.onnx.weights import Kept, Thinned, costs_of, kept_weights, means_of, pattern_of, shares, thinned, with_weights, without

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
    onnx.save(pruned(cut, found, {}), folder / "pruned.onnx")
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
        products += sum(two_sided_macs(x, each.layer) for x, each in zip(inputs, cut.layers, strict=True))
        nonzeros += sum(int((x != each.layer.x.zero_point).sum()) for x, each in zip(inputs, cut.layers, strict=True))
    assert found.products == pytest.approx(products / 3)
    assert sum(found.nonzeros.values()) == pytest.approx(nonzeros / 3)


def test_what_a_model_is_worth() -> None:
    scores = np.array([[1000.0, 0.0], [0.0, 0.0], [0.0, np.log(3.0)]])
    found = judged(scores, np.array([0, 0, 0]))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx((0 + np.log(2) + np.log(4)) / 3)


def test_no_more_is_lost_than_allowed_and_each_step_saves() -> None:
    cut, config = cut_model(MODELS / "lenet5-plain.onnx"), find_config("1x8")
    images, labels = some_digits(20)
    before = judged(scores_of(cut, cut.model.proto, images), labels).accuracy
    layers: list[Candidate | Thinned] = [
        *candidates(cut, images),
        *thinned(cut, images, pattern_of("balanced"), 0.5, config, kept_weights(cut)[0]),
    ]
    found = list(search(cut, images, labels, 0.05, layers, costs_of(cut, config), work(cut, images).nonzeros))
    assert found
    for less, more in pairwise(found):
        assert sum(more.thresholds.values()) >= sum(less.thresholds.values())
        assert more.cycles < less.cycles < 1
    worth = judged(scores_of(cut, pruned(cut, found[-1].thresholds, found[-1].weights), images), labels)
    assert worth == found[-1].worth
    assert worth.accuracy >= before - 0.05
    assert found[-1].weights
    assert found[-1].thresholds


def some_digits(count: int) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.uint8]]:
    """The first digits, as the model takes them, and their labels."""
    with np.load(MODELS / "digits.npz") as data:
        return {"images": data["images"][:count]}, data["labels"][:count]


def test_shares_end_at_the_last_one() -> None:
    assert shares(0.8) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert shares(0.45) == [0.3, 0.4, 0.45]
    assert shares(0.3) == [0.3]
    assert shares(0.1) == [0.1]


@pytest.mark.parametrize("text", ["", "2:4:8", "4:4", "0:4", "random", "-1:2"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        pattern_of(text)


def test_balanced_steps_have_no_padding_and_are_ever_faster(tmp_path: Path) -> None:
    cut, config = cut_model(MODELS / "lenet5-plain.onnx"), find_config("1x8")
    found = {
        each.found.layer.name: each for each in thinned(cut, some_digits(5)[0], pattern_of("balanced"), 0.8, config, kept_weights(cut)[0])
    }
    assert len(found["conv1"].steps) == 1  # whose time is that of its outputs
    for name, zeros in (("conv2", 0.5), ("fc1", 0.8)):  # of conv2 there are two groups, of which an entry takes a cycle at least
        steps = found[name].steps
        assert all(after.cycles < before.cycles for before, after in pairwise(steps))
        assert (steps[-1].weights == 0).mean() == pytest.approx(zeros, abs=0.02)
        onnx.save(pruned(cut, {}, {found[name]: steps[-1]}), tmp_path / "out.onnx")
        (layer,) = (each.layer for each in cut_model(tmp_path / "out.onnx").layers if each.layer.name == name)
        best = min(ways(layer, config), key=lambda way: way.cycles)
        assert best.slots
        assert best.cycles == steps[-1].cycles
        of_lanes = present_slots(layer.weights, config.lanes, config.slots).sum(axis=3)  # (units, taps, lanes)
        words = of_lanes.max(axis=2).sum() * config.lanes
        assert of_lanes.sum() > 0.99 * words  # but for weights that have been zero before


@pytest.mark.parametrize("text", ["unstructured", "2:4"])
def test_other_patterns(text: str) -> None:
    cut, config = cut_model(MODELS / "lenet5-plain.onnx"), find_config("1x8")
    found = {each.found.layer.name: each for each in thinned(cut, some_digits(5)[0], pattern_of(text), 0.5, config, kept_weights(cut)[0])}
    weights = found["fc1"].steps[-1].weights
    if text == "unstructured":
        assert (weights == 0).mean() == pytest.approx(0.5, abs=0.02)
    else:
        assert np.count_nonzero(weights[:, :4], axis=1).max() == 2


def changed(cut: Cut, keeps: Sequence[Kept], rng: np.random.Generator) -> onnx.ModelProto:
    """The model with half of these weights zero."""
    return with_weights(
        cut, {each: (np.where(rng.random(each.values.shape) < 0.5, each.values, 0).astype(np.int8), each.biases) for each in keeps}
    )


@FORMATS
@TYPES
def test_zeros_are_the_zero_points_of_the_model(activation: str, quant_format: str, tmp_path: Path) -> None:
    cut = network(tmp_path, quant_format, activation)
    keeps, why = kept_weights(cut)
    assert len(keeps) == 3
    assert not why
    for each in keeps:
        np.testing.assert_array_equal(each.values, each.found.layer.weights)
    onnx.save(changed(cut, keeps, np.random.default_rng(0)), tmp_path / "out.onnx")
    again = cut_model(tmp_path / "out.onnx")
    assert all(0.3 < (each.layer.weights == 0).mean() < 0.7 for each in again.layers)
    equal(again)


def test_weights_of_other_layers(tmp_path: Path) -> None:
    net = Branches(np.random.default_rng(3), x=(1, 4, 8, 8))
    out = net.add("ConvTranspose", net.conv("x", 4, group=4), net.weights(4, 6, 3, 3))
    out = net.add("MatMul", net.add("Flatten", net.add("Relu", out)), net.weights(600, 5))
    cut = cut_model(quantised(net.save(tmp_path / "model.onnx", out), net.drawn(4), "QDQ", "uint8", per_channel=False))
    keeps, why = kept_weights(cut)
    assert list(why.values()) == ["its channels are in groups"]
    assert [each.values.shape for each in keeps] == [(6, 4, 3, 3), (5, 600)]
    onnx.save(changed(cut, keeps, np.random.default_rng(0)), tmp_path / "out.onnx")
    equal(cut_model(tmp_path / "out.onnx"), 2)


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 2]}, {"dilations": [2, 2]}])
def test_the_bias_makes_up_for_what_is_lost_in_the_mean(attributes: dict[str, list[int]], tmp_path: Path) -> None:
    net = Branches(np.random.default_rng(3), x=(1, 3, 9, 9))
    out = net.conv(net.conv("x", 8), 8, relu=False, **attributes)
    cut = cut_model(quantised(net.save(tmp_path / "model.onnx", out), net.drawn(8), "QDQ", "uint8", per_channel=True))
    images = {"x": np.concatenate([each["x"] for each in net.drawn(8)])}
    second = kept_weights(cut)[0][1]
    assert second.bias is not None
    stored = [Reference(cut).stored({"x": image[None]}) for image in images["x"]]
    inputs = [second.found.read(each[second.found.source][0]) for each in stored]
    changed = without(second, unstructured(second.values, 0.5), means_of(cut, images, [second])[second])
    onnx.save(with_weights(cut, {second: changed}), tmp_path / "out.onnx")
    after = cut_model(tmp_path / "out.onnx").layers[1].layer
    before = second.found.layer
    sums = [np.mean([accumulate(x, each).mean(axis=(1, 2)) for x in inputs], axis=0) + each.bias for each in (before, after)]
    assert not np.array_equal(before.bias, after.bias)
    np.testing.assert_allclose(sums[0], sums[1], atol=0.51)


@ON_1X8
def test_prune(skipgrid: CommandLine, tmp_path: Path) -> None:
    out, report = tmp_path / "out.onnx", tmp_path / "out.json"
    command = ("prune", MODELS / "lenet5-plain.onnx", MODELS / "digits.npz", "--limit", 10, "--max-drop", 10, "--preset", "1x8", "-o", out)
    outcome = skipgrid(*command, "--json", report, "--draw", tmp_path / "out.png")
    assert outcome.code == 0, outcome.errors
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["correct"] >= found["correct_before"] - 0.1 * 10
    assert found["products"] < 0.8 * found["products_before"]
    assert found["weights"] < found["weights_before"]
    assert (found["pattern"], found["thresholds"]) == ("balanced", True)
    first, *others = found["layers"]
    assert "no faster on 1x8" in first["dense"]
    assert f"conv1: its weights are left dense, as {first['dense']}" in outcome.output
    assert (first["zeros"], first["weights"]) == (first["zeros_before"], first["weights_before"])
    assert all(layer["dense"] == "" or layer["zeros"] == layer["zeros_before"] for layer in others)
    assert any(layer["zeros"] > 0.25 for layer in others)
    cut = cut_model(out)
    assert [int(np.count_nonzero(each.layer.weights)) for each in cut.layers] == [layer["weights"] for layer in found["layers"]]
    assert [layer["threshold"] for layer in found["layers"]] == [each.layer.threshold for each in cut.layers]
    assert all(layer["nonzeros"] <= layer["nonzeros_before"] for layer in found["layers"])
    assert found["cycles"] < 0.6 * found["cycles_before"]
    assert [step["accuracy"] for step in found["steps"]][-1] == found["correct"] / 10
    assert "cycles an image" in outcome.output
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert any(each.layer.pool != (1, 1) and each.layer.threshold for each in cut.layers)
    equal(cut)


@ON_1X8
@pytest.mark.parametrize("options", [("--thresholds",), ("--weights", 0.5)], ids=["thresholds", "weights"])
def test_one_of_the_two(options: tuple[object, ...], skipgrid: CommandLine, tmp_path: Path) -> None:
    out, report = tmp_path / "out.onnx", tmp_path / "out.json"
    command = ("prune", MODELS / "lenet5-plain.onnx", MODELS / "digits.npz", "--limit", 5, "--max-drop", 20, "--preset", "1x8", "-o", out)
    outcome = skipgrid(*command, *options, "--json", report)
    assert outcome.code == 0, outcome.errors
    found = json.loads(report.read_text(encoding="utf-8"))
    of_weights = options[0] == "--weights"
    assert (found["pattern"], found["thresholds"]) == ("balanced" if of_weights else None, not of_weights)
    assert (found["weights"] < found["weights_before"]) == of_weights
    assert any(layer["threshold"] for layer in found["layers"]) != of_weights
    assert any(layer["dense"] for layer in found["layers"]) == of_weights
    assert max(layer["zeros"] for layer in found["layers"]) <= 0.55
    assert found["cycles"] < found["cycles_before"]


@ON_1X8
def test_without_labels_the_model_has_to_say_what_it_said(skipgrid: CommandLine, tmp_path: Path) -> None:
    with np.load(MODELS / "digits.npz") as data:
        np.savez(tmp_path / "images.npz", images=data["images"][:5])
    command = (
        "prune",
        MODELS / "lenet5-plain.onnx",
        tmp_path / "images.npz",
        "--weights",
        0.3,
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
    assert (found["labelled"], found["correct_before"], found["correct"]) == (False, 5, 5)


def test_what_is_refused(skipgrid: CommandLine, tmp_path: Path) -> None:
    model, data = MODELS / "lenet5-plain.onnx", MODELS / "digits.npz"
    assert "is the model itself" in skipgrid.refuses("prune", model, data, "-o", model)
    out = ("prune", model, data, "-o", tmp_path / "out.onnx")
    assert "is no pattern" in skipgrid.refuses(*out, "--pattern", "4:2")
    assert "add --weights" in skipgrid.refuses(*out, "--pattern", "2:4", "--thresholds")
    assert "2:4 makes 0.5 of the weights zero" in skipgrid.refuses(*out, "--pattern", "2:4", "--weights", 0.4)
    net = Branches(np.random.default_rng(3), x=(1, 3, 8, 8))
    alone = quantised(net.save(tmp_path / "one.onnx", net.conv("x", 4, relu=False)), net.drawn(4), "QDQ", "uint8", per_channel=True)
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 3, 8, 8), np.float32))
    sentence = skipgrid.refuses("prune", alone, tmp_path / "x.npz", "--thresholds", "-o", tmp_path / "out.onnx")
    assert "that another one reads" in sentence or "no single output of classes" in sentence
    net = Branches(np.random.default_rng(3), x=(1, 4, 3, 3))
    out_name = net.conv("x", 4, relu=False, group=4, pads=[0, 0, 0, 0])
    grouped = quantised(net.save(tmp_path / "grouped.onnx", out_name), net.drawn(4), "QDQ", "uint8", per_channel=True)
    np.savez(tmp_path / "x.npz", images=np.ones((2, 4, 3, 3), np.float32))
    sentence = skipgrid.refuses("prune", grouped, tmp_path / "x.npz", "--weights", 0.5, "-o", tmp_path / "out.onnx")
    assert "no layer whose weights can become zero: its channels are in groups" in sentence
