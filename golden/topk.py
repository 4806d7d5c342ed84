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


def keep_pixel_winners(y: NDArray[np.integer], zero_point: int, k: int, *, magnitude: bool = False) -> NDArray[np.integer]:
    """The same for each pixel by itself: k of its C channels win."""
    kept = np.empty_like(y)
    for row, column in np.ndindex(y.shape[1:]):
        pixel = (slice(None), slice(row, row + 1), slice(column, column + 1))
        kept[pixel] = keep_winners(y[pixel], zero_point, k, magnitude=magnitude)
    return kept


def smallest_winner(y: NDArray[np.integer], zero_point: int, k: int, *, magnitude: bool = False) -> int | None:
    """The smallest of the k winners' y - zero_point, or |y - zero_point|; None if none wins."""
    values = y.reshape(-1).astype(np.int32) - zero_point
    chosen = values[topk(values, k, magnitude=magnitude)]
    return int((np.abs(chosen) if magnitude else chosen).min()) if len(chosen) else None


def keep_reaching(y: NDArray[np.integer], zero_point: int, threshold: int | None, *, magnitude: bool = False) -> NDArray[np.integer]:
    """y with all elements at the zero point but those whose y - zero_point, or |y - zero_point|, is not below the threshold."""
    values = y.astype(np.int32) - zero_point
    reach = np.zeros(y.shape, bool) if threshold is None else (np.abs(values) if magnitude else values) >= threshold
    return np.where(reach, y, zero_point).astype(y.dtype)


def _check(values: NDArray[np.integer], k: int) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"Top-K orders integers, not {values.dtype}")
    if values.ndim != 1:
        raise ValueError(f"Top-K orders the values of one dimension, not of {values.ndim}")
    if k < 0:
        raise ValueError(f"k is 0 or more, not {k}")
