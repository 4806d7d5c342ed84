"""What a layer must cost at least: multiplications that count, cycles of a perfect grid, bits of a perfect code.

A window counts if a stored output is made from it, and once, however many overlapping pools take it; one that no pool takes counts for
nobody. Of a window only what lies inside the feature map counts: padding is no work.

*Useful* is a multiplication with a nonzero activation, *dense* one with any. Zeros may be skipped, so useful is at most dense.

present: of the weights (K, C, R, S), which there are. A layer has all of them, but for a filter of some channels only, or with gaps, which
is written with zeros: these are no work.
"""

from math import ceil, log2

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .layer import Layer
from .lists import list_lengths
from .network import check_input, route

Present = NDArray[np.bool_] | None


def dense_macs(layer: Layer, present: Present = None) -> int:
    """The multiplications of the convolution, those with zeros too; of all experts, and their gate."""
    if present is not None:
        return linked(np.ones(layer.shape, np.int64), layer, present.sum(axis=0))
    gate = 0 if layer.mixture is None else dense_macs(layer.mixture.gate)
    return _activations(layer) * layer.bias.size + gate


def useful_macs(x: NDArray[np.integer], layer: Layer, present: Present = None) -> int:
    """The multiplications with a nonzero activation: the sum, over the windows that count, of their nonzeros, times K.

    x: (C, H, W) in the layer's input type. Where experts are chosen, those of the others do not count, and those of the gate do.
    """
    check_input(x, layer)
    if present is not None:
        return linked((x != layer.x.zero_point).astype(np.int64), layer, present.sum(axis=0))
    macs = _in_windows(np.count_nonzero(x != layer.x.zero_point, axis=0), layer) * layer.bias.size
    if layer.mixture is None:
        return macs
    chosen = len(route(x, layer.mixture))
    return useful_macs(x, layer.mixture.gate) + macs // layer.mixture.experts * chosen


def limit_cycles(x: NDArray[np.integer], layer: Layer, rows: int, lanes: int) -> float:
    """Cycles in which a grid of rows x lanes could do the useful multiplications if no PE ever waited or was without a channel."""
    return useful_macs(x, layer) / (rows * lanes)


def dense_cycles(layer: Layer, rows: int, lanes: int, present: Present = None) -> int:
    """Cycles of a grid of that size that skips nothing, neither zeros nor experts, and whose rows never wait.

    As here, a row multiplies one activation a cycle for a group of `lanes` output channels, of which the last may not be full.
    """
    if present is not None:
        weights = np.zeros(present.shape[1:], np.int64)
        for first in range(0, layer.bias.size, lanes):
            weights += present[first : first + lanes].any(axis=0)
        return ceil(linked(np.ones(layer.shape, np.int64), layer, weights) / rows)
    gate = 0 if layer.mixture is None else dense_cycles(layer.mixture.gate, rows, lanes)
    return ceil(_activations(layer) * ceil(layer.bias.size / lanes) / rows) + gate


def _activations(layer: Layer) -> int:
    """Activations in all windows that count."""
    C, H, W = layer.shape
    return _in_windows(np.full((H, W), C), layer)


def _in_windows(pixels: NDArray[np.integer], layer: Layer) -> int:
    """The sum of what (H, W) pixels hold over all windows that count, those of a pool each once."""
    top, left, bottom, right = layer.pads
    windows = sliding_window_view(np.pad(pixels, ((top, bottom), (left, right))), layer.weights.shape[2:])
    of_window = windows[:: layer.stride[0], :: layer.stride[1]].sum(axis=(2, 3))
    taken = (_taken(*sizes) for sizes in zip(layer.out_shape[1:], layer.pool, layer.pool_stride, strict=True))
    return int(of_window[np.ix_(*taken)].sum())


def linked(pixels: NDArray[np.int64], layer: Layer, weights: NDArray[np.int64]) -> int:
    """The sum of what (C, H, W) elements hold, over all windows that count, each times so many weights (C, R, S)."""
    top, left, bottom, right = layer.pads
    windows = sliding_window_view(np.pad(pixels, ((0, 0), (top, bottom), (left, right))), layer.weights.shape[2:], axis=(1, 2))
    rows, columns = (_taken(*sizes) for sizes in zip(layer.out_shape[1:], layer.pool, layer.pool_stride, strict=True))
    of_window = windows[:, :: layer.stride[0], :: layer.stride[1]][:, rows][:, :, columns].sum(axis=(1, 2))
    return int((of_window * weights).sum())


def _taken(outputs: int, pool: int, stride: int) -> NDArray[np.integer]:
    """The rows, or columns, of windows that some pool takes, each once."""
    return np.unique(np.arange(outputs).reshape(-1, 1) * stride + np.arange(pool))


def two_sided_macs(x: NDArray[np.integer], layer: Layer) -> int:
    """The multiplications of a nonzero activation with a nonzero weight, of all windows that count. x: (C, H, W)."""
    return linked((x != layer.x.zero_point).astype(np.int64), layer, np.count_nonzero(layer.weights, axis=0))


def two_sided_limit_cycles(x: NDArray[np.integer], layer: Layer, rows: int, lanes: int) -> float:
    """Cycles in which a grid of rows x lanes could do them if no PE ever waited or was without one."""
    return two_sided_macs(x, layer) / (rows * lanes)


def list_cycles(x: NDArray[np.integer], layer: Layer, rows: int, lanes: int, slots: int) -> float:
    """Cycles in which `rows` rows walk a layer's lists, a row of words a cycle, if no row ever waited; all windows, without pooling."""
    return linked((x != layer.x.zero_point).astype(np.int64), layer, _by_place(layer, lanes, slots)) / rows


def _by_place(layer: Layer, lanes: int, slots: int) -> NDArray[np.int64]:
    """(C, R, S): rows of words of each tap, of all units together."""
    _, C, R, S = layer.weights.shape
    return np.asarray(list_lengths(layer.weights, lanes, slots).sum(axis=0).reshape(R, S, C).transpose(2, 0, 1))


def sparsity(coded: NDArray[np.uint8]) -> float:
    """The share of zeros among coded bytes; 0 for an empty tensor."""
    return 1 - np.count_nonzero(coded) / coded.size if coded.size else 0.0


def entropy_bits(coded: NDArray[np.uint8]) -> float:
    """Bits that coded bytes need at least, if zeros fall independently and nonzeros are not compressed.

    H(s) + 8 (1 - s) an element, with s the tensor's own share of zeros and H the binary entropy (C. E. Shannon, 1948).
    """
    s = sparsity(coded)
    entropy = -sum(p * log2(p) for p in (s, 1 - s) if p > 0)
    return coded.size * (entropy + 8 * (1 - s))
