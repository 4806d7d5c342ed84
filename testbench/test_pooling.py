"""The pooling unit and its parts, and which layers pool there."""

from collections.abc import Callable

from simulation import SMALL
from skipgrid.rtl.pooling.pool_merger import PoolMerger
from skipgrid.rtl.pooling.pooling_unit import PoolingUnit


def test_pool_merger(simulate: Callable[..., None]) -> None:
    simulate(PoolMerger(depth=16, count_bits=6), "bench_pool_merger")


def test_pooling_unit(simulate: Callable[..., None]) -> None:
    config = SMALL.replaced(pool_elements=64)
    simulate(PoolingUnit(config), "bench_pooling_unit", config)
