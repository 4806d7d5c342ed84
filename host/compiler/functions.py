"""Tables of functions: of each coded byte that requantisation gives, the coded byte of the output."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Layer
from skipgrid.golden.numerics import coded, look_up


def table(layer: Layer) -> NDArray[np.uint8]:
    """The table (256,) of a layer's function, with the layer's threshold."""
    held = layer.rounded
    every = np.arange(held.low, held.high + 1).astype(held.dtype)
    found = np.empty(256, np.uint8)
    found[coded(every, held)] = coded(look_up(every, layer), layer.y)
    return found


def keeps_zero(layer: Layer) -> bool:
    """Whether an output is zero where what is rounded is zero."""
    return not table(layer)[0]
