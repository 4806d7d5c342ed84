"""The window walker, the range fetcher, and the order of groups for the drain."""

from collections.abc import Callable

import numpy as np
import pytest

from simulation import LISTS, SERIAL, SMALL, SPREAD_LISTS, shapes
from skipgrid.golden import Layer
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.placement import Placed
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import Descriptor, layer_layout
from skipgrid.rtl.grid.fetcher import RangeFetcher
from skipgrid.rtl.grid.serial_fetcher import SerialRangeFetcher
from skipgrid.rtl.grid.walker import WindowWalker
from skipgrid.rtl.output.groups import GroupOrder

LONG = {"side": 1024, "pixels": 1024, "features": 1024}  # so that a pool may take 1,000 windows


EXPERTS = SMALL.replaced(rows=4, experts=5, experts_chosen=3, weights=1024, channels=128)


LISTS_AND_EXPERTS = EXPERTS.replaced(slots=8, scan=2)


@shapes(
    {"2 rows": SMALL, "4 rows, experts": EXPERTS, "lists": LISTS, "4 rows, experts, lists": LISTS_AND_EXPERTS},
    "4 rows, experts, lists",
)
def test_walker(simulate: Callable[..., None], config: Config) -> None:
    simulate(WindowWalker(config), "bench_walker", config)


@shapes({"2 rows": SMALL, "1 row": SMALL.replaced(rows=1, **LONG), "spread, lists": SPREAD_LISTS}, "1 row", "spread, lists")
def test_fetcher(simulate: Callable[..., None], config: Config) -> None:
    simulate(RangeFetcher(config), "bench_fetcher", config)


def test_groups(simulate: Callable[..., None]) -> None:
    simulate(GroupOrder(LISTS), "bench_groups", LISTS)


def test_serial_fetcher(simulate: Callable[..., None]) -> None:
    config = SERIAL.replaced(**LONG)
    simulate(SerialRangeFetcher(config), "bench_fetcher", config)


@pytest.mark.parametrize("config", [SMALL, SMALL.replaced(entries=65536)], ids=["as stored", "as in the descriptor"])
def test_lead_is_a_hint_of_any_size(config: Config) -> None:
    """Pools so large that twice their window rows are more than the field holds."""
    ones = np.ones(1, np.float32)
    layer = Layer("pool", np.ones((1, 1, 5, 5), np.int8), ones.astype(np.int32), ones, (1, 204, 204), pool=(200, 200))
    words = descriptor(Placed(layer, 0, 0), config, buffer=0, from_stream=True, to_stream=True, final=True)
    stored = layer_layout(config)["lead"].width
    assert Descriptor.from_bits(int.from_bytes(words.tobytes(), "little")).lead == (1 << stored) - 1
