"""The run-length encoder, and the skid buffer behind it."""

from collections.abc import Callable

from skipgrid.rtl.encoder import RunLengthEncoder
from skipgrid.rtl.layouts import Word
from skipgrid.rtl.skid import SkidBuffer


def test_encoder(simulate: Callable[..., None]) -> None:
    simulate(RunLengthEncoder(), "bench_encoder")


def test_skid(simulate: Callable[..., None]) -> None:
    simulate(SkidBuffer(Word), "bench_skid")
