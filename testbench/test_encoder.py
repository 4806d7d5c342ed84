"""The run-length encoders, and the skid buffer behind it."""

from collections.abc import Callable

from simulation import SERIAL, SMALL, SPREAD, shapes
from skipgrid.rtl.config import Config
from skipgrid.rtl.layouts import Word
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.serial_encoder import SerialEncoder
from skipgrid.rtl.parts.skid import SkidBuffer

ENCODERS = {
    "parallel": SMALL,
    "two": SMALL.replaced(survivors=2),
    "spread": SPREAD,
    "two, spread": SPREAD.replaced(survivors=2),
    "serial": SERIAL,
}


@shapes(ENCODERS, "parallel", "two, spread", "serial")
def test_encoder(simulate: Callable[..., None], config: Config) -> None:
    encoder = SerialEncoder() if config.serial else RunLengthEncoder(config.survivors, registered=config.spread)
    simulate(encoder, "bench_encoder", config)


@shapes({"parallel": SMALL, "spread": SPREAD}, "parallel")
def test_skid(simulate: Callable[..., None], config: Config) -> None:
    simulate(SkidBuffer(Word, registered=config.spread), "bench_skid", config)
