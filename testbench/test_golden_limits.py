"""Work, cycles and bits at least, counted a second time by loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skipgrid.benches.fuzz.session import walked_macs
from skipgrid.golden import Activation, Layer, dense_cycles, dense_macs, entropy_bits, limit_cycles, sparsity, useful_macs
from skipgrid.host.compiler.placement import Placed
from skipgrid.rtl.config import preset

Four = tuple[int, int, int, int]


def layer_of(weights: Four, shape: tuple[int, int, int], **fields: Any) -> Layer:
    K = weights[0]
    return Layer("counted", np.ones(weights, np.int8), np.zeros(K, np.int32), np.ones(K, np.float32), shape, **fields)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layer, NDArray[np.integer]]:
    """A small layer with any strides, pads and pools, and an input."""
    few = st.integers(1, 4)
    C, H, W, K = draw(few), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pads = draw(st.tuples(*[st.integers(0, 3)] * 4))
    R, S = draw(st.integers(1, H + pads[0] + pads[2])), draw(st.integers(1, W + pads[1] + pads[3]))
    held = draw(st.sampled_from((Activation(), Activation("uint8", 5), Activation("int8", -3))))
    layer = layer_of((K, C, R, S), (C, H, W), x=held, stride=draw(st.tuples(few, few)), pads=pads)
    pool = draw(st.integers(1, min(4, layer.conv_shape[1]))), draw(st.integers(1, min(4, layer.conv_shape[2])))
    layer = layer.replaced(pool=pool, pool_stride=draw(st.tuples(few, few)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.integers(held.low, held.high + 1, (C, H, W))
    zeros = rng.random((C, H, W)) < draw(st.sampled_from((0.0, 0.4, 0.9, 1.0)))
    return layer, np.where(zeros, held.zero_point, values).astype(held.dtype)


def counted(x: NDArray[np.integer], layer: Layer) -> tuple[int, int]:
    """Of one output channel the useful and the dense multiplications, by loops."""
    taken = {
        (row * layer.pool_stride[0] + i, column * layer.pool_stride[1] + j)
        for row, column, i, j in np.ndindex(*layer.out_shape[1:], *layer.pool)
    }
    useful = dense = 0
    for row, column in taken:
        for c, r, s in np.ndindex(*layer.weights.shape[1:]):
            y, z = row * layer.stride[0] + r - layer.pads[0], column * layer.stride[1] + s - layer.pads[1]
            if 0 <= y < layer.shape[1] and 0 <= z < layer.shape[2]:
                dense += 1
                useful += bool(x[c, y, z] != layer.x.zero_point)
    return useful, dense


@given(cases(), st.sampled_from((1, 2, 4)), st.sampled_from((4, 8)))
def test_work_is_a_loops(case: tuple[Layer, NDArray[np.integer]], rows: int, lanes: int) -> None:
    layer, x = case
    K = layer.bias.size
    useful, dense = counted(x, layer)
    assert useful_macs(x, layer) == useful * K
    assert dense_macs(layer) == dense * K
    assert limit_cycles(x, layer, rows, lanes) == useful * K / (rows * lanes)
    assert dense_cycles(layer, rows, lanes) == -(-dense * -(-K // lanes) // rows)


@given(cases(), st.sampled_from((1, 2, 4)), st.sampled_from((4, 8)))
def test_no_figure_says_more_than_all(case: tuple[Layer, NDArray[np.integer]], rows: int, lanes: int) -> None:
    """The grid takes a cycle at least for each nonzero of each window it walks, for each group: what is said of it is at most 100 %."""
    layer, x = case
    K = layer.bias.size
    least = walked_macs(x, Placed(layer, 0, 0), preset("1x8")) // K * -(-K // lanes) / rows
    assert limit_cycles(x, layer, rows, lanes) <= least
    if np.all(x != layer.x.zero_point):
        assert dense_cycles(layer, rows, lanes) <= np.ceil(least)


def test_windows_that_no_pool_takes_count_for_nobody() -> None:
    layer = layer_of((2, 1, 3, 3), (1, 8, 8))
    x = np.ones((1, 8, 8), np.uint8)
    for pool, stride, windows in (((2, 2), (2, 2), 36), ((3, 3), (1, 1), 36), ((2, 2), (3, 3), 16), ((5, 6), (5, 1), 30)):
        pooled = layer.replaced(pool=pool, pool_stride=stride)
        assert useful_macs(x, pooled) == dense_macs(pooled) == windows * 9 * 2


@pytest.mark.parametrize(
    ("K", "rows", "lanes", "expected"),
    [(32, 1, 32, 36 * 9), (33, 1, 32, 72 * 9), (32, 4, 32, 9 * 9), (32, 5, 32, 65), (96, 2, 64, 36 * 9), (1, 64, 8, 6)],
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
