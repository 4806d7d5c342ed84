"""Weight lists: made a second time by loops, and back to the weights."""

from dataclasses import replace
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.golden import Activation, Layer, decode_lists, encode_lists, list_cycles, two_sided_limit_cycles, two_sided_macs, useful_macs
from skipgrid.golden.lists import list_lengths

Word = tuple[int, int]


def plain_lists(weights: NDArray[np.int8], lanes: int, slots: int) -> tuple[list[int], list[list[Word]]]:
    """The length of each list, and all rows of (weight, slot), one by one."""
    K, C, R, S = weights.shape
    lengths, rows = [], []
    for unit in range(ceil(ceil(K / lanes) / slots)):
        for r, s, c in np.ndindex(R, S, C):
            words: list[list[Word]] = [[] for _ in range(lanes)]
            for slot, lane in np.ndindex(slots, lanes):
                channel = (unit * slots + slot) * lanes + lane
                if channel < K and weights[channel, c, r, s]:
                    words[lane].append((int(weights[channel, c, r, s]), slot))
            lengths.append(max(map(len, words)))
            rows += [[(lane[row : row + 1] or [(0, 0)])[0] for lane in words] for row in range(lengths[-1])]
    return lengths, rows


def check(weights: NDArray[np.int8], lanes: int, slots: int) -> None:
    lists = encode_lists(weights, lanes, slots)
    lengths, rows = plain_lists(weights, lanes, slots)
    assert lists.counts.reshape(-1).tolist() == lengths
    assert list_lengths(weights, lanes, slots).tolist() == lists.counts.tolist()
    assert np.stack([lists.weights, lists.indices.astype(int)], axis=-1).reshape(-1, lanes, 2).tolist() == [
        [list(word) for word in row] for row in rows
    ]
    assert lists.starts.reshape(-1).tolist() == [sum(lengths[:number]) for number in range(len(lengths))]
    np.testing.assert_array_equal(decode_lists(lists), weights)


def test_all_small_weights() -> None:
    for bits in product((0, -128), repeat=8):
        weights = np.array(bits, np.int8).reshape(4, 1, 2, 1)
        for lanes, slots in ((1, 2), (2, 1), (2, 2), (3, 2)):
            check(weights, lanes, slots)


def test_random_weights() -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        shape = tuple(rng.integers(1, (40, 4, 4, 4)))
        weights = (rng.integers(-128, 128, shape) * (rng.random(shape) < rng.choice([0, 0.1, 0.5, 1]))).astype(np.int8)
        check(weights, int(rng.integers(1, 9)), int(rng.integers(1, 17)))


def test_their_size() -> None:
    weights = np.zeros((5, 2, 1, 1), np.int8)
    weights[:4, 0, 0, 0] = 1, 2, 3, 4  # in two lanes and two slots: two rows for the first tap of the first unit
    weights[4, 1, 0, 0] = 5  # and one for the second tap of the second one
    lists = encode_lists(weights, 2, 2)
    assert lists.counts.tolist() == [[2, 0], [0, 1]]
    assert lists.size_bits(index_bits=4, list_bits=17) == 3 * 2 * (8 + 4) + 4 * 17


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": (4, 3, 1, 1)}, r"weights of \(4, 3, 1, 1\) have no 1 x 2 lists of 2 lanes and 2 slots"),
        ({"shape": (5, 2, 1, 1)}, "have no 1 x 2 lists"),
        ({"counts": np.array([[3, 0]])}, "a list has up to 2 rows, not 3"),
        ({"counts": np.array([[-1, 2]])}, "a list has up to 2 rows"),
        ({"counts": np.array([[2, 1]])}, "the lists have 3 rows, but there are 2"),
        ({"indices": np.zeros((3, 2), np.uint8)}, "the lists have 2 rows, but there are 2"),
        ({"indices": np.array([[0, 1], [2, 0]], np.uint8)}, "there are slots 0...1, not 2"),
    ],
)
def test_lists_that_stand_for_nothing(changes: dict[str, Any], says: str) -> None:
    weights = np.ones((4, 2, 1, 1), np.int8)
    weights[:, 1] = 0
    lists = encode_lists(weights, 2, 2)
    np.testing.assert_array_equal(decode_lists(lists), weights)
    with pytest.raises(ValueError, match=says):
        decode_lists(replace(lists, **changes))


def counted(x: NDArray[np.integer], layer: Layer, worth: NDArray[np.integer]) -> int:
    """The sum over all windows that some pool takes, each once, of what each nonzero's tap (r, s, c) is worth."""
    C, H, W = layer.shape
    _, _, R, S = layer.weights.shape
    taken = {
        (y * layer.pool_stride[0] + row, x_ * layer.pool_stride[1] + column)
        for y, x_ in np.ndindex(*layer.out_shape[1:])
        for row, column in np.ndindex(*layer.pool)
    }
    total = 0
    for row, column in taken:
        for r, s, c in np.ndindex(R, S, C):
            y, x_ = row * layer.stride[0] - layer.pads[0] + r, column * layer.stride[1] - layer.pads[1] + s
            if 0 <= y < H and 0 <= x_ < W and x[c, y, x_] != layer.x.zero_point:
                total += int(worth[r, s, c])
    return total


def test_multiplications_and_cycles_are_those_of_all_windows() -> None:
    rng = np.random.default_rng(8)
    differ = 0
    for _ in range(40):
        K, C, R, S = rng.integers(1, (12, 4, 4, 4)).tolist()
        held = Activation("int8", -3) if rng.random() < 0.5 else Activation()
        weights = (rng.integers(-128, 128, (K, C, R, S)) * (rng.random((K, C, R, S)) < 0.4)).astype(np.int8)
        pool, pool_stride = ((2, 1), (1, 2)) if rng.random() < 0.5 else ((1, 1), (1, 1))
        layer = Layer(
            "counted",
            weights,
            np.zeros(K, np.int32),
            np.ones(K, np.float32),
            (C, int(rng.integers(R + 2, 9)), int(rng.integers(S + 2, 9))),
            x=held,
            pads=tuple(rng.integers(0, 3, 4).tolist()),
            stride=(int(rng.integers(1, 3)), 1),
            pool=pool,
            pool_stride=pool_stride,
        )
        kept = rng.random(layer.shape) < 0.5
        x = np.where(kept, rng.integers(held.low, held.high + 1, layer.shape), held.zero_point).astype(held.dtype)
        macs = counted(x, layer, np.count_nonzero(weights, axis=0).transpose(1, 2, 0))
        assert two_sided_macs(x, layer) == macs <= useful_macs(x, layer)
        assert two_sided_limit_cycles(x, layer, 4, 8) == macs / 32
        lengths = list_lengths(weights, 2, 3).sum(axis=0).reshape(R, S, C)
        assert list_cycles(x, layer, 4, 2, 3) == counted(x, layer, lengths) / 4
        differ += counted(x, layer, lengths) * 2 > macs
    assert differ > 20, "padding of lists is walked, too"
