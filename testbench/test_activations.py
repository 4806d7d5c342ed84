"""The activation writer and the activation memory."""

from collections.abc import Callable

from simulation import SERIAL, SMALL, shapes
from skipgrid.rtl.config import Config
from skipgrid.rtl.input.memory import ActivationMemory
from skipgrid.rtl.input.serial_writer import SerialActivationWriter
from skipgrid.rtl.input.writer import ActivationWriter

AT_ONCE = {
    "1 token, 1 pointer": SMALL,
    "2 tokens, 4 pointers": SMALL.replaced(survivors=2, pointers=4),
    "1 token, 2 pointers": SMALL.replaced(pointers=2),
    "2 tokens, 1 pointer": SMALL.replaced(survivors=2),
}
LONG_ROWS = {f"{name}, rows longer than a run": config.replaced(features=4096, entries=4096) for name, config in AT_ONCE.items()}


@shapes(AT_ONCE | LONG_ROWS, "1 token, 1 pointer", "2 tokens, 4 pointers, rows longer than a run")
def test_writer(simulate: Callable[..., None], config: Config) -> None:
    simulate(ActivationWriter(config), "bench_writer", config)


def test_serial_writer(simulate: Callable[..., None]) -> None:
    simulate(SerialActivationWriter(SERIAL), "bench_writer", SERIAL)


@shapes(AT_ONCE | {"serial": SERIAL}, "2 tokens, 4 pointers")
def test_memory(simulate: Callable[..., None], config: Config) -> None:
    simulate(ActivationMemory(config), "bench_memory", config)
