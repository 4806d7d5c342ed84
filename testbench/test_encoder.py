"""The run-length encoders, and the skid buffer behind it."""

from collections.abc import Callable

import pytest
from amaranth.lib import wiring

from simulation import SMALL, SPREAD, shapes
from skipgrid.rtl.config import Config
from skipgrid.rtl.layouts import Word
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.serial_encoder import SerialEncoder
from skipgrid.rtl.parts.skid import SkidBuffer


@pytest.mark.parametrize("encoder", [RunLengthEncoder, SerialEncoder], ids=["parallel", "serial"])
def test_encoder(simulate: Callable[..., None], encoder: Callable[[], wiring.Component]) -> None:
    simulate(encoder(), "bench_encoder")


@shapes({"parallel": SMALL, "spread": SPREAD}, "parallel")
def test_skid(simulate: Callable[..., None], config: Config) -> None:
    simulate(SkidBuffer(Word, registered=config.spread), "bench_skid", config)
