"""Several neighbouring outputs of a row as channels of one: the same outputs in the same order, where that saves cycles and fits."""

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.benches.random_networks import random_case
from skipgrid.golden import Layer, Winners, coded_bytes, run_layer
from skipgrid.host.compiler.placement import place
from skipgrid.host.compiler.unrolling import savings, shift, span, step, unrolled
from skipgrid.rtl.config import PRESETS, Config

GRID = Config(rows=2, lanes=8, scan=4, weights=2048)


def layer_of(K: int, shape: tuple[int, int, int], filter_: tuple[int, int], **geometry: object) -> Layer:
    rng = np.random.default_rng(K)
    weights = rng.integers(-9, 10, (K, shape[0], *filter_)).astype(np.int8)
    bias = rng.integers(-99, 100, K).astype(np.int32)
    return Layer("conv", weights, bias, np.full(K, 0.05, np.float32), shape).replaced(**geometry)


def test_the_same_outputs_in_the_same_order() -> None:
    rng = np.random.default_rng(5)
    some = odd = shifted = 0
    for _ in range(150):
        case = random_case(rng, GRID, 1)
        layer, x = case.layers[0], case.inputs[0]
        if layer.mixture is not None or layer.winners is not None:
            continue
        K, rows, columns = layer.out_shape
        expected = coded_bytes(run_layer(x, layer), layer.y).reshape(rows, columns, K)
        for factor in range(2, columns + 1):
            if K * factor <= 256:
                wide = unrolled(layer, factor, GRID.lanes)
                units = -(-columns // factor)
                assert wide.out_shape == (factor * K, rows, units)
                found = coded_bytes(run_groups(x, wide, shift(K, factor, GRID.lanes) * step(layer)), wide.y)
                np.testing.assert_array_equal(found.reshape(rows, units * factor, K)[:, :columns], expected)
                some += 1
                odd += columns % factor > 0
                shifted += shift(K, factor, GRID.lanes) > 0
    assert some > 150
    assert odd > 50
    assert shifted > 50


def run_groups(x: NDArray[np.integer], wide: Layer, columns: int) -> NDArray[np.integer]:
    """The outputs of all groups, of which each sees the input so many columns further right than the one before."""
    top, left, bottom, right = wide.pads
    C, H, W = wide.shape
    shape = (C, top + H + bottom, left + W + right)
    starts = range(0, len(wide.bias), GRID.lanes)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right + len(starts) * columns)), constant_values=wide.x.zero_point)
    found = []
    for group, start in enumerate(starts):
        channels = slice(start, start + GRID.lanes)
        parameters = {name: getattr(wide, name)[channels] for name in ("weights", "bias", "scale")}
        seen = padded[:, :, group * columns :][:, :, : shape[2]]
        found.append(run_layer(seen, wide.replaced(**parameters, shape=shape, pads=(0, 0, 0, 0))))
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (layer_of(2, (1, 9, 14), (3, 3), pads=(0, 1, 0, 1)), 4),  # which do not divide the 14 columns
        (layer_of(2, (1, 9, 8), (1, 1)), 4),
        (layer_of(6, (1, 9, 18), (1, 11)), 4),  # four outputs in three full groups, which is less than four that are not
        (layer_of(2, (1, 9, 7), (1, 1), pool=(1, 2), pool_stride=(1, 2)), 3),
        (layer_of(8, (1, 9, 8), (1, 1)), 1),  # the lanes are full
        (layer_of(2, (200, 9, 8), (3, 3)), 1),  # the weights of two are too many
        (layer_of(2, (1, 9, 8), (1, 1), winners=Winners(1, per_pixel=True)), 1),
    ],
)
def test_as_many_at_once_as_saves_most(layer: Layer, factor: int) -> None:
    (placed,) = place([layer], GRID.replaced(pixel_winners=2))
    assert placed.factor == factor


def test_a_group_sees_its_own_outputs_only() -> None:
    """Four outputs of 6 channels in three groups of 8 lanes, of which each has channels of two; three of 12 are in each of two groups."""
    assert (shift(6, 4, 8), span(6, 4, 8)) == (1, 2)
    assert (shift(12, 2, 8), span(12, 2, 8)) == (0, 2)
    assert (shift(2, 4, 8), span(2, 4, 8)) == (0, 4)
    for lanes in (4, 8, 32):
        for K in range(1, 40):
            for factor in range(1, 20):
                columns, wide = shift(K, factor, lanes), span(K, factor, lanes)
                behind = [channel // K - channel // lanes * columns for channel in range(factor * K)]
                assert (min(behind), max(behind)) == (0, wide - 1)


def test_the_memories_hold_the_weights_of_all_layers() -> None:
    layer = layer_of(2, (16, 8, 8), (3, 3), pads=(1, 1, 1, 1))
    for count, weights, factors in ((3, 1024, [4, 4, 4]), (4, 1024, [1, 4, 4, 4]), (3, 512, [1, 1, 2])):
        layers = [layer.replaced() for _ in range(count)]
        config = GRID.replaced(weights=weights)
        placed = place(layers, config)
        assert sorted(item.factor for item in placed) == factors
        ends = np.cumsum([item.weights(config) for item in placed])
        assert [item.weights_base for item in placed] == [0, *ends[:-1]]
        assert ends[-1] <= weights


def test_nothing_is_saved_where_lanes_are_full() -> None:
    for config in PRESETS.values():
        assert not savings(layer_of(config.lanes, (3, 16, 16), (3, 3)), config)
