"""The numbers: what a zero is, requantisation, functions, the small-value threshold; each exactly as hardware and ONNX Runtime have it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .layer import Activation, Layer

INT32 = np.iinfo(np.int32)


def coded(values: NDArray[np.integer], activation: Activation) -> NDArray[np.uint8]:
    """(a - z) mod 256, of any shape: nonzero exactly where a differs from the zero point z."""
    check_activations(values, activation)
    return ((values.astype(np.int16) - activation.zero_point) & 0xFF).astype(np.uint8)


def uncoded(coded: NDArray[np.uint8], activation: Activation) -> NDArray[np.integer]:
    """The activations whose coded bytes these are, in their own type."""
    if coded.dtype != np.uint8:
        raise TypeError(f"coded bytes are uint8, not {coded.dtype}")
    return ((coded.astype(np.int16) + activation.zero_point) & 0xFF).astype(np.uint8).view(activation.dtype)


def requantise_scale(x_scale: ArrayLike, w_scale: ArrayLike, y_scale: ArrayLike) -> NDArray[np.float32]:
    """x_scale * w_scale / y_scale, in float32 and in this order, as ONNX Runtime computes it: (K,) for w_scale (K,) or a number."""
    x, w, y = (np.asarray(scale, np.float32) for scale in (x_scale, w_scale, y_scale))
    return np.atleast_1d(np.asarray(x * w / y, np.float32))


def requantise(
    acc: NDArray[np.int32],
    bias: NDArray[np.int32],
    scale: NDArray[np.float32],
    zero_point: int,
    low: int,
    high: int,
) -> NDArray[np.int32]:
    """clamp(rne(float32(acc + bias) * scale) + zero_point, low, high).

    acc: int32 (K, ...); bias: int32 (K,); scale: float32 (K,). The result is int32 and lies in low...high.
    acc + bias wraps around in 32 bits; the conversion to float32, the product and `rne` round to nearest, ties to even.
    Source: ONNX Runtime's CPU provider, QLinearConv.
    """
    for name, array, dtype in (("accumulators", acc, np.int32), ("biases", bias, np.int32), ("scales", scale, np.float32)):
        if array.dtype != dtype:
            raise TypeError(f"{name} are {np.dtype(dtype)}, not {array.dtype}")
    if bias.shape != acc.shape[:1] or scale.shape != acc.shape[:1]:
        raise ValueError(f"{acc.shape[0]} channels want a bias and a scale each, not {bias.shape} biases and {scale.shape} scales")
    per_channel = (-1,) + (1,) * (acc.ndim - 1)
    with np.errstate(over="ignore"):
        product = (acc + bias.reshape(per_channel)).astype(np.float32) * scale.reshape(per_channel)
    # float64 holds every rounded float32 and the zero point's sum near the clamp exactly.
    return np.asarray(np.clip(np.rint(product).astype(np.float64) + zero_point, low, high), np.int32)


def apply_threshold(values: NDArray[np.integer], zero_point: int, threshold: int) -> NDArray[np.integer]:
    """The values with the zero point in place of every one nearer to it than the threshold; 0 and 1 change nothing.

    Source: B. Reagen and others, "Minerva", ISCA 2016: small activations are pruned while the network runs.
    """
    if threshold < 0:
        raise ValueError(f"a threshold is 0 or more, not {threshold}")
    near = np.abs(values.astype(np.int32) - zero_point) < threshold
    return np.where(near, np.asarray(zero_point, values.dtype), values)


def look_up(rounded: NDArray[np.integer], layer: Layer) -> NDArray[np.integer]:
    """What becomes of rounded values: those of the layer's function, if it has one, and thresholded; in the output's type."""
    values = rounded if layer.function is None else layer.function(rounded)
    return apply_threshold(values, layer.y.zero_point, layer.threshold).astype(layer.y.dtype)


def weighed(values: NDArray[np.integer], zero_point: int, weights: NDArray[np.integer]) -> NDArray[np.integer]:
    """rne((y - zero_point) * weight / 2**15) + zero_point: what an expert's outputs count, with the weights of `softmax`.

    weights: 0...2**15, of a shape that goes with the values'. The result has the values' type, and is no further from the zero point.
    """
    distance = values.astype(np.int64) - zero_point
    return np.asarray(np.rint(distance * weights / 2.0**15) + zero_point).astype(values.dtype)  # float64 holds the product exactly


def check_activations(values: NDArray[np.integer], activation: Activation, what: str = "these activations") -> None:
    """TypeError, naming `what`, unless the array is of the activation's type."""
    if values.dtype != activation.dtype:
        raise TypeError(f"{what} are held as {activation.dtype}, but the array is {values.dtype}")
