"""Layers as the accelerator computes them: where one would not give the same bits, it becomes two."""

import numpy as np

from skipgrid.golden.layer import Layer

from .bounds import wraps
from .fits import DoesNotFit


def lowered(layer: Layer) -> tuple[Layer, ...]:
    """The layers that the accelerator computes for one: the same, or two where sums wrap and are pooled.

    It pools accumulators, before the bias is added, and wrapped sums are in another order than these. So the pooling follows in a second
    layer, whose weights of 1 and scale of 1 leave every value as it is; a function follows the pooling. A layer with both and with experts,
    whose outputs are weighed behind the function, is left as it is.
    """
    if layer.pool == (1, 1) or not wraps(layer).any() or (layer.function is not None and layer.mixture is not None):
        return (layer,)
    K = len(layer.bias)
    first = layer.replaced(pool=(1, 1), pool_stride=(1, 1), winners=None)
    if layer.function is not None:
        first = first.replaced(y=layer.rounded, function=None, threshold=0)
    pooling = Layer(
        name=f"{layer.name}, pooling",
        weights=np.eye(K, dtype=np.int8).reshape(K, K, 1, 1),
        bias=np.zeros(K, np.int32),
        scale=np.ones(K, np.float32),
        shape=layer.conv_shape,
        x=layer.rounded,
        y=layer.y,
        pool=layer.pool,
        pool_stride=layer.pool_stride,
        function=layer.function,
        threshold=layer.threshold,
        winners=layer.winners,
    )
    return first, pooling


def check_pooling(layer: Layer) -> None:
    """DoesNotFit if a layer's sums wrap and are pooled, which one layer of the accelerator does not compute as ONNX Runtime does."""
    wrapping = np.flatnonzero(wraps(layer))
    if layer.pool != (1, 1) and wrapping.size:
        channel = int(wrapping[0])
        raise DoesNotFit(
            f"{layer.name}: the bias of channel {channel}, {layer.bias[channel]:,}, and its sums can leave 32 bits, and pooling follows;"
            " a network is compiled with the pooling apart, but a single layer is not: pool in a layer of its own"
        )
