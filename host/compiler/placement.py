"""Where the layers of a network lie on the accelerator: their weights, their channels' parameters, and their functions' tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.lists import list_lengths
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, check_fits, group_weights, remedy, routing
from .functions import table
from .listing import wide
from .lowering import check_pooling
from .pooling import convolution
from .unrolling import shift, step, unrolled
from .way import PLAIN, Way
from .ways import ways


@dataclass(frozen=True)
class Placed:
    """A layer, the way in which it is computed, and where its weights and channels lie on the accelerator; likewise its experts' gate.

    table: the number of its function's table, if it has a function. lists_base: of its lists, where its weights are lists.
    """

    layer: Layer
    weights_base: int
    channels_base: int
    gate: "Placed | None" = None
    table: int | None = None
    lists_base: int = 0
    way: Way = PLAIN

    @property
    def factor(self) -> int:
        """So many neighbouring outputs of a row are computed at once; of the convolution, where the pooling unit merges them."""
        return self.way.factor

    @property
    def merges(self) -> bool:
        """Whether the pooling unit pools."""
        return self.way.merges

    @property
    def slots(self) -> int:
        """Groups of channels that a unit computes, where weights are lists; 0 where they are not."""
        return self.way.slots

    @property
    def convolved(self) -> Layer:
        """The layer as far as the drain: without its pooling where the pooling unit does it."""
        return convolution(self.layer) if self.merges else self.layer

    def walked(self, config: Config) -> Layer:
        """The same, as the grid computes it: with `factor` times as many channels, and so many outputs less in a row."""
        if self.slots:
            return wide(self.convolved, self.factor)
        return self.convolved if self.factor == 1 else unrolled(self.convolved, self.factor, config.lanes)

    def lanes_used(self, config: Config) -> int:
        """The lanes of a group that are used, but for the last group."""
        return config.lanes - self.way.spare_lane

    def groups(self, config: Config) -> int:
        """Groups of so many channels."""
        return -(-self.factor * len(self.layer.bias) // self.lanes_used(config))

    def shift(self, config: Config) -> int:
        """Columns from a group's window to that of the next group of the same outputs."""
        return 0 if self.slots else shift(len(self.layer.bias), self.factor, config.lanes) * step(self.convolved)

    def weights(self, config: Config) -> int:
        """Weights a lane that it takes."""
        layer = self.walked(config)
        if self.slots:
            return int(list_lengths(layer.weights, self.lanes_used(config), self.slots).sum())
        return self.groups(config) * group_weights(layer)

    def lists(self, config: Config) -> int:
        """Lists that it takes."""
        return -(-self.groups(config) // self.slots) * group_weights(self.walked(config)) if self.slots else 0

    def weight_bits(self, config: Config) -> int:
        """Bits of its weights in memory, with the numbers of their slots and what says where lists are; lanes that are left out count."""
        if not self.slots:
            return self.weights(config) * config.lanes * 8
        index = config.index_bits
        return self.weights(config) * config.lanes * (8 + index) + self.lists(config) * (config.weight_bits + config.count_bits)

    def cycles_an_entry(self, config: Config) -> float:
        """In which it is multiplied, mean: 1, or the mean length of lists."""
        return max(1.0, self.weights(config) / self.lists(config)) if self.slots else 1.0

    def channels(self, config: Config) -> int:
        """Channels' parameters that it takes."""
        return self.groups(config) * config.lanes


def tables_of(placed: Sequence[Placed]) -> dict[int, NDArray[np.uint8]]:
    """The tables (256,) of all functions, by their numbers."""
    items = (item for each in placed for item in (each.gate, each) if item is not None)
    return {item.table: table(item.layer) for item in items if item.table is not None}


def place(layers: Sequence[Layer], config: Config) -> list[Placed]:
    """Places all layers behind each other, each in the way that takes the fewest cycles as long as there is room.

    DoesNotFit if the memories are too small.
    """
    for layer in layers:
        check_fits(layer, config)
    found = [ways(layer, config) for layer in layers]
    for each, layer, after in zip(found, layers, layers[1:], strict=False):
        if after.shape != layer.out_shape:  # the pooling unit stores pixels as they are
            each[:] = [way for way in each if way.merges == each[0].merges]
    plain = place_as(layers, [each[0] for each in found], config)
    placed = plain
    if taken_by(plain, config)[0] > config.weights:  # lists may take less
        placed = place_as(layers, [min(each, key=lambda way: way.weights) for each in found], config)
    (weights, lists, channels), needed = taken_by(placed, config), taken_by(plain, config)[0]
    if weights > config.weights or lists > config.weights:
        raise DoesNotFit(
            f"the network needs {needed:,} weights a lane, but {config.name} holds {config.weights:,}; {remedy(config, 'weights', needed)}"
        )
    if channels > config.channels:
        raise DoesNotFit(
            f"the network needs parameters of {channels:,} channels, but {config.name} holds {config.channels:,};"
            f" {remedy(config, 'channels', channels)}"
        )
    if len(layers) > config.layers:
        raise DoesNotFit(
            f"the network has {len(layers)} layers, but {config.name} holds {config.layers} descriptors;"
            f" {remedy(config, 'layers', len(layers))}"
        )
    tables = len(tables_of(placed))
    if tables > config.functions:
        raise DoesNotFit(
            f"the network needs {tables} tables of functions, but {config.name} holds {config.functions};"
            f" {remedy(config, 'functions', tables)}"
        )
    routing(layers)
    return place_as(layers, _fastest(found, [item.way for item in placed], (weights, lists, channels), config), config)


def taken_by(placed: Sequence[Placed], config: Config) -> tuple[int, int, int]:
    """Addresses of weights and of lists, and channels' parameters, that all layers take."""
    items = [item for each in placed for item in (each.gate, each) if item is not None]
    return (
        sum(item.weights(config) for item in items),
        sum(item.lists(config) for item in items),
        sum(item.channels(config) for item in items),
    )


def place_as(layers: Sequence[Layer], chosen: Sequence[Way], config: Config) -> list[Placed]:
    """All layers behind each other, each in its way; DoesNotFit if one by itself is too large. There may be no room for all of them."""
    placed: list[Placed] = []
    weights, lists, channels = 0, 0, 0
    numbers: dict[bytes, int] = {}  # of tables
    for layer, way in zip(layers, chosen, strict=True):
        item = None
        for part in (layer,) if layer.mixture is None else (layer.mixture.gate, layer):
            check_fits(part, config)
            check_pooling(part)
            number = None if part.function is None else numbers.setdefault(table(part).tobytes(), len(numbers))
            of_part = way if part is layer else ways(part, config)[0]
            item = Placed(part, weights, channels, item, number, lists, of_part)
            weights += item.weights(config)
            lists += item.lists(config)
            channels += item.channels(config)
        assert item is not None
        placed.append(item)
    return placed


def _fastest(found: Sequence[Sequence[Way]], chosen: Sequence[Way], taken: tuple[int, int, int], config: Config) -> list[Way]:
    """The way of each layer: where it saves most first, the one that saves most of those for which there is room.

    chosen: the ways that all layers have at first. taken: weights, lists and channels' parameters with these.
    """
    best = list(chosen)
    weights, lists, channels = taken
    better = [(chosen[number].cycles - way.cycles, number, way) for number, each in enumerate(found) for way in each]
    changed: set[int] = set()
    for saved, number, way in sorted(better, key=lambda each: (-each[0], each[2].slots, each[2].factor)):
        if saved <= 0 or number in changed:
            continue
        before = best[number]
        more = (
            weights + way.weights - before.weights,
            lists + way.lists - before.lists,
            channels + (way.groups - before.groups) * config.lanes,
        )
        if more[0] <= config.weights and more[1] <= config.weights and more[2] <= config.channels:
            best[number] = way
            changed.add(number)
            weights, lists, channels = more
    return best
