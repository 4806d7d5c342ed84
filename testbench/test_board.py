"""A simulated board in a process of its own, and the commands that use it: what works, and each way in which it can fail."""

import json
import os
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cli_support import DATA, MODEL, CommandLine
from onnx_models import Branches, quantised
from skipgrid.fpga.board import find_board
from skipgrid.host.devices.serial_line import SerialLine

pytestmark = pytest.mark.xdist_group("icebreaker")  # one worker builds the simulation, and has the terminal's name
RUN = ("run", MODEL, DATA, "--limit")


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


class Simulation:
    """`skipgrid simulate` as a process, and the name of its terminal."""

    def __init__(self, *options: object) -> None:
        command = [sys.executable, "-m", "skipgrid.scripts.cli", "simulate", "--board", "icebreaker", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        assert self.process.stdout
        self.name = self.process.stdout.readline().strip()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code when a signal has ended it."""
        self.process.send_signal(number)
        said, errors = self.process.communicate(timeout=60)
        assert not said
        assert "Traceback" not in errors
        return self.process.returncode


@contextmanager
def simulation(*options: object) -> Iterator[Simulation]:
    made = Simulation(*options)
    try:
        assert made.name, made.process.communicate()[1]
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


@pytest.fixture(scope="module")
def board() -> Iterator[str]:
    """The terminal of a simulated iCEBreaker."""
    with simulation() as made:
        yield made.name


@pytest.mark.parametrize("of", ["a small network", pytest.param("LeNet-5", marks=pytest.mark.slow)])
def test_run_and_info(of: str, skipgrid: CommandLine, board: str, tmp_path: Path) -> None:
    if of == "LeNet-5":
        model, data = MODEL, DATA
    else:  # whose weights are over the link in a moment
        net = Branches(np.random.default_rng(3), x=(1, 3, 8, 8))
        drawn = net.drawn(4)
        out = net.conv(net.conv("x", 6), 4, relu=False)
        model = quantised(net.save(tmp_path / "model.onnx", out), drawn, "QDQ", "uint8", per_channel=True)
        data = tmp_path / "data.npz"
        np.savez(data, images=np.concatenate([each["x"] for each in drawn]))
    outcome = skipgrid("run", model, data, "--limit", 2, "--device", board, "--json", tmp_path / "run.json")
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (report["images"], report["bit_exact_golden"], report["bit_exact_onnxruntime"]) == (2, True, True)
    assert report["correct"] == (2 if of == "LeNet-5" else None)
    outcome = skipgrid("info", "--device", board, "--board", "icebreaker", "--json", tmp_path / "info.json")
    assert outcome.code == 0, outcome.errors
    assert "icebreaker" in outcome.output
    found, expected = json.loads((tmp_path / "info.json").read_text(encoding="utf-8")), find_board("icebreaker")
    assert (found["identification"], found["configuration"], found["rows"], found["lanes"]) == ("SKGD", "icebreaker", 1, 8)
    assert (found["clock_hz"], found["baud"], found["status"]) == (expected.clock_hz, expected.baud, "done ready")
    assert found["config_hash"] == f"0x{expected.config.hash:08x}"
    assert 0 < found["counters"]["useful_macs"] <= 8 * found["counters"]["busy_cycles"] <= 8 * found["counters"]["total_cycles"]


def test_another_rate(skipgrid: CommandLine, board: str) -> None:
    for rate in (115_200, 2_000_000):
        sentence = skipgrid.refuses(*RUN, 1, "--device", board, "--baud", rate)
        assert f"{rate:,} baud" in sentence
        assert sentence.endswith("one whose link has another rate; choose that with --baud, or flash the board")
    assert_works(skipgrid, board)


def test_another_configuration(skipgrid: CommandLine, board: str) -> None:
    wrong = "the board's configuration is that of icebreaker, not that of 1x8; choose that one, or flash the board again"
    assert skipgrid.refuses(*RUN, 1, "--device", board, "--preset", "1x8") == wrong
    assert_works(skipgrid, board)


def test_a_second_program(skipgrid: CommandLine, board: str) -> None:
    first = SerialLine(board, 3_000_000)
    assert skipgrid.refuses(*RUN, 1, "--device", board) == f"{board} is in use by another program; end that one first"
    first.close()
    assert_works(skipgrid, board)


@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "is silent"])
def test_not_a_board(skipgrid: CommandLine, echoes: bool) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)

    def echo() -> None:
        while data := os.read(ours, 1000):
            os.write(ours, data if echoes else b"")

    threading.Thread(target=echo, daemon=True).start()
    what = f"what answers on {name}" if echoes else f"nothing on {name} answers"
    sentence = skipgrid.refuses("info", "--device", name, "--baud", 3_000_000)
    assert sentence.startswith(what)
    assert "no Skipgrid board" in sentence


def test_no_such_device(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert skipgrid.refuses(*RUN, 1, "--device", "/dev/none").startswith("there is no device /dev/none; ")
    (tmp_path / "file").touch()
    for port in (tmp_path / "file", "/dev/null"):
        assert skipgrid.refuses("info", "--device", port).startswith(f"{port} is not a serial port; ")


def test_unplugged_in_mid_run(skipgrid: CommandLine) -> None:
    with simulation() as made:
        threading.Timer(2, made.process.kill).start()
        sentence = skipgrid.refuses(*RUN, 1000, "--device", made.name)
        assert sentence.endswith("was the board unplugged? Plug it in and run again")
    with simulation() as made:
        assert_works(skipgrid, made.name)


@pytest.mark.parametrize("rate", [(), pytest.param(("--baud", 2_000_000), marks=pytest.mark.slow)], ids=["its own rate", "another"])
def test_simulate(rate: tuple[object, ...], skipgrid: CommandLine, tmp_path: Path) -> None:
    link = tmp_path / "board"
    with simulation("--link", link, *rate) as made:
        assert str(link.readlink()) == made.name
        assert_works(skipgrid, str(link), *rate)
        assert made.end(signal.SIGINT) == 0
    assert not link.is_symlink()
    with simulation() as made:
        assert made.end() == 0


def test_options_that_do_not_go_together(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert skipgrid.refuses(*RUN, 1, "--baud", 9600) == "--baud is a board's; say which one with --device"
    sentence = skipgrid.refuses(*RUN, 1, "--preset", "1x8", "--board", "icebreaker")
    assert sentence == "choose the accelerator with --preset or with --board, not with both"
    assert "leave --trace or --device away" in skipgrid.refuses(*RUN, 1, "--device", "/dev/none", "--trace", tmp_path / "x.vcd")
    (tmp_path / "file").touch()
    assert "choose another name for --link" in skipgrid.refuses("simulate", "--board", "icebreaker", "--link", tmp_path / "file")
    assert "makes at most" in skipgrid.refuses("simulate", "--board", "icebreaker", "--baud", 10_000_000)


def assert_works(skipgrid: CommandLine, name: str, *options: object) -> None:
    """The next command works."""
    outcome = skipgrid("info", "--device", name, *options)
    assert outcome.code == 0, outcome.errors
