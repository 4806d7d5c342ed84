# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The expert router under cocotb and compiled."""

from collections.abc import Callable

from skipgrid.rtl.router import ExpertRouter
from topk_units import ROUTER


def test_bench(simulate: Callable[..., None]) -> None:
    simulate(ExpertRouter(**ROUTER), "bench_router")
