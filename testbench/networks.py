"""Random layers at the edges of what is allowed, networks of them, and their programs."""

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.benches import stored
from skipgrid.golden import Activation, Layer, Mixture, Thresholds, Winners, accumulate, coded_bytes, run_network
from skipgrid.golden.layer import Dtype
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


def activation(rng: random.Random) -> Activation:
    """A type and a zero point, often one at the end of the type's range."""
    dtype: Dtype = rng.choice(("uint8", "int8"))
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return Activation(dtype, rng.choice((0, low, high, rng.randint(low, high))))


def tensor(rng: random.Random, numbers: np.random.Generator, shape: tuple[int, int, int], held: Activation) -> Tensor:
    """An input: all zero, all dense, extreme values only, one with two empty rows and columns, or anything between."""
    kind = rng.choice(("zero", "dense", "extreme", "gaps", "random", "random", "random"))
    x = numbers.integers(held.low, held.high + 1, shape).astype(held.dtype)
    if kind == "extreme":
        x = numbers.choice([held.low, held.high], shape).astype(held.dtype)
    zeros = {"zero": 1.0, "dense": 0.0}.get(kind, rng.random())
    x[numbers.random(shape) < zeros] = held.zero_point
    if kind == "gaps":
        row, column = rng.randrange(shape[1]), rng.randrange(shape[2])
        x[:, row : row + 2, :] = held.zero_point
        x[:, :, column : column + 2] = held.zero_point
    return x


def random_layer(
    rng: random.Random,
    numbers: np.random.Generator,
    shape: tuple[int, int, int],
    held: Activation,
    x: Tensor,
    most_channels: int,
    **fixed: Any,
) -> Layer:
    """A layer on inputs of `shape`; its scales and biases spread the outputs over the type. ValueError for an impossible shape."""
    K, R, S = rng.randint(1, most_channels), rng.randint(1, 5), rng.randint(1, 5)
    geometry: dict[str, Any] = {}
    kind = rng.choice(("convolution", "convolution", "convolution", "pointwise", "full"))
    if kind == "full":
        R, S = shape[1:]
    elif kind == "pointwise":
        R = S = 1
        geometry["stride"] = (rng.randint(1, 3), rng.randint(1, 3))
    else:
        geometry["stride"] = (rng.choice((1, 1, 2, 3, 5)), rng.choice((1, 1, 2, 3, 5)))
        geometry["pads"] = tuple(rng.choice((0, 1, 2, R)) for _ in range(4))
        geometry["pool"] = rng.choice(((1, 1), (2, 2), (3, 2), (1, 3), (3, 3)))
        geometry["pool_stride"] = (rng.randint(1, 3), rng.randint(1, 3))
    weights = numbers.integers(-128, 128, (K, shape[0], R, S))
    if rng.random() < 0.2:
        weights = numbers.choice([-128, 127], weights.shape)
    y = activation(rng)
    layer = Layer(
        name="random",
        weights=weights.astype(np.int8),
        bias=np.zeros(K, np.int32),
        scale=np.ones(K, np.float32),
        shape=shape,
        x=held,
        y=y,
        threshold=rng.choice((0, 0, 1, 2, 10, 60)),
        **(geometry | fixed),
    )
    sums = accumulate(x, layer)
    spread = max(float(np.abs(sums).max()), 300.0)
    bias = numbers.integers(-int(spread) // 2, int(spread) // 2, K).astype(np.int32)
    scale = (rng.choice((40, 150, 400)) / spread * numbers.uniform(0.5, 1.5, K)).astype(np.float32)
    clamp: dict[str, Any] = rng.choice(({}, {"low": y.zero_point}, {"low": y.zero_point}, {"low": min(y.zero_point + 3, y.high)}))
    return layer.replaced(bias=bias, scale=scale, **clamp)


def large_layer(rng: random.Random, config: Config) -> Layer:
    """A layer, of weights that do not matter, on a tensor as long as the memories hold in some direction."""
    while True:
        sizes: list[int] = []
        for longest in (config.side, min(config.side, config.features, config.pixels - 1), config.features):
            sizes.append(rng.choice((1, rng.randint(1, longest), longest)))
        H, W, C = sizes
        if config.features < W * C or config.pixels <= H * W:
            continue
        K, R, S = rng.randint(1, config.channels), rng.randint(1, 5), rng.randint(1, 5)
        if config.weights + -(-K // config.lanes) * R * S * C > most("weights_end"):
            continue
        geometry: dict[str, Any] = {name: (rng.randint(1, 4), rng.randint(1, 4)) for name in ("stride", "pool", "pool_stride")}
        pads = (rng.randrange(R), rng.randrange(S), rng.randrange(R), rng.randrange(S))
        weights = np.ones((K, C, R, S), np.int8)
        with suppress(ValueError):
            return Layer("large", weights, np.zeros(K, np.int32), np.ones(K, np.float32), (C, H, W), pads=pads, **geometry)


def random_network(rng: random.Random, numbers: np.random.Generator, config: Config, depth: int, **fixed: Any) -> Network:
    """A network of `depth` layers that the configuration holds."""
    while True:
        try:
            shape = (rng.choice((1, 1, 2, 3, 5, 8)), rng.randint(1, 9), rng.randint(1, 9))
            held = activation(rng)
            x = tensor(rng, numbers, shape, held)
            layers: list[Layer] = []
            step, step_held, value = shape, held, x
            experts = rng.randint(2, config.experts) if config.experts else 0
            chosen = rng.randint(1, min(experts, config.experts_chosen)) if config.experts else 0
            for _ in range(depth):
                layer = random_layer(rng, numbers, step, step_held, value, most_channels=2 * config.lanes + 1, **fixed)
                if experts and rng.random() < 0.7:
                    layer = with_experts(rng, numbers, layer, value, experts * config.lanes * rng.randint(1, 2), experts, chosen)
                layers.append(layer.replaced(winners=random_winners(rng, layer.out_shape, config)))
                value = run_network(value, layers[-1:])[0]
                step, step_held = layers[-1].out_shape, layers[-1].y
            network = Network(place(layers, config), x)
            if holds(config, stored_tensors(network)):
                return network
        except (DoesNotFit, ValueError):
            continue


def with_experts(rng: random.Random, numbers: np.random.Generator, layer: Layer, x: Tensor, K: int, experts: int, chosen: int) -> Layer:
    """The layer with K output channels, divided among experts, and a gate whose scores are often equal."""
    channels = np.arange(K) % len(layer.bias)
    weights = numbers.permutation(layer.weights[channels])
    gate = random_layer(rng, numbers, layer.shape, layer.x, x, most_channels=1)
    fully = numbers.integers(-128, 128, (experts, *layer.shape)).astype(np.int8)
    fields: dict[str, Any] = {"stride": (1, 1), "pads": (0, 0, 0, 0), "pool": (1, 1), "pool_stride": (1, 1)}
    gate = gate.replaced(weights=fully, bias=gate.bias.repeat(experts), scale=gate.scale.repeat(experts), low=None, **fields)
    return layer.replaced(weights=weights, bias=layer.bias[channels], scale=layer.scale[channels], mixture=Mixture(gate, chosen))


def random_winners(rng: random.Random, shape: tuple[int, int, int], config: Config) -> Winners | None:
    """None, or any number of winners, often none, one or all; of the kinds that the configuration chooses."""
    magnitude = rng.random() < 0.5
    choices: list[Winners | None] = [None]
    if config.winners:
        elements = int(np.prod(shape))
        some = Winners(rng.choice((0, 1, rng.randint(0, elements), elements, elements + 1)), magnitude=magnitude)
        choices += [some, some, Winners(share=rng.random(), magnitude=magnitude)]
    if config.pixel_winners:
        most = config.pixel_winners
        some = Winners(rng.choice((0, 1, rng.randint(0, most), most, max(most, shape[0]))), magnitude=magnitude, per_pixel=True)
        choices += [some, some, Winners(share=rng.random(), magnitude=magnitude, per_pixel=True)]
    return rng.choice(choices)


def stored_tensors(network: Network) -> list[Tensor]:
    """The coded bytes (H, W, C) of what the activation buffers hold, in order: outputs before and after winners are chosen."""
    tensors = stored.stored_tensors(network.x, network.layers, Thresholds())
    return [coded_bytes(tensor, held).reshape(*tensor.shape[1:], -1) for tensor, held in tensors]


def holds(config: Config, tensors: list[Tensor]) -> bool:
    """Whether each stored tensor (H, W, C), together with the one before it, fits into the activation buffers."""
    entries = [int(np.count_nonzero(x)) for x in tensors]
    pixels = [x.shape[0] * x.shape[1] + 1 for x in tensors]
    rows_fit = all(x.shape[1] * x.shape[2] <= config.features for x in tensors)
    pairs = zip([0, *entries], [0, *pixels], [*entries, 0], [*pixels, 0], strict=True)
    return rows_fit and all(e0 + e1 <= config.entries and p0 + p1 <= config.pixels for e0, p0, e1, p1 in pairs)


def coded_outputs(network: Network) -> list[NDArray[np.uint8]]:
    """The coded bytes of every layer's output, as the golden model has them."""
    outputs = run_network(network.x, network.layers)
    return [coded_bytes(y, layer.y) for y, layer in zip(outputs, network.layers, strict=True)]
