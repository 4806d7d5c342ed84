"""Top-K: the k largest of n values, larger first, equal ones by lower index first."""

import numpy as np
from numpy.typing import NDArray


def topk(values: NDArray[np.integer], k: int, *, magnitude: bool = False) -> NDArray[np.int64]:
    """Indices of the k largest values, larger first, equal ones by lower index first; of all values if there are fewer than k.

    values: (n,), of any integer type, whose sign counts. magnitude: the largest |value| instead, of which -128 has 128.
    Source: the order of ONNX's operator TopK.
    """
    _check(values, k)
    keys = np.abs(values).view(f"u{values.dtype.itemsize}") if magnitude else values
    return np.argsort(~keys, kind="stable")[:k]  # ~ turns any integer type's order around


def winners(values: NDArray[np.integer], k: int, *, magnitude: bool = False) -> NDArray[np.int64]:
    """The same indices, lower ones first: what is kept when a tensor keeps its k largest values."""
    return np.sort(topk(values, k, magnitude=magnitude))


def keep_winners(y: NDArray[np.integer], zero_point: int, k: int, *, magnitude: bool = False) -> NDArray[np.integer]:
    """y (C, H, W) with all elements at the zero point but the k winners among y - zero_point, in (y, x, c) order."""
    C, H, W = y.shape
    values = y.transpose(1, 2, 0).reshape(-1).astype(np.int32) - zero_point
    kept = np.zeros_like(values)
    chosen = winners(values, k, magnitude=magnitude)
    kept[chosen] = values[chosen]
    return np.ascontiguousarray((kept + zero_point).astype(y.dtype).reshape(H, W, C).transpose(2, 0, 1))


def _check(values: NDArray[np.integer], k: int) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"Top-K orders integers, not {values.dtype}")
    if values.ndim != 1:
        raise ValueError(f"Top-K orders the values of one dimension, not of {values.ndim}")
    if k < 0:
        raise ValueError(f"k is 0 or more, not {k}")
