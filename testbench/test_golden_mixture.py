"""Layers with experts, in NumPy: against the same written down in rational numbers, and the model that is kept."""

import json
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from cli_support import MODEL, digits
from skipgrid.benches.experts import with_chosen
from skipgrid.golden import SCORE_FRACTION, Activation, Layer, Mixture, dense_macs, route, run_layer, run_network, useful_macs, weighed
from skipgrid.host.network_file import load_network

EXPERTS, CHANNELS, C = 6, 3, 8


def fully(rng: np.random.Generator, K: int, y: Activation, scale: float, **fields: object) -> Layer:
    """A fully connected layer of random weights."""
    weights = rng.integers(-127, 128, (K, C, 1, 1)).astype(np.int8)
    bias = rng.integers(-900, 900, K).astype(np.int32)
    return Layer("fully", weights, bias, np.full(K, scale, np.float32), (C, 1, 1), y=y, **fields)  # type: ignore[arg-type]


def mixed(rng: np.random.Generator, k: int, y: Activation | None = None, scores: float = 0.002) -> Layer:
    """A layer with experts."""
    gate = fully(rng, EXPERTS, Activation("int8", int(rng.integers(-20, 20))), scores)
    return fully(rng, EXPERTS * CHANNELS, y or Activation("int8", 7), 0.004, mixture=Mixture(gate, k))


def some_input(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (C, 1, 1)).astype(np.uint8) * (rng.random((C, 1, 1)) < 0.6).astype(np.uint8)


@pytest.mark.parametrize("k", range(1, EXPERTS + 1))
def test_only_the_chosen_experts_count(k: int) -> None:
    rng = np.random.default_rng(k)
    for _ in range(40):
        layer, x = mixed(rng, k), some_input(rng)
        assert layer.mixture is not None
        gate = layer.mixture.gate
        scores = run_layer(x, gate.replaced()).reshape(-1).astype(int) - gate.y.zero_point
        best = sorted(range(EXPERTS), key=lambda expert: (-scores[expert], expert))[:k]
        powers = [np.exp(scores[expert] / 2**SCORE_FRACTION) for expert in best]
        pairs = route(x, layer.mixture)
        assert [expert for expert, _ in pairs] == best
        for (_, weight), power in zip(pairs, powers, strict=True):
            assert abs(weight / 2**15 - power / sum(powers)) < 2**-15
        plain = run_layer(x, layer.replaced(mixture=None)).reshape(EXPERTS, CHANNELS).astype(int) - layer.y.zero_point
        expected = np.zeros((EXPERTS, CHANNELS), int)
        for expert, weight in pairs:
            # Python's round of a fraction is to the nearest integer, and of two to the even one.
            expected[expert] = [round(Fraction(int(value) * weight, 2**15)) for value in plain[expert]]
        assert (run_layer(x, layer).reshape(EXPERTS, CHANNELS).astype(int) - layer.y.zero_point).tolist() == expected.tolist()


def test_equal_scores_go_to_the_lower_expert() -> None:
    rng = np.random.default_rng(0)
    layer = mixed(rng, 3, scores=1e-9)  # all scores are the same
    assert layer.mixture is not None
    assert [expert for expert, _ in route(some_input(rng), layer.mixture)] == [0, 1, 2]


def test_weighing_rounds_to_the_even_one() -> None:
    half = np.array(1 << 14)
    values = np.array([-7, -5, -3, -1, 0, 1, 3, 5, 7], np.int8)
    assert weighed(values, 0, half).tolist() == [-4, -2, -2, 0, 0, 0, 2, 2, 4]
    assert weighed(values, 0, np.array(1 << 15)).tolist() == values.tolist()
    assert weighed(np.array([255, 3], np.uint8), 128, half).tolist() == [192, 66]
    for value in range(-255, 256):
        for weight in (0, 1, 127, 16383, 16384, 16385, 32767, 32768):
            assert weighed(np.array([value]), 0, np.array(weight)).item() == round(Fraction(value * weight, 2**15))


def test_multiplications_of_other_experts_do_not_count() -> None:
    rng = np.random.default_rng(2)
    layer, x = mixed(rng, 2), some_input(rng)
    nonzeros = np.count_nonzero(x)
    assert useful_macs(x, layer) == nonzeros * (EXPERTS + 2 * CHANNELS)
    assert dense_macs(layer) == C * (EXPERTS + EXPERTS * CHANNELS)


def test_what_is_refused() -> None:
    rng = np.random.default_rng(3)
    gate = fully(rng, EXPERTS, Activation("int8"), 0.001)
    with pytest.raises(ValueError, match="layer fully: of 6 experts 1 to all are chosen, not 7"):
        Mixture(gate, 7)
    with pytest.raises(ValueError, match="layer fully: a gate gives one score for each expert"):
        Mixture(mixed(rng, 2), 2)
    with pytest.raises(ValueError, match="layer fully: 20 output channels cannot be divided among 6 experts"):
        fully(rng, 20, Activation(), 0.01, mixture=Mixture(gate, 2))
    with pytest.raises(ValueError, match="layer fully: its gate takes "):
        fully(rng, 12, Activation(), 0.01, mixture=Mixture(gate, 2), x=Activation("uint8", 3))


def test_the_model_that_is_kept_is_as_its_report_says() -> None:
    report = json.loads(MODEL.with_name("experts.json").read_text(encoding="utf-8"))
    network = load_network(MODEL.with_name("experts.npz"))
    assert abs(report["accuracy_int8"] - report["accuracy_int8_all_experts"]) <= 0.01
    assert sum(report["load"]) == report["chosen"] * report["held_out"]
    images, labels = digits(100)
    right = {}
    for k in (report["chosen"], report["experts"]):
        outputs = [run_network(x, with_chosen(network, k).layers)[-1].argmax() for x in network.activations(images)]
        right[k] = int((np.array(outputs) == labels).sum())
    assert min(right.values()) >= 90, right
