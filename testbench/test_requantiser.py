"""The requantiser, and the token builder behind it."""

from collections.abc import Callable

from simulation import SMALL
from skipgrid.rtl.requantise import Requantiser
from skipgrid.rtl.tokens import TokenBuilder


def test_requantiser(simulate: Callable[..., None]) -> None:
    simulate(Requantiser(SMALL), "bench_requantiser", SMALL)


def test_token_builder(simulate: Callable[..., None]) -> None:
    simulate(TokenBuilder(), "bench_tokens")
