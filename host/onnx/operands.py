"""What nodes multiply with and pad with: weights, biases and pads, checked and in the form of a layer."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .graph import Constant, Node
from .steps import Pads, Pair, Shape


def qlinear_weights(node: Node, axis: int, bias: int | None) -> tuple[Constant, Constant | None]:
    """Weights (inputs 3 to 5) and bias (input number `bias`) of a QOperator node, with the scales that QDQ writes beside them."""
    scale: NDArray[Any] = node.plain(4, "weight scale")
    weights = Constant(node.plain(3, "weights"), scale, node.plain(5, "weight zero point"), axis)
    if bias is None or not node.has(bias):
        return weights, None
    with np.errstate(over="ignore"):  # a layer whose scales multiply to infinity is refused with them
        return weights, Constant(node.plain(bias, "bias"), np.atleast_1d(node.scale(1, "input") * scale))


def weights_of(node: Node, weights: Constant, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 weights and their float32 scales (K,), K being the size along the axis."""
    if weights.values.dtype not in (np.int8, np.uint8) or weights.scale is None or weights.zero_point is None:
        node.refuse(f"{weights.values.dtype} weights are not supported; supported are 8-bit weights with a scale and DequantizeLinear")
    if weights.scale.dtype != np.float32:
        node.refuse(f"weight scales of {weights.scale.dtype} are not supported; supported are float32")
    values, zero_point = weights.values, weights.zero_point
    if values.dtype == np.uint8 and np.all(zero_point == np.uint8(128)):
        values, zero_point = (values.astype(np.uint8) ^ np.uint8(128)).view(np.int8), np.zeros(1, np.int8)  # the same numbers
    if values.dtype != np.int8 or np.any(zero_point):
        node.refuse("asymmetric weights are not supported; supported are int8 weights with zero point 0, and uint8 ones with 128")
    channels, scales = values.shape[axis], weights.scale.size
    if scales != 1 and (weights.axis != axis or weights.scale.shape != (channels,)):
        node.refuse(f"{scales} weight scales along axis {weights.axis} are not supported; supported is 1, or {channels} along axis {axis}")
    return values.astype(np.int8, copy=False), np.broadcast_to(weights.scale.reshape(-1), channels).copy()


def bias_of(node: Node, bias: Constant, channels: int) -> Constant:
    """The bias (K,): int32 with scales (K,), or float32 without. One number, as a Gemm may have it, is that of all channels."""
    if bias.values.size != 1 and not bias.values.size == bias.values.shape[-1] == channels:
        node.refuse(
            f"a bias of shape {bias.values.shape} is not supported; supported is one value for each of the {channels} output channels"
        )
    if bias.values.dtype != (np.float32 if bias.scale is None else np.int32) or (bias.zero_point is not None and np.any(bias.zero_point)):
        node.refuse(f"a bias of {bias.values.dtype} is not supported; supported are float32, and int32 with a scale and the zero point 0")
    scale = None if bias.scale is None else np.broadcast_to(bias.scale.reshape(-1), channels)
    return Constant(np.broadcast_to(bias.values.reshape(-1), channels), scale)


def padding(node: Node, shape: Shape, size: Pair, stride: Pair, *, signal: bool = False) -> Pads:
    """(top, left, bottom, right), with auto_pad resolved. signal: the node's pads are those of one row, (left, right)."""
    node.only("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    auto = node.attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "NOTSET":
        left, right = node.integers("pads", (0, 0)) if signal else (0, 0)
        pads = (0, left, 0, right) if signal else cast(Pads, node.integers("pads", (0, 0, 0, 0)))
        if min(pads) < 0:
            node.refuse(f"pads = {pads} is not supported; supported are pads of 0 or more")
        return pads
    if auto == "VALID":
        return 0, 0, 0, 0
    # SAME: as many windows as input / stride, rounded up; the odd pixel goes to the end (UPPER) or the beginning (LOWER).
    total = [max((-(-extent // step) - 1) * step + taps - extent, 0) for extent, taps, step in zip(shape[1:], size, stride, strict=True)]
    less, more = [pixels // 2 for pixels in total], [pixels - pixels // 2 for pixels in total]
    (top, left), (bottom, right) = (less, more) if auto == "SAME_UPPER" else (more, less)
    return top, left, bottom, right
