"""The requantiser, and the token builder behind it."""

from collections.abc import Callable

from simulation import SERIAL, SMALL, SPREAD, shapes
from skipgrid.rtl.config import Config
from skipgrid.rtl.layouts import Result
from skipgrid.rtl.output.functions import FunctionTable
from skipgrid.rtl.output.narrow import Narrow
from skipgrid.rtl.output.requantise import Requantiser
from skipgrid.rtl.output.serial_requantise import SerialRequantiser
from skipgrid.rtl.output.sums import SumBytes
from skipgrid.rtl.output.tokens import TokenBuilder


@shapes({"parallel": SMALL, "spread": SPREAD}, "parallel")
def test_requantiser(simulate: Callable[..., None], config: Config) -> None:
    simulate(Requantiser(config), "bench_requantiser", config)


def test_serial_requantiser(simulate: Callable[..., None]) -> None:
    simulate(SerialRequantiser(SERIAL), "bench_requantiser", SERIAL)


TWO = {"two": SMALL.replaced(survivors=2), "two, spread": SPREAD.replaced(survivors=2)}


@shapes({"parallel": SMALL, "spread": SPREAD, **TWO}, "parallel", "two, spread")
def test_token_builder(simulate: Callable[..., None], config: Config) -> None:
    simulate(TokenBuilder(config.survivors, registered=not config.parallel), "bench_tokens", config)


@shapes({"one": SMALL, "serial": SERIAL, **TWO}, "two", "serial")
def test_sums(simulate: Callable[..., None], config: Config) -> None:
    simulate(SumBytes(config), "bench_sums", config)


@shapes({"one": SMALL.replaced(functions=1), "two": SMALL.replaced(survivors=2, functions=4), "most": SERIAL.replaced(functions=64)}, "two")
def test_function_table(simulate: Callable[..., None], config: Config) -> None:
    simulate(FunctionTable(config), "bench_function_table", config)


def test_narrow(simulate: Callable[..., None]) -> None:
    simulate(Narrow(Result, 2), "bench_narrow", SMALL.replaced(survivors=2))
