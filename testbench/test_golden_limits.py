"""Work, cycles and bits at least, counted a second time by loops."""

import numpy as np
import pytest

from skipgrid.golden import Activation, Layer, dense_cycles, dense_macs, entropy_bits, limit_cycles, sparsity, useful_macs

Four = tuple[int, int, int, int]


def layer_of(weights: Four, shape: tuple[int, int, int], **fields: object) -> Layer:
    K = weights[0]
    plain = Layer("counted", np.ones(weights, np.int8), np.zeros(K, np.int32), np.ones(K, np.float32), shape)
    return plain.replaced(**fields)


@pytest.mark.parametrize("activation", [Activation(), Activation("uint8", 5), Activation("int8", -3)])
@pytest.mark.parametrize(
    ("weights", "shape", "stride", "pads"),
    [
        ((3, 2, 3, 3), (2, 6, 7), (1, 1), (0, 0, 0, 0)),
        ((4, 1, 5, 2), (1, 9, 6), (3, 2), (2, 1, 0, 1)),
        ((2, 3, 1, 1), (3, 1, 1), (1, 1), (2, 2, 2, 2)),
        ((6, 2, 4, 4), (2, 4, 4), (1, 1), (0, 0, 0, 0)),
    ],
)
def test_useful_macs_are_a_loops(
    activation: Activation, weights: Four, shape: tuple[int, int, int], stride: tuple[int, int], pads: Four
) -> None:
    layer = layer_of(weights, shape, x=activation, stride=stride, pads=pads)
    rng = np.random.default_rng(6)
    values = rng.integers(activation.low, activation.high + 1, shape)
    x = np.where(rng.random(shape) < 0.4, activation.zero_point, values).astype(activation.dtype)
    useful = dense = 0
    for _, row, column, c, r, s in np.ndindex(*layer.conv_shape, *weights[1:]):
        dense += 1
        y, z = row * stride[0] + r - pads[0], column * stride[1] + s - pads[1]
        useful += 0 <= y < shape[1] and 0 <= z < shape[2] and x[c, y, z] != activation.zero_point
    assert useful_macs(x, layer) == useful
    assert dense_macs(layer) == dense
    assert limit_cycles(x, layer, 4, 32) == useful / 128


def test_pooling_changes_no_count() -> None:
    layer = layer_of((2, 1, 3, 3), (1, 8, 8))
    pooled = layer.replaced(pool=(2, 2), pool_stride=(2, 2))
    x = np.ones((1, 8, 8), np.uint8)
    assert useful_macs(x, pooled) == useful_macs(x, layer) == dense_macs(pooled) == 36 * 9 * 2


@pytest.mark.parametrize(
    ("K", "rows", "lanes", "expected"),
    [(32, 1, 32, 36 * 9), (33, 1, 32, 72 * 9), (32, 4, 32, 9 * 9), (32, 5, 32, 8 * 9), (96, 2, 64, 36 * 9), (1, 64, 8, 9)],
)
def test_dense_cycles(K: int, rows: int, lanes: int, expected: int) -> None:
    assert dense_cycles(layer_of((K, 1, 3, 3), (1, 8, 8)), rows, lanes) == expected


@pytest.mark.parametrize(("zeros", "bits"), [(0, 8000), (1000, 0), (500, 5000), (900, 1000 * (0.4689955935892812 + 0.8))])
def test_entropy(zeros: int, bits: float) -> None:
    coded = np.repeat(np.array([0, 200], np.uint8), [zeros, 1000 - zeros])
    assert sparsity(coded) == pytest.approx(zeros / 1000)
    assert entropy_bits(coded) == pytest.approx(bits)


def test_an_empty_tensor_costs_nothing() -> None:
    assert sparsity(np.zeros(0, np.uint8)) == entropy_bits(np.zeros(0, np.uint8)) == 0


def test_wrong_input() -> None:
    with pytest.raises(TypeError, match="layer counted: its inputs are held as uint8, but the array is int8"):
        useful_macs(np.zeros((1, 8, 8), np.int8), layer_of((2, 1, 3, 3), (1, 8, 8)))
