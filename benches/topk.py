"""The Top-K units on tensors of any length: their winners against the golden model's, and their cycles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import topk, winners
from skipgrid.host.simulation.topk import Selection, SimulatedTopK
from skipgrid.rtl.topk.histogram_topk import HistogramTopK
from skipgrid.rtl.topk.streaming_topk import StreamingTopK

LENGTHS = (16, 1000, 100_000)
STREAMING_K = (1, 2, 4, 8, 16)
HISTOGRAM_SHARES = (0, 0.1, 0.5, 1)  # of a tensor's elements
INDEX_BITS = 17


@dataclass(frozen=True)
class TopKResult:
    """What was measured of one unit, over tensors of n elements of several kinds; the cycles of the slowest.

    input_cycles: from the first to the last element of a tensor. cycles: from then on, until the last word of its winners.
    bit_exact: all winners are those of the golden model, in its order.
    """

    unit: str
    k: int
    n: int
    input_cycles: int
    cycles: int
    bit_exact: bool


def make_tensors(length: int, seed: int, dtype: type[np.int8 | np.uint8]) -> list[NDArray[np.integer]]:
    """Tensors of all values, of three, of one, and of three in rising order, so that ties are everywhere."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    few = rng.choice(np.array([info.min, 1, info.max]), length)
    kinds = (rng.integers(info.min, info.max + 1, length), few, np.full(length, info.max), np.sort(few))
    return [kind.astype(dtype) for kind in kinds]


def bench_topk(seed: int = 0) -> Iterator[TopKResult]:
    """Measure both units, `StreamingTopK` with 16 cells, on unsigned and signed bytes, one tensor after another."""
    streaming = {
        dtype: SimulatedTopK(StreamingTopK, cells=max(STREAMING_K), signed=dtype is np.int8, index_bits=INDEX_BITS)
        for dtype in (np.uint8, np.int8)
    }
    histogram = SimulatedTopK(HistogramTopK, index_bits=INDEX_BITS)
    for length in LENGTHS:
        tensors = {dtype: make_tensors(length, seed, dtype) for dtype in streaming}
        for k in STREAMING_K:
            found = [
                (tensor, topk(tensor, k), selection)
                for dtype, unit in streaming.items()
                for tensor, selection in zip(tensors[dtype], unit.run(tensors[dtype], k), strict=True)
            ]
            yield _result("StreamingTopK", k, length, found)
        for k in sorted({round(share * length) for share in HISTOGRAM_SHARES}):
            found = [
                (tensor, winners(tensor, k, magnitude=magnitude), histogram.run([tensor], k, magnitude=magnitude)[0])
                for magnitude in (False, True)
                for each in tensors.values()
                for tensor in each
            ]
            yield _result("HistogramTopK", k, length, found)


def _result(unit: str, k: int, n: int, found: list[tuple[NDArray[np.integer], NDArray[np.int64], Selection]]) -> TopKResult:
    exact = all(
        np.array_equal(selection.indices, expected) and np.array_equal(selection.values, tensor[expected])
        for tensor, expected, selection in found
    )
    input_cycles = max(selection.last - selection.first + 1 for _, _, selection in found)
    return TopKResult(unit, k, n, input_cycles, max(selection.done - selection.last for _, _, selection in found), exact)
