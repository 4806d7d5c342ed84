"""Whether the activation buffers hold what a network stores on its way, and in what sentence it is said if not.

Two tensors are held at once: the one that a layer reads, and the one that it stores.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, Layer, Thresholds, run_layer, run_network
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, chooses_apart, remedy

Tensor = NDArray[np.integer]


def stored_tensors(x: Tensor, layers: Sequence[Layer], thresholds: Thresholds) -> list[tuple[Tensor, Activation]]:
    """What is stored when a network runs, in order: x, and all outputs but the last one, which goes to the stream; also what winners are
    chosen from, which they are not where a threshold is kept.
    """
    kept = _kept(thresholds)
    outputs = run_network(x, layers, deepcopy(thresholds))
    stored = []
    for number, (layer, tensor) in enumerate(zip(layers, [x, *outputs[:-1]], strict=True)):
        stored.append((tensor, layer.x))
        if chooses_apart(layer) and number not in kept:
            stored.append((run_layer(tensor, layer.replaced(winners=None)), layer.y))
    return stored


def check_pixels(layers: Sequence[Layer], config: Config) -> None:
    """DoesNotFit if two tensors that are held at once have more pixels than the buffers, whatever the images."""
    held = [(what, rows * columns + 1) for what, (_, rows, columns) in _stored(layers, set())]
    _check(held, "pixels", config.pixels, "pixels", config)


def check_entries(x: Tensor, layers: Sequence[Layer], thresholds: Thresholds, config: Config) -> None:
    """DoesNotFit if two tensors that are held at once have more nonzeros than the buffers, for one input.

    thresholds: what the inputs before it have left.
    """
    sizes = [int(np.count_nonzero(tensor != how.zero_point)) for tensor, how in stored_tensors(x, layers, thresholds)]
    held = [(what, size) for (what, _), size in zip(_stored(layers, _kept(thresholds)), sizes, strict=True)]
    _check(held, "nonzero activations", config.entries, "entries", config)


def _kept(thresholds: Thresholds) -> set[int]:
    """The layers, by number, for whose next tensor a threshold is kept."""
    return {number for number, (_, tensors) in thresholds.kept.items() if tensors}


def _stored(layers: Sequence[Layer], kept: set[int]) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and shape of what is stored, in order."""
    stored = []
    for number, layer in enumerate(layers):
        stored.append((f"the input of {layer.name}", layer.shape))
        if chooses_apart(layer) and number not in kept:
            stored.append((f"the output of {layer.name}", layer.out_shape))
    return stored


def _check(held: list[tuple[str, int]], what: str, limit: int, setting: str, config: Config) -> None:
    """DoesNotFit, naming both, if a tensor and the one before it are larger together than a limit."""
    for before, after in pairwise([("", 0), *held]):
        together = before[1] + after[1]
        if together > limit:
            each = " and ".join(f"{name} has {size:,}" for name, size in (before, after) if size)
            raise DoesNotFit(f"{each} {what}, {together:,} at once, but {config.name} holds {limit:,}; {remedy(config, setting, together)}")
