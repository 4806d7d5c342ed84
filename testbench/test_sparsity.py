"""Which weights are kept: the share of zeros, balance over lanes, n of m, and the largest; and the model that was trained so."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnx_models import run_onnxruntime
from skipgrid.golden import run_network
from skipgrid.host.onnx.importer import import_model
from skipgrid.host.onnx.sparsity import balanced, n_of_m, unstructured, with_every_channel

MODELS = Path(__file__).resolve().parent.parent / "models"
SHAPES = [(16, 6, 5, 5), (120, 40), (84, 12), (3, 2, 3, 3), (1, 7)]
ZEROS = [0.0, 0.33, 0.8, 0.97, 1.0]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def drawn(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights whose taps differ in size."""
    rng = np.random.default_rng(len(shape) * shape[0])
    return (rng.normal(size=shape) * rng.uniform(0.2, 3, shape[1:])).astype(np.float32)


def by_lane(values: NDArray[np.generic], lanes: int) -> list[NDArray[np.generic]]:
    """Of each lane, (channels, taps)."""
    return [values.reshape(len(values), -1)[lane::lanes] for lane in range(lanes)]


@shapes
@pytest.mark.parametrize("zeros", ZEROS)
def test_unstructured_keeps_the_largest_of_all(shape: tuple[int, ...], zeros: float) -> None:
    weights = drawn(shape)
    mask = unstructured(weights, zeros)
    assert mask.shape == weights.shape
    assert np.count_nonzero(~mask) == round(zeros * weights.size)
    assert np.abs(weights[mask]).min(initial=np.inf) >= np.abs(weights[~mask]).max(initial=0)


@shapes
@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("lanes", [1, 4, 8])
def test_balanced_over_lanes(shape: tuple[int, ...], zeros: float, lanes: int) -> None:
    weights = drawn(shape)
    mask = balanced(weights, zeros, lanes)
    assert mask.shape == weights.shape
    assert 0 <= np.count_nonzero(~mask) - round(zeros * weights.size) < lanes, "the share of zeros is missed by a level"
    lengths = np.max([kept.sum(axis=0) for kept in by_lane(mask, lanes)], axis=0)
    for kept, of_lane in zip(by_lane(mask, lanes), by_lane(np.abs(weights), lanes), strict=True):
        np.testing.assert_array_equal(kept.sum(axis=0), np.minimum(lengths, len(kept)))
        smallest, largest = np.where(kept, of_lane, np.inf).min(axis=0, initial=np.inf), np.where(kept, 0, of_lane).max(axis=0, initial=0)
        assert (smallest >= largest).all(), "a lane leaves out a weight larger than one that it keeps"


@shapes
def test_balanced_levels_hold_most_magnitude(shape: tuple[int, ...], lanes: int = 4) -> None:
    """No level that is left out holds more than one that is kept."""
    weights = drawn(shape)
    levels: list[NDArray[np.floating]] = [np.zeros((-(-len(weights) // lanes), weights[0].size)) for _ in range(2)]
    for total, values in zip(levels, (np.abs(weights), np.abs(weights) * balanced(weights, 0.8, lanes)), strict=True):
        for of_lane in by_lane(values, lanes):
            total[: len(of_lane)] += np.sort(of_lane, axis=0)[::-1]
    whole, kept = levels
    assert whole[kept > 0].min(initial=np.inf) >= whole[kept == 0].max(initial=0)


def test_balanced_spends_more_on_larger_taps() -> None:
    """Two lanes of two channels: the first tap's levels hold 9 and 7, the second one's 2 and 1."""
    weights = np.array([[5, 1], [-4, 1], [3, 0.5], [4, -0.5]])
    np.testing.assert_array_equal(balanced(weights, 0.5, 2), [[True, False]] * 4)
    np.testing.assert_array_equal(balanced(weights, 0.25, 2), [[True, True], [True, True], [True, False], [True, False]])


def test_every_channel_keeps_a_weight_and_lanes_stay_balanced(lanes: int = 4) -> None:
    weights = drawn((18, 30))
    weights[[0, 5, 9]] /= 1000
    mask = balanced(weights, 0.8, lanes)
    assert np.flatnonzero(~mask.any(axis=1)).tolist() == [0, 5, 9]
    made = with_every_channel(weights, mask, lanes)
    assert made.any(axis=1).all()
    assert np.count_nonzero(made != mask) == 6, "more has changed than one weight for another, three times"
    for before, after in zip(by_lane(mask, lanes), by_lane(made, lanes), strict=True):
        np.testing.assert_array_equal(before.sum(axis=0), after.sum(axis=0))
    np.testing.assert_array_equal(with_every_channel(weights, made, lanes), made)


def test_the_weight_that_makes_room_costs_least() -> None:
    """One lane of three channels; the last one has no weight, and the second one a single weight, which it keeps."""
    weights = np.array([[9, 8, 5], [0, 2, 1], [0, 1, 0.5]])
    mask = np.array([[True, True, True], [False, True, False], [False, False, False]])
    np.testing.assert_array_equal(with_every_channel(weights, mask, 1), [[True, True, False], [False, True, False], [False, False, True]])
    nothing = np.zeros((3, 3), bool)
    np.testing.assert_array_equal(with_every_channel(weights, nothing, 1), nothing)


@pytest.mark.parametrize("C", [8, 6, 1])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 4), (0, 2), (1, 8)])
def test_n_of_m_input_channels(C: int, n: int, m: int) -> None:
    weights = drawn((5, C, 3, 2))
    mask = n_of_m(weights, n, m)
    assert mask.shape == weights.shape
    for first in range(0, C, m):
        kept, group = mask[:, first : first + m], np.abs(weights[:, first : first + m])
        assert (kept.sum(axis=1) == min(n, group.shape[1])).all()
        assert (np.where(kept, group, np.inf).min(axis=1) >= np.where(kept, 0, group).max(axis=1)).all()


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=40), st.floats(0, 1), st.integers(1, 9))
def test_weights_of_8_bits_with_alike_magnitudes(codes: list[int], zeros: float, lanes: int) -> None:
    weights = np.array(codes, np.int8)[:, None]
    exact = round(zeros * len(codes))
    assert np.count_nonzero(~unstructured(weights, zeros)) == exact
    counts = [int(kept.sum()) for kept in by_lane(balanced(weights, zeros, lanes), lanes)]
    assert exact <= len(codes) - sum(counts) < exact + lanes
    assert max(counts) - min(counts) <= 1


def test_what_is_refused() -> None:
    weights = drawn((8, 4))
    for zeros in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"the share of zeros lies in 0\.\.\.1"):
            unstructured(weights, zeros)
        with pytest.raises(ValueError, match=r"the share of zeros lies in 0\.\.\.1"):
            balanced(weights, zeros, 8)
    with pytest.raises(ValueError, match="at least 1 lane, not 0"):
        balanced(weights, 0.5, 0)
    for n, m in ((3, 2), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match=f"n is {n} and m is {m}"):
            n_of_m(weights, n, m)


def test_the_trained_model_is_what_its_report_says() -> None:
    """Zeros and balance of its weights in 8 bits, and what it recognises, by the golden model and by ONNX Runtime alike."""
    report = json.loads((MODELS / "lenet5-swat.json").read_text(encoding="utf-8"))
    network = import_model(MODELS / "lenet5-swat.onnx")
    assert (report["form"], report["lanes"], report["sparse"]) == ("balanced", 8, ["conv2", "fc1", "fc2"])
    assert [layer.weights.shape[0] for layer in network.layers] == [6, 16, 120, 84, 10], "channels that are constant are not computed"
    for layer, told in zip(network.layers, report["layers"], strict=True):
        size, nonzeros = layer.weights.size, np.count_nonzero(layer.weights)
        assert (told["name"], told["weights"]) == (layer.name, size)
        assert told["weight_zeros"] == pytest.approx(1 - nonzeros / size)
        if layer.name in report["sparse"]:
            most = size - round(report["sparsity"] * size)
            assert nonzeros <= most
            longest = np.max([np.count_nonzero(of_lane, axis=0) for of_lane in by_lane(layer.weights, report["lanes"])], axis=0)
            assert longest.sum() * report["lanes"] <= most + report["lanes"], "lists of equal lengths hold more than the share that is kept"
    digits = np.load(MODELS / "digits.npz")
    logits = network.results(np.stack([run_network(x, network.layers)[-1] for x in network.activations(digits["images"])]))
    np.testing.assert_array_equal(logits, run_onnxruntime(MODELS / "lenet5-swat.onnx", digits["images"]))
    accuracy = (logits.argmax(1) == digits["labels"]).mean()
    assert accuracy == report["accuracy_int8"] == report["forms"][report["form"]]["accuracy_int8"]
    assert accuracy >= 0.97
