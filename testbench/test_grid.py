"""A PE row, with results in a buffer and with results in the shadows, with lists and without, and the memories of weights and lists."""

from collections.abc import Callable

from simulation import LISTS, SERIAL, SMALL, SPREAD_LISTS, shapes
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.grid.lists import ListReader
from skipgrid.rtl.grid.row import Row
from skipgrid.rtl.grid.weights import WeightMemory

ROWS = {
    "4 results": SMALL,
    "1 result": SMALL.replaced(sums=1),
    "spread, soft lanes": SMALL.replaced(form=Form.SPREAD, soft_lanes=2),
    "serial": SERIAL,
    "serial, 2 results": SERIAL.replaced(sums=2),
    "lists": LISTS,
    "spread, lists": SPREAD_LISTS,
}


@shapes(ROWS, "4 results", "spread, soft lanes", "serial, 2 results")
def test_row(simulate: Callable[..., None], config: Config) -> None:
    simulate(Row(config), "bench_row", config)


LIST_ROWS = {"parallel": LISTS, "spread": SPREAD_LISTS, "1 result": LISTS.replaced(sums=1)}


@shapes(LIST_ROWS, "parallel", "spread")
def test_row_with_lists(simulate: Callable[..., None], config: Config) -> None:
    simulate(Row(config), "bench_row_lists", config)


@shapes({"2 ports": SMALL.replaced(lanes=8), "1 port": SMALL.replaced(rows=1), "serial": SERIAL}, "2 ports", "serial")
def test_weights(simulate: Callable[..., None], config: Config) -> None:
    simulate(WeightMemory(config), "bench_weights", config)


@shapes({"parallel": LISTS, "spread": SPREAD_LISTS, "16 slots": LISTS.replaced(slots=16)}, "parallel", "spread")
def test_lists(simulate: Callable[..., None], config: Config) -> None:
    simulate(ListReader(config), "bench_lists", config)
