"""Averages of whole feature maps, which add up each channel by itself: slice by slice of a pixel's channels.

As a convolution, such a layer has an output channel for each of the input, and each group of `lanes` of them would read all of the input,
whose other channels have a weight of zero. But in (y, x, c) order, an input of (C, H, W) is also one of (slice, H * W, C / slice): each
pixel is a row, whose columns are slices of its channels. A window of one column and all rows has the entries of one slice only, and one
filter is right for all slices. The outputs are the same in the same order.
"""

from collections.abc import Sequence

import numpy as np

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .buffers import check_pixels
from .fits import DoesNotFit, check_fits
from .pooling import merges
from .unrolling import cycles


def sliced(layers: Sequence[Layer], config: Config) -> list[Layer]:
    """The layers, of which averages read slices of channels; their input is sent so, or the layer before stores it so."""
    found: list[Layer] = []
    for layer in layers:
        sizes = _sizes(layer, config) if not found or not _keeps_its_shape(found[-1], config) else []
        found.append(next((_over(layer, size) for size in sizes if _fits([*found, _over(layer, size)], config)), layer))
    return found


def _keeps_its_shape(layer: Layer, config: Config) -> bool:
    """Whether what stores a layer's output pools it by its shape, or chooses from it."""
    return layer.winners is not None or layer.mixture is not None or merges(layer, config)


def _sizes(layer: Layer, config: Config) -> list[int]:
    """The sizes of slices that take fewer cycles than all channels at once, the fewest first; none unless it is such an average."""
    C, H, W = layer.shape
    if layer.mixture is not None or layer.winners is not None or any(layer.pads) or layer.weights.shape != (C, C, H, W):
        return []
    own = layer.weights[np.arange(C), np.arange(C)]
    alike = all((values == values[0]).all() for values in (own, layer.bias, layer.scale))
    if not alike or np.count_nonzero(layer.weights) != np.count_nonzero(own):
        return []

    found = {size: cycles(_over(layer, size), 1, config) for size in range(min(config.lanes, C - 1), 0, -1) if C % size == 0}
    return sorted((size for size in found if found[size] < cycles(layer, 1, config)), key=lambda size: found[size])


def _over(layer: Layer, size: int) -> Layer:
    """The layer over slices of so many channels."""
    C, H, W = layer.shape
    one = np.eye(size, dtype=np.int8)[:, :, np.newaxis, np.newaxis] * layer.weights[0, 0].reshape(-1, 1)
    return layer.replaced(weights=one, bias=layer.bias[:size], scale=layer.scale[:size], shape=(size, H * W, C // size))


def _fits(layers: Sequence[Layer], config: Config) -> bool:
    """Whether the configuration holds the last of these layers, and its input beside the one before."""
    try:
        check_fits(layers[-1], config)
        check_pixels(layers, config)
    except DoesNotFit:
        return False
    return True
