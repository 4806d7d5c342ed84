"""The run-length decoders, alone and behind the encoders."""

from collections.abc import Callable

import pytest
from amaranth.lib import wiring

from round_trip import RoundTrip
from skipgrid.rtl.input.decoder import RunLengthDecoder
from skipgrid.rtl.input.serial_decoder import SerialDecoder


@pytest.mark.parametrize(
    ("decoder", "element_bits"),
    [
        pytest.param(RunLengthDecoder, 32, id="parallel"),
        pytest.param(SerialDecoder, 32, id="serial", marks=pytest.mark.slow),
        pytest.param(SerialDecoder, 17, id="serial, 17 bits"),
    ],
)
def test_decoder(simulate: Callable[..., None], decoder: Callable[[int], wiring.Component], element_bits: int) -> None:
    simulate(decoder(element_bits), "bench_decoder")


@pytest.mark.parametrize("serial", [pytest.param(False, id="parallel"), pytest.param(True, id="serial", marks=pytest.mark.slow)])
def test_round_trip(simulate: Callable[..., None], serial: bool) -> None:
    simulate(RoundTrip(serial=serial), "bench_round_trip")
