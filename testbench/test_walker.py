"""The window walker and the range fetcher."""

from collections.abc import Callable

import pytest

from simulation import SERIAL, SMALL
from skipgrid.rtl.config import Config
from skipgrid.rtl.serial_fetcher import SerialRangeFetcher
from skipgrid.rtl.walker import RangeFetcher, WindowWalker


@pytest.mark.parametrize("config", [SMALL, SMALL.replaced(rows=4)], ids=["2 rows", "4 rows"])
def test_walker(simulate: Callable[..., None], config: Config) -> None:
    simulate(WindowWalker(config), "bench_walker", config)


@pytest.mark.parametrize("config", [SMALL, SMALL.replaced(rows=1), SMALL.replaced(spread=True)], ids=["2 rows", "1 row", "spread"])
def test_fetcher(simulate: Callable[..., None], config: Config) -> None:
    simulate(RangeFetcher(config), "bench_fetcher", config)


def test_serial_fetcher(simulate: Callable[..., None]) -> None:
    simulate(SerialRangeFetcher(SERIAL), "bench_fetcher", SERIAL)
