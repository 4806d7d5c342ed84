"""The requantiser, and the token builder behind it."""

from collections.abc import Callable

from simulation import SERIAL, SMALL
from skipgrid.rtl.output.requantise import Requantiser
from skipgrid.rtl.output.serial_requantise import SerialRequantiser
from skipgrid.rtl.output.tokens import TokenBuilder


def test_requantiser(simulate: Callable[..., None]) -> None:
    simulate(Requantiser(SMALL), "bench_requantiser", SMALL)


def test_serial_requantiser(simulate: Callable[..., None]) -> None:
    simulate(SerialRequantiser(SERIAL), "bench_requantiser", SERIAL)


def test_token_builder(simulate: Callable[..., None]) -> None:
    simulate(TokenBuilder(), "bench_tokens")
