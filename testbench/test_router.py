# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The expert router: under cocotb, and compiled, on every small token, on the largest router, and on streams that favour one expert."""

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.benches.router import Favour, bench_router
from skipgrid.golden import SOFTMAX_ERROR, WEIGHT_ONE, Overflow, Router
from skipgrid.host.simulation.router import Routed, SimulatedRouter
from skipgrid.rtl.experts.router import ExpertRouter
from skipgrid.rtl.experts.router_map import REGISTERS, ExpertArray
from topk_units import ROUTER

Token = NDArray[np.integer]
OVERFLOW = REGISTERS["CONTROL"].mask("overflow")
LARGEST = {"experts": 64, "cells": 8, "value_bits": 24, "fraction": 20}
BALANCE = REGISTERS["CONTROL"].mask("balance")


@pytest.mark.parametrize("bench", ["bench_router", "bench_router_registers"])
def test_bench(simulate: Callable[..., None], bench: str) -> None:
    simulate(ExpertRouter(**ROUTER), bench)


def chosen_by_sorting(scores: Token, biases: Token, k: int) -> list[int]:
    """The experts in the order of their own scores, by NumPy's stable sort alone."""
    chosen = np.sort(np.argsort(-(scores + biases), kind="stable")[:k])
    return list(chosen[np.argsort(-scores[chosen], kind="stable")])


def real_weights(scores: Token, fraction: int) -> NDArray[np.float64]:
    exponentials = np.exp((scores - scores.max(initial=-1000)) / 2**fraction)
    return np.asarray(exponentials / exponentials.sum())


def check(routed: list[Routed], tokens: list[Token], biases: Token, k: int, fraction: int) -> None:
    """Experts and weights against a sort and real numbers."""
    for token, each in zip(tokens, routed, strict=True):
        experts = [expert for expert, _ in each.pairs]
        assert experts == chosen_by_sorting(token, biases, k)
        weights = np.array([weight for _, weight in each.pairs]) / WEIGHT_ONE
        assert np.abs(weights - real_weights(token[experts], fraction)).max(initial=0) <= SOFTMAX_ERROR


def agree(unit: SimulatedRouter, golden: Router) -> None:
    """All that software can read."""
    assert unit.read_all(ExpertArray.LOAD) == golden.loads.tolist()
    assert unit.read_all(ExpertArray.BIAS) == golden.biases.tolist()
    assert unit.read_all(ExpertArray.CAPACITY) == golden.capacities.tolist()
    assert (unit.read("TOKENS"), unit.read("OVERFLOWED")) == (golden.tokens, golden.overflowed)
    assert unit.read("STATUS") == REGISTERS["STATUS"].mask("too_many") * golden.too_many


def test_every_token_of_four_scores_of_two_bits() -> None:
    unit, golden = SimulatedRouter(experts=4, cells=2, value_bits=2, fraction=1), Router(4, value_bits=2, fraction=1)
    tokens: list[Token] = [np.array(scores) for scores in product(range(-2, 2), repeat=4)]
    for biases in ((0, 0, 0, 0), (1, -2, 0, 1), (-2, -2, 1, 1)):
        for expert, bias in enumerate(biases):
            unit.write(ExpertArray.BIAS, bias, expert)
        golden.biases[:] = biases
        for k in range(3):
            unit.write("K", k)
            golden.configure(k=k)
            routed = unit.run(tokens)
            assert [each.pairs for each in routed] == [golden.route(token) for token in tokens]
            check(routed, tokens, np.array(biases), k, 1)
    agree(unit, golden)


def test_a_capacity_of_65535_bounds_nothing_and_one_less_does() -> None:
    unit = SimulatedRouter(experts=4, cells=2, value_bits=2, fraction=1)
    unit.write("PERIOD", 0)
    unit.write(ExpertArray.CAPACITY, 65_534, 1)
    routed = unit.run([np.array([1, 0, -1, -2])] * 66_000)
    assert [len(each.pairs) for each in routed] == [2] * 65_534 + [1] * 466
    assert unit.read_all(ExpertArray.LOAD) == [66_000, 65_534, 0, 0]
    assert unit.read("OVERFLOWED") == 466


@pytest.mark.parametrize("overflow", [Overflow.NEXT, pytest.param(Overflow.DROP, marks=pytest.mark.slow)])
def test_the_largest_router_with_pauses(overflow: Overflow) -> None:
    """Capacities are such that experts are full before a period's end."""
    rng = np.random.default_rng(8)
    unit, golden = SimulatedRouter(**LARGEST), Router(**LARGEST)
    unit.write("CONTROL", BALANCE | OVERFLOW * (overflow == Overflow.NEXT))
    unit.write("PERIOD", 40)
    golden.configure(balance=True, overflow=overflow, period=40)
    for expert in range(64):
        capacity = int(rng.integers(0, 9))
        unit.write(ExpertArray.CAPACITY, capacity, expert)
        golden.capacities[expert] = capacity
    for pauses in (0, 0.3, 0.9):
        counts = rng.choice((0, 1, 3, 63, 64, 64, 64, 66), 150)
        tokens: list[Token] = [rng.integers(-(1 << 23), 1 << 23, count) >> rng.integers(0, 22) for count in counts]
        routed = unit.run(tokens, pressure=2, pauses=pauses, seed=int(rng.integers(1 << 30)))
        assert [each.pairs for each in routed] == [golden.route(token, 2) for token in tokens]
        agree(unit, golden)
    assert (golden.overflowed > 0) == (overflow == Overflow.DROP)


def test_the_rate_of_the_largest_router() -> None:
    largest = SimulatedRouter(**LARGEST)
    tokens: list[Token] = list(np.random.default_rng(1).integers(-(1 << 23), 1 << 23, (60, 64)))
    largest.write("PERIOD", 0)
    for k in (1, 2, 8):
        largest.write("K", k)
        routed = largest.run(tokens)
        softmax, besides = 62 * (k - 1) + 20 * k + 8, 3 * 8 + 8
        assert max(after.done - before.done for before, after in pairwise(routed)) <= max(64, softmax) + besides
        assert routed[0].last - routed[0].first == 63


@pytest.mark.parametrize(
    ("seed", "favour"), [pytest.param(seed, favour, marks=pytest.mark.slow if seed else []) for seed, favour in enumerate(Favour)]
)
def test_balance_evens_a_stream_that_favours_one_expert(seed: int, favour: Favour) -> None:
    result = bench_router(seed, favour)
    assert result.busiest_over_mean_before > 3
    assert result.busiest_over_mean_after <= 1.5
    assert (result.lost, result.repeated, result.bit_exact) == (0, 0, True)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"experts": 1}, ValueError, r"experts must lie in 2\.\.\.64, not at 1"),
        ({"experts": 65}, ValueError, r"experts must lie in 2\.\.\.64, not at 65"),
        ({"cells": 9}, ValueError, r"cells must lie in 1\.\.\.8, not at 9"),
        ({"value_bits": 25}, ValueError, r"value_bits must lie in 2\.\.\.24, not at 25"),
        ({"fraction": 25}, ValueError, r"fraction must lie in 0\.\.\.24, not at 25"),
        ({"counter_bits": 7}, ValueError, r"counter_bits must lie in 8\.\.\.32, not at 7"),
        ({"experts": "8"}, TypeError, r"experts must be an integer, not '8'"),
        ({"experts": 4, "cells": 5}, ValueError, r"cells must lie in 1\.\.\.4, not at 5"),
    ],
)
def test_what_cannot_be_built_is_refused(sizes: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ExpertRouter(**sizes)


def test_the_simulated_router_names_what_it_refuses() -> None:
    unit = SimulatedRouter()
    with pytest.raises(ValueError, match="the router refuses 3 for K of expert 0"):
        unit.write("K", 3)
    with pytest.raises(ValueError, match="the router refuses a read of BIAS of expert 8"):
        unit.read(ExpertArray.BIAS, 8)
