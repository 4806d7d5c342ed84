"""The sparse drain."""

from collections.abc import Callable

from simulation import SERIAL, SMALL, shapes
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.output.drain import Drain
from skipgrid.rtl.output.serial_drain import SerialDrain

LARGE = SMALL.replaced(form=Form.SPREAD, lanes=16, channels=8192, experts=4, experts_chosen=2)


EIGHT = SMALL.replaced(rows=1, lanes=8, scan=8)


@shapes(
    {
        "2": SMALL,
        "8": EIGHT,
        "1": SMALL.replaced(rows=4, scan=1),
        "spread, experts": LARGE,
        "2 of 2": SMALL.replaced(survivors=2),
        "2 of 8": EIGHT.replaced(survivors=2),
        "2 of 16, spread, experts": LARGE.replaced(scan=16, survivors=2),
    },
    "2",
    "2 of 16, spread, experts",
)
def test_drain(simulate: Callable[..., None], config: Config) -> None:
    simulate(Drain(config), "bench_drain", config)


def test_serial_drain(simulate: Callable[..., None]) -> None:
    simulate(SerialDrain(SERIAL), "bench_drain", SERIAL)
