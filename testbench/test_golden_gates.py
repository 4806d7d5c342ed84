"""The golden gates against the same gates in real numbers, exhaustively where that is feasible."""

from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skipgrid.golden import SOFTMAX_ERROR, WEIGHT_ONE, adaptive_k, softmax, sparsemax, threshold_relu
from skipgrid.golden.gates import EXP_FRACTION, exponential

Real = NDArray[np.float64]
SCORES = st.lists(st.integers(-128, 127), max_size=16).map(lambda scores: np.array(sorted(scores, reverse=True), np.int8))


def real_softmax(scores: NDArray[np.integer], fraction: int) -> Real:
    exponentials = np.exp((scores.astype(float) - scores.max(initial=-128)) / 2**fraction)
    return np.asarray(exponentials / exponentials.sum())


def exact_sparsemax(scores: list[int], fraction: int) -> list[Fraction]:
    """The Euclidean projection onto the simplex, by its definition: of all supports, the one whose threshold parts the scores."""
    reals = [Fraction(score, 1 << fraction) for score in scores]
    for count in range(len(reals), 0, -1):
        threshold = sum(reals[:count], Fraction(-1)) / count
        if reals[count - 1] > threshold:
            return [max(score - threshold, Fraction(0)) for score in reals]
    return []


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_threshold_relu_on_every_value_and_threshold(dtype: type) -> None:
    scores: NDArray[Any] = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)
    for threshold in range(np.iinfo(dtype).min, np.iinfo(dtype).max + 1):
        assert scores[threshold_relu(scores, threshold)].tolist() == [score for score in scores.tolist() if score > threshold]


def test_the_exponential_on_every_distance_of_eight_fractional_bits() -> None:
    distances = np.arange(0, 20 << 8)
    found = np.array([exponential(int(distance) << (EXP_FRACTION - 8)) for distance in distances]) / 2**EXP_FRACTION
    assert found[0] == 1
    assert (np.diff(found) <= 0).all()
    assert np.abs(found - np.exp(-distances / 256)).max() <= 24 * 2.0**-EXP_FRACTION


def test_softmax_of_every_pair_and_of_one_large_among_equals() -> None:
    for distance in range(256):
        for fraction in range(8):
            for count in (2, 3, 8, 16):
                for scores in ([127] + [127 - distance] * (count - 1), [127] * (count - 1) + [127 - distance]):
                    array = np.array(scores, np.int16)
                    assert np.abs(softmax(array, fraction) / WEIGHT_ONE - real_softmax(array, fraction)).max() <= SOFTMAX_ERROR


@given(SCORES, st.integers(0, 12))
def test_softmax_keeps_its_error_bound(scores: NDArray[np.int8], fraction: int) -> None:
    weights = softmax(scores, fraction)
    assert np.abs(weights / WEIGHT_ONE - real_softmax(scores, fraction)).max(initial=0) <= SOFTMAX_ERROR
    assert (np.diff(weights.astype(int)) <= 0).all()


def test_sparsemax_of_all_five_scores_of_three_bits() -> None:
    for scores in combinations_with_replacement(range(7, -1, -1), 5):
        for fraction in (0, 1, 2, 3):
            exact = exact_sparsemax(list(scores), fraction)
            support = [weight for weight in exact if weight]
            found = sparsemax(np.array(scores), fraction)
            assert found.tolist() == [int(weight * WEIGHT_ONE + Fraction(1, 2)) for weight in support]


@given(SCORES, st.integers(0, 12))
def test_sparsemax_is_correctly_rounded(scores: NDArray[np.int8], fraction: int) -> None:
    support = [weight for weight in exact_sparsemax(scores.tolist(), fraction) if weight]
    assert sparsemax(scores, fraction).tolist() == [int(weight * WEIGHT_ONE + Fraction(1, 2)) for weight in support]
    assert not scores.size or sum(support) == 1


@given(SCORES, st.integers(0, 2 * WEIGHT_ONE), st.integers(0, WEIGHT_ONE), st.integers(0, 17), st.integers(0, 17))
def test_adaptive_k_is_the_shortest_beginning_that_meets_both_rules(
    scores: NDArray[np.int8], share: int, relative: int, k_min: int, k_max: int
) -> None:
    weights = softmax(scores, 4)
    values = weights.astype(int)
    reached = np.flatnonzero(np.append(0, values.cumsum()) >= share)
    by_share = int(reached[0]) if reached.size else len(values)
    by_relative = int((values * WEIGHT_ONE >= relative * values.max(initial=0)).sum())
    expected = min(max(min(by_share, by_relative), k_min), k_max, len(values))
    assert adaptive_k(weights, share=share, relative=relative, k_min=k_min, k_max=k_max) == expected


def test_adaptive_k_at_its_ends() -> None:
    weights = np.array([WEIGHT_ONE // 2, WEIGHT_ONE // 4, WEIGHT_ONE // 4], np.uint16)
    assert adaptive_k(weights, share=WEIGHT_ONE // 2, relative=0, k_min=0, k_max=3) == 1
    assert adaptive_k(weights, share=WEIGHT_ONE // 2 + 1, relative=0, k_min=0, k_max=3) == 2
    assert adaptive_k(weights, share=2 * WEIGHT_ONE, relative=WEIGHT_ONE // 2, k_min=0, k_max=3) == 3
    assert adaptive_k(weights, share=2 * WEIGHT_ONE, relative=2 * WEIGHT_ONE, k_min=0, k_max=3) == 1
    assert adaptive_k(weights, share=0, relative=0, k_min=0, k_max=3) == 0
    assert adaptive_k(weights, share=0, relative=0, k_min=2, k_max=1) == 1
    assert adaptive_k(weights[:0], share=WEIGHT_ONE, relative=0, k_min=1, k_max=3) == 0


def test_no_scores_have_no_weights() -> None:
    none = np.zeros(0, np.int8)
    assert [len(gate) for gate in (softmax(none, 4), sparsemax(none, 4), threshold_relu(none, 0))] == [0, 0, 0]


@pytest.mark.parametrize("gate", [softmax, sparsemax])
def test_bad_input_is_named(gate: type) -> None:
    with pytest.raises(ValueError, match="falling order"):
        gate(np.array([1, 2]), 4)
    with pytest.raises(ValueError, match="0 to 24 fractional bits, not 25"):
        gate(np.array([2, 1]), 25)
