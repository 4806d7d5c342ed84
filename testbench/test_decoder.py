"""The run-length decoders, alone and behind the encoders."""

from collections.abc import Callable

import pytest
from amaranth.lib import wiring

from round_trip import RoundTrip
from skipgrid.rtl.decoder import RunLengthDecoder
from skipgrid.rtl.serial_decoder import SerialDecoder


@pytest.mark.parametrize(
    ("decoder", "element_bits"),
    [(RunLengthDecoder, 32), (SerialDecoder, 32), (SerialDecoder, 17)],
    ids=["parallel", "serial", "serial, 17 bits"],
)
def test_decoder(simulate: Callable[..., None], decoder: Callable[[int], wiring.Component], element_bits: int) -> None:
    simulate(decoder(element_bits), "bench_decoder")


@pytest.mark.parametrize("serial", [False, True], ids=["parallel", "serial"])
def test_round_trip(simulate: Callable[..., None], serial: bool) -> None:
    simulate(RoundTrip(serial=serial), "bench_round_trip")
