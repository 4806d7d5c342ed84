"""The golden Top-K against the contract's words, and against NumPy's stable sort."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skipgrid.golden import topk, winners


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
