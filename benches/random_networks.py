"""Random configurations, networks for them, and inputs: all sizes small, their edges among them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, Function, Layer, Mixture, Winners
from skipgrid.host.compiler.descriptors import descriptors, network_program
from skipgrid.host.compiler.fits import DoesNotFit, group_weights, groups
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.placement import Placed, place, place_as, taken_by
from skipgrid.host.compiler.ways import ways
from skipgrid.host.onnx.sparsity import balanced, unstructured
from skipgrid.rtl.config import Config, Form

Tensor = NDArray[np.integer]
MOST_WEIGHTS = 32768  # a lane, of any configuration
MOST_CELLS = 64  # processing elements of most random configurations, which are compiled in a minute


@dataclass(frozen=True)
class Case:
    """A network that fits a configuration, and inputs for it, which may have more nonzeros than its buffers hold.

    k_in, k_out: of the code of both streams. buffer: of the input. first: the descriptor at which its program begins.
    refused: layers drawn on the way that did not fit. sums: the output are the bytes of the last layer's sums.
    """

    layers: list[Layer]
    placed: list[Placed]
    inputs: list[Tensor]
    k_in: int
    k_out: int
    buffer: int
    first: int
    refused: int
    sums: bool


def random_config(rng: np.random.Generator) -> Config:
    """Any configuration with a small grid; extremes are drawn more often than what lies between."""

    def some(share: float) -> bool:
        return bool(rng.random() < share)

    def power(low: int, high: int, most: int | None = None) -> int:
        """A power of two from low to high: one of these ends, or one up to `most`, so that memories are small."""
        if some(0.25):
            return int(rng.choice([low, high]))
        return 1 << int(rng.integers(low.bit_length() - 1, (most or high).bit_length()))

    serial = some(0.2)
    rows = 1 if serial else int(rng.choice([1, 2, 2, 4, 6, 16]))
    lanes = min(power(4, 32), max(4, MOST_CELLS // rows // 4 * 4))
    if some(0.02):
        rows, lanes = 1, 256
    experts = 0 if serial or some(0.6) else int(rng.choice([2, 3, 5, 8, 64]))
    scan = 1 if serial else power(1, lanes)
    channels = lanes * int(rng.choice([1, 4, 7, 16, 32, 65536 // lanes]))
    slots = 0 if scan == 1 else int(rng.choice([0, 8, 16]))
    return Config(
        name="drawn",
        rows=rows,
        lanes=lanes,
        weights=power(256, MOST_WEIGHTS, 2048),
        entries=power(256, 65536, 1024),
        pixels=power(64, 65536, 512),
        features=power(64, 65536, 512),
        side=power(16, 16384, 128),
        channels=channels,
        layers=power(2, 256, 32),
        scan=scan,
        sums=power(1, 16),
        ranges_ahead=int(rng.choice([0, 1, 4, 12])),
        survivors=1 if serial else min(scan, int(rng.choice([1, 2]))),
        pointers=1 if serial else int(rng.choice([1, 2, 4])),
        form=Form.SERIAL if serial else Form.SPREAD if rows > 1 and some(0.4) else Form.PARALLEL,
        soft_lanes=0 if serial else int(rng.choice([0, 1, lanes])),
        winners=power(64, 65536, 1024) if some(0.5) else 0,
        pixel_winners=int(rng.choice([0, 0, 1, 3, 8, 64])),
        pool_elements=0 if serial or some(0.3) else power(64, 65536, 512),
        functions=int(rng.choice([0, 0, 1, 4, 64])),
        slots=slots,
        wide_program=some(0.5),
        experts=experts,
        experts_chosen=int(rng.choice([1, 2, 8][: 1 + (experts >= 2) + (experts >= 8)])) if experts else 0,
    )


def random_activation(rng: np.random.Generator) -> Activation:
    """Mostly what follows a ReLU, sometimes any type and zero point."""
    if rng.random() < 0.5:
        return Activation()
    held = Activation("uint8") if rng.random() < 0.5 else Activation("int8")
    return replace(held, zero_point=int(rng.choice([held.low, held.high, int(rng.integers(held.low, held.high + 1))])))


def random_layer(rng: np.random.Generator, shape: tuple[int, int, int], x: Activation, number: int, most: int = 13) -> Layer:
    """A layer of random sizes, with so many output channels at most, that takes a tensor of this shape."""
    C, H, W = shape
    if rng.random() < 0.15:
        R, S, (top, left, bottom, right) = H, W, (0, 0, 0, 0)  # fully connected
    else:
        R, S = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        top, left, bottom, right = (int(pad) for pad in rng.integers(0, 4, 4))
        R, S = min(R, H + top + bottom), min(S, W + left + right)
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    rows, columns = (H + top + bottom - R) // stride[0] + 1, (W + left + right - S) // stride[1] + 1
    largest = (rows, columns) if rng.random() < 0.1 else (min(3, rows), min(3, columns))
    pool = (1, 1) if rng.random() < 0.5 else (int(rng.integers(1, largest[0] + 1)), int(rng.integers(1, largest[1] + 1)))
    pool_stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    K = int(rng.integers(1, most + 1))
    y = random_activation(rng)
    relu = rng.random() < 0.7
    clamp = (y.zero_point if relu else None, None)
    if rng.random() < 0.15:
        low, high = sorted(rng.integers(y.low, y.high + 1, 2).tolist())
        clamp = (low, high)
    weights = rng.integers(-128, 128, (K, C, R, S)) * (rng.random((K, C, R, S)) < rng.choice([0.2, 1.0]))
    if rng.random() < 0.1:
        weights = rng.choice([-128, 127], weights.shape)
    bias, exponents = rng.integers(-20000, 20000, K), rng.uniform(-5, -0.5, K)
    if rng.random() < 0.05:
        bias, exponents = rng.integers(-(1 << 31), 1 << 31, K), rng.uniform(-37, 37, K)
        if rng.random() < 0.5:  # so large that sums wrap
            bias = np.where(bias < 0, -(1 << 31), (1 << 31) - 1) - np.sign(bias) * (abs(bias) >> 16)
    return Layer(
        name=f"layer {number}",
        weights=weights.astype(np.int8),
        bias=bias.astype(np.int32),
        scale=(10.0**exponents).astype(np.float32),
        shape=shape,
        x=x,
        y=y,
        stride=stride,
        pads=(top, left, bottom, right),
        low=clamp[0],
        high=clamp[1],
        pool=pool,
        pool_stride=pool_stride,
        threshold=int(rng.choice([0, 0, 0, 1, 2, 20, 255])),
    )


def with_zeros(rng: np.random.Generator, layer: Layer, config: Config) -> Layer:
    """The layer with many weights that are zero: anywhere, balanced, whole taps, all but one of the channels, or of filters in groups."""
    weights = layer.weights
    K, C = weights.shape[:2]
    if rng.random() < 0.4:  # each group of output channels reads input channels of its own; one each, of a depthwise layer
        count = min(K, C) if rng.random() < 0.5 else int(rng.integers(1, min(K, C) + 1))
        own = (np.arange(C) * count // C) == (np.arange(K) * count // K)[:, np.newaxis]
        weights = weights * own[:, :, np.newaxis, np.newaxis]
    zeros, kind = float(rng.choice([0.5, 0.8, 0.95])), int(rng.integers(5))
    if kind == 0:
        weights = weights * unstructured(weights, zeros)
    elif kind == 1:
        weights = weights * balanced(weights, zeros, config.lanes, config.slots)
    elif kind == 2:
        weights = weights * (rng.random((1, *weights.shape[1:])) >= zeros)
    elif kind == 3:
        weights = weights * (np.arange(K) == rng.integers(K)).reshape(-1, 1, 1, 1)
    return layer.replaced(weights=weights.astype(np.int8))


def random_function(rng: np.random.Generator, before: Activation, y: Activation) -> Function:
    """Any values, or some that never fall, with one zero or many."""
    values = rng.integers(y.low, y.high + 1, 256)
    values[rng.random(256) < rng.choice([0, 0.1, 0.9])] = y.zero_point
    if rng.random() < 0.5:
        values.sort()
    if rng.random() < 0.5:
        values[before.zero_point - before.low] = y.zero_point
    return Function(before, values.astype(y.dtype))


def with_function(rng: np.random.Generator, layer: Layer) -> Layer:
    """The layer with a random function of what it gives."""
    y = random_activation(rng)
    return layer.replaced(y=y, function=random_function(rng, layer.y, y))


def random_choices(rng: np.random.Generator, layer: Layer, config: Config, experts: int, tables: int = 0) -> Layer:
    """The layer, where the configuration has the units for it, with so many experts, winners, a function, or several of these.

    tables: of functions that other layers take.
    """
    if experts and rng.random() < 0.5:
        K = experts * config.lanes * int(rng.integers(1, 3))
        channels = rng.integers(0, len(layer.bias), K)
        weights = rng.integers(-128, 128, (experts, *layer.shape)).astype(np.int8)
        bias = rng.integers(-20000, 20000, experts).astype(np.int32)
        scale = np.full(experts, 10.0 ** rng.uniform(-5, -2), np.float32)
        gate = Layer(f"{layer.name}, gate", weights, bias, scale, layer.shape, x=layer.x, y=random_activation(rng))
        some = {name: getattr(layer, name)[channels] for name in ("weights", "bias", "scale")}
        layer = layer.replaced(**some, mixture=Mixture(gate, min(experts, config.experts_chosen)))
    weighed = layer.mixture is not None and layer.pool != (1, 1)  # of which some are not computed with a function
    if tables < config.functions and not weighed and rng.random() < 0.4:
        layer = with_function(rng, layer)
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


def random_case(rng: np.random.Generator, config: Config, depth: int | None = None) -> Case:
    """A network of up to four layers, or of up to `depth`.

    A layer that does not fit is drawn again, and smaller; what was refused is looked at again.
    """
    layers: list[Layer] = []
    refused, scale = 0, 1.0
    experts = int(rng.integers(2, config.experts + 1)) if config.experts else 0
    wanted = int(rng.integers(1, min(5, config.layers))) if depth is None else depth
    several = [(config.slots + 1) * config.lanes] if config.slots else []  # units of a pixel
    most = int(rng.choice([13, 13, 13, 2 * config.lanes + 1, *several]))
    while len(layers) < wanted:
        if not layers:
            shape, held = _random_shape(rng, config, scale), random_activation(rng)
        taken, taken_held = (layers[-1].out_shape, layers[-1].y) if layers else (shape, held)
        layer = random_layer(rng, taken, taken_held, len(layers), max(1, int(min(most, 40) * scale)))
        if config.slots and rng.random() < 0.7:
            layer = with_zeros(rng, layer, config)
        tables = sum(each.function is not None for each in layers)
        drawn = lowered(random_choices(rng, layer, config, experts, tables))
        try:
            network_program(place([*layers, *drawn], config), config, load=True, k_in=0, k_out=0)
        except DoesNotFit as refusal:
            _check_refusal([*layers, *drawn], config, refusal)
            refused += 1
            scale /= 2
            if layers and scale < 0.1:
                break
        else:
            layers.extend(drawn)
    # Where winners have a period, later inputs show it.
    periods = [layer.winners.period for layer in layers if layer.winners is not None]
    inputs = [random_input(rng, shape, held) for _ in range(4 if max(periods, default=1) > 1 else 1)]
    k_in, k_out = int(rng.integers(0, 8)), int(rng.integers(0, 8))
    last = config.layers - 1 - sum(descriptors(layer) for layer in layers)  # with room for a descriptor that loads the input
    first = int(rng.choice([0, int(rng.integers(0, last + 1)), last]))
    placed = _with_lists(rng, place(layers, config), config) if config.slots else place(layers, config)
    last_layer = layers[-1]
    plain = last_layer.out_shape == last_layer.conv_shape and last_layer.pool == (1, 1)
    plain = plain and last_layer.winners is None and last_layer.mixture is None
    sums = plain and bool(rng.random() < 0.2)
    return Case(layers, placed, inputs, k_in, k_out, int(rng.integers(0, 2)), first, refused, sums)


def _with_lists(rng: np.random.Generator, placed: list[Placed], config: Config) -> list[Placed]:
    """The layers with lists, also where these take longer, in units of any size; as they were, where there is no room for that.

    Those that cannot have lists, and some others, stay in the way that they had.
    """
    chosen = [item.way for item in placed]
    for number, item in enumerate(placed):
        found = [way for way in ways(item.layer, config) if way.slots]
        if not found or rng.random() < 0.3:
            continue
        way = found[int(rng.integers(len(found)))]
        if rng.random() < 0.5:
            way = replace(way, slots=int(rng.integers(1, config.slots + 1)))
        if way.factor == 1 and rng.random() < 0.3:
            way = replace(way, spare_lane=True)
        chosen[number] = way
    other = place_as([item.layer for item in placed], chosen, config)
    weights, lists, channels = taken_by(other, config)
    return other if max(weights, lists) <= config.weights and channels <= config.channels else placed


def _random_shape(rng: np.random.Generator, config: Config, scale: float) -> tuple[int, int, int]:
    """(C, H, W), sometimes the largest, or a signal as long, or channels as many, as a configuration holds."""

    def up_to(most: float) -> int:
        return int(rng.integers(1, max(1, int(most * scale)) + 1))

    kind = rng.random()
    if kind < 0.05 and scale == 1:
        return (8, 12, 12)
    if kind < 0.1:
        longest = min(config.side, 200)
        return (up_to(3), *((1, up_to(longest)) if rng.random() < 0.5 else (up_to(longest), 1)))
    if kind < 0.2:
        return (up_to(min(config.features, 600)), up_to(2), up_to(2))
    return (up_to(8), up_to(12), up_to(12))


def _check_refusal(layers: list[Layer], config: Config, refusal: DoesNotFit) -> None:
    """AssertionError if a network was refused for another reason than memories that are too small."""
    parts = [part for layer in layers for part in (layer, *([layer.mixture.gate] if layer.mixture else []))]
    if sum(groups(part, config) * group_weights(part) for part in parts) > MOST_WEIGHTS:
        return
    channels = 65536 // config.lanes * config.lanes
    largest = config.replaced(weights=MOST_WEIGHTS, pixels=65536, features=65536, side=16384, channels=channels, layers=256)
    if config.winners:
        largest = largest.replaced(winners=65536)
    try:
        network_program(place(layers, largest), largest, load=True, k_in=0, k_out=0)
    except DoesNotFit as again:
        raise AssertionError(f"refused with the largest memories, too: {refusal}; {again}") from None
