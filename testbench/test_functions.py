"""Layers with a function: what the golden model makes of them, which sums survive, and how tables are placed and packed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation import SMALL
from skipgrid.benches.random_networks import random_activation, random_input, random_layer, with_function
from skipgrid.golden import Activation, Function, Layer, Winners, accumulate, coded, run_layer, run_network
from skipgrid.host.compiler.bounds import bounds, wraps
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.functions import keeps_zero, table
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.packets import load_packets
from skipgrid.host.compiler.passes import sums_of
from skipgrid.host.compiler.placement import place
from skipgrid.host.compiler.pooling import merges
from skipgrid.host.network import Network, Port
from skipgrid.host.network_file import load_network, save_network
from skipgrid.rtl.layouts import LoadTarget

EVERY = np.arange(-128, 128)
LEAKY = Function(Activation("int8", 0), np.where(EVERY < 0, EVERY // 8, EVERY).astype(np.int8))
DIPS = Function(Activation("int8", 0), np.maximum(np.abs(EVERY) - 20, 0).astype(np.uint8))


def scaled(function: Function, y: Activation, **fields: Any) -> Layer:
    """A layer of one channel that multiplies by a half, over one row of 7 pixels."""
    shape = (1, 1, 7)
    one = np.ones((1, 1, 1, 1), np.int8)
    return Layer("half", one, np.zeros(1, np.int32), np.full(1, 0.5, np.float32), shape, Activation("int8"), y, function=function, **fields)


X = np.array([-128, -100, -20, 0, 20, 100, 127], np.int8).reshape(1, 1, 7)


def test_a_function_by_hand() -> None:
    assert run_layer(X, scaled(LEAKY, Activation("int8"))).ravel().tolist() == [-8, -7, -2, 0, 10, 50, 64]
    assert run_layer(X, scaled(DIPS, Activation())).ravel().tolist() == [44, 30, 0, 0, 0, 30, 44]


def test_the_clamp_comes_before_and_pooling_threshold_and_winners_around_it() -> None:
    layer = scaled(DIPS, Activation())
    assert run_layer(X, layer.replaced(low=-40, high=60)).ravel().tolist() == [20, 20, 0, 0, 0, 30, 40]
    pooled = layer.replaced(pool=(1, 2), pool_stride=(1, 2))  # of -64 and -50, -10 and 0, 10 and 50
    assert run_layer(X, pooled).ravel().tolist() == [30, 0, 30]
    assert run_layer(X, layer.replaced(threshold=31)).ravel().tolist() == [44, 0, 0, 0, 0, 0, 44]
    assert run_layer(X, layer.replaced(winners=Winners(1))).ravel().tolist() == [44, 0, 0, 0, 0, 0, 0]


def test_what_is_no_function_of_the_layer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a function has 256 values of uint8 or int8, not int8 of shape \(255,\)"):
        Function(Activation("int8"), np.zeros(255, np.int8))
    with pytest.raises(TypeError, match="a function has 256 values of uint8 or int8, not int64"):
        Function(Activation("int8"), np.zeros(256, np.int64))
    with pytest.raises(TypeError, match="layer half: its function gives int8, but its output is uint8"):
        scaled(LEAKY, Activation())
    with pytest.raises(ValueError, match=r"layer half: the clamp \(-1, 255\) does not lie in the function's int8 input's -128...127"):
        scaled(DIPS, Activation(), low=-1, high=255)


def drawn(seed: int) -> tuple[Layer, Any]:
    """A random layer with a random function, and an input."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 9)), int(rng.integers(1, 9)))
    held = random_activation(rng)
    layer = random_layer(rng, shape, held, 0)
    x = random_input(rng, shape, held)
    widest = max(float(np.abs(accumulate(x, layer)).max()), 300.0)
    layer = layer.replaced(scale=np.full(len(layer.bias), rng.choice([40, 150]) / widest, np.float32))
    return with_function(rng, layer), x


@given(st.integers(0, 2**32))
def test_all_that_is_not_zero_survives_and_of_one_run_of_zeros_nothing(seed: int) -> None:
    layer, x = drawn(seed)
    layer = layer.replaced(pool=(1, 1), pool_stride=(1, 1))
    zero = run_layer(x, layer) == layer.y.zero_point
    acc = accumulate(x, layer)
    upper, lower = (bound.reshape(-1, 1, 1) for bound in bounds(layer))
    survives = (acc >= upper) | (acc < lower)
    assert (survives | zero).all()
    assert layer.function is not None
    of_low_and_up = table(layer)[coded(np.arange(layer.clamp[0], layer.clamp[1] + 1).astype(layer.rounded.dtype), layer.rounded)]
    if not wraps(layer).any() and np.count_nonzero(np.diff(np.pad((of_low_and_up == 0).astype(int), 1)) == 1) <= 1:
        assert (survives == ~zero).all()
    one_sided, none = bounds(layer, two_sided=False)
    assert ((acc >= one_sided.reshape(-1, 1, 1)) | zero).all()
    assert (none == np.iinfo(np.int32).min).all()


def test_a_run_of_zeros_that_does_not_lie_about_zero() -> None:
    values = np.where((EVERY > 20) & (EVERY < 40), 0, 7).astype(np.uint8)
    upper, lower = bounds(scaled(Function(Activation("int8"), values), Activation()))
    assert (int(lower[0]), int(upper[0])) == (42, 79)  # halved and rounded to even, 20.5 is 20 and 39.5 is 40


@given(st.integers(0, 2**32))
def test_a_table_has_the_coded_bytes_with_the_threshold(seed: int) -> None:
    layer, x = drawn(seed)
    rounded = layer.replaced(y=layer.rounded, function=None, threshold=0)
    looked_up = table(layer)[coded(run_layer(x, rounded), layer.rounded)]
    assert np.array_equal(looked_up, coded(run_layer(x, layer), layer.y))


@given(st.integers(0, 2**32))
def test_a_layer_in_two_is_the_same(seed: int) -> None:
    layer, x = drawn(seed)
    bias = np.resize(np.array([2**31 - 9, -(2**31) + 9, 5], np.int32), len(layer.bias))
    layer = layer.replaced(bias=bias, scale=np.full(len(bias), 5e-8, np.float32))
    assert np.array_equal(run_network(x, lowered(layer))[-1], run_layer(x, layer))


def test_sums_have_no_function() -> None:
    layer = scaled(DIPS, Activation())
    assert sums_of(layer, slice(0, 1)).function is None
    assert np.array_equal(accumulate(X, sums_of(layer, slice(0, 1))), accumulate(X, layer))


def test_equal_tables_are_held_once() -> None:
    config = SMALL.replaced(functions=2)
    int8 = Activation("int8")
    layers = [scaled(LEAKY, int8), scaled(LEAKY, int8), scaled(LEAKY, int8, threshold=2), scaled(LEAKY, int8)]
    placed = place(layers, config)
    assert [item.table for item in placed] == [0, 0, 1, 0]
    packets = [packet for packet in load_packets(placed, config) if packet[0] >> 28 == LoadTarget.FUNCTIONS.value]
    assert [int(packet[0]) & 0xFFFFFFF for packet in packets] == [0, 64]
    for packet, layer in zip(packets, (layers[0], layers[2]), strict=True):
        assert packet[1:].view(np.uint8).tolist() == table(layer).tolist()
    assert len(network_program(placed, config, k_in=0, k_out=0)) == 4


def test_a_function_without_a_table_is_refused_with_the_setting() -> None:
    with pytest.raises(DoesNotFit, match=r"half: its outputs go through a function, for which \w+ has no table; set functions=1 in"):
        place([scaled(LEAKY, Activation("int8"))], SMALL)
    layers = [scaled(LEAKY, Activation("int8"), threshold=threshold) for threshold in (0, 2, 3)]
    with pytest.raises(DoesNotFit, match=r"the network needs 3 tables of functions, but \w+ holds 2; set functions=4 in"):
        place(layers, SMALL.replaced(functions=2))


def test_only_what_never_falls_and_keeps_zero_is_pooled_behind_it() -> None:
    config = SMALL.replaced(functions=1, pool_elements=64)
    wide = Layer(
        "wide",
        np.ones((1, 8, 1, 1), np.int8),
        np.zeros(1, np.int32),
        np.ones(1, np.float32),
        (8, 9, 9),
        y=Activation("int8"),
        pool=(3, 3),
    )
    assert merges(wide, config)
    sigmoid = Function(Activation("int8"), (EVERY // 4 + 33).astype(np.int8))
    assert LEAKY.never_falls
    assert sigmoid.never_falls
    assert not DIPS.never_falls
    leaky = wide.replaced(function=LEAKY)
    assert keeps_zero(leaky)
    assert merges(leaky, config)
    assert not keeps_zero(wide.replaced(function=sigmoid))
    assert not merges(wide.replaced(function=sigmoid), config)
    assert not merges(wide.replaced(function=DIPS, y=Activation()), config)


def test_a_network_file_holds_it(tmp_path: Path) -> None:
    layer = scaled(DIPS, Activation())
    network = Network("half", (layer,), Port("x", layer.shape, layer.x), Port("y", layer.out_shape, layer.y))
    save_network(network, tmp_path / "half.npz")
    (again,) = load_network(tmp_path / "half.npz").layers
    assert np.array_equal(run_layer(X, again), run_layer(X, layer))
