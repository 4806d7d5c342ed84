"""What sums a layer can reach, where they wrap around with their bias, and which of them survive requantisation and a function."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.numerics import INT32, look_up, requantise


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


def bounds(layer: Layer, *, two_sided: bool = True) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each channel two accumulators: an output may be another than zero from the upper one up, or below the lower one.

    Between them it is zero, thresholded or by the layer's function; of a function with several runs of zeros, in the longest. The lower one
    is the smallest integer where no sum is below that run. Where sums wrap, or no output is zero, every accumulator may survive, and both
    are the smallest integer; likewise, where they are not two_sided, if any sum is below.
    """
    zeros = _zeros(layer)
    upper, lower = _first(layer, zeros.stop), _first(layer, zeros.start)
    some = ~wraps(layer) & (len(zeros) > 0)
    below = some & (lower > sums(layer)[0])
    if not two_sided:
        some, below = some & ~below, np.zeros_like(below)
    return np.where(some, upper, INT32.min).astype(np.int32), np.where(below, lower, INT32.min).astype(np.int32)


def _zeros(layer: Layer) -> range:
    """The longest run of rounded values whose outputs are zero."""
    low, high = layer.clamp
    longest, first = range(low, low), low
    for value, y in zip(range(low, high + 1), look_up(np.arange(low, high + 1), layer), strict=True):
        if y != layer.y.zero_point:
            first = value + 1
        elif value + 1 - first > len(longest):
            longest = range(first, value + 1)
    return longest


def _first(layer: Layer, rounded: int) -> NDArray[np.int64]:
    """For each channel the smallest accumulator whose rounded value is so much, or more; one more than the largest if none.

    Requantisation never falls with an accumulator that does not wrap, so a binary search finds it.
    """
    lowest, highest = sums(layer)
    below, above = lowest - 1, highest + 1  # is below the output, or cannot be; is not, or cannot be
    while (between := above - below > 1).any():
        middle = (above + below) // 2
        acc = middle.astype(np.int32).reshape(-1, 1, 1)
        reaches = requantise(acc, layer.bias, layer.scale, layer.rounded.zero_point, *layer.clamp).reshape(-1) >= rounded
        above = np.where(between & reaches, middle, above)
        below = np.where(between & ~reaches, middle, below)
    return above
