"""Loader, sequencer and registers."""

from collections.abc import Callable

import pytest

from simulation import SERIAL, SMALL
from skipgrid.rtl.config import Config
from skipgrid.rtl.loader import Loader
from skipgrid.rtl.registers import Registers
from skipgrid.rtl.sequencer import Sequencer


@pytest.mark.parametrize("config", [SMALL, SMALL.replaced(lanes=16)], ids=["4 lanes", "16 lanes"])
def test_loader(simulate: Callable[..., None], config: Config) -> None:
    simulate(Loader(config), "bench_loader", config)


SEQUENCERS = {
    "2 rows": SMALL,
    "winners": SMALL.replaced(winners=True),
    "wide": SMALL.replaced(wide_program=True, channels=256),
    "serial, pixel winners": SERIAL.replaced(pixel_winners=5),
    "wide, all": SMALL.replaced(wide_program=True, winners=True, pixel_winners=5, experts=4, experts_chosen=2),
    "experts": SMALL.replaced(experts=4, experts_chosen=2),
}


@pytest.mark.parametrize("config", SEQUENCERS.values(), ids=SEQUENCERS)
def test_sequencer(simulate: Callable[..., None], config: Config) -> None:
    simulate(Sequencer(config), "bench_sequencer", config)


@pytest.mark.parametrize(
    "config", [SMALL, SERIAL, SMALL.replaced(winners=True), SMALL.replaced(spread=True)], ids=["2 rows", "serial", "winners", "spread"]
)
def test_registers(simulate: Callable[..., None], config: Config) -> None:
    simulate(Registers(config), "bench_registers", config)
