"""Random networks for benches, with outputs that are spread over their types, and layers at the edges of what memories hold."""

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.benches.random_networks import random_case
from skipgrid.golden import Layer, Thresholds, accumulate, coded_bytes, run_network
from skipgrid.host import stored
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.packing import most
from skipgrid.host.compiler.placement import Placed, place
from skipgrid.rtl.config import Config

Tensor = NDArray[np.integer]
Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Network:
    """Layers placed on an accelerator, with an input that its memories hold."""

    placed: list[Placed]
    x: Tensor

    @property
    def layers(self) -> list[Layer]:
        return [placed.layer for placed in self.placed]

    def packets(self, config: Config) -> list[Words]:
        """The load packets of all weights and channels."""
        return load_packets(self.placed, config)

    def program(self, config: Config, *, k_in: int, k_out: int, buffer: int, load: bool) -> tuple[Words, int]:
        """The program's packet and its number of descriptors; `load` gives the input a LOAD descriptor of its own."""
        words = network_program(self.placed, config, buffer=buffer, load=load, k_in=k_in, k_out=k_out)
        return program_packet(words), len(words)


def random_network(numbers: np.random.Generator, config: Config, depth: int, **fixed: Any) -> Network:
    """A network of up to `depth` layers, with an input, that the configuration holds; fixed: fields of all layers."""
    while True:
        case = random_case(numbers, config, depth)
        layers, value = list[Layer](), case.inputs[0]
        with suppress(DoesNotFit, ValueError):  # of what is fixed
            for layer in case.layers:
                layers.append(spread(numbers, layer.replaced(**fixed), value))
                value = run_network(value, layers[-1:])[0]
            network = Network(place(layers, config), case.inputs[0])
            if holds(config, stored_tensors(network)):
                return network


def spread(numbers: np.random.Generator, layer: Layer, x: Tensor) -> Layer:
    """The layer with another bias and scale, so that its outputs for an input are spread over the type; sometimes as it is."""
    if numbers.random() < 0.2:
        return layer
    widest = max(float(np.abs(accumulate(x, layer)).max()), 300.0)
    bias = numbers.integers(-int(widest) // 2, int(widest) // 2, len(layer.bias)).astype(np.int32)
    scale = numbers.choice([40, 150, 400]) / widest * numbers.uniform(0.5, 1.5, len(bias))
    return layer.replaced(bias=bias, scale=scale.astype(np.float32))


def large_layer(rng: random.Random, config: Config) -> Layer:
    """A layer, of weights that do not matter, on a tensor as long as the memories hold in some direction."""
    while True:
        sizes: list[int] = []
        for longest in (config.side, min(config.side, config.features, config.pixels), config.features):
            sizes.append(rng.choice((1, rng.randint(1, longest), longest)))
        H, W, C = sizes
        if config.features < W * C or config.pixels < H * W:
            continue
        K, R, S = rng.randint(1, config.channels), rng.randint(1, 5), rng.randint(1, 5)
        if config.weights + -(-K // config.lanes) * R * S * C > most("weights_end"):
            continue
        geometry: dict[str, Any] = {name: (rng.randint(1, 4), rng.randint(1, 4)) for name in ("stride", "pool", "pool_stride")}
        pads = (rng.randrange(R), rng.randrange(S), rng.randrange(R), rng.randrange(S))
        weights = np.ones((K, C, R, S), np.int8)
        with suppress(ValueError):
            return Layer("large", weights, np.zeros(K, np.int32), np.ones(K, np.float32), (C, H, W), pads=pads, **geometry)


def stored_tensors(network: Network) -> list[Tensor]:
    """The coded bytes (H, W, C) of what the activation buffers hold, in order."""
    tensors = stored.stored_tensors(network.x, network.layers, Thresholds())
    return [coded_bytes(tensor, held).reshape(*tensor.shape[1:], -1) for tensor, held in tensors]


def holds(config: Config, tensors: list[Tensor]) -> bool:
    """Whether each stored tensor (H, W, C), together with the one before it, fits into the activation buffers."""
    entries = [int(np.count_nonzero(x)) for x in tensors]
    pixels = [x.shape[0] * x.shape[1] for x in tensors]
    rows_fit = all(x.shape[1] * x.shape[2] <= config.features for x in tensors)
    pairs = zip([0, *entries], [0, *pixels], [*entries, 0], [*pixels, 0], strict=True)
    return rows_fit and all(e0 + e1 <= config.entries and p0 + p1 <= config.pixels for e0, p0, e1, p1 in pairs)


def coded_outputs(network: Network) -> list[NDArray[np.uint8]]:
    """The coded bytes of every layer's output, as the golden model has them."""
    outputs = run_network(network.x, network.layers)
    return [coded_bytes(y, layer.y) for y, layer in zip(outputs, network.layers, strict=True)]
