"""Weight lists: of a convolution's weights those that are not zero, in the order in which a grid of lanes reads them.

*Groups* are of as many output channels as lanes are in use, one a lane; a *unit* is of up to `slots` groups, so that a lane computes a
channel of each at once, in a *slot* of its own. A *tap* is a place (r, s, c) of the filter. For each unit and each of its taps there is a
list: rows of words, one a lane, each a weight and the number of its slot. A lane's words of a list are those of its slots whose weights are
not zero, from the lowest slot up; the list is as long as the longest of all lanes, and where a lane has fewer, its last words are weight 0
and slot 0. Lists lie behind each other, taps in (r, s, c) order, one unit after the other.

Weights are *balanced* if in each list all lanes have equally many words: then none of them is padding.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WeightLists:
    """The lists of a layer's weights.

    shape: (K, C, R, S) of the weights. lanes: in use. slots: of a unit, at most.
    counts: (units, taps) rows of words in each list.
    weights, indices: (rows, lanes) of all lists: int8 weights, and uint8 numbers of their slots.
    """

    shape: tuple[int, int, int, int]
    lanes: int
    slots: int
    counts: NDArray[np.int64]
    weights: NDArray[np.int8]
    indices: NDArray[np.uint8]

    @property
    def starts(self) -> NDArray[np.int64]:
        """(units, taps): the first row of each list."""
        behind = self.counts.reshape(-1).cumsum()
        return (behind - self.counts.reshape(-1)).reshape(self.counts.shape)

    def size_bits(self, index_bits: int, list_bits: int) -> int:
        """Bits of all words, with an index of so many bits each, and of what says where each list begins and how long it is."""
        return self.weights.size * (8 + index_bits) + self.counts.size * list_bits


def present_slots(weights: NDArray[np.integer], lanes: int, slots: int) -> NDArray[np.bool_]:
    """Which slots have a weight that is not zero: (units, taps, lanes, slots) of weights (K, C, R, S)."""
    K = len(weights)
    groups = ceil(K / lanes)
    units = ceil(groups / slots)
    of_taps = np.zeros((units * slots * lanes, int(np.prod(weights.shape[1:]))), bool)
    of_taps[:K] = (weights != 0).transpose(0, 2, 3, 1).reshape(K, -1)
    return of_taps.reshape(units, slots, lanes, -1).transpose(0, 3, 2, 1)


def list_lengths(weights: NDArray[np.integer], lanes: int, slots: int) -> NDArray[np.int64]:
    """(units, taps): how long each list of weights (K, C, R, S) is."""
    return np.asarray(present_slots(weights, lanes, slots).sum(axis=3).max(axis=2), np.int64)


def encode_lists(weights: NDArray[np.int8], lanes: int, slots: int) -> WeightLists:
    """The lists of weights (K, C, R, S) int8."""
    present = present_slots(weights, lanes, slots)
    units, taps = present.shape[:2]
    counts = present.sum(axis=3).max(axis=2)
    dense = np.zeros((units * slots * lanes, taps), np.int8)
    dense[: len(weights)] = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1)
    of_slots = dense.reshape(units, slots, lanes, taps).transpose(0, 3, 2, 1)
    order = np.argsort(~present, axis=3, kind="stable")  # those that are there come first
    there = np.take_along_axis(present, order, axis=3)
    values = np.where(there, np.take_along_axis(of_slots, order, axis=3), 0)
    indices = np.where(there, order, 0)
    rows = np.arange(slots) < counts[..., np.newaxis]  # (units, taps, slots)
    return WeightLists(
        shape=(weights.shape[0], weights.shape[1], weights.shape[2], weights.shape[3]),
        lanes=lanes,
        slots=slots,
        counts=counts.astype(np.int64),
        weights=values.transpose(0, 1, 3, 2)[rows].astype(np.int8),
        indices=indices.transpose(0, 1, 3, 2)[rows].astype(np.uint8),
    )


def decode_lists(lists: WeightLists) -> NDArray[np.int8]:
    """The weights (K, C, R, S) that lists stand for; ValueError if a list is longer than the slots, or a word's slot is not there."""
    K, C, R, S = lists.shape
    units, taps = lists.counts.shape
    if taps != C * R * S or units != ceil(K / (lists.lanes * lists.slots)):
        raise ValueError(f"weights of {lists.shape} have no {units} x {taps} lists of {lists.lanes} lanes and {lists.slots} slots")
    if lists.counts.max(initial=0) > lists.slots or lists.counts.min(initial=0) < 0:
        raise ValueError(f"a list has up to {lists.slots} rows, not {lists.counts.max()}")
    if lists.counts.sum() != len(lists.weights) or lists.weights.shape != lists.indices.shape:
        raise ValueError(f"the lists have {lists.counts.sum()} rows, but there are {len(lists.weights)}")
    if (lists.indices >= lists.slots).any():
        raise ValueError(f"there are slots 0...{lists.slots - 1}, not {lists.indices.max()}")
    of_slots = np.zeros((units, taps, lists.lanes, lists.slots), np.int8)
    for (unit, tap), start in np.ndenumerate(lists.starts):
        for row in range(start, start + lists.counts[unit, tap]):
            for lane in range(lists.lanes):
                if lists.weights[row, lane]:
                    of_slots[unit, tap, lane, lists.indices[row, lane]] = lists.weights[row, lane]
    dense = of_slots.transpose(0, 3, 2, 1).reshape(-1, R, S, C)[:K]
    return np.ascontiguousarray(dense.transpose(0, 3, 1, 2))
