"""Layers as mathematics: convolution, pooling, a whole network, in exact integers and with no hardware in mind."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .layer import Layer, Mixture, check_network
from .numerics import INT32, check_activations, look_up, requantise, weighed
from .router import Router
from .topk import keep_pixel_winners, keep_reaching, keep_winners, smallest_winner

SCORE_FRACTION = 4
"""Bits behind the point of a gate's scores."""


@dataclass
class Thresholds:
    """What the layers of a network keep from one input to the next ones: of each, by its number, the smallest winner, and for how many
    further tensors it is the threshold.
    """

    kept: dict[int, tuple[int | None, int]] = field(default_factory=dict)


def accumulate(x: NDArray[np.integer], layer: Layer) -> NDArray[np.int32]:
    """The convolution of x - z with the layer's weights, before the bias: int32 (K, rows, columns).

    x: (C, H, W) in the layer's input type. TypeError or ValueError if it is not; ValueError if a sum leaves int32.
    The sums are made in float64, where they are exact: a product is under 2**15, so up to 2**38 of them stay under 2**53.
    Memory: 8 bytes for each of the C*R*S activations of each window.
    """
    check_input(x, layer)
    top, left, bottom, right = layer.pads
    padded = np.pad(x.astype(np.float64) - layer.x.zero_point, ((0, 0), (top, bottom), (left, right)))
    _, _, R, S = layer.weights.shape
    windows = sliding_window_view(padded, (R, S), axis=(1, 2))[:, :: layer.stride[0], :: layer.stride[1]]
    sums = np.tensordot(layer.weights.astype(np.float64), windows, axes=((1, 2, 3), (0, 3, 4)))
    if sums.size and (sums.min() < INT32.min or sums.max() > INT32.max):
        raise ValueError(f"layer {layer.name}: an accumulator reaches {sums.flat[np.abs(sums).argmax()]:.0f}, which int32 does not hold")
    return sums.astype(np.int32)


def max_pool(x: NDArray[np.integer], pool: tuple[int, int], stride: tuple[int, int]) -> NDArray[np.integer]:
    """The largest value of each window (rows, columns) of each channel: (K, H, W) to (K, rows, columns).

    Rows and columns at the end that do not fill a window are left out.
    """
    if x.shape[1] < pool[0] or x.shape[2] < pool[1]:
        raise ValueError(f"a pool of {pool[0]} x {pool[1]} does not fit into {x.shape[1]} x {x.shape[2]} values")
    windows = sliding_window_view(x, pool, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    return np.asarray(windows.max(axis=(3, 4)))


def finish(sums: NDArray[np.int32], layer: Layer) -> NDArray[np.integer]:
    """What a layer stores of its sums, int32 (K, rows, columns), but for experts and winners: requantised, pooled, and looked up."""
    full = requantise(sums, layer.bias, layer.scale, layer.rounded.zero_point, *layer.clamp)
    return look_up(max_pool(full, layer.pool, layer.pool_stride), layer)


def run_layer(x: NDArray[np.integer], layer: Layer) -> NDArray[np.integer]:
    """The layer's stored output, in its own type: (C, H, W) to `layer.out_shape`."""
    y = finish(accumulate(x, layer), layer)
    if layer.mixture is not None:
        weights = np.zeros(layer.mixture.experts, np.int64)
        for expert, weight in route(x, layer.mixture):
            weights[expert] = weight
        of_channel = weights.repeat(len(y) // len(weights)).reshape(-1, 1, 1)
        y = weighed(y, layer.y.zero_point, of_channel)
    if layer.winners is None:
        return y
    if layer.winners.per_pixel:
        return keep_pixel_winners(y, layer.y.zero_point, layer.winners.count(len(y)), magnitude=layer.winners.magnitude)
    return keep_winners(y, layer.y.zero_point, layer.winners.count(y.size), magnitude=layer.winners.magnitude)


def _choose(y: NDArray[np.integer], layer: Layer, number: int, thresholds: Thresholds) -> NDArray[np.integer]:
    """A layer's output with its winners only, of those whose winners have a period."""
    assert layer.winners is not None
    zero_point, magnitude, k = layer.y.zero_point, layer.winners.magnitude, layer.winners.count(y.size)
    threshold, tensors = thresholds.kept.get(number, (None, 0))
    if tensors:
        thresholds.kept[number] = threshold, tensors - 1
        return keep_reaching(y, zero_point, threshold, magnitude=magnitude)
    thresholds.kept[number] = smallest_winner(y, zero_point, k, magnitude=magnitude), layer.winners.period - 1
    return keep_winners(y, zero_point, k, magnitude=magnitude)


def route(x: NDArray[np.integer], mixture: Mixture) -> list[tuple[int, int]]:
    """(expert, weight) of those chosen for an input, by a router whose biases are 0 and whose experts are never full."""
    scores = run_layer(x, mixture.gate).reshape(-1).astype(np.int64) - mixture.gate.y.zero_point
    router = Router(mixture.experts, cells=mixture.k, value_bits=9, fraction=SCORE_FRACTION)
    return router.route(scores)


def run_network(x: NDArray[np.integer], layers: Sequence[Layer], thresholds: Thresholds | None = None) -> list[NDArray[np.integer]]:
    """The stored output of every layer, in order, for one input (C, H, W).

    thresholds: what the inputs before this one have left, which is brought up to date; without it, this one is the first.
    """
    thresholds = Thresholds() if thresholds is None else thresholds
    check_network(layers)
    outputs: list[NDArray[np.integer]] = []
    for number, layer in enumerate(layers):
        if layer.winners is not None and layer.winners.period > 1:
            x = _choose(run_layer(x, layer.replaced(winners=None)), layer, number, thresholds)
        else:
            x = run_layer(x, layer)
        outputs.append(x)
    return outputs


def check_input(x: NDArray[np.integer], layer: Layer) -> None:
    """TypeError or ValueError unless x is an input of the layer."""
    check_activations(x, layer.x, f"layer {layer.name}: its inputs")
    if x.shape != layer.shape:
        raise ValueError(f"layer {layer.name}: its input is (C, H, W) = {layer.shape}, but the array's shape is {x.shape}")
