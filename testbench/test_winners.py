"""The winners of a stored tensor, inside the accelerator."""

from collections.abc import Callable

import pytest

from simulation import SERIAL, SMALL
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config

CONFIGS = {"2 rows": SMALL.replaced(winners=True), "serial": SERIAL.replaced(winners=True)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_winners(simulate: Callable[..., None], config: Config) -> None:
    simulate(Accelerator(config), "bench_winners", config)
