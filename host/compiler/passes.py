"""Layers too big for the chip: the passes, over groups of output channels and bands of rows, in which one is run.

A pass computes a block of the output: some of the channels, where the weights of all are too many, and some of the rows, where
the input of all has too many nonzeros or pixels. It is a layer like any other, with fewer channels and another height.

    for item in plan(layer, x, config):
        y[item.channels, item.rows] = run_layer(x[:, item.input_rows], item.layer)
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.codec import best_k, coded_bytes, size_bits
from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, check_fits, choosing, group_weights, groups


@dataclass(frozen=True)
class Pass:
    """A part of a layer that fits the chip.

    layer: what is computed, from some rows of the input to a block of the output.
    channels, rows: the block's place in the layer's output.
    input_rows: the band of the layer's input, with its halo: the rows that neighbouring bands hold as well.
    """

    layer: Layer
    channels: slice
    rows: slice
    input_rows: slice


def plan(layer: Layer, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The passes of a layer over an input (C, H, W), in their order: as few groups and bands as the memories allow.

    Each element of the output is in one pass. Input rows behind the last window are in none. DoesNotFit if the memories hold
    no group of `lanes` channels, or not even the input rows under one row of the output; or if there are several passes, but
    winners to be chosen from all of the output; or if the layer has experts.
    """
    if layer.mixture is not None:
        raise DoesNotFit(f"{layer.name}: a layer with experts is computed with its network, not by itself in passes")
    bands = cut_rows(layer, x, config)
    channels = cut_channels(layer, config)
    # What the outer loop goes over is loaded once; what the inner loop goes over again in each round, unless it is a single part
    # that stays. The order is the one in which fewer words travel: on a board they take the time, not the cycles.
    if (len(channels) - 1) * _input_words(bands, x) <= (len(bands) - 1) * _weight_words(layer, config):
        order = [(band, cut) for cut in channels for band in bands]
    else:
        order = [(band, cut) for band in bands for cut in channels]
    winners = choosing(layer)
    if winners is not None and len(channels if winners.per_pixel else order) > 1:
        of = "all channels of a pixel" if winners.per_pixel else "a whole output"
        raise DoesNotFit(f"{layer.name}: winners are chosen from {of}, but {config.name} computes this one in {len(order)} passes")
    return [replace(band, layer=with_channels(band.layer, cut), channels=cut) for band, cut in order]


def cut_channels(layer: Layer, config: Config) -> list[slice]:
    """The output channels in as many groups at once as the weight and channel memories hold, which is one or more."""
    at_once = min(config.weights // group_weights(layer), config.channels // config.lanes) * config.lanes
    K = len(layer.bias)
    return [slice(first, min(first + at_once, K)) for first in range(0, K, at_once)]


def with_channels(layer: Layer, channels: slice) -> Layer:
    """The layer with some of its output channels."""
    return layer.replaced(weights=layer.weights[channels], bias=layer.bias[channels], scale=layer.scale[channels])


def cut_rows(layer: Layer, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The layer, with all its channels, in bands that are each as high as fits: so bands and halos are as few as possible."""
    rows = layer.out_shape[1]
    # Bands begin where a row of the output sees the input: those that see only padding cost nothing, and join a neighbour's band.
    edges = [0, *[row for row in range(rows) if _seen(layer, row)][1:], rows]
    bands: list[Pass] = []
    while edges[0] < rows:
        first, behind, *higher = edges
        band = _band(layer, first, behind)
        _check_fits(band, x, config)
        for further in higher:
            wider = _band(layer, first, further)
            if not _fits(wider, x, config):
                break
            band = wider
        bands.append(band)
        edges = edges[edges.index(band.rows.stop) :]
    return bands


def _input_rows(layer: Layer, row: int) -> range:
    """The input rows under a row of the stored output, which is one or, where a pool follows, several windows high; padding too."""
    top = row * layer.pool_stride[0] * layer.stride[0] - layer.pads[0]
    return range(top, top + (layer.pool[0] - 1) * layer.stride[0] + layer.weights.shape[2])


def _seen(layer: Layer, row: int) -> range:
    """The same without padding; empty if the row sees nothing else."""
    under = _input_rows(layer, row)
    return range(max(under.start, 0), min(under.stop, layer.shape[1]))


def _band(layer: Layer, first: int, behind: int) -> Pass:
    """The rows first...behind - 1 of the stored output as a layer of their own."""
    C, _, W = layer.shape
    seen = [rows for row in range(first, behind) if (rows := _seen(layer, row))] or [range(1)]  # a tensor has a row or more
    held = slice(seen[0].start, seen[-1].stop)
    top, bottom = held.start - _input_rows(layer, first).start, _input_rows(layer, behind - 1).stop - held.stop
    pads = (top, layer.pads[1], max(bottom, 0), layer.pads[3])
    band = layer.replaced(shape=(C, held.stop - held.start, W), pads=pads)
    return Pass(band, slice(0, len(layer.bias)), slice(first, behind), held)


def _check_fits(band: Pass, x: NDArray[np.integer], config: Config) -> None:
    """DoesNotFit, in a sentence for the smallest band, unless a band's input and one group of its channels fit the memories."""
    name, (_, H, W) = band.layer.name, band.layer.shape
    nonzeros = np.count_nonzero(x[:, band.input_rows] != band.layer.x.zero_point)
    for what, size, limit in (("pixels", H * W + 1, config.pixels), ("nonzero activations", nonzeros, config.entries)):
        if size > limit:
            raise DoesNotFit(f"{name}: one row of its output needs {size:,} {what} of its input, but {config.name} holds {limit:,}")
    check_fits(with_channels(band.layer, slice(0, config.lanes)), config)


def _fits(band: Pass, x: NDArray[np.integer], config: Config) -> bool:
    try:
        _check_fits(band, x, config)
    except DoesNotFit:
        return False
    return True


def _input_words(bands: list[Pass], x: NDArray[np.integer]) -> int:
    """Words of all bands' input streams, halos twice."""
    coded = [coded_bytes(x[:, band.input_rows], band.layer.x) for band in bands]
    return sum(-(-size_bits(tensor, best_k(tensor)) // 32) for tensor in coded)


def _weight_words(layer: Layer, config: Config) -> int:
    """Words of all groups' weights."""
    return groups(layer, config) * group_weights(layer) * config.lanes // 4
