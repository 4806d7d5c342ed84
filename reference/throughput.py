"""How many cycles a word or an access takes at each port, as a simulation shows it: a table of docs/integrating.md."""

import numpy as np

from skipgrid.fpga.board import find_config
from skipgrid.golden import Activation, Layer, best_k, coded_bytes, encode
from skipgrid.host.compiler.descriptors import load_descriptor, network_program
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.placement import place
from skipgrid.host.devices.device import Words
from skipgrid.rtl.config import Config
from skipgrid.rtl.register_map import REGISTERS

from .pins import Pins, play

CONFIGS = ("1x8", "icebreaker")  # of either form of the parts around the grid
READS = 30  # of a register, each after one more cycle than the one before
WORDS = 64  # of a load packet
START = REGISTERS["CONTROL"].mask("start")
ZEROS = 0.8  # of the tensor that is taken
SEED = 1

ROWS = (
    "a register is written, from the write to its answer",
    "a register is read, from the address to the value",
    f"the same of a counter, the longest of {READS}",
    "`s_axis_load`, a word",
    f"`s_axis_in`, a word of a tensor with {ZEROS:.0%} zeros",
    "`m_axis_out`, a word of a tensor without zeros",
)


def throughput_table() -> str:
    """Cycles at the ports, by configuration."""
    configs = [find_config(name) for name in CONFIGS]
    lines = [
        "| cycles | " + " | ".join(f"`{config.name}`, {config.form}" for config in configs) + " |",
        "| --- |" + " ---: |" * len(configs),
    ]
    columns = [measured(config) for config in configs]
    lines += [f"| {name} | {' | '.join(f'{cycles:.3g}' for cycles in cells)} |" for name, *cells in zip(ROWS, *columns, strict=True)]
    return "\n".join(lines)


def measured(config: Config) -> list[float]:
    """Of each row the cycles."""
    found: list[float] = []

    async def accesses(pins: Pins) -> None:
        await pins.write("PROGRAM", 0)
        begin = len(pins.cycles)
        await pins.until("s_axil_bvalid")
        found.append(len(pins.cycles) - begin + 1)
        for name in ("STATUS", "TOTAL_CYCLES"):
            found.append(max([await _read(pins, name, wait) for wait in range(READS)]))

    async def loads(pins: Pins) -> None:
        await pins.send("s_axis_load", [0, *range(WORDS)])
        found.append(_each(pins, "s_axis_load"))

    async def inputs(pins: Pins) -> None:
        x = np.random.default_rng(SEED).integers(1, 256, (8, 8, 8)).astype(np.uint8)
        x[np.random.default_rng(SEED + 1).random(x.shape) < ZEROS] = 0
        k = best_k(coded := coded_bytes(x, Activation()))
        await pins.send("s_axis_load", program_packet([load_descriptor((8, 8, 8), buffer=0, k_in=k, final=True)]))
        await _run(pins, encode(coded, k))
        found.append(_each(pins, "s_axis_in"))

    async def outputs(pins: Pins) -> None:
        ones = np.ones(config.lanes, np.int32)
        layer = Layer("each", np.ones((config.lanes, 1, 1, 1), np.int8), ones, ones.astype(np.float32), (1, 4, 4))
        placed = place([layer], config)
        for packet in (*load_packets(placed, config), program_packet(network_program(placed, config, k_in=0, k_out=0))):
            await pins.send("s_axis_load", packet)
        await _run(pins, encode(np.full(16, 5, np.uint8), 0))
        found.append(_each(pins, "m_axis_out"))

    play(config, accesses, loads, inputs, outputs)
    return found


async def _read(pins: Pins, name: str, wait: int) -> int:
    """The cycles from an address to its value, after some others."""
    await pins.tick(wait)
    begin = len(pins.cycles)
    await pins.read(name)
    return len(pins.cycles) - 1 - begin


async def _run(pins: Pins, words: Words) -> None:
    """From the start of a program to its end."""
    await pins.write("CONTROL", START)
    await pins.send("s_axis_in", words)
    await pins.until("irq")


def _each(pins: Pins, stream: str) -> float:
    """The cycles from one word to the next, in the mean."""
    passed = pins.passed(stream)
    return (passed[-1] - passed[0]) / (len(passed) - 1)
