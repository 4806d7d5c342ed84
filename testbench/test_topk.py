# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The Top-K units: under cocotb, and compiled, on every small tensor and on long ones."""

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.benches.topk import make_tensors
from skipgrid.golden import topk, winners
from skipgrid.host.simulation.topk import SimulatedTopK
from skipgrid.rtl.topk.histogram_topk import HistogramTopK
from skipgrid.rtl.topk.streaming_topk import StreamingTopK
from topk_units import CELLS, INDEX_BITS, VALUE

Tensors = list[NDArray[np.integer]]
LONG = 100_000


def test_streaming(simulate: Callable[..., None]) -> None:
    simulate(StreamingTopK(cells=CELLS, value_bits=VALUE.width, signed=VALUE.signed, index_bits=INDEX_BITS), "bench_streaming_topk")


def test_histogram(simulate: Callable[..., None]) -> None:
    simulate(HistogramTopK(index_bits=INDEX_BITS), "bench_histogram_topk")


def all_tensors(length: int, *, signed: bool) -> Tensors:
    """Every tensor of so many elements of three bits."""
    low = -4 if signed else 0
    return list(np.array(list(product(range(low, low + 8), repeat=length)), np.int8 if signed else np.uint8))


def long_tensors(*, signed: bool) -> Tensors:
    """100,000 elements, ties everywhere."""
    return make_tensors(LONG, 4, np.int8 if signed else np.uint8)


@pytest.fixture(scope="module", params=[pytest.param(False, id="unsigned", marks=pytest.mark.slow), pytest.param(True, id="signed")])
def signed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("length", [4, pytest.param(5, marks=pytest.mark.slow)])
def test_streaming_on_all_tensors_of_few_elements_of_three_bits(signed: bool, length: int) -> None:
    unit = SimulatedTopK(StreamingTopK, cells=5, value_bits=3, signed=signed, index_bits=3)
    tensors = all_tensors(length, signed=signed)
    orders = [topk(tensor, 5) for tensor in tensors]
    for k in range(8):
        for tensor, order, found in zip(tensors, orders, unit.run(tensors, k), strict=True):
            assert found.indices.tolist() == order[:k].tolist()
            assert found.values.tolist() == tensor[order[:k]].tolist()


@pytest.mark.parametrize("length", [4, pytest.param(5, marks=pytest.mark.slow)])
def test_histogram_on_all_tensors_of_few_elements_of_three_bits(signed: bool, length: int) -> None:
    unit = SimulatedTopK(HistogramTopK, index_bits=17)
    tensors = all_tensors(length, signed=signed)
    for k in range(length + 2):
        for tensor, found in zip(tensors, unit.run(tensors, k), strict=True):
            expected = winners(tensor, k)
            assert found.indices.tolist() == expected.tolist()
            assert found.values.tolist() == tensor[expected].tolist()


def test_histogram_by_magnitude_on_all_tensors_of_four_elements_of_three_bits() -> None:
    unit = SimulatedTopK(HistogramTopK, index_bits=17)
    tensors = all_tensors(4, signed=True)
    for k in range(6):
        for tensor, found in zip(tensors, unit.run(tensors, k, magnitude=True), strict=True):
            assert found.indices.tolist() == winners(tensor, k, magnitude=True).tolist()


def test_streaming_on_long_tensors(signed: bool) -> None:
    unit = SimulatedTopK(StreamingTopK, cells=16, value_bits=8, signed=signed, index_bits=17)
    tensors = long_tensors(signed=signed)
    for k in (1, 3, 16):
        found = unit.run(tensors, k)
        assert [each.indices.tolist() for each in found] == [topk(tensor, k).tolist() for tensor in tensors]
        assert [each.last - each.first for each in found] == [LONG - 1] * len(tensors)
        assert [after.first - before.last for before, after in pairwise(found)] == [1] * (len(tensors) - 1)
        assert all(each.done - each.last == k + 1 for each in found)


def test_histogram_on_long_tensors(signed: bool) -> None:
    unit = SimulatedTopK(HistogramTopK, index_bits=17)
    tensors = long_tensors(signed=signed)
    for magnitude in (False, True):
        for k in (0, 1, LONG // 3, LONG - 1, LONG, LONG + 1):
            for tensor in tensors:
                (found,) = unit.run([tensor], k, magnitude=magnitude)
                assert np.array_equal(found.indices, winners(tensor, k, magnitude=magnitude))
                assert np.array_equal(found.values, tensor[found.indices])
                assert found.last - found.first == LONG - 1
                assert found.done - found.last <= LONG + 300


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StreamingTopK(cells=0), ValueError, r"cells must lie in 1\.\.\.64, not at 0"),
        (lambda: StreamingTopK(cells=65), ValueError, r"cells must lie in 1\.\.\.64, not at 65"),
        (lambda: StreamingTopK(value_bits=1), ValueError, r"value_bits must lie in 2\.\.\.32, not at 1"),
        (lambda: StreamingTopK(index_bits=33), ValueError, r"index_bits must lie in 1\.\.\.32, not at 33"),
        (lambda: HistogramTopK(index_bits=25), ValueError, r"index_bits must lie in 1\.\.\.24, not at 25"),
        (lambda: StreamingTopK(cells="2"), TypeError, r"cells must be an integer, not '2'"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_built_is_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
