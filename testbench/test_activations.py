"""The activation writer and the activation memory."""

from collections.abc import Callable

from simulation import SERIAL, SMALL
from skipgrid.rtl.activations import ActivationMemory, ActivationWriter
from skipgrid.rtl.serial_writer import SerialActivationWriter


def test_writer(simulate: Callable[..., None]) -> None:
    simulate(ActivationWriter(SMALL), "bench_writer", SMALL)


def test_serial_writer(simulate: Callable[..., None]) -> None:
    simulate(SerialActivationWriter(SERIAL), "bench_writer", SERIAL)


def test_memory(simulate: Callable[..., None]) -> None:
    simulate(ActivationMemory(SMALL), "bench_memory", SMALL)
