"""Layers whose weights are read as lists: where that takes fewer cycles, and how.

A unit of work then computes up to `slots` groups of channels, whose weights that are zero take no time; the lists are `golden.lists`.
What fills the slots are a layer's groups and, as in unrolling.py, neighbouring outputs of a row: of a depthwise layer, which reads one
channel for each output, these are what lanes have to do besides. There a channel of the input is read by as many output channels as units
compute outputs, and these should be in different lanes: so the last lane may be left out, and the channels shift by one from one output to
the next.
"""

from functools import lru_cache
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.lists import list_lengths
from skipgrid.rtl.config import Config

from .fits import fits
from .unrolling import SHARE, ends_in_last_group, unrolled
from .way import Way

MOST_WIDE = 1 << 22  # weights of a filter that is looked at, with all outputs that a unit computes


def unit_slots(shape: tuple[int, ...], zeros: float, config: Config) -> int:
    """Groups of a unit, of weights (K, C, R, S) of which a share is zero: as many as there are slots and room for their lists."""
    K, *taps = shape
    groups = ceil(K / config.lanes)
    return even_slots(groups, max(1, min(config.slots, int(config.weights / max(1.0, prod(taps) * (1 - zeros))))))


def even_slots(groups: int, most: int) -> int:
    """Groups of a unit, where as few units as can be, of `most` groups at most, share them."""
    return ceil(groups / ceil(groups / most))


def wide(layer: Layer, factor: int) -> Layer:
    """The layer that computes so many neighbouring outputs of a row in a unit, whose groups all have the same windows."""
    return layer if factor == 1 else unrolled(layer, factor, factor * len(layer.bias))


@lru_cache(maxsize=64)
def listings(layer: Layer, config: Config) -> tuple[Way, ...]:
    """The ways with lists that a configuration holds, the best one of each factor, in cycles of the walk alone.

    There are none where it has no lists, nor of layers that the grid pools, or that have experts. Layers of whose pixels each has its own
    winners are not unrolled.
    """
    K, _, columns = layer.out_shape
    if not config.slots or layer.pool != (1, 1) or layer.mixture is not None:
        return ()
    most = 1 if layer.winners is not None and layer.winners.per_pixel else max(1, config.slots * config.lanes // K)
    found = []
    for factor in range(1, min(most, columns) + 1):
        if factor > 1 and factor * layer.weights.size > MOST_WIDE:
            break
        candidate = wide(layer, factor)
        if not fits(candidate, config):
            break
        ways = [
            _listing(layer, candidate, factor, slots, spare_lane, config)
            for spare_lane in (False, True)
            if ends_in_last_group(layer, factor, config.lanes - spare_lane)
            for slots in _slots(candidate, spare_lane, config)
        ]
        fitting = [
            way
            for way in ways
            if way.weights <= config.weights and way.lists <= config.weights and way.groups * config.lanes <= config.channels
        ]
        if fitting:
            found.append(min(fitting, key=lambda way: (way.cycles, way.weights)))
    return tuple(found)


def _slots(layer: Layer, spare_lane: bool, config: Config) -> list[int]:
    """How many groups a unit may have: as many as there are slots; fewer where there are few units for the rows."""
    groups = ceil(len(layer.bias) / (config.lanes - spare_lane))
    even = {ceil(groups / units) for units in range(ceil(groups / config.slots), groups + 1)}
    pixels = prod(layer.out_shape[1:])
    return sorted(even) if pixels < 8 * config.rows else [max(even)]


def _listing(layer: Layer, candidate: Layer, factor: int, slots: int, spare_lane: bool, config: Config) -> Way:
    lanes = config.lanes - spare_lane
    counts = list_lengths(candidate.weights, lanes, slots)
    return Way(
        factor=factor,
        merges=False,
        slots=slots,
        spare_lane=spare_lane,
        cycles=_cycles(candidate, counts, slots * config.slices, config),
        weights=int(counts.sum()),
        lists=counts.size,
        groups=ceil(factor * len(layer.bias) / lanes),
    )


def _cycles(layer: Layer, counts: NDArray[np.int64], drained: int, config: Config) -> float:
    """In which the grid walks lists of such lengths (units of a pixel, taps), or their entries, or drains a unit's sums.

    drained: cycles in which a unit's sums are. Taps in the padding have no entries.
    """
    _, C, R, S = layer.weights.shape
    rows, columns = layer.conv_shape[1:]
    windows = np.outer(inside(layer, 0), inside(layer, 1))  # (R, S)
    of_taps = counts.reshape(len(counts), R, S, C).sum(axis=3)
    walked = SHARE * (of_taps * windows).sum(axis=(1, 2)) / (rows * columns)  # of each unit, mean
    entries = SHARE * C * windows.sum() / (rows * columns)
    units = len(counts) * rows * columns
    work = float(np.maximum(np.maximum(walked, entries), drained).mean())
    return float(-(-units // config.rows) * work)


def inside(layer: Layer, axis: int) -> NDArray[np.int64]:
    """In how many rows (or columns) of windows each row (or column) of the filter lies inside the input."""
    size, before = layer.shape[1 + axis], layer.pads[axis]
    first = np.arange(layer.conv_shape[1 + axis]) * layer.stride[axis] - before
    places = first + np.arange(layer.weights.shape[2 + axis])[:, np.newaxis]
    return np.asarray(((places >= 0) & (places < size)).sum(axis=1), np.int64)
