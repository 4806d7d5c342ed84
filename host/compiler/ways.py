"""The ways in which a layer can be computed: by which grid, how far unrolled, with lists or without, pooled where."""

from dataclasses import replace
from math import prod

import numpy as np

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import group_weights
from .listing import inside, listings
from .pooling import OUTPUTS, convolution, mergeable, merges, pooling_cycles
from .unrolling import cycles, savings, unrolled
from .way import Way

LISTS_BEGIN = 12  # cycles more until a layer with lists multiplies, and has drained its last sums
LISTS_COST = 1.05  # times as many for lists, whose units are fewer, and larger: rows wait for each other longer at the end


def ways(layer: Layer, config: Config) -> list[Way]:
    """All that a configuration holds, each by itself; the first one is that without lists and unrolling."""
    merged = merges(layer, config)
    grid = convolution(layer) if merged else layer
    found = []
    for factor in (1, *(factor for _, factor in savings(grid, config))):
        walked = grid if factor == 1 else unrolled(grid, factor, config.lanes)
        groups = -(-len(walked.bias) // config.lanes)
        found.append(Way(factor, merged, 0, False, cycles(grid, factor, config), groups * group_weights(walked), 0, groups))
    # What is counted without lists too, though it is hidden by the walk mostly, or takes no time: look-ups of ranges, and the padding.
    fastest = min(found, key=lambda way: way.cycles).factor
    besides = cycles(grid, fastest, config, share=0.0) + _padding(grid, fastest, config)
    pooled = layer.pool != (1, 1)
    if not pooled or mergeable(layer, config):
        grid = convolution(layer) if pooled else layer
        at_least = max(OUTPUTS * prod(grid.out_shape) / config.survivors, pooling_cycles(grid, config) if pooled else 0.0)
        found += [
            replace(way, merges=pooled, cycles=LISTS_COST * max(way.cycles + besides, at_least) + LISTS_BEGIN)
            for way in listings(grid, config)
        ]
    return found


def _padding(layer: Layer, factor: int, config: Config) -> float:
    """Of `unrolling.cycles`, those for places in the padding, which have no entries."""
    R, S = layer.weights.shape[2:]
    windows = np.outer(inside(layer, 0), inside(layer, 1))
    share = 1 - windows.sum() / (R * S * prod(layer.conv_shape[1:]))
    entries = cycles(layer, factor, config) - cycles(layer, factor, config, share=0.0)
    return float(share * entries)
