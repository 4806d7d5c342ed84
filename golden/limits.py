"""What a layer must cost at least: multiplications that count, cycles of a perfect grid, bits of a perfect code."""

from math import ceil, log2

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .layer import Layer
from .network import check_input, route


def dense_macs(layer: Layer) -> int:
    """All multiplications of the convolution, those with zeros and padding too: windows * K * C * R * S; of all experts, and their gate."""
    gate = 0 if layer.mixture is None else dense_macs(layer.mixture.gate)
    return windows(layer) * int(layer.weights.size) + gate


def useful_macs(x: NDArray[np.integer], layer: Layer) -> int:
    """The multiplications with a nonzero activation: the sum, over the convolution's windows, of their nonzeros, times K.

    x: (C, H, W) in the layer's input type. Padding holds no nonzeros. Counted before pooling: each window once.
    Where experts are chosen, those of the others do not count, and those of the gate do.
    """
    check_input(x, layer)
    top, left, bottom, right = layer.pads
    K, _, R, S = layer.weights.shape
    nonzeros = np.pad(np.count_nonzero(x != layer.x.zero_point, axis=0), ((top, bottom), (left, right)))
    in_windows = sliding_window_view(nonzeros, (R, S))[:: layer.stride[0], :: layer.stride[1]]
    macs = int(in_windows.sum()) * int(K)
    if layer.mixture is None:
        return macs
    chosen = len(route(x, layer.mixture))
    return useful_macs(x, layer.mixture.gate) + macs // layer.mixture.experts * chosen


def limit_cycles(x: NDArray[np.integer], layer: Layer, rows: int, lanes: int) -> float:
    """Cycles in which a grid of rows x lanes could do the useful multiplications if no PE ever waited."""
    return useful_macs(x, layer) / (rows * lanes)


def dense_cycles(layer: Layer, rows: int, lanes: int) -> int:
    """Cycles of a grid of that size that skips nothing, neither zeros nor experts, and otherwise never waits.

    A window's output channels are computed `lanes` together; each such piece takes C*R*S cycles of one row, and the rows share the pieces.
    """
    K = layer.bias.size
    pieces = windows(layer) * ceil(K / lanes)
    gate = 0 if layer.mixture is None else dense_cycles(layer.mixture.gate, rows, lanes)
    return ceil(pieces / rows) * (layer.weights.size // K) + gate


def windows(layer: Layer) -> int:
    """Windows of the convolution: its output pixels before pooling."""
    _, rows, columns = layer.conv_shape
    return rows * columns


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
