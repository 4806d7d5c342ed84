"""What sums a layer can reach, where they wrap around with their bias, and which of them survive requantisation."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.numerics import INT32, requantise

from .fits import DoesNotFit


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


def lowered(layer: Layer) -> tuple[Layer, ...]:
    """The layers that the accelerator computes for one: the same, or two where sums wrap and are pooled.

    It pools accumulators, before the bias is added, and wrapped sums are in another order than these. So the pooling follows in a second
    layer, whose weights of 1 and scale of 1 leave every value as it is.
    """
    if layer.pool == (1, 1) or not wraps(layer).any():
        return (layer,)
    K = len(layer.bias)
    pooling = Layer(
        name=f"{layer.name}, pooling",
        weights=np.eye(K, dtype=np.int8).reshape(K, K, 1, 1),
        bias=np.zeros(K, np.int32),
        scale=np.ones(K, np.float32),
        shape=layer.conv_shape,
        x=layer.y,
        y=layer.y,
        pool=layer.pool,
        pool_stride=layer.pool_stride,
        winners=layer.winners,
    )
    return layer.replaced(pool=(1, 1), pool_stride=(1, 1), winners=None), pooling


def check_pooling(layer: Layer) -> None:
    """DoesNotFit if a layer's sums wrap and are pooled, which one layer of the accelerator does not compute as ONNX Runtime does."""
    wrapping = np.flatnonzero(wraps(layer))
    if layer.pool != (1, 1) and wrapping.size:
        channel = int(wrapping[0])
        raise DoesNotFit(
            f"{layer.name}: the bias of channel {channel}, {layer.bias[channel]:,}, and its sums can leave 32 bits, and pooling follows;"
            " a network is compiled with the pooling apart, but a single layer is not: pool in a layer of its own"
        )
