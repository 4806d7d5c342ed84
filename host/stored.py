"""What a network stores on its way, as the golden model has it, and whether the activation buffers hold it."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, Layer, Thresholds, run_network
from skipgrid.rtl.config import Config

from .compiler.buffers import check_held, stored_shapes

Tensor = NDArray[np.integer]


def stored_tensors(x: Tensor, layers: Sequence[Layer], thresholds: Thresholds) -> list[tuple[Tensor, Activation]]:
    """What is stored when a network runs, in order: x, and all outputs but the last one, which goes to the stream."""
    outputs = run_network(x, layers, deepcopy(thresholds))
    return [(tensor, layer.x) for layer, tensor in zip(layers, [x, *outputs[:-1]], strict=True)]


def check_entries(x: Tensor, layers: Sequence[Layer], thresholds: Thresholds, config: Config) -> None:
    """DoesNotFit if two tensors that are held at once have more nonzeros than the buffers, for one input.

    thresholds: what the inputs before it have left.
    """
    sizes = [int(np.count_nonzero(tensor != how.zero_point)) for tensor, how in stored_tensors(x, layers, thresholds)]
    held = [(what, size) for (what, _), size in zip(stored_shapes(layers), sizes, strict=True)]
    check_held(held, "nonzero activations", config.entries, "entries", config)
