"""The golden router: its rules one by one, against what they say in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipgrid.golden import WEIGHT_ONE, Overflow, Router

FIRST = np.array([10, 5, 0, -5], np.int8)  # expert 0 before 1 before 2 before 3


def experts(pairs: list[tuple[int, int]]) -> list[int]:
    return [expert for expert, _ in pairs]


@given(st.lists(st.integers(-128, 127), max_size=8), st.lists(st.integers(-128, 127), min_size=8, max_size=8), st.integers(0, 4))
def test_biases_choose_and_scores_weigh(scores: list[int], biases: list[int], k: int) -> None:
    router = Router(8, cells=4)
    router.configure(k=k)
    router.biases[:] = biases
    pairs = router.route(np.array(scores, np.int8))
    by_bias = sorted(range(len(scores)), key=lambda expert: (-scores[expert] - biases[expert], expert))[:k]
    assert experts(pairs) == sorted(by_bias, key=lambda expert: (-scores[expert], expert))
    assert abs(sum(weight for _, weight in pairs) - WEIGHT_ONE * bool(pairs)) <= 4


def test_balance_moves_biases_by_the_sign_of_the_load() -> None:
    router = Router(4)
    router.configure(balance=True, period=3, step=5)
    for _ in range(3):
        assert experts(router.route(FIRST)) == [0, 1]
    assert router.biases.tolist() == [-5, -5, 5, 5]
    router.configure(k=1, period=4)
    for expert in range(4):
        router.route(np.eye(4, dtype=np.int8)[expert] * 100)
    assert router.biases.tolist() == [-5, -5, 5, 5], "who got just the mean stays as it is"


def test_biases_stay_in_range() -> None:
    router = Router(4, cells=1)
    router.configure(balance=True, period=1, step=127)
    router.biases[:] = (-120, 120, 0, 0)
    for _ in range(2):
        assert experts(router.route(np.array([127, -128, -128, -128]))) == [0]
        assert router.biases.tolist() == [-128, 127, 127, 127]


def test_experts_out_of_use_take_no_part() -> None:
    router = Router(8)
    router.configure(experts=2, balance=True, period=1, k=1, step=3)
    assert experts(router.route(np.array([1, 2, 100, 100]))) == [1]
    assert router.too_many
    assert router.biases.tolist() == [3, -3, 0, 0, 0, 0, 0, 0]
    router.clear()
    assert not router.too_many


@pytest.mark.parametrize(("overflow", "expected", "overflowed"), [(Overflow.DROP, [1], 2), (Overflow.NEXT, [1, 2], 0)])
def test_a_full_expert(overflow: Overflow, expected: list[int], overflowed: int) -> None:
    router = Router(4)
    router.configure(overflow=overflow, period=3)
    router.capacities[0] = 1
    assert experts(router.route(FIRST)) == [0, 1]
    for _ in range(2):
        assert experts(router.route(FIRST)) == expected
    assert router.overflowed == overflowed
    assert experts(router.route(FIRST)) == [0, 1], "a new period has new capacities"


@pytest.mark.parametrize("overflow", list(Overflow))
def test_capacity_0_takes_nothing(overflow: Overflow) -> None:
    router = Router(4)
    router.configure(overflow=overflow)
    router.capacities[:] = 0
    assert router.route(FIRST) == []
    assert router.tokens == 1
    assert router.overflowed == (2 if overflow == Overflow.DROP else 0)


def test_what_is_left_out_leaves_the_other_weights_as_they_are() -> None:
    router = Router(4)
    (_, first), (_, second) = router.route(FIRST)
    assert first > second
    router.capacities[0] = 0
    assert router.route(FIRST) == [(1, second)]


def test_period_0_never_ends() -> None:
    router = Router(4)
    router.configure(period=0, balance=True)
    router.capacities[0] = 100
    for _ in range(200):
        router.route(FIRST)
    assert router.loads.tolist() == [100, 200, 0, 0]
    assert router.biases.tolist() == [0, 0, 0, 0]


def test_a_period_that_is_made_shorter_ends_at_once() -> None:
    router = Router(4)
    router.configure(period=0, balance=True)
    for _ in range(3):
        router.route(FIRST)
    router.configure(period=3)
    assert router.biases.tolist() == [-2, -2, 2, 2]


def test_pressure_leaves_k_min_and_one() -> None:
    router = Router(4, cells=3)
    kept = []
    for k_min, k_max in ((0, 3), (2, 3), (3, 2), (0, 0)):
        router.configure(k_min=k_min, k_max=k_max)
        kept.append([len(router.route(FIRST, pressure)) for pressure in range(4)])
    assert kept == [[3, 2, 1, 1], [3, 2, 2, 2], [2, 2, 2, 2], [0, 0, 0, 0]]


def test_at_the_ends() -> None:
    router = Router(4)
    assert router.route(FIRST[:0]) == []
    assert experts(router.route(FIRST[:1])) == [0], "k over n"
    router.configure(k=0)
    assert router.route(FIRST) == []
    assert router.tokens == 3


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"k": 3}, r"k must lie in 0\.\.\.2, not at 3"),
        ({"experts": 5}, r"experts must lie in 0\.\.\.4, not at 5"),
        ({"period": 1 << 16}, r"period must lie in 0\.\.\.65535, not at 65536"),
        ({"step": -1}, r"step must lie in 0\.\.\.127, not at -1"),
    ],
)
def test_rules_out_of_range_are_named(rules: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Router(4).configure(**rules)
