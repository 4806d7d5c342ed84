"""The example system on a chip: it boots, recognises digits as `skipgrid run` does, and gets over every error."""

import json
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_support import DATA, MODEL, CommandLine, digits
from onnx_models import Graph
from skipgrid.driver.errors import DriverError
from skipgrid.fpga.board import find_config
from skipgrid.fpga.soc.system import RAM_WORDS, SystemOnChip, Transfers
from skipgrid.golden import decode
from skipgrid.host import firmware as compiling
from skipgrid.host.simulation import soc as simulation
from skipgrid.host.simulation.soc import SimulatedSoc, build_soc, cpu_verilog
from skipgrid.host.simulation.toolchain import ToolError, verilator_environment
from skipgrid.reference.compiled import Compiled
from skipgrid.reference.config_files import made_files
from skipgrid.rtl.errors import Error
from skipgrid.rtl.verilog import generate_verilog
from skipgrid.scripts.model_run import compile_prepared, measure, prepare
from skipgrid.scripts.soc_run import firmware, run_soc
from test_onnx_import_graphs import conv, image, paired, pool, relu, rounded

CONFIGS = ("1x8", "icebreaker")
NEVER = {"1x8": {Error.NOT_BUILT}, "icebreaker": {Error.LIST_WRONG}}  # what a configuration cannot give
SYSTEMS = pytest.mark.parametrize(
    "system", [pytest.param(system, marks=pytest.mark.xdist_group(f"soc-{system.value}")) for system in Transfers]
)
ALL = pytest.mark.parametrize("preset", CONFIGS)


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@cache
def compiled(preset: str, images: int) -> Compiled:
    """LeNet-5 with some digits."""
    return compile_prepared(prepare(find_config(preset), MODEL, DATA, images))


def provoked(skipgrid: CommandLine, folder: Path, preset: str, system: Transfers) -> set[str]:
    """The names of the errors that a system gets over."""
    path = folder / f"{preset}-{system.value}.json"
    outcome = skipgrid("soc", "--errors", "--preset", preset, "--system", system.value, "--json", path)
    assert outcome.code == 0, outcome
    names = set(json.loads(path.read_text(encoding="utf-8"))["errors"])
    assert f"{len(names)} errors were provoked, and the image behind each was right" in outcome.output
    for name in names:
        sentence = next(each.sentence for each in (*Error, *DriverError) if each.name == name)
        assert f"{name}: {sentence}" in outcome.output
    return names


def expected(*presets: str) -> set[str]:
    """All errors that these configurations give between them."""
    never = set.intersection(*(NEVER[preset] for preset in presets))
    return {error.name for error in (*Error, *DriverError)} - {error.name for error in (*never, Error.NONE)}


@SYSTEMS
def test_three_digits(skipgrid: CommandLine, tmp_path: Path, system: Transfers) -> None:
    outcome = skipgrid("soc", "--system", system.value, "--json", tmp_path / "soc.json")
    assert outcome.code == 0, outcome
    run = json.loads((tmp_path / "soc.json").read_text(encoding="utf-8"))
    labels = digits(3)[1].tolist()
    assert (run["config"], run["system"], run["correct"], run["bit_exact_golden"]) == ("1x8", system.value, 3, True)
    for number, (found, label) in enumerate(zip(run["images"], labels, strict=True)):
        assert found["recognised"] == label
        assert (
            f"image {number}: {label} (is {label}); cycles: {found['cycles']} in all, {found['core_cycles']} of the core" in outcome.output
        )
        assert found["core_cycles"] < found["cycles"] < run["cycles"]
        assert found["moving_cycles"] + found["free_cycles"] < found["cycles"]
    assert "recognised      3 of 3" in outcome.output
    assert "equal to golden yes" in outcome.output


@pytest.mark.xdist_group("soc-dma")
def test_the_dma_moves_a_word_in_two_cycles_and_leaves_the_cpu_free() -> None:
    run = run_soc(compiled("1x8", 3), None, Transfers.DMA)
    assert run.load_cycles <= 2 * run.load_words
    for found in run.images:
        assert found.words_in + found.waits <= 2 * found.words_in
        assert found.waits == 5  # for the first word: the sender's, the memory's, and the FIFO's latency
        assert found.moving_cycles < 0.1 * found.cycles
        assert found.free_cycles > 0.6 * found.cycles


@pytest.mark.slow
@SYSTEMS
@ALL
def test_twenty_digits_as_skipgrid_run_has_them(preset: str, system: Transfers) -> None:
    prepared = prepare(find_config(preset), MODEL, DATA, 20)
    assert prepared.labels is not None
    ours = compiled(preset, 20)
    run = run_soc(ours, prepared.labels.tolist(), system)
    theirs = measure(prepared.plan.config, prepared).outputs["logits"]
    (segment,) = ours.segments
    for found, tensor in zip(run.images, theirs, strict=True):
        coded = decode(np.array(found.output, np.uint32), tensor.size, segment["program"]["k_out"])
        np.testing.assert_array_equal((coded + segment["gives"]["zero_point"]).astype(np.uint8), tensor)
    assert run.bit_exact_golden
    assert [found.recognised for found in run.images] == theirs.argmax(1).tolist()


@pytest.mark.xdist_group("soc-dma")
def test_every_error_is_gone_over(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert provoked(skipgrid, tmp_path, "1x8", Transfers.DMA) == expected("1x8")


@pytest.mark.slow
@SYSTEMS
def test_every_error_is_gone_over_everywhere(skipgrid: CommandLine, tmp_path: Path, system: Transfers) -> None:
    found = {preset: provoked(skipgrid, tmp_path, preset, system) for preset in CONFIGS}
    for preset in CONFIGS:
        assert found[preset] == expected(preset)
    assert set.union(*found.values()) == expected(*CONFIGS) == {error.name for error in (*Error, *DriverError)} - {"NONE"}


@SYSTEMS
def test_lint_of_all_but_the_cpu(tmp_path: Path, system: Transfers) -> None:
    """Of the kinds that the accelerator's own Verilog is waived, and no others."""
    config = find_config("icebreaker")
    (tmp_path / "soc.v").write_text(generate_verilog(SystemOnChip(config, system), "soc"), encoding="utf-8")
    waivers = made_files(config, "soc")["lint.vlt"] + '\nlint_off -file "*picorv32.v"\n'
    (tmp_path / "lint.vlt").write_text(waivers, encoding="utf-8")
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        "--timescale",
        "1ns/1ps",
        "--top-module",
        "soc",
        "lint.vlt",
        "soc.v",
        str(cpu_verilog()),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=verilator_environment(), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


# Programs that go wrong: instructions of RV32I.
FOR_EVER = 0x0000006F  # j .
CONSOLE = 0x700002B7  # lui t0, 0x70000
FAIL = [CONSOLE, 0x00700313, 0x0062A423, FOR_EVER]  # li t1, 7; sw t1, 8(t0)


@pytest.mark.xdist_group("soc-dma")
@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ([0], "the CPU has stopped: the firmware has run into an instruction or an address that there is not"),
        ([FOR_EVER], "the firmware has said nothing for 200,000 cycles, so it counts as hung"),
        (FAIL, "the firmware has ended with the code 7: what it said last tells why"),
    ],
)
def test_firmware_that_goes_wrong(program: list[int], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SILENCE", 200_000)
    soc = SimulatedSoc(build_soc(find_config("1x8"), Transfers.DMA), np.array(program, "<u4").tobytes())
    with pytest.raises(ToolError, match=re.escape(sentence)):
        list(soc.lines())


@pytest.mark.xdist_group("soc-dma")
def test_firmware_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"takes 1,048,577 bytes, and the system's memory has 1,032,192 for it"):
        SimulatedSoc(build_soc(find_config("1x8"), Transfers.DMA), bytes(4 * RAM_WORDS + 1))


def squashed() -> Graph:
    """A model with a node on the host, where no tables of functions are."""
    return rounded(paired(pool(relu(conv(image(), pads=[1, 1, 1, 1])), strides=[2, 2]), "a", zero_point=np.uint8(0)).add("Sigmoid", "s"))


def test_models_that_it_does_not_run(skipgrid: CommandLine, tmp_path: Path) -> None:
    squashed().save(tmp_path / "host.onnx", "uint8", (1, 3, 9, 8))
    assert "has no host, on which some of host would run" in skipgrid.refuses("soc", tmp_path / "host.onnx", "--set", "functions=0")
    said = skipgrid.refuses("soc", "--board", "tang-nano-9k")
    assert re.match(r"lenet5 takes \d+ starts an image on tang-nano-9k, and the system on a chip runs models that take one; choose", said)


def test_what_is_missing_is_said(skipgrid: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> Any:
        real = find_spec
        return lambda name, *package: None if name == module else real(name, *package)

    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    for module in ("pythondata_cpu_picorv32", "ziglang"):
        with monkeypatch.context() as patch:
            patch.setattr("skipgrid.scripts.extras.find_spec", absent(module))
            assert skipgrid.refuses("soc") == f'{module} is not installed, which this needs; type: pip install "skipgrid[soc]"'
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", absent("ziglang"))
        with pytest.raises(ToolError, match="there is no C compiler for RISC-V"):
            firmware(compiled("1x8", 3), None, Transfers.DMA)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", absent("pythondata_cpu_picorv32"))
        with pytest.raises(ToolError, match=r'the CPU\'s Verilog is not installed; type: pip install "skipgrid\[soc\]"'):
            cpu_verilog()


@pytest.mark.skipif(shutil.which(compiling.GCC) is None, reason=f"there is no {compiling.GCC}")
@SYSTEMS
def test_gcc_compiles_the_same_firmware(monkeypatch: pytest.MonkeyPatch, system: Transfers) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for program in ("main", "errors"):
        assert firmware(compiled("1x8", 3), None, system, program)
