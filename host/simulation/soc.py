"""The example system on a chip in simulation: compiled by Verilator, with a program in its memory, and somebody at its console."""

import ctypes
import hashlib
import importlib.util
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import numpy as np

from skipgrid.fpga.soc.system import RAM_WORDS, SystemOnChip, Transfers
from skipgrid.rtl.config import Config

from ..devices.device import Words
from .library import build_library, pointer, sources_hash
from .toolchain import ToolError

HARNESS = Path(__file__).with_name("soc.cpp")
CPU = "pythondata_cpu_picorv32"  # the package that brings the CPU's Verilog
STEP = 100_000  # cycles in one call
SILENCE = 50_000_000  # cycles without a word, after which a program counts as hung
STACK = 1 << 14  # bytes at the memory's end that are left for the firmware's stack
ROOM = 4096  # characters, and words, in one call


class State(IntEnum):
    """What a system is doing; the harness has the same numbers."""

    RUNS = 0
    ENDED = 1
    TRAPPED = 2


def cpu_verilog() -> Path:
    """The file of the CPU; ToolError if its package is not installed."""
    spec = importlib.util.find_spec(CPU)
    if spec is None or not spec.submodule_search_locations:
        raise ToolError('the CPU\'s Verilog is not installed; type: pip install "skipgrid[soc]"')
    return Path(spec.submodule_search_locations[0]) / "verilog" / "picorv32.v"


def build_soc(config: Config, transfers: Transfers) -> Path:
    """The shared library of a system's simulation, compiled unless the cache holds it; ToolError if that fails."""
    cpu = cpu_verilog()
    made_of = sources_hash(HARNESS, "skipgrid.rtl", "skipgrid.fpga.soc"), hashlib.sha256(cpu.read_bytes()).hexdigest()
    name, key = f"soc-{transfers.value}-{config.name}", f"{made_of} {config.hash} {transfers.value}"
    return build_library(lambda: SystemOnChip(config, transfers), HARNESS, name=name, key=key, others=[cpu])


class SimulatedSoc:
    """A system in simulation, clock cycle by clock cycle, from the CPU's first instruction on.

    library: made by `build_soc`. program: what is in memory, from address 0 on; ValueError if it does not fit.

    Members: words: what the program has said to programs.
    """

    def __init__(self, library: Path, program: bytes) -> None:
        padded = np.frombuffer(program + bytes(-len(program) % 4), "<u4").astype(np.uint32)
        room = 4 * RAM_WORDS - STACK
        if len(program) > room:
            raise ValueError(f"the firmware with its model takes {len(program):,} bytes, and the system's memory has {room:,} for it")
        self._library = ctypes.CDLL(str(library))
        self._library.soc_new.restype = ctypes.c_void_p
        self._library.soc_cycle.restype = ctypes.c_uint64
        self._library.soc_exit_code.restype = ctypes.c_uint32
        self._soc = ctypes.c_void_p(self._library.soc_new(pointer(padded), ctypes.c_uint64(len(padded))))
        self._words: list[Words] = []

    def __del__(self) -> None:
        if hasattr(self, "_soc"):
            self._library.soc_delete(self._soc)

    @property
    def cycle(self) -> int:
        """Clock cycles since the first instruction."""
        return int(self._library.soc_cycle(self._soc))

    @property
    def words(self) -> Words:
        """What the program has said to programs so far."""
        return np.concatenate([np.zeros(0, np.uint32), *self._words])

    def lines(self) -> Iterator[str]:
        """What the program says to people, line by line, while it runs to its end.

        ToolError if the CPU traps, the program says nothing for SILENCE cycles, or ends with another code than 0.
        """
        text, words = np.zeros(ROOM, np.uint8), np.zeros(ROOM, np.uint32)
        state, line, heard = State.RUNS, "", 0
        while state is State.RUNS:
            text_count, word_count = ctypes.c_uint64(), ctypes.c_uint64()
            state = State(
                self._library.soc_run(
                    self._soc,
                    ctypes.c_uint64(STEP),
                    pointer(text),
                    ctypes.c_uint64(ROOM),
                    ctypes.byref(text_count),
                    pointer(words),
                    ctypes.c_uint64(ROOM),
                    ctypes.byref(word_count),
                )
            )
            self._words.append(words[: word_count.value].copy())
            *whole, line = (line + text[: text_count.value].tobytes().decode("ascii", "replace")).split("\n")
            yield from whole
            heard = self.cycle if text_count.value or word_count.value else heard
            if state is State.RUNS and self.cycle - heard > SILENCE:
                raise ToolError(f"the firmware has said nothing for {SILENCE:,} cycles, so it counts as hung")
        if line:
            yield line
        if state is State.TRAPPED:
            raise ToolError("the CPU has stopped: the firmware has run into an instruction or an address that there is not")
        if code := int(self._library.soc_exit_code(self._soc)):
            raise ToolError(f"the firmware has ended with the code {code}: what it said last tells why")
