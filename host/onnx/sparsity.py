"""Which weights of a layer are kept where a share of them becomes zero: the largest ones, of all, of each lane alike, or n of m.

Each function gives a mask, True where a weight is kept, of the weights' shape: (K, taps...), output channels first. Taps are what an output
channel has a weight for, (C, R, S) of a convolution and (C,) of a fully connected layer. Of magnitudes that are alike the first is kept.

Sources: M. A. Raihan and T. M. Aamodt, "Sparse weight activation training", NeurIPS 2020, for Top-K within a layer; S. Cao and others,
"Efficient and effective sparse LSTM on FPGA with bank-balanced sparsity", FPGA 2019, for keeping equally many in each bank that is read in
parallel; A. Mishra and others, "Accelerating sparse deep neural networks", 2021, for n of m.
"""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def unstructured(weights: NDArray[np.number], zeros: float) -> Mask:
    """The largest of all weights, so many that the share `zeros` of them, rounded to a weight, becomes zero.

    weights: of any shape. zeros: 0...1, or ValueError.
    """
    mask = np.zeros(weights.size, bool)
    mask[np.argsort(-_magnitudes(weights).reshape(-1), kind="stable")[: _kept(weights.size, zeros)]] = True
    return mask.reshape(weights.shape)


def balanced(weights: NDArray[np.number], zeros: float, lanes: int) -> Mask:
    """The largest weights of each lane, equally many of every lane at a tap, and more at the taps where that keeps more magnitude.

    Lane l owns the output channels l, l + lanes, l + 2 lanes, ... The j-th level of a tap is the j-th largest weight of each lane there.
    The levels of all taps that hold most magnitude are kept, as long as they leave the share of zeros: it is missed by less than a level,
    and upwards only. Where lanes do not divide K, the last lanes own a channel less, and their last level is empty.

    weights: (K, taps...). zeros: 0...1. lanes: at least 1. ValueError if they are not.
    """
    if lanes < 1:
        raise ValueError(f"weights are balanced over at least 1 lane, not {lanes}")
    K = len(weights)
    channels = -(-K // lanes)  # of a lane
    magnitudes = _magnitudes(weights).reshape(K, -1)
    missing = np.full((channels * lanes - K, magnitudes.shape[1]), -1.0)  # channels that a lane does not own come last
    of_lane = np.concatenate([magnitudes, missing]).reshape(channels, lanes, -1)
    order = np.argsort(-of_lane, axis=0, kind="stable")
    sorted_down = np.take_along_axis(of_lane, order, axis=0)  # [level, lane, tap]
    sizes = (sorted_down >= 0).sum(axis=1).reshape(-1)
    # A level holds no more than the one above it, which stands before it, so that a tap's levels are taken from the first on.
    best = np.argsort(-sorted_down.clip(min=0).sum(axis=1).reshape(-1), kind="stable")
    taken = np.zeros(len(sizes), bool)
    taken[best[np.cumsum(sizes[best]) <= _kept(weights.size, zeros)]] = True
    mask = np.zeros(of_lane.shape, bool)
    np.put_along_axis(mask, order, np.broadcast_to(taken.reshape(channels, 1, -1), mask.shape), axis=0)
    return mask.reshape(channels * lanes, -1)[:K].reshape(weights.shape)


def with_every_channel(weights: NDArray[np.number], mask: Mask, lanes: int) -> Mask:
    """A mask that keeps a weight of every output channel, and as many of each lane at each tap as the given one.

    A channel without weights is constant, and is not computed; so the channels after it would be other lanes'. Here it gets a weight in
    place of one of its lane at the same tap, where that costs least magnitude. A channel's only weight is left to it; a lane that keeps
    fewer weights than it owns channels leaves some without.

    weights: (K, taps...). mask: of their shape. lanes: at least 1.
    """
    K = len(weights)
    magnitudes, made = _magnitudes(weights).reshape(K, -1), mask.reshape(K, -1).copy()
    for channel in np.flatnonzero(~made.any(axis=1)):
        own = np.arange(channel % lanes, K, lanes)
        spare = made[own] & (made[own].sum(axis=1, keepdims=True) > 1)
        if spare.any():
            costs = np.where(spare, magnitudes[own] - magnitudes[channel], np.inf)
            number, tap = divmod(int(costs.argmin()), costs.shape[1])
            made[own[number], tap], made[channel, tap] = False, True
    return made.reshape(weights.shape)


def n_of_m(weights: NDArray[np.number], n: int, m: int) -> Mask:
    """The n largest of each m weights that follow each other along the input channels.

    weights: (K, C, ...). Where m does not divide C, the last group is smaller, and keeps up to n, too. 0 <= n <= m and m >= 1, or
    ValueError.
    """
    if not (0 <= n <= m and m >= 1):
        raise ValueError(f"of each m weights n are kept, at least 0 and no more than m, but n is {n} and m is {m}")
    K, C, *rest = weights.shape
    groups = -(-C // m)
    missing = np.full((K, groups * m - C, *rest), -1.0)
    grouped = np.concatenate([_magnitudes(weights), missing], axis=1).reshape(K, groups, m, *rest)
    mask = np.zeros(grouped.shape, bool)
    np.put_along_axis(mask, np.argsort(-grouped, axis=2, kind="stable")[:, :, :n], True, axis=2)
    return mask.reshape(K, groups * m, *rest)[:, :C]


def _magnitudes(weights: NDArray[np.number]) -> NDArray[np.float64]:
    return np.abs(weights.astype(np.float64))  # of int8, too, where -128 has no magnitude


def _kept(size: int, zeros: float) -> int:
    """How many of so many weights are kept."""
    if not 0 <= zeros <= 1:
        raise ValueError(f"the share of zeros lies in 0...1, not at {zeros}")
    return size - round(zeros * size)
