"""The link, gateware and driver together, in simulation: damage, speed, and time that is the simulation's own."""

import inspect
import random
import re
from pathlib import Path

import loopback
import numpy as np
import pytest
from cobs import cobs
from damage import DamagedLine
from loopback import CONFIG_HASH, COUNT, MEMORY, SOURCE, SUM, Loopback, loaded_sum

from skipgrid.fpga.protocol import FRAME_WORDS, HELLO_BYTES, RESET, Flags, Operation
from skipgrid.fpga.uart import divider
from skipgrid.host.compiled import build_library, sources_hash
from skipgrid.host.link import Line, Link, LinkError, NoBoard, Request, read_answer, request_frame
from skipgrid.host.serial_device import SerialDevice
from skipgrid.host.simulated_board import HARNESS, SimulatedBoard, SimulatedLine
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
    return SerialDevice(Link(line, BAUD, latency=LATENCY, choose=random.Random(seed)), [Known(name="loopback")])


def test_frames_with_random_damage(request: pytest.FixtureRequest) -> None:
    """10,000 frames, one in twelve damaged: every payload arrives whole and once, or its failure is reported."""
    seed = int(request.config.getoption("--seed") or 1)
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    line = DamagedLine(SimulatedLine(simulated(pauses=True), BAUD), 1 / 12, rng)
    device = opened(line, seed)
    held: dict[int, int] = {}
    count, total, failures = device.read_register(COUNT), device.read_register(SUM), 0
    while line.frames < 10_000:
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
        except LinkError as e:
            print(what, e)
            failures += 1
            device = opened(line, seed + failures)
            held.pop(address, None)
            count, total = device.read_register(COUNT), device.read_register(SUM)
    print(line.frames, line.damaged, device.link.resent, failures)
    assert min(line.damaged.values()) > 50
    assert device.link.resent > 0
    assert failures <= 1


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
