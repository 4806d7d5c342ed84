"""Where the layers of a network lie on the accelerator: their weights, their channels' parameters, and their functions' tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, check_fits, group_weights, groups, remedy, routing
from .functions import table
from .lowering import check_pooling
from .pooling import convolution, merges
from .unrolling import savings, shift, step, unrolled


@dataclass(frozen=True)
class Placed:
    """A layer and where its weights and channels lie on the accelerator; likewise the gate by which its experts are chosen.

    factor: so many neighbouring outputs of a row are computed at once; of the convolution, where the pooling unit `merges` them.
    table: the number of its function's table, if it has a function.
    """

    layer: Layer
    weights_base: int
    channels_base: int
    gate: "Placed | None" = None
    factor: int = 1
    merges: bool = False
    table: int | None = None

    @property
    def convolved(self) -> Layer:
        """The layer as far as the drain: without its pooling where the pooling unit does it."""
        return convolution(self.layer) if self.merges else self.layer

    def walked(self, config: Config) -> Layer:
        """The same, as the grid computes it: with `factor` times as many channels, and so many outputs less in a row."""
        return self.convolved if self.factor == 1 else unrolled(self.convolved, self.factor, config.lanes)

    def shift(self, config: Config) -> int:
        """Columns from a group's window to that of the next group of the same outputs."""
        return shift(len(self.layer.bias), self.factor, config.lanes) * step(self.convolved)

    def weights(self, config: Config) -> int:
        """Weights a lane that it takes."""
        return groups(self.walked(config), config) * group_weights(self.walked(config))

    def channels(self, config: Config) -> int:
        """Channels' parameters that it takes."""
        return groups(self.walked(config), config) * config.lanes


def tables_of(placed: Sequence[Placed]) -> dict[int, NDArray[np.uint8]]:
    """The tables (256,) of all functions, by their numbers."""
    items = (item for each in placed for item in (each.gate, each) if item is not None)
    return {item.table: table(item.layer) for item in items if item.table is not None}


def place(layers: Sequence[Layer], config: Config) -> list[Placed]:
    """Places all layers behind each other, unrolled as far as there is room; DoesNotFit if the memories are too small."""
    placed = _placed(layers, (1,) * len(layers), config)
    weights, channels = (
        sum(of(item, config) for each in placed for item in (each.gate, each) if item) for of in (Placed.weights, Placed.channels)
    )
    if weights > config.weights:
        raise DoesNotFit(
            f"the network needs {weights:,} weights a lane, but {config.name} holds {config.weights:,};"
            f" {remedy(config, 'weights', weights)}"
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
    return _placed(layers, _factors(placed, weights, channels, config), config)


def _placed(layers: Sequence[Layer], factors: Sequence[int], config: Config) -> list[Placed]:
    """All layers behind each other; DoesNotFit if one by itself is too large."""
    placed: list[Placed] = []
    weights, channels = 0, 0
    numbers: dict[bytes, int] = {}  # of tables
    for layer, factor in zip(layers, factors, strict=True):
        item = None
        for part in (layer,) if layer.mixture is None else (layer.mixture.gate, layer):
            check_fits(part, config)
            check_pooling(part)
            number = None if part.function is None else numbers.setdefault(table(part).tobytes(), len(numbers))
            item = Placed(part, weights, channels, item, factor if part is layer else 1, merges(part, config), number)
            weights += item.weights(config)
            channels += item.channels(config)
        assert item is not None
        placed.append(item)
    return placed


def _factors(placed: Sequence[Placed], weights: int, channels: int, config: Config) -> list[int]:
    """How far each layer is unrolled: where it saves most first, no further than that takes, as long as the memories hold all layers."""
    factors = [1] * len(placed)
    found = [(saved, number, factor) for number, item in enumerate(placed) for saved, factor in savings(item.convolved, config)]
    for _, number, factor in sorted(found, key=lambda each: (-each[0], each[2])):
        if factors[number] > 1:
            continue
        wide = replace(placed[number], factor=factor)
        more_weights = weights + wide.weights(config) - placed[number].weights(config)
        more_channels = channels + wide.channels(config) - placed[number].channels(config)
        if more_weights <= config.weights and more_channels <= config.channels:
            factors[number], weights, channels = factor, more_weights, more_channels
    return factors
