"""Layers too big for the chip: the passes, over channels and bands of rows and columns, in which one is run.

A pass computes a block of the output: some of the channels, where the weights of all are too many or where they read other channels of
the input than the rest, and some of the rows and columns, where the input of all has too many nonzeros, pixels or columns. It is a layer
like any other, with fewer channels and another size.

    for item in plan(layer, x, config):
        y[item.block] = run_layer(item.read(x), item.layer)

Where one group of channels, or the input under one pixel of the output, is larger than a memory, the input's channels are divided. Then a
pass gives the sums over some of them, int32, and the host adds them up and finishes them:

        sums[item.block] += accumulate(item.read(x), item.layer)
    y = finish(sums, layer)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.codec import best_k, coded_bytes, size_bits
from skipgrid.golden.layer import Layer
from skipgrid.golden.lists import list_lengths
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, check_fits, choosing, group_weights, groups, remedy
from .listing import even_slots

Slices = tuple[slice, slice, slice]
ROWS, COLUMNS = 1, 2  # axes of a tensor (C, H, W)
BEGINNING = 250  # cycles that a pass takes beside its multiplications: to begin, to end, and to fill and empty the pipeline


@dataclass(frozen=True)
class Pass:
    """A part of a layer that fits the chip.

    layer: what is computed, from a part of the input to a block of the output.
    block: (channels, rows, columns) of the layer's output.
    under: (channels, rows, columns) of the layer's input, with the halo: what neighbouring passes hold as well.
    sums: whether it gives sums over some of the input's channels; then the block is one of the convolution's output, before pooling.
    """

    layer: Layer
    block: Slices
    under: Slices
    sums: bool = False

    def read(self, x: NDArray[np.integer]) -> NDArray[np.integer]:
        """The part of an input (C, H, W) that the pass reads."""
        return x[self.under]

    @property
    def between(self) -> tuple[slice, slice]:
        """The channels of the output, and those of the input, between which its weights are."""
        return self.block[0], self.under[0]


@dataclass(frozen=True)
class Cut:
    """Some output channels of a layer, and the input channels between the first and the last one that they read."""

    channels: slice
    reads: slice


@dataclass(frozen=True)
class Band:
    """A part of one axis: of the output, of the input, and how much padding the input has before and behind."""

    out: slice
    under: slice
    pads: tuple[int, int]


def plan(layer: Layer, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The passes of a layer over an input (C, H, W), in their order: as few groups and bands as the memories allow.

    Each element of the output is in one pass, or in one for each part of the input's channels. Input rows behind the last window are in
    none. DoesNotFit if the memories do not even hold one channel of the input for a group of `lanes` channels, under one pixel of the
    output; or if there are several passes, but winners to be chosen from all of the output; or if the layer has experts.
    """
    if layer.mixture is not None:
        raise DoesNotFit(f"{layer.name}: a layer with experts is computed with its network, not by itself in passes")
    try:
        return _whole(layer, x, config)
    except DoesNotFit:
        if layer.winners is not None:
            raise
        return _in_parts(layer, config, lambda part, reads: _sums(part, reads, x, config))


def _in_parts(layer: Layer, config: Config, compute: Callable[[Layer, slice], list[Pass]]) -> list[Pass]:
    """The passes over as few parts of the input's channels as fit, of each of which `compute` gives those; DoesNotFit if none do."""
    C = layer.shape[0]
    parts, refused = max(2, -(-group_weights(layer) // config.weights)), DoesNotFit("")
    while parts <= 2 * C:
        size = max(1, -(-C // parts))
        try:
            return [
                item
                for first in range(0, C, size)
                for reads in (slice(first, min(first + size, C)),)
                for item in compute(sums_of(layer, reads), reads)
            ]
        except DoesNotFit as error:
            refused = error
        parts += -(-parts // 4)
    raise refused


def sums_of(layer: Layer, reads: slice) -> Layer:
    """The layer whose sums over its windows are those of a layer over some channels of the input."""
    K = len(layer.bias)
    return layer.replaced(
        weights=np.ascontiguousarray(layer.weights[:, reads]),
        bias=np.zeros(K, np.int32),
        scale=np.ones(K, np.float32),
        shape=(reads.stop - reads.start, *layer.shape[1:]),
        pool=(1, 1),
        pool_stride=(1, 1),
        y=layer.rounded,
        function=None,
        threshold=0,
    )


def _sums(part: Layer, reads: slice, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The passes that give a part's sums."""
    passes = _whole(part, x[reads], config)
    return [
        replace(item, under=(slice(reads.start + item.under[0].start, reads.start + item.under[0].stop), *item.under[1:]), sums=True)
        for item in passes
    ]


def _whole(layer: Layer, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The passes of a layer over all of the channels that it reads."""
    cuts = cut_channels(layer, config)
    nonzeros = _Nonzeros(x, layer)
    bands = {(cut.reads.start, cut.reads.stop): _bands(layer, cut, nonzeros, config) for cut in cuts}
    of = [bands[cut.reads.start, cut.reads.stop] for cut in cuts]
    # What the outer loop goes over is loaded once; what the inner loop goes over again in each round, unless it is a single part
    # that stays. The order is the one in which fewer words travel: on a board they take the time, not the cycles.
    by_channels = [_pass(layer, cut, band) for cut, its in zip(cuts, of, strict=True) for band in its]
    order = by_channels
    if len(bands) == 1 and len(cuts) > 1 and len(of[0]) > 1:
        words = sum(_input_words(_pass(layer, cuts[0], band), x) for band in of[0])
        if (len(cuts) - 1) * words > (len(of[0]) - 1) * _weight_words(layer, config):
            order = [_pass(layer, cut, band) for band in of[0] for cut in cuts]
    winners = choosing(layer)
    if winners is not None and len(cuts if winners.per_pixel else order) > 1:
        what = "all channels of a pixel" if winners.per_pixel else "a whole output"
        raise DoesNotFit(f"{layer.name}: winners are chosen from {what}, but {config.name} computes this one in {len(order)} passes")
    return order


def cut_channels(layer: Layer, config: Config) -> list[Cut]:
    """The output channels in as many groups at once as the weight and channel memories hold, which is one or more.

    Where groups read other input channels than each other, as those of a depthwise layer do, fewer at once take fewer cycles: then as
    many as take the fewest.
    """
    K, C = layer.weights.shape[:2]
    every = range(0, K, config.lanes)
    read = np.asarray(layer.weights.any(axis=(2, 3)))  # (K, C)
    reads = [_between(np.asarray(read[first : first + config.lanes].any(axis=0))) for first in every]
    found: list[tuple[float, list[Cut]]] = []
    at_once = max(1, min(config.weights // group_weights(layer), config.channels // config.lanes))
    apart = len({(each.start, each.stop) for each in reads}) > 1
    sizes = {at_once} | ({1 << power for power in range((len(reads) - 1).bit_length())} if apart else set())
    if _lists(layer, config):  # which may take less of the memory
        unit = even_slots(len(reads), config.slots)
        sizes |= set(range(unit, len(reads) + unit, unit)) | set(range(1, unit))
    for size in sorted(sizes, reverse=True):
        cuts = []
        for first in range(0, len(reads), size):
            some = reads[first : first + size]
            channels = slice(first * config.lanes, min((first + size) * config.lanes, K))
            cuts.append(Cut(channels, slice(min(each.start for each in some), max(each.stop for each in some)) if apart else slice(0, C)))
        if size * config.lanes > config.channels:
            continue
        walked = [_walked(layer, cut, config) for cut in cuts]
        if size > 1 and None in walked:
            continue
        strides = layer.stride[0] * layer.stride[1]
        pixels = layer.shape[1] * layer.shape[2] / 2  # of which so many are not zero, roughly
        found.append((sum(each or 0 for each in walked) * pixels / strides / config.rows + BEGINNING * len(cuts), cuts))
    return min(found, key=lambda each: each[0])[1] if found else [Cut(slice(0, min(config.lanes, K)), slice(0, C))]


def _lists(layer: Layer, config: Config) -> bool:
    """Whether weights may be lists, however large the layer is."""
    return config.slots > 0 and layer.pool == (1, 1) and layer.mixture is None


def _walked(layer: Layer, cut: Cut, config: Config) -> int | None:
    """Cycles that a nonzero of each channel of the input takes, over all of the filter, in a pass; None if its weights are too many."""
    weights = layer.weights[cut.channels, cut.reads]
    groups_in_pass, taps = -(-len(weights) // config.lanes), int(np.prod(weights.shape[1:]))
    found = [groups_in_pass * taps] if groups_in_pass * taps <= config.weights else []
    if _lists(layer, config):
        counts = list_lengths(weights, config.lanes, even_slots(groups_in_pass, config.slots))
        if max(int(counts.sum()), counts.size) <= config.weights:
            found.append(int(counts.clip(min=1).sum()))
    return min(found, default=None)


def apart_saves(layer: Layer, config: Config) -> bool:
    """Whether a layer takes fewer cycles in passes of its own than among others, where each group goes over all input channels."""
    cuts = cut_channels(layer, config)
    if len(cuts) == 1 or cuts[0].reads == slice(0, layer.shape[0]):
        return False
    K, C = layer.weights.shape[:2]
    an_entry = layer.shape[1] * layer.shape[2] / 2 / (layer.stride[0] * layer.stride[1]) / config.rows
    together, alone = _walked(layer, Cut(slice(0, K), slice(0, C)), config), [_walked(layer, cut, config) for cut in cuts]
    if together is None or None in alone:  # it is in passes anyway
        return together is None
    return bool(sum(each or 0 for each in alone) * an_entry + BEGINNING * (len(cuts) + 2) < together * an_entry)


def with_channels(layer: Layer, cut: Cut) -> Layer:
    """The layer with some of its output channels, reading some of its input channels."""
    return layer.replaced(
        weights=np.ascontiguousarray(layer.weights[cut.channels, cut.reads]),
        bias=layer.bias[cut.channels],
        scale=layer.scale[cut.channels],
        shape=(cut.reads.stop - cut.reads.start, *layer.shape[1:]),
    )


def check_passes(layer: Layer, config: Config) -> None:
    """DoesNotFit if a configuration cannot compute a layer in passes, whatever its input."""
    if layer.mixture is not None:
        check_fits(layer, config)
        return
    try:
        _check_whole(layer, config)
    except DoesNotFit:
        if layer.winners is not None:
            raise

        def check(part: Layer, _reads: slice) -> list[Pass]:
            _check_whole(part, config)
            return []

        _in_parts(layer, config, check)


def _check_whole(layer: Layer, config: Config) -> None:
    """DoesNotFit if a configuration cannot compute a layer in passes over all of the channels that it reads."""
    for cut in {(cut.reads.stop - cut.reads.start): cut for cut in cut_channels(layer, config)}.values():
        one = Cut(slice(cut.channels.start, min(cut.channels.start + config.lanes, cut.channels.stop)), cut.reads)
        _bands(layer, one, _Nonzeros(None, layer), config)


def _between(read: NDArray[np.bool_]) -> slice:
    """The channels between the first and the last one that are read; one, if none is."""
    some = np.flatnonzero(read)
    return slice(int(some[0]), int(some[-1]) + 1) if some.size else slice(0, 1)


class _Nonzeros:
    """How many activations of a part of an input are not zero; without an input, as many as there can be."""

    def __init__(self, x: NDArray[np.integer] | None, layer: Layer) -> None:
        self._x, self._layer = x, layer
        self._sums: dict[tuple[int, int], NDArray[np.int64]] = {}

    def among(self, channels: slice, rows: slice, columns: slice) -> int:
        """Those of a part."""
        if self._x is None:
            return int((channels.stop - channels.start) * (rows.stop - rows.start) * (columns.stop - columns.start))
        key = channels.start, channels.stop
        if key not in self._sums:
            pixels = np.count_nonzero(self._x[channels] != self._layer.x.zero_point, axis=0)
            self._sums[key] = np.pad(pixels.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        sums = self._sums[key]
        corners = sums[rows.stop, columns.stop] - sums[rows.start, columns.stop] - sums[rows.stop, columns.start]
        return int(corners + sums[rows.start, columns.start])


def _bands(layer: Layer, cut: Cut, nonzeros: _Nonzeros, config: Config) -> list[tuple[Band, Band]]:
    """Bands of rows, in as few bands of columns as one row of the output takes, each as high as fits: so few, with few halos."""
    first_group = Cut(slice(cut.channels.start, min(cut.channels.start + config.lanes, cut.channels.stop)), cut.reads)
    one = with_channels(layer, first_group)
    columns = layer.out_shape[2]
    refused: list[DoesNotFit] = []
    for count in sorted({-(-columns // width) for width in range(1, columns + 1)}):
        places = _columns(layer, -(-columns // count))
        try:
            return [(rows, place) for place in places for rows in _rows(layer, one, cut, place, nonzeros, config)]
        except DoesNotFit as error:
            refused.append(error)
    raise refused[-1]


def _edges(layer: Layer, axis: int) -> list[int]:
    """Where bands may begin, and the end of the axis.

    They begin where the output sees the input: places that see only padding cost nothing, and join a neighbour's band.
    """
    size = layer.out_shape[axis]
    return [0, *[place for place in range(size) if _seen(layer, axis, place)][1:], size]


def _columns(layer: Layer, width: int) -> list[Band]:
    """Bands of columns, so many of the output wide where they may begin there."""
    edges, bands, at = _edges(layer, COLUMNS), list[Band](), 0
    while edges[at] < layer.out_shape[2]:
        behind = at + 1
        while behind + 1 < len(edges) and edges[behind + 1] - edges[at] <= width:
            behind += 1
        bands.append(_band(layer, COLUMNS, edges[at], edges[behind]))
        at = behind
    return bands


def _rows(layer: Layer, one: Layer, cut: Cut, columns: Band, nonzeros: _Nonzeros, config: Config) -> list[Band]:
    """The bands of rows, for one band of columns; DoesNotFit, in a sentence for the smallest band."""

    def check(rows: Band) -> None:
        part = one.replaced(
            shape=(one.shape[0], rows.under.stop - rows.under.start, columns.under.stop - columns.under.start),
            pads=(rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]),
        )
        some = nonzeros.among(cut.reads, rows.under, columns.under)
        for what, size, setting in (
            ("pixels", part.shape[1] * part.shape[2], "pixels"),
            ("nonzero activations", some, "entries"),
        ):
            if size > getattr(config, setting):
                raise DoesNotFit(
                    f"{layer.name}: one {smallest} of its output needs {size:,} {what} of its input, but {config.name} holds"
                    f" {getattr(config, setting):,}; {remedy(config, setting, size)}"
                )
        check_fits(part, config)

    rows = layer.out_shape[1]
    smallest = "pixel" if columns.out.stop - columns.out.start == 1 else "row"
    edges = _edges(layer, ROWS)
    bands: list[Band] = []
    at = 0
    while edges[at] < rows:
        check(_band(layer, ROWS, edges[at], edges[at + 1]))
        fits, does_not = at + 1, len(edges)  # numbers of edges; what is higher needs more of everything
        while does_not - fits > 1:
            middle = (fits + does_not) // 2
            try:
                check(_band(layer, ROWS, edges[at], edges[middle]))
                fits = middle
            except DoesNotFit:
                does_not = middle
        bands.append(_band(layer, ROWS, edges[at], edges[fits]))
        at = fits
    return bands


def _under(layer: Layer, axis: int, place: int) -> range:
    """Of an axis, the input under a place of the stored output: one or, where a pool follows, several windows long; padding too."""
    at = axis - 1
    start = place * layer.pool_stride[at] * layer.stride[at] - layer.pads[at]
    return range(start, start + (layer.pool[at] - 1) * layer.stride[at] + layer.weights.shape[axis + 1])


def _seen(layer: Layer, axis: int, place: int) -> range:
    """The same without padding; empty if nothing else is seen."""
    under = _under(layer, axis, place)
    return range(max(under.start, 0), min(under.stop, layer.shape[axis]))


def _band(layer: Layer, axis: int, first: int, behind: int) -> Band:
    """The places first...behind - 1 of an axis of the stored output."""
    seen = [places for place in range(first, behind) if (places := _seen(layer, axis, place))] or [range(1)]  # a tensor has one or more
    held = slice(seen[0].start, seen[-1].stop)
    before = held.start - _under(layer, axis, first).start
    return Band(slice(first, behind), held, (before, max(_under(layer, axis, behind - 1).stop - held.stop, 0)))


def _pass(layer: Layer, cut: Cut, band: tuple[Band, Band]) -> Pass:
    rows, columns = band
    part = with_channels(layer, cut)
    part = replace(
        part,
        shape=(part.shape[0], rows.under.stop - rows.under.start, columns.under.stop - columns.under.start),
        pads=(rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]),
    )
    return Pass(part, (cut.channels, rows.out, columns.out), (cut.reads, rows.under, columns.under))


def _input_words(item: Pass, x: NDArray[np.integer]) -> int:
    """Words of a pass's input stream."""
    coded = coded_bytes(item.read(x), item.layer.x)
    return -(-size_bits(coded, best_k(coded)) // 32)


def _weight_words(layer: Layer, config: Config) -> int:
    """Words of all groups' weights."""
    return groups(layer, config) * group_weights(layer) * config.lanes // 4
