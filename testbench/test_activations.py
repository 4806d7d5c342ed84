"""The activation writer and the activation memory."""

from collections.abc import Callable

import pytest

from simulation import SERIAL, SMALL
from skipgrid.rtl.config import Config
from skipgrid.rtl.input.memory import ActivationMemory
from skipgrid.rtl.input.serial_writer import SerialActivationWriter
from skipgrid.rtl.input.writer import ActivationWriter


@pytest.mark.parametrize("config", [SMALL, SMALL.replaced(features=4096, entries=4096)], ids=["short rows", "rows longer than a run"])
def test_writer(simulate: Callable[..., None], config: Config) -> None:
    simulate(ActivationWriter(config), "bench_writer", config)


def test_serial_writer(simulate: Callable[..., None]) -> None:
    simulate(SerialActivationWriter(SERIAL), "bench_writer", SERIAL)


def test_memory(simulate: Callable[..., None]) -> None:
    simulate(ActivationMemory(SMALL), "bench_memory", SMALL)
