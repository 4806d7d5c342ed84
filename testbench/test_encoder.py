"""The run-length encoder."""

from collections.abc import Callable

from skipgrid.rtl.encoder import RunLengthEncoder


def test_encoder(simulate: Callable[..., None]) -> None:
    simulate(RunLengthEncoder(), "bench_encoder")
