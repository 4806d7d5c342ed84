"""What sums a layer can reach, where they wrap around with their bias, and which of them survive requantisation."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.numerics import INT32, requantise


def sums(layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The smallest and the largest accumulator that each channel can reach, (K,) each, whatever the input; 0 lies between them.

    Padding and what a window holds of it are zeros, which are among an input's values. No layer that fits has a sum that leaves int32:
    32,768 weights of 8 bits times activations of 9 bits stay below 2**31.
    """
    weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    low, high = layer.x.low - layer.x.zero_point, layer.x.high - layer.x.zero_point
    return positive * low + negative * high, positive * high + negative * low


def wraps(layer: Layer) -> NDArray[np.bool_]:
    """Of which channels, (K,), a sum with the bias can leave int32, so that it wraps around, as ONNX Runtime's does."""
    lowest, highest = sums(layer)
    bias = layer.bias.astype(np.int64)
    return np.asarray((lowest + bias < INT32.min) | (highest + bias > INT32.max))


def bounds(layer: Layer) -> NDArray[np.int32]:
    """For each channel the smallest accumulator whose output is neither zero nor below the threshold; one more than the largest if none.

    Requantisation never falls with an accumulator that does not wrap, so a binary search finds it. Every accumulator may survive, and
    the bound is the smallest integer, where outputs below the zero point may, and where sums wrap.
    """
    least = max(1, layer.threshold)
    if layer.clamp[0] <= layer.y.zero_point - least:
        return np.full(len(layer.bias), INT32.min, np.int32)
    lowest, highest = sums(layer)
    below, above = lowest - 1, highest + 1  # does not survive, or cannot be; survives, or cannot be
    while (between := above - below > 1).any():
        middle = (above + below) // 2
        y = requantise(middle.astype(np.int32).reshape(-1, 1, 1), layer.bias, layer.scale, layer.y.zero_point, *layer.clamp).reshape(-1)
        survives = y - layer.y.zero_point >= least
        above = np.where(between & survives, middle, above)
        below = np.where(between & ~survives, middle, below)
    return np.where(wraps(layer), INT32.min, above).astype(np.int32)
