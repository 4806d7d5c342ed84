"""The activation writer and the activation memory."""

from collections.abc import Callable

from simulation import SMALL
from skipgrid.rtl.activations import ActivationMemory, ActivationWriter


def test_writer(simulate: Callable[..., None]) -> None:
    simulate(ActivationWriter(SMALL), "bench_writer", SMALL)


def test_memory(simulate: Callable[..., None]) -> None:
    simulate(ActivationMemory(SMALL), "bench_memory", SMALL)
