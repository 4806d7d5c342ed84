# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The gates under cocotb, and what cannot be built."""

from collections.abc import Callable

import pytest

from skipgrid.rtl.experts.gates import AdaptiveK, ThresholdRelu
from skipgrid.rtl.experts.softmax import Softmax
from skipgrid.rtl.experts.sparsemax import Sparsemax
from topk_units import CELLS, FRACTION, INDEX_BITS, VALUE


def test_threshold_relu(simulate: Callable[..., None]) -> None:
    simulate(ThresholdRelu(value_bits=VALUE.width, signed=VALUE.signed, index_bits=INDEX_BITS), "bench_threshold_relu")


def test_adaptive_k(simulate: Callable[..., None]) -> None:
    simulate(AdaptiveK(cells=CELLS, index_bits=INDEX_BITS), "bench_adaptive_k")


@pytest.mark.parametrize("gate", [Softmax, Sparsemax])
def test_weights(simulate: Callable[..., None], gate: type[Softmax | Sparsemax]) -> None:
    simulate(gate(cells=CELLS, fraction=FRACTION, index_bits=INDEX_BITS), "bench_softmax")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Softmax(cells=0), r"cells must lie in 1\.\.\.64, not at 0"),
        (lambda: Softmax(fraction=25), r"fraction must lie in 0\.\.\.24, not at 25"),
        (lambda: Sparsemax(cells=65), r"cells must lie in 1\.\.\.64, not at 65"),
        (lambda: Sparsemax(fraction=-1), r"fraction must lie in 0\.\.\.24, not at -1"),
        (lambda: AdaptiveK(cells=0), r"cells must lie in 1\.\.\.64, not at 0"),
        (lambda: ThresholdRelu(value_bits=33), r"value_bits must lie in 2\.\.\.32, not at 33"),
    ],
)
def test_what_cannot_be_built_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
