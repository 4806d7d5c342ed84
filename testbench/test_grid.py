"""A PE row, with results in a buffer and with results in the shadows, and the weight memory."""

from collections.abc import Callable

import pytest

from simulation import SERIAL, SMALL
from skipgrid.rtl.config import Config
from skipgrid.rtl.grid import Row
from skipgrid.rtl.weights import WeightMemory


@pytest.mark.parametrize(
    "config",
    [SMALL, SMALL.replaced(results=1), SMALL.replaced(soft_lanes=2), SMALL.replaced(spread=True), SERIAL],
    ids=["4 results", "1 result", "soft lanes", "spread", "serial"],
)
def test_row(simulate: Callable[..., None], config: Config) -> None:
    simulate(Row(config), "bench_row", config)


@pytest.mark.parametrize("config", [SMALL.replaced(lanes=8), SMALL.replaced(rows=1), SERIAL], ids=["2 ports", "1 port", "serial"])
def test_weights(simulate: Callable[..., None], config: Config) -> None:
    simulate(WeightMemory(config), "bench_weights", config)
