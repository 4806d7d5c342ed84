"""Where a layer is pooled: in the grid, which computes all windows of a pool one after another, or by the pooling unit behind it.

Pools that overlap share windows, which the grid computes once only where the unit pools.
"""

from math import prod

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config
from skipgrid.rtl.pooling.pool_merger import LISTS

from .fits import fits
from .functions import keeps_zero
from .packing import most
from .unrolling import cycles, savings

OUTPUTS = 0.33  # share of a convolution's outputs that are not zero: rather too many, as pooling in the grid does not wait for them
ROW = 8  # cycles more that the pooling unit takes for each row of the convolution's output, roughly


def convolution(layer: Layer) -> Layer:
    """The layer without its pooling."""
    return layer.replaced(pool=(1, 1), pool_stride=(1, 1))


def strides(layer: Layer) -> tuple[int, int]:
    """From one pool to the next; 1 where there is no next one."""
    _, rows, columns = layer.out_shape
    return layer.pool_stride[0] if rows > 1 else 1, layer.pool_stride[1] if columns > 1 else 1


def mergeable(layer: Layer, config: Config) -> bool:
    """Whether the pooling unit can pool a layer: it is built, and holds a row of the output.

    It pools what a function has given: that is the same where the function never falls. Where it does not leave zero as it is, what
    is pooled has few zeros.
    """
    K, _, columns = layer.out_shape
    if layer.pool == (1, 1) or max(layer.pool) > LISTS or config.pool_channels <= K:
        return False
    if (K + config.pool_word - 1) * columns >= config.pool_elements:
        return False
    if strides(layer)[0] > most("merge_stride_rows") or strides(layer)[1] > most("merge_stride_columns"):
        return False
    if layer.function is not None and not (layer.function.never_falls and keeps_zero(layer)):
        return False
    return fits(convolution(layer), config)


def merges(layer: Layer, config: Config) -> bool:
    """Whether the pooling unit pools a layer without lists: it can, and saves cycles."""
    if not mergeable(layer, config):
        return False
    alone = convolution(layer)
    return max(_cycles(alone, config), pooling_cycles(alone, config)) < _cycles(layer, config)


def _cycles(layer: Layer, config: Config) -> float:
    """In which the grid computes a layer, unrolled as saves most, or its outputs leave."""
    saved = max((saved for saved, _ in savings(layer, config)), default=0.0)
    return max(cycles(layer, 1, config) - saved, OUTPUTS * prod(layer.out_shape) / config.survivors)


def pooling_cycles(layer: Layer, config: Config) -> float:
    """In which the pooling unit takes a convolution's outputs, word by word, and one for each pixel at least."""
    K, rows, columns = layer.out_shape
    return float(rows * (columns * max(1.0, min(-(-K // config.pool_word), OUTPUTS * K)) + ROW))
