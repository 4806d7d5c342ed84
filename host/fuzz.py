"""Random networks on a device, each output compared with the golden model bit for bit."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, Layer, Mixture, Thresholds, Winners, coded_bytes, encode, run_layer, run_network
from skipgrid.rtl.config import Config

from .compiler import load_packets, network_program, place, program_packet
from .device import Device, DeviceError
from .fits import DoesNotFit, chooses_apart
from .passes import cut_channels, with_channels
from .runner import set_router

SMALL = Config(
    name="small", rows=2, lanes=4, weights=1024, entries=512, pixels=256, features=256, side=16, channels=64, layers=8, scan=2, results=2
)  # compiles quickly, and is full soon
Tensor = NDArray[np.integer]
FULL = ("ENTRIES_FULL", "PIXELS_FULL")  # what a random network may run into


@dataclass(frozen=True)
class Trial:
    """One random network's run.

    full: it has more nonzeros or pixels than the buffers hold. exact: its outputs were right or, if full, refused.
    """

    seed: int
    layers: int
    exact: bool
    full: bool


def random_activation(rng: np.random.Generator) -> Activation:
    """Mostly what follows a ReLU, sometimes any type and zero point."""
    if rng.random() < 0.5:
        return Activation()
    held = Activation("uint8") if rng.random() < 0.5 else Activation("int8")
    return replace(held, zero_point=int(rng.choice([held.low, held.high, int(rng.integers(held.low, held.high + 1))])))


def random_layer(rng: np.random.Generator, shape: tuple[int, int, int], x: Activation, number: int) -> Layer:
    """A layer of random sizes that takes a tensor of this shape."""
    C, H, W = shape
    if rng.random() < 0.15:
        R, S, (top, left, bottom, right) = H, W, (0, 0, 0, 0)  # fully connected
    else:
        R, S = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        top, left, bottom, right = (int(pad) for pad in rng.integers(0, 4, 4))
        R, S = min(R, H + top + bottom), min(S, W + left + right)
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    rows, columns = (H + top + bottom - R) // stride[0] + 1, (W + left + right - S) // stride[1] + 1
    pool = (1, 1) if rng.random() < 0.5 else (int(rng.integers(1, min(3, rows) + 1)), int(rng.integers(1, min(3, columns) + 1)))
    pool_stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    K = int(rng.integers(1, 14))
    y = random_activation(rng)
    relu = rng.random() < 0.7
    weights = rng.integers(-128, 128, (K, C, R, S)) * (rng.random((K, C, R, S)) < rng.choice([0.2, 1.0]))
    if rng.random() < 0.1:
        weights = rng.choice([-128, 127], weights.shape)
    return Layer(
        name=f"layer {number}",
        weights=weights.astype(np.int8),
        bias=rng.integers(-20000, 20000, K).astype(np.int32),
        scale=(10.0 ** rng.uniform(-5, -0.5, K)).astype(np.float32),
        shape=shape,
        x=x,
        y=y,
        stride=stride,
        pads=(top, left, bottom, right),
        low=y.zero_point if relu else None,
        pool=pool,
        pool_stride=pool_stride,
        threshold=int(rng.choice([0, 0, 0, 1, 2, 20, 255])),
    )


def random_choices(rng: np.random.Generator, layer: Layer, config: Config, experts: int) -> Layer:
    """The layer, where the configuration has the units for it, with so many experts, or winners, or both."""
    if experts and rng.random() < 0.5:
        K = experts * config.lanes * int(rng.integers(1, 3))
        channels = rng.integers(0, len(layer.bias), K)
        weights = rng.integers(-128, 128, (experts, *layer.shape)).astype(np.int8)
        bias = rng.integers(-20000, 20000, experts).astype(np.int32)
        scale = np.full(experts, 10.0 ** rng.uniform(-5, -2), np.float32)
        gate = Layer(f"{layer.name}, gate", weights, bias, scale, layer.shape, x=layer.x, y=random_activation(rng))
        some = {name: getattr(layer, name)[channels] for name in ("weights", "bias", "scale")}
        layer = layer.replaced(**some, mixture=Mixture(gate, min(experts, config.experts_chosen)))
    if config.winners and rng.random() < 0.4:
        share, period = float(rng.choice([0, 0.1, 0.5, 1])), int(rng.choice([1, 1, 2, 3]))
        layer = layer.replaced(winners=Winners(share=share, magnitude=bool(rng.random() < 0.5), period=period))
    elif config.pixel_winners and rng.random() < 0.4:
        k = int(rng.integers(0, config.pixel_winners + 1))
        layer = layer.replaced(winners=Winners(k, magnitude=bool(rng.random() < 0.5), per_pixel=True))
    return layer


def random_input(rng: np.random.Generator, shape: tuple[int, int, int], held: Activation) -> Tensor:
    """A tensor of any sparsity, with empty rows, columns and channels, extreme values among the others."""
    values = rng.integers(held.low, held.high + 1, shape)
    if rng.random() < 0.2:
        values = rng.choice([held.low, held.high], shape)
    keep = rng.random(shape) < rng.choice([0.0, 0.02, 0.1, 0.3, 0.7, 1.0])
    for axis in range(3):
        if rng.random() < 0.3:
            keep &= np.expand_dims(rng.random(shape[axis]) < 0.6, tuple({0, 1, 2} - {axis}))
    return np.where(keep, values, held.zero_point).astype(held.dtype)


def run_trial(device: Device, seed: int) -> Trial:
    """Make the network of a seed, run it from its first input word to its last output word, and again from a stored input.

    Where winners have a period, each time over several inputs.
    """
    rng = np.random.default_rng(seed)
    config = device.config
    shape = (int(rng.integers(1, 9)), int(rng.integers(1, 13)), int(rng.integers(1, 13)))
    held = random_activation(rng)
    x = random_input(rng, shape, held)
    layers: list[Layer] = []
    experts = int(rng.integers(2, config.experts + 1)) if config.experts else 0
    for number in range(int(rng.integers(1, min(5, config.layers)))):
        layer = random_layer(rng, layers[-1].out_shape if layers else shape, layers[-1].y if layers else held, number)
        layer = random_choices(rng, layer, config, experts)
        try:
            network_program(place([*layers, layer], config), config, load=True, k_in=0, k_out=0)
        except DoesNotFit:
            break
        layers.append(layer)
    if not layers:
        small = layer.replaced(weights=layer.weights[:, :, :1, :1].copy(), pads=(0, 0, 0, 0), pool=(1, 1), mixture=None, winners=None)
        layers = [with_channels(small, cut_channels(small, config)[0])]
    # Where winners have a period, later inputs show it.
    periods = [layer.winners.period for layer in layers if layer.winners is not None]
    inputs = [x, *(random_input(rng, shape, held) for _ in range(3 if max(periods, default=1) > 1 else 0))]
    k_in, k_out = int(rng.integers(0, 8)), int(rng.integers(0, 8))
    placed = place(layers, config)
    for packet in load_packets(placed, config):
        device.load(packet)
    set_router(device, layers)
    exact = True
    for load in (False, True):
        device.load(program_packet(network_program(placed, config, load=load, k_in=k_in, k_out=k_out)))
        thresholds = Thresholds()
        for tensor in inputs:
            stored = stored_tensors(tensor, layers, thresholds)
            output = run_network(tensor, layers, thresholds)[-1]
            try:
                run = device.run([encode(coded_bytes(tensor, held), k_in)])
            except DeviceError as error:
                if error.code.name not in FULL:
                    raise
                return Trial(seed, len(layers), exact=exact and not _fit(stored, config), full=True)
            right = encode(coded_bytes(output, layers[-1].y), k_out)
            exact = exact and _fit(stored, config) and len(run.packets) == 1 and np.array_equal(run.packets[0], right)
    return Trial(seed, len(layers), exact, full=False)


def stored_tensors(x: Tensor, layers: list[Layer], thresholds: Thresholds) -> list[tuple[Tensor, Activation]]:
    """What is stored when a network runs, in order: x, and all outputs but the last one, which goes to the stream; also what winners are
    chosen from, which they are not where a threshold is kept.
    """
    kept = {number for number, (_, tensors) in thresholds.kept.items() if tensors}
    outputs = run_network(x, layers, deepcopy(thresholds))
    stored = []
    for number, (layer, tensor) in enumerate(zip(layers, [x, *outputs[:-1]], strict=True)):
        stored.append((tensor, layer.x))
        if chooses_apart(layer) and number not in kept:
            stored.append((run_layer(tensor, layer.replaced(winners=None)), layer.y))
    return stored


def _fit(stored: list[tuple[Tensor, Activation]], config: Config) -> bool:
    """Whether it fits the two buffers, each tensor with the one before."""
    entries = [int(np.count_nonzero(coded_bytes(tensor, how))) for tensor, how in stored]
    pixels = [tensor.shape[1] * tensor.shape[2] + 1 for tensor, _ in stored]
    limits = ((entries, config.entries), (pixels, config.pixels))
    return all(sum(sizes[number : number + 2]) <= limit for sizes, limit in limits for number in range(len(entries)))
