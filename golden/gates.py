"""Gates: from scores to the few that are chosen, and their weights.

Scores are integers in units of 2 ** -fraction; weights are uint16 in units of 2 ** -15, so that 1 has a place.
softmax and sparsemax take scores that Top-K has put in order, the largest first; adaptive_k takes the weights that they give.
"""

import numpy as np
from numpy.typing import NDArray

WEIGHT_FRACTION = 15
WEIGHT_ONE = 1 << WEIGHT_FRACTION
EXP_FRACTION = 24  # of exponentials and of their arguments
EXP_FACTORS = 20  # (1 - 2 ** -i) for i = 1 ... 20
EXP_END = 16  # exp(-16) is two units
SOFTMAX_ERROR = 2.0**-15  # at most, of any weight, for up to 16 scores


def threshold_relu(scores: NDArray[np.integer], threshold: int) -> NDArray[np.int64]:
    """Indices of the scores above the threshold; the others count as 0.

    Source: K. Konda and others, "Zero-bias autoencoders and the benefits of co-adapting features", 2014; ONNX's ThresholdedRelu.
    """
    return np.flatnonzero(scores > threshold)


def exponential(distance: int) -> int:
    """exp(-distance), both in units of 2 ** -24, by shifts and subtractions alone.

    While the distance is at least -log(1 - 2 ** -i) it is lowered by that, and the result by its 2 ** i-th part, for i = 1, 2, ... 20.
    The first factor is one half; every other is used at most twice.
    Source: T. C. Chen, "Automatic computation of exponentials, logarithms, ratios and square roots", IBM J. Res. Dev. 16, 1972.
    """
    if distance >> EXP_FRACTION >= EXP_END:
        return 0
    result = 1 << EXP_FRACTION
    for i in range(1, EXP_FACTORS + 1):
        step = round(-np.log1p(-(2.0**-i)) * 2**EXP_FRACTION)
        while distance >= step:
            distance -= step
            result -= result >> i
    return result


def softmax(scores: NDArray[np.integer], fraction: int) -> NDArray[np.uint16]:
    """Softmax over scores in falling order: (n,) weights, each within `SOFTMAX_ERROR` of the real number's for n up to 16."""
    distances = _distances(scores, fraction)
    exponentials = [exponential(distance << (EXP_FRACTION - fraction)) for distance in distances]
    return np.array([_ratio(one, sum(exponentials)) for one in exponentials], np.uint16)


def sparsemax(scores: NDArray[np.integer], fraction: int) -> NDArray[np.uint16]:
    """Sparsemax over scores in falling order: the weights of the first ones, correctly rounded; those of all others are 0.

    A score belongs to the support while 1 + count * score > the sum of the scores so far; at the first that does not, the search ends.
    Source: A. Martins and R. Astudillo, "From softmax to sparsemax", ICML 2016, algorithm 1.
    """
    one, support, total = 1 << fraction, 0, 0
    distances = _distances(scores, fraction)
    for count, distance in enumerate(distances, start=1):
        if one + total + distance <= count * distance:
            break
        support, total = count, total + distance
    return np.array([_ratio(one + total - support * distance, support * one) for distance in distances[:support]], np.uint16)


def adaptive_k(weights: NDArray[np.uint16], *, share: int, relative: int, k_min: int, k_max: int) -> int:
    """How many weights, in falling order, are kept: the fewest whose sum reaches `share`, of those within `relative` of the largest.

    share, relative: in units of 2 ** -15. A share over the sum of all, or a relative of 0, leaves the choice to the other rule;
    a relative over 1 counts as 1, which the largest and its equals reach.
    k_min: so many are kept at least, if there are as many. k_max: at most, also where k_min is more.
    Source: Q. Huang and others, "Harder tasks need more experts", ACL 2024 (share); M. Nguyen and others, "Turning up the heat: min-p
    sampling", 2024 (relative).
    """
    values = [int(weight) for weight in weights]
    kept = 0
    while kept < min(k_max, len(values)):
        within = values[kept] * WEIGHT_ONE >= min(relative, WEIGHT_ONE) * values[0]
        if kept >= k_min and not (sum(values[:kept]) < share and within):
            break
        kept += 1
    return kept


def _distances(scores: NDArray[np.integer], fraction: int) -> list[int]:
    """How far each score lies below the first one; ValueError unless they fall."""
    if not 0 <= fraction <= EXP_FRACTION:
        raise ValueError(f"scores have 0 to {EXP_FRACTION} fractional bits, not {fraction}")
    values = [int(score) for score in scores]
    if values != sorted(values, reverse=True):
        raise ValueError("scores come in falling order, as Top-K gives them")
    return [values[0] - value for value in values]


def _ratio(numerator: int, denominator: int) -> int:
    """A weight: the ratio to 15 fractional bits, halves rounded up."""
    return (2 * numerator * WEIGHT_ONE + denominator) // (2 * denominator)
