"""The run-length decoder, alone and behind the encoder."""

from collections.abc import Callable

from round_trip import RoundTrip
from skipgrid.rtl.decoder import RunLengthDecoder


def test_decoder(simulate: Callable[..., None]) -> None:
    simulate(RunLengthDecoder(), "bench_decoder")


def test_round_trip(simulate: Callable[..., None]) -> None:
    simulate(RoundTrip(), "bench_round_trip")
