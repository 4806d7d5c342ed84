"""Options of the benches: which simulator, which seed, waveforms or none."""

import gc
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from amaranth.lib import wiring
from hypothesis import settings

from simulation import Bench, Settings
from skipgrid.rtl.config import Config

SEED = "SKIPGRID_SEED"  # in the environment, so that the workers of pytest-xdist take the same one
WAVES = "waveforms"  # a property of a test's report


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("skipgrid", "benches of the hardware")
    group.addoption(
        "--simulator",
        choices=("verilator", "icarus"),
        default=os.environ.get("SIM", "verilator"),
        help="runs the benches (default: SIM of the environment, or verilator)",
    )
    group.addoption("--seed", type=int, help="of all random choices of the benches (default: a new one, which is printed)")
    group.addoption("--long", action="store_true", help="five times as many random trials in the benches, as in make test-all")
    group.addoption("--waves", action="store_true", help="write the waveforms of every bench, and print where they are")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("untimed", deadline=None)  # how long an example takes says nothing
    settings.load_profile("untimed")
    if config.getoption("--seed") is not None:
        os.environ[SEED] = str(config.getoption("--seed"))
    os.environ.setdefault(SEED, str(random.SystemRandom().getrandbits(31)))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # all that was imported stays; looking through it again and again takes a tenth of the time
    gc.set_threshold(20_000, 20, 20)


def pytest_report_header(config: pytest.Config) -> str:
    return f"benches: {config.getoption('--simulator')}, replay the same random choices with --seed {os.environ[SEED]}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)]
    for path in sorted({str(value) for report in reports for name, value in report.user_properties if name == WAVES}):
        terminalreporter.write_line(f"waveforms: {path}")


@pytest.fixture
def simulate(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs a bench, as `simulate(component, "bench_decoder", config)`."""
    settings = Settings(
        request.config.getoption("--simulator"),
        int(os.environ[SEED]),
        request.config.getoption("--waves"),
        request.config.getoption("--long"),
    )

    def run(
        component: wiring.Component, module: str, config: Config | None = None, only: str | None = None, sources: Sequence[Path] = ()
    ) -> None:
        bench = Bench(component, module, config, only, sources, request.node.nodeid)
        request.node.user_properties += [(WAVES, str(path)) for path in bench.waves(settings)]
        bench.run(settings)

    return run
