"""Unit unrolling: where a layer has fewer channels than there are lanes, several neighbouring outputs of a row are computed at once.

P neighbouring outputs read windows that overlap. With filters shifted by the way from one output to the next, in a filter that is wide
enough for all of them, they are P · K channels of one output: its lanes are P times as full, and the input's nonzeros are visited once for
all of them. In (y, x, c) order these are the same outputs in the same order.

Where these channels are several groups, and lanes are more than the layer's channels, a group has channels of some of the outputs only: its
windows begin `shift` outputs further right than those of the group before, and its filter is wide enough for `span` outputs.
"""

import numpy as np

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import fits, group_weights, groups
from .packing import most

SHARE = 0.25  # of activations that are not zero, by which factors are compared
RANGE = 1.0  # entries that the time of a window row is worth: it is looked up, even if it is empty


def shift(K: int, factor: int, lanes: int) -> int:
    """By how many outputs a group's windows lie further right than those of the group before."""
    return lanes // K if factor * K > lanes else 0


def span(K: int, factor: int, lanes: int) -> int:
    """Of how many neighbouring outputs, at most, a group has channels, from where its windows begin."""
    starts = enumerate(range(0, factor * K, lanes))
    return max(-(-min(start + lanes, factor * K) // K) - group * shift(K, factor, lanes) for group, start in starts)


def step(layer: Layer) -> int:
    """Columns from one stored output to the next."""
    return layer.pool_stride[1] * layer.stride[1]


def unrolled(layer: Layer, factor: int, lanes: int) -> Layer:
    """The layer that computes `factor` neighbouring outputs of a row at once; where these do not divide a row, some behind its end too.

    Its weights are (factor * K, C, R, S + (span - 1) * step). Those of a group of `lanes` channels are as seen from its own windows.
    """
    K, C, R, S = layer.weights.shape
    top, left, bottom, right = layer.pads
    behind = (-layer.out_shape[2] % factor) * step(layer)
    weights = np.zeros((factor, K, C, R, S + (span(K, factor, lanes) - 1) * step(layer)), np.int8)
    for number, channel in np.ndindex(factor, K):
        first = (number - (number * K + channel) // lanes * shift(K, factor, lanes)) * step(layer)
        weights[number, channel, ..., first : first + S] = layer.weights[channel]
    return layer.replaced(
        weights=weights.reshape(factor * K, C, R, -1),
        bias=np.tile(layer.bias, factor),
        scale=np.tile(layer.scale, factor),
        pads=(top, left, bottom, right + behind),
        pool_stride=(layer.pool_stride[0], layer.pool_stride[1] * factor),
    )


def savings(layer: Layer, config: Config) -> list[tuple[float, int]]:
    """The cycles that each factor would save, and the factor: of those that save any, and that the configuration holds.

    Layers whose channels are told apart afterwards, by winners of each pixel or by experts, are not unrolled.
    """
    if (layer.winners is not None and layer.winners.per_pixel) or layer.mixture is not None:
        return []
    factors = [
        factor for factor in range(2, min(layer.out_shape[2], 2 * config.lanes) + 1) if ends_in_last_group(layer, factor, config.lanes)
    ]
    saved = [(cycles(layer, 1, config) - cycles(layer, factor, config), factor) for factor in factors]
    return [(some, factor) for some, factor in saved if some > 0 and _fits(layer, factor, config)]


def ends_in_last_group(layer: Layer, factor: int, lanes: int) -> bool:
    """Whether what the last unit of a row lacks is in its last group only."""
    K, _, columns = layer.out_shape
    return K * (-columns % factor) < factor * K - (-(-factor * K // lanes) - 1) * lanes


def cycles(layer: Layer, factor: int, config: Config, share: float = SHARE) -> float:
    """In which the grid computes a layer, roughly; share: of its activations that are not zero."""
    K, C, R, S = layer.weights.shape
    _, rows, columns = layer.out_shape
    wide = S + (span(K, factor, config.lanes) - 1) * step(layer)
    units = -(-factor * K // config.lanes) * rows * -(-columns // factor)
    return float(-(-units // config.rows) * layer.pool[0] * layer.pool[1] * (R * RANGE + share * R * wide * C))


def _fits(layer: Layer, factor: int, config: Config) -> bool:
    if shift(len(layer.bias), factor, config.lanes) * step(layer) > most("group_stride_columns"):
        return False
    wide = unrolled(layer, factor, config.lanes)
    return fits(wide, config) and groups(wide, config) * group_weights(wide) <= config.weights
