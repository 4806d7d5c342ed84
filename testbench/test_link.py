"""The link, gateware and driver together, in simulation: damage, speed, and time that is the simulation's own."""

import inspect
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs

import loopback
from damage import DamagedLine
from loopback import CONFIG_HASH, COUNT, MEMORY, SOURCE, SUM, Loopback, loaded_sum
from simulation import SMALL
from skipgrid.benches.fuzz.trials import SMALL as SMALL_NETWORKS
from skipgrid.benches.fuzz.trials import run_trial
from skipgrid.fpga.executor import hello_bytes
from skipgrid.fpga.link import Link as LinkGateware
from skipgrid.fpga.protocol import FRAME_WORDS, HELLO_BYTES, RESET, Flags, Operation
from skipgrid.fpga.uart import divider
from skipgrid.host.devices.device import BusError, DeviceError
from skipgrid.host.devices.link import Answer, Line, Link, LinkError, NoBoard, Request, read_answer, request_frame
from skipgrid.host.devices.serial_device import SerialDevice
from skipgrid.host.simulation.board import HARNESS, SimulatedBoard, SimulatedLine, build_board
from skipgrid.host.simulation.library import build_library, sources_hash
from skipgrid.rtl.config import Config

CLOCK, BAUD = 12_000_000, 3_000_000
LATENCY = 0.0002  # seconds of the simulation's time


class Known(Config):
    """The configuration that the loopback says it has."""

    @property
    def hash(self) -> int:
        return CONFIG_HASH


def simulated(*, pauses: bool = False) -> SimulatedBoard:
    key = f"{sources_hash(HARNESS, 'skipgrid.fpga')} {inspect.getsource(loopback)} {pauses}"
    library = build_library(lambda: Loopback(clock_hz=CLOCK, baud=BAUD, pauses=pauses), HARNESS, name="loopback", key=key)
    return SimulatedBoard(library, clock_hz=CLOCK)


def opened(line: Line, seed: int = 0) -> SerialDevice:
    """The driver on a line."""
    return SerialDevice(Link(line, BAUD, latency=LATENCY, choose=random.Random(seed)), [Known(name="loopback")])


def test_gateware(simulate: Callable[..., None]) -> None:
    simulate(LinkGateware(clock_hz=CLOCK, baud=BAUD), "bench_link")


@pytest.mark.parametrize(("clock", "baud", "clocks"), [(24_000_000, 3_000_000, 8), (12_000_000, 115_200, 104), (12_000_000, 3_000_000, 4)])
def test_divider(clock: int, baud: int, clocks: int) -> None:
    assert divider(clock, baud) == clocks


@pytest.mark.parametrize(
    ("clock", "baud", "sentence"),
    [
        (12_000_000, 4_000_000, "a clock of 12,000,000 Hz makes at most 3,000,000 baud, not 4,000,000"),
        (24_000_000, 3_200_000, "a clock of 24,000,000 Hz makes 3,000,000 baud, more than 2 % from the 3,200,000 that are wanted"),
    ],
)
def test_rates_that_cannot_be_made(clock: int, baud: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        divider(clock, baud)


def test_the_example_of_the_documentation() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "link.md").read_text(encoding="utf-8")
    request, coded, answer, answer_coded = (
        bytes.fromhex(line) for line in re.findall(r"^    (?:request|coded|answer) +([0-9a-f ]+)$", page, re.MULTILINE)
    )
    assert request_frame(7, 0, Request(Operation.HELLO, HELLO_BYTES, options=RESET)) == coded
    assert cobs.decode(coded[:-1]) == request
    assert cobs.decode(answer_coded[:-1]) == answer
    assert read_answer(answer_coded[:-1]) == (7, 0, Answer(hello_bytes(24_000_000, 3_000_000), 0, Flags(0)))


@pytest.mark.parametrize("frames", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_frames_with_random_damage(request: pytest.FixtureRequest, frames: int) -> None:
    """One in twelve is damaged: every payload arrives whole and once, or its failure is reported."""
    seed = int(request.config.getoption("--seed") or 1)
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    line = DamagedLine(SimulatedLine(simulated(pauses=True), BAUD), 1 / 12, rng)
    device = opened(line, seed)
    held: dict[int, int] = {}
    count, total, failures = device.read_register(COUNT), device.read_register(SUM), 0
    while line.frames < frames:
        what = rng.choice(("load", "stream", "stream", "write", "read"))
        words = numbers.integers(0, 1 << 32, rng.choice((1, 2, 60, 61, 62, rng.randrange(1, 400))), np.uint32)
        words[numbers.random(len(words)) < rng.choice((0, 0.3, 1))] = 0
        address = MEMORY + 4 * rng.randrange(256)
        try:
            if what == "load":
                device.load(words)
                count, total = count + len(words), loaded_sum(words.tolist(), total)
                assert (device.read_register(COUNT), device.read_register(SUM)) == (count, total)
            elif what == "stream":
                (out,) = device.stream([words])
                assert np.array_equal(out, words)
            elif what == "write":
                held[address] = int(words[0])
                device.write_register(address, held[address])
            elif held:
                address = rng.choice(list(held))
                assert device.read_register(address) == held[address]
        except LinkError:
            failures += 1
            device = opened(line, seed + failures)
            held.pop(address, None)
            count, total = device.read_register(COUNT), device.read_register(SUM)
    print(line.frames, line.damaged, device.link.resent, failures)
    assert min(line.damaged.values()) > frames // 200
    assert device.link.resent > 0
    assert failures <= 1


@pytest.mark.slow
def test_networks_over_a_damaged_line() -> None:
    """Random networks on a whole system: each output word is the golden model's, and errors are the accelerator's own."""
    board = SimulatedBoard(build_board(SMALL_NETWORKS, clock_hz=CLOCK, baud=BAUD), clock_hz=CLOCK)
    line = DamagedLine(SimulatedLine(board, BAUD), 1 / 20, random.Random(3))
    device = SerialDevice(Link(line, BAUD, latency=LATENCY, choose=random.Random(3)), [SMALL_NETWORKS])
    trials = [run_trial(device, 0, number) for number in range(6)]
    assert not any(trial.wrong for trial in trials)
    assert any(trial.happened["full"] for trial in trials)
    assert sum(line.damaged.values()) > 10
    with pytest.raises(DeviceError, match="LOAD_TARGET"):
        device.load(np.array([0x30000000, 1], np.uint32))
    with pytest.raises(BusError, match="register 0xffc cannot be read"):
        device.read_register(0xFFC)
    with pytest.raises(BusError, match="register 0x014 cannot be written with 0x1"):
        device.write_register(0x014, 1)


def test_rate_to_the_board() -> None:
    board = simulated()
    device = opened(SimulatedLine(board, BAUD))
    words = np.random.default_rng(1).integers(0, 1 << 32, 100 * FRAME_WORDS, np.uint32)
    before = board.cycle
    device.load(words)
    assert rate(board, before, len(words)) >= 0.9
    assert device.read_register(SUM) == loaded_sum(words.tolist())
    assert device.link.resent == 0


def test_rate_from_the_board() -> None:
    board = simulated()
    device = opened(SimulatedLine(board, BAUD))
    before = board.cycle
    device.write_register(SOURCE, 100 * FRAME_WORDS)
    (words,) = device.stream([])
    assert rate(board, before, len(words)) >= 0.9
    assert words.tolist() == list(range(1, 100 * FRAME_WORDS + 1))
    assert device.link.resent == 0


def test_rate_both_ways() -> None:
    board = simulated()
    device = opened(SimulatedLine(board, BAUD))
    words = np.random.default_rng(1).integers(0, 1 << 32, 100 * FRAME_WORDS, np.uint32)
    before = board.cycle
    (out,) = device.stream([words])
    assert rate(board, before, len(words)) >= 0.75  # each way
    assert np.array_equal(out, words)


def rate(board: SimulatedBoard, before: int, words: int) -> float:
    """The share of the line's raw rate at which words passed since a cycle."""
    share = words * 4 * 10 * divider(CLOCK, BAUD) / (board.cycle - before)
    print(f"{share:.1%} of the raw rate")
    return share


class Unplugged:
    """A line to nothing."""

    def write(self, data: bytes) -> None:
        pass

    def read(self, timeout: float) -> bytes:
        return b""


class Echo(Unplugged):
    """A line whose two wires touch."""

    def __init__(self) -> None:
        self.held = b""

    def write(self, data: bytes) -> None:
        self.held += data

    def read(self, timeout: float) -> bytes:
        data, self.held = self.held, b""
        return data


@pytest.mark.parametrize(("line", "heard"), [(Unplugged(), False), (Echo(), True)])
def test_no_board(line: Line, heard: bool) -> None:
    with pytest.raises(NoBoard) as error:
        Link(line, BAUD).hello()
    assert error.value.heard == heard


def test_another_rate() -> None:
    with pytest.raises(NoBoard):
        Link(SimulatedLine(simulated(), BAUD // 2), BAUD // 2, latency=LATENCY).hello()


def test_another_configuration() -> None:
    link = Link(SimulatedLine(simulated(), BAUD), BAUD, latency=LATENCY)
    with pytest.raises(
        LinkError, match=r"the board's configuration is another one \(hash 0xc0ffee01\), not that of custom; choose that one"
    ):
        SerialDevice(link, [], expected=SMALL)
    with pytest.raises(LinkError, match=r"the board's configuration \(0 x 0, hash 0xc0ffee01\) is none of custom; flash the board again"):
        SerialDevice(link, [SMALL])


def test_a_board_that_stops_answering() -> None:
    line = SimulatedLine(simulated(), BAUD)
    device = opened(line)
    line.board, silent = SimulatedBoard(line.board.library, clock_hz=CLOCK), line.board  # which knows no session
    with pytest.raises(LinkError, match="the board does not answer any more"):
        device.read_register(COUNT)
    silent.close()
    opened(line)


def test_a_host_that_dies_in_mid_frame() -> None:
    line = SimulatedLine(simulated(), BAUD)
    device = opened(line)
    line.write(request_frame(1, 1, Request(Operation.LOAD, 4, bytes(16)))[:9])
    assert opened(line, seed=5).read_register(COUNT) == 0
    assert device.hello.clock_hz == CLOCK


def test_a_run_that_waits_for_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skipgrid.host.devices.serial_device.IDLE_LIMIT", 200_000)
    line = SimulatedLine(simulated(), BAUD)
    device = opened(line)
    with pytest.raises(LinkError, match="is an input packet missing"):
        device.stream([])
