"""The whole accelerator, in several shapes of its grid."""

from collections.abc import Callable

from simulation import ALL, SERIAL, SMALL, SPREAD, shapes
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config, Form

CONFIGS = {
    "2x4": SMALL,
    "1x8": SMALL.replaced(rows=1, lanes=8, scan=8, sums=1),
    "4x8": SMALL.replaced(rows=4, lanes=8, scan=1, sums=2, weights=512, entries=1024, channels=64),
    "spread": SMALL.replaced(rows=4, lanes=8, scan=2, sums=2, weights=512, entries=1024, channels=64, form=Form.SPREAD),
    "spread, 1 result": SMALL.replaced(sums=1, scan=4, form=Form.SPREAD),
    "spread, 2 results": SMALL.replaced(survivors=2, pointers=4, form=Form.SPREAD),
    "2 pointers": SMALL.replaced(pointers=2),
    "serial": SERIAL.replaced(lanes=8, sums=2),
    "2x4 with winners": SMALL.replaced(winners=128, pixel_winners=5, wide_program=True, layers=8),
    "2x4 with experts": SMALL.replaced(experts=5, experts_chosen=3, layers=8, weights=1024, channels=128),
    "2x4 with pooling, functions and lists": SMALL.replaced(pool_elements=128, functions=4, survivors=2, pointers=4, slots=8),
    "all": ALL,
    "all, 2 survivors": ALL.replaced(survivors=2),
    "serial with winners and functions": SERIAL.replaced(winners=128, pixel_winners=3, functions=4, layers=8),
}


# between them, every part in every form
@shapes(CONFIGS, "2x4 with pooling, functions and lists", "all", "serial with winners and functions")
def test_accelerator(simulate: Callable[..., None], config: Config) -> None:
    simulate(Accelerator(config), "bench_accelerator", config)


@shapes(
    {name: CONFIGS[name] for name in ("2x4", "2x4 with pooling, functions and lists")}
    | {"spread, pooling, functions, lists": SPREAD.replaced(pool_elements=128, functions=2, slots=16)},
    "2x4 with pooling, functions and lists",
)
def test_errors(simulate: Callable[..., None], config: Config) -> None:
    simulate(Accelerator(config), "bench_accelerator_errors", config)
