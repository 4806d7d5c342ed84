"""The golden Top-K against the contract's words, and against NumPy's stable sort."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skipgrid.golden import (
    Activation,
    Layer,
    Thresholds,
    Winners,
    keep_reaching,
    keep_winners,
    run_layer,
    run_network,
    smallest_winner,
    topk,
    winners,
)


def by_the_contract(values: list[int], k: int) -> list[int]:
    """Larger first, equal values by lower index first."""
    return sorted(range(len(values)), key=lambda index: (-values[index], index))[:k]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_all_tensors_of_five_elements_of_three_bits(dtype: type) -> None:
    low = -4 if dtype is np.int8 else 0
    for values in product(range(low, low + 8), repeat=5):
        order = by_the_contract(list(values), 5)
        found = topk(np.array(values, dtype), 5).tolist()
        assert found == order
        assert found == np.argsort(-np.array(values), kind="stable").tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int32, np.int64, np.uint64])
def test_extremes_of_every_type(dtype: type) -> None:
    info = np.iinfo(dtype)
    values: NDArray[Any] = np.array([0, info.max, info.min, 1, info.max, info.min], dtype)
    assert topk(values, 6).tolist() == by_the_contract(values.tolist(), 6)
    assert topk(values, 6, magnitude=True).tolist() == by_the_contract([abs(value) for value in values.tolist()], 6)


@given(st.lists(st.integers(-128, 127), max_size=40), st.integers(0, 45), st.booleans())
def test_every_k_and_n(values: list[int], k: int, magnitude: bool) -> None:
    array = np.array(values, np.int8)
    order = by_the_contract([abs(value) for value in values] if magnitude else values, k)
    assert topk(array, k, magnitude=magnitude).tolist() == order
    assert winners(array, k, magnitude=magnitude).tolist() == sorted(order)
    assert len(order) == min(k, len(values))


def test_ties_everywhere_in_100_000_elements() -> None:
    values = np.random.default_rng(0).integers(0, 4, 100_000).astype(np.uint8)
    for k in (0, 1, 30_000, 100_000, 100_001):
        assert np.array_equal(topk(values, k), np.argsort(-values.astype(int), kind="stable")[:k])


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="k is 0 or more, not -1"):
        topk(np.zeros(3, np.int8), -1)
    with pytest.raises(TypeError, match="integers, not float32"):
        topk(np.zeros(3, np.float32), 1)
    with pytest.raises(ValueError, match="one dimension, not of 2"):
        topk(np.zeros((3, 3), np.int8), 1)


@given(st.data())
def test_kept_winners_by_the_contract(data: st.DataObject) -> None:
    """Elements at (y, x, c): the k largest keep their values, all others lie at the zero point."""
    C, H, W = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    zero_point, magnitude = data.draw(st.integers(0, 7)), data.draw(st.booleans())
    y = np.array(data.draw(st.lists(st.integers(0, 7), min_size=C * H * W, max_size=C * H * W)), np.uint8).reshape(C, H, W)
    k = data.draw(st.integers(0, y.size + 1))
    places = [(row, column, channel) for row in range(H) for column in range(W) for channel in range(C)]
    values = [int(y[channel, row, column]) - zero_point for row, column, channel in places]
    chosen = by_the_contract([abs(value) for value in values] if magnitude else values, k)
    expected = np.full_like(y, zero_point)
    for row, column, channel in (places[index] for index in chosen):
        expected[channel, row, column] = y[channel, row, column]
    kept = keep_winners(y, zero_point, k, magnitude=magnitude)
    assert kept.dtype == y.dtype
    assert kept.tolist() == expected.tolist()


def test_negative_elements_win_only_behind_the_zeros() -> None:
    y = np.array([-128, 0, 5, -3, 0, 127], np.int8).reshape(6, 1, 1)
    assert [np.flatnonzero(keep_winners(y, 0, k)).tolist() for k in (1, 4, 5, 6)] == [[5], [2, 5], [2, 3, 5], [0, 2, 3, 5]]
    assert np.flatnonzero(keep_winners(y, 0, 2, magnitude=True)).tolist() == [0, 5]


@pytest.mark.parametrize(("chosen", "count"), [(Winners(3), 3), (Winners(9), 7), (Winners(share=0.5), 4), (Winners(share=0), 0)])
def test_the_number_of_winners_among_seven(chosen: Winners, count: int) -> None:
    assert chosen.count(7) == count


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "winners are given by k or by their share, one of the two, not by k=None and share=None"),
        ({"k": 1, "share": 0.5}, "one of the two, not by k=1 and share=0.5"),
        ({"k": -1}, "k is 0 or more, not -1"),
        ({"share": 1.5}, r"the share of winners lies in 0...1, not at 1.5"),
        ({"share": float("nan")}, r"the share of winners lies in 0...1, not at nan"),
        ({"k": 1, "period": 0}, "winners are chosen anew after a period of 1 to 32,767 tensors, not of 0"),
        ({"k": 1, "period": 32768}, "winners are chosen anew after a period of 1 to 32,767 tensors, not of 32768"),
        ({"k": 1, "period": 2, "per_pixel": True}, "the winners of pixels are chosen anew in each tensor, not after a period of 2"),
    ],
)
def test_winners_that_cannot_be(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Winners(**values)


def test_a_layer_keeps_its_winners_after_everything_else() -> None:
    rng = np.random.default_rng(0)
    layer = Layer(
        name="conv",
        weights=rng.integers(-64, 65, (3, 2, 3, 3)).astype(np.int8),
        bias=np.zeros(3, np.int32),
        scale=np.full(3, 0.002, np.float32),
        shape=(2, 9, 9),
        y=Activation("int8", 5),
        pool=(2, 2),
        pool_stride=(2, 2),
        threshold=3,
    )
    x = rng.integers(0, 256, layer.shape).astype(np.uint8)
    full = run_layer(x, layer)
    for chosen in (Winners(0), Winners(4), Winners(share=0.3, magnitude=True), Winners(share=1)):
        expected = keep_winners(full, 5, chosen.count(full.size), magnitude=chosen.magnitude)
        assert np.array_equal(run_layer(x, layer.replaced(winners=chosen)), expected)
    assert np.array_equal(run_layer(x, layer.replaced(winners=Winners(share=1))), full)


def small_layer(**fields: Any) -> Layer:
    """A layer that passes its input of four channels on."""
    weights, bias, ones = np.eye(4, dtype=np.int8).reshape(4, 4, 1, 1), np.zeros(4, np.int32), np.ones(4, np.float32)
    held = Activation("int8", 0)
    return Layer("same", weights, bias, ones, (4, 1, 2), x=held, y=held, **fields)


def test_the_winners_of_a_pixel_are_among_its_channels() -> None:
    x = np.array([[3, -9], [1, 2], [2, -9], [2, 0]], np.int8).reshape(4, 1, 2)
    for magnitude, first, second in ((False, [3, 0, 2, 0], [0, 2, 0, 0]), (True, [3, 0, 2, 0], [-9, 0, -9, 0])):
        y = run_layer(x, small_layer(winners=Winners(2, magnitude=magnitude, per_pixel=True)))
        assert y[:, 0, 0].tolist() == first
        assert y[:, 0, 1].tolist() == second
    assert run_layer(x, small_layer(winners=Winners(share=0.75, per_pixel=True)))[:, 0, 1].tolist() == [-9, 2, 0, 0]


def test_a_threshold_is_kept_for_a_period() -> None:
    """Of the first tensor and the fourth two elements win; in those between, all that reach the smaller one."""
    layers = [small_layer(winners=Winners(2, period=3))]
    tensors = [np.array(values, np.int8).reshape(4, 1, 2) for values in (range(8), range(8, 16), [6, 5, 6, 5, 6, 7, -8, 0], range(-4, 4))]
    thresholds = Thresholds()
    kept = [run_network(x, layers, thresholds)[0].reshape(-1).tolist() for x in tensors]
    assert kept == [[0] * 6 + [6, 7], list(range(8, 16)), [6, 0, 6, 0, 6, 7, 0, 0], [0] * 6 + [2, 3]]
    assert [run_network(x, layers)[0].reshape(-1).tolist() for x in tensors[:2]] == [kept[0], [0] * 6 + [14, 15]]


def test_the_smallest_winner() -> None:
    y = np.array([5, -3, 0, 2], np.int8).reshape(1, 1, 4)
    assert [smallest_winner(y, 0, k) for k in range(5)] == [None, 5, 2, 0, -3]
    assert [smallest_winner(y, 0, k, magnitude=True) for k in range(5)] == [None, 5, 3, 2, 0]
    for k in range(5):
        assert keep_reaching(y, 0, smallest_winner(y, 0, k)).tolist() == keep_winners(y, 0, k).tolist()
