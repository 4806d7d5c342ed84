"""A cut model for one configuration: which layers run from one start, which in passes, and which do not fit and go to the host."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.config import Config

from .compiler.fits import DoesNotFit, remedy
from .compiler.lowering import lowered
from .compiler.passes import apart_saves, check_passes
from .compiler.program import Program, check_resident, compile_network
from .network import Network, Port
from .onnx.cut import Cut, HostNode, Rewrite
from .onnx.layers import Found
from .onnx.parts import Part

FIRST_ROW = 32  # channels of a vector that a segment begins with: a row is multiplied while the next one is loaded
THINNED = "is not given the rows and columns of its input over which its filter steps"


@dataclass(frozen=True, eq=False)
class Segment:
    """Layers of the accelerator, each reading what the one before it stores.

    program: with which they run from one start, all weights resident; None for one layer that runs in passes.
    """

    layers: tuple[Found, ...]
    program: Program | None

    @property
    def network(self) -> Network:
        """The layers as a network, whose ends are tensors of 8 bits."""
        return network_of(self.layers)


@dataclass(frozen=True, eq=False)
class Plan:
    """What runs where and in which order: parts of the model on the host, segments on the accelerator.

    name: of the model or network. config: what it is planned for. steps: in their order.
    cut: the model as it was cut for this configuration; None for a network of this package's own, which is one segment.
    """

    name: str
    config: Config
    steps: tuple[Part | Segment, ...]
    cut: Cut | None = None

    @property
    def segments(self) -> list[Segment]:
        """The accelerator's."""
        return [step for step in self.steps if isinstance(step, Segment)]

    @property
    def host_nodes(self) -> tuple[HostNode, ...]:
        """What the host computes, and why."""
        return self.cut.host_nodes if self.cut else ()

    @property
    def rewritten(self) -> tuple[Rewrite, ...]:
        """What was done to the model, and to layers that begin a segment."""
        firsts = [segment.layers[0] for segment in self.segments]
        notes = [Rewrite(found.layer.name, THINNED) for found in firsts if THINNED in found.notes]
        return (*(self.cut.rewritten if self.cut else ()), *notes)

    @property
    def device_macs_share(self) -> float:
        """The share of the model's multiplications that run on the accelerator."""
        return self.cut.device_macs_share if self.cut else 1.0


def plan_model(cut: Cut, config: Config) -> Plan:
    """A model's plan for a configuration; ModelError if nothing of it fits."""
    cut = with_folded(with_functions(cut, config), config)
    refused = refused_layers(cut, config)
    if refused:
        cut = cut.without(refused)
    return Plan(cut.model.name, config, tuple(_grouped(cut, config)), cut)


def with_functions(cut: Cut, config: Config) -> Cut:
    """The same cut; where a configuration has no tables, with the functions of layers on the host."""
    if config.functions or all(found.plain is None for found in cut.layers):
        return cut
    return cut.plain(f"{config.name} holds no tables of functions; {remedy(config, 'functions', 1)}")


def refused_layers(cut: Cut, config: Config) -> dict[Found, str]:
    """The layers for which a configuration has no room, not even in passes, and why."""
    refused = {}
    for found in cut.layers:
        try:
            for part in lowered(found.layer):
                check_passes(part, config)
        except DoesNotFit as error:
            refused[found] = str(error)
    return refused


def with_folded(cut: Cut, config: Config) -> Cut:
    """The same cut, with those layers folded whose vector is longer than a row that the configuration holds."""
    new = {found: folded(found, config, config.features) for found in cut.layers}
    return replace(cut, steps=tuple(step if isinstance(step, Part) else new.get(step, step) for step in cut.steps))


def folded(found: Found, config: Config, longest: int) -> Found:
    """A fully connected layer that reads a vector longer than some length, as one that reads several rows, each no longer than that.

    The same if it is no such layer, or if the vector cannot be divided into rows that the configuration holds.
    """
    layer = found.layer
    inputs, height, width = layer.shape
    if (height, width) != (1, 1) or any(layer.pads) or inputs <= longest:
        return found
    channels = max(each for each in range(1, longest + 1) if inputs % each == 0)
    rows = inputs // channels
    if rows > config.side or rows > config.pixels:
        return found
    shape = (channels, rows, 1)

    def in_rows(vectors: NDArray[Any]) -> NDArray[Any]:
        """(..., inputs) as (..., channels, rows, 1)."""
        return np.ascontiguousarray(np.moveaxis(vectors.reshape(*vectors.shape[:-1], rows, channels), -1, -2)[..., np.newaxis])

    return replace(
        found,
        layer=layer.replaced(weights=in_rows(layer.weights.reshape(len(layer.bias), inputs)), shape=shape),
        take=in_rows(found.take.reshape(-1)),
        present=None if found.present is None else in_rows(found.present.reshape(len(layer.bias), inputs)),
    )


def leading(found: Found, config: Config) -> Found:
    """A layer as it begins a segment: given what it reads alone and, where it can be walked while it is loaded, a vector in rows."""
    found = thinned(found)
    in_rows = found if config.serial else folded(found, config, FIRST_ROW)
    return in_rows if in_rows.layer.shape[0] > FIRST_ROW // 4 else found  # a row takes as long as its look-up


def thinned(found: Found) -> Found:
    """A layer whose filter steps over rows or columns that it never reads, as one that is not given them."""
    layer, take, pads = found.layer, found.take, list(found.layer.pads)
    stride = list(layer.stride)
    for axis in (0, 1):
        if layer.weights.shape[2 + axis] > 1 or layer.stride[axis] == 1:
            continue
        read = np.arange(layer.conv_shape[1 + axis]) * layer.stride[axis] - layer.pads[axis]
        inside = (read >= 0) & (read < layer.shape[1 + axis])
        if not inside.any():
            continue
        pads[axis], pads[axis + 2] = int(inside.argmax()), int(inside[::-1].argmax())
        take, stride[axis] = take.take(read[inside], 1 + axis), 1
    if take is found.take:
        return found
    changes = {"shape": take.shape, "stride": tuple(stride), "pads": tuple(pads)}
    return replace(found, layer=layer.replaced(**changes), take=take, notes=(*found.notes, THINNED))


def plan_network(network: Network, config: Config) -> Plan:
    """The plan of a network of this package's own: one segment; DoesNotFit if its weights do not stay on the device."""
    first, last = network.layers[0], network.layers[-1]
    founds = []
    for number, layer in enumerate(network.layers):
        source = network.input.name if layer is first else f"{network.output.name} {number}"
        output = network.output.name if layer is last else f"{network.output.name} {number + 1}"
        take = np.arange(prod(layer.shape)).reshape(layer.shape)
        place = np.arange(prod(layer.out_shape)).reshape(layer.out_shape)
        founds.append(Found(layer, (), source, take, output, place, np.zeros(layer.out_shape, layer.y.dtype), None, asked=False))
    return Plan(network.name, config, (_segment(tuple(founds), config),))


def network_of(layers: tuple[Found, ...]) -> Network:
    """Layers that follow each other as a network."""
    first, last = layers[0], layers[-1]
    return Network(
        first.layer.name if len(layers) == 1 else f"{first.layer.name} to {last.layer.name}",
        tuple(found.layer for found in layers),
        Port(first.source, first.layer.shape, first.layer.x),
        Port(last.output, last.layer.out_shape, last.layer.y),
    )


def halves(segment: Segment, config: Config) -> list[Segment]:
    """A segment in two, or in passes if it is one layer: what is done where an image has too many nonzeros for it."""
    if len(segment.layers) == 1:
        return [Segment(segment.layers, None)]
    middle = len(segment.layers) // 2
    return [_segment(some, config) for some in (segment.layers[:middle], segment.layers[middle:])]


def _grouped(cut: Cut, config: Config) -> Iterator[Part | Segment]:
    """The steps of a cut, with layers that can run from one start put together: as many as fit."""
    waiting: list[Found] = []
    for step in [*cut.steps, None]:
        if isinstance(step, Found) and waiting and cut.follows(waiting[-1], step) and _resident((*waiting, step), config):
            waiting.append(step)
            continue
        if waiting:
            yield _segment(tuple(waiting), config)
            waiting = []
        if isinstance(step, Found):
            waiting = [leading(step, config)]
            if not _resident((waiting[0],), config):
                yield Segment((waiting[0],), None)
                waiting = []
        elif step is not None:
            yield step


def _resident(layers: tuple[Found, ...], config: Config) -> bool:
    """Whether layers run from one start, and gain from it."""
    if apart_saves(layers[-1].layer, config):
        return False
    try:
        check_resident(network_of(layers), config)
    except DoesNotFit:
        return False
    return True


def _segment(layers: tuple[Found, ...], config: Config) -> Segment:
    """The segment of layers that fit."""
    return Segment(layers, compile_network(network_of(layers), config))
