"""The simulated device: the generated Verilog, compiled by Verilator, behind a C++ harness that moves whole buffers."""

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config

from ..devices.device import CONTROL, BusError, Device, Words
from . import library
from .library import build_library, pointer
from .toolchain import ToolError

HARNESS = Path(__file__).with_name("device.cpp")
IDLE_LIMIT = 10_000_000  # cycles without a word moved, after which the design counts as hung
OUT_CAPACITY = 1 << 22  # words


def sources_hash() -> str:
    """A hash of everything that a simulation is made of, but for the configuration."""
    return library.sources_hash(HARNESS, "skipgrid.rtl")


def build(config: Config, *, trace: str = "") -> Path:
    """The shared library of a configuration's simulation, compiled unless the cache holds it; ToolError if that fails.

    trace: "" or the format of the waveforms that it can write, "fst" or "vcd".
    """
    key = f"{sources_hash()} {config.hash}"
    return build_library(lambda: Accelerator(config), HARNESS, name=config.name, key=key, trace=trace)


def joined(packets: list[Words]) -> tuple[Words, NDArray[np.uint8]]:
    """All words of some packets, and for each whether it ends its packet."""
    if not packets:
        return np.zeros(0, np.uint32), np.zeros(0, np.uint8)
    last = np.zeros(sum(map(len, packets)), np.uint8)
    last[np.cumsum([len(packet) for packet in packets]) - 1] = 1
    return np.ascontiguousarray(np.concatenate(packets), np.uint32), last


class SimulatedDevice(Device):
    """An accelerator in simulation, one clock cycle after another.

    trace: write the waveforms to this file, which ends in .fst or .vcd (larger, and needs no library).
    """

    def __init__(self, config: Config, *, trace: Path | None = None) -> None:
        self.config = config
        self._device = ctypes.c_void_p()
        waveforms = trace.suffix.removeprefix(".") if trace else ""
        if trace and waveforms not in ("fst", "vcd"):
            raise ValueError(f"waveforms are written to a file that ends in .fst or .vcd, not to {trace}")
        self._library = ctypes.CDLL(str(build(config, trace=waveforms)))
        self._library.skipgrid_new.restype = ctypes.c_void_p
        self._library.skipgrid_cycle.restype = ctypes.c_uint64
        self._trace = str(trace).encode() if trace else None
        self._open()
        self._out = np.zeros(OUT_CAPACITY, np.uint32)
        self._out_flags = np.zeros(OUT_CAPACITY, np.uint8)

    def _open(self) -> None:
        """Begin the simulation, with a reset."""
        self._device = ctypes.c_void_p(self._library.skipgrid_new(self._trace))

    def close(self) -> None:
        """End the simulation."""
        if self._device:
            self._library.skipgrid_delete(self._device)
            self._device = ctypes.c_void_p()

    def __del__(self) -> None:
        self.close()

    @property
    def cycle(self) -> int:
        """Clock cycles simulated so far."""
        return int(self._library.skipgrid_cycle(self._device))

    def read_register(self, address: int) -> int:
        value = ctypes.c_uint32()
        if self._library.skipgrid_read(self._device, address, ctypes.byref(value)):
            raise BusError(f"register {address:#05x} cannot be read")
        return value.value

    def write_register(self, address: int, value: int) -> None:
        if self._library.skipgrid_write(self._device, address, ctypes.c_uint32(value)):
            raise BusError(f"register {address:#05x} cannot be written with {value:#x}")

    def load(self, packet: Words) -> None:
        self._move([packet], [], until_irq=False)
        self.check()

    def stream(self, packets: list[Words]) -> list[Words]:
        self.write_register(CONTROL.address, CONTROL.mask("start"))
        return self._move([], packets, until_irq=True)

    def _move(self, load: list[Words], packets: list[Words], *, until_irq: bool) -> list[Words]:
        load_words, load_last = joined(load)
        in_words, in_last = joined(packets)
        taken, count = ctypes.c_uint64(), ctypes.c_uint64()
        status = self._library.skipgrid_run(
            self._device,
            pointer(load_words),
            pointer(load_last),
            ctypes.c_uint64(len(load_words)),
            pointer(in_words),
            pointer(in_last),
            ctypes.c_uint64(len(in_words)),
            pointer(self._out),
            pointer(self._out_flags),
            ctypes.c_uint64(OUT_CAPACITY),
            int(until_irq),
            ctypes.c_uint64(IDLE_LIMIT),
            ctypes.byref(taken),
            ctypes.byref(count),
        )
        if status:
            reason = "moved no word for 10 million cycles; is an input packet missing?" if status == 1 else "sent more words than fit"
            raise ToolError(f"the simulated device {reason}")
        return [words for words, _ in self._sent(count.value)]

    def _sent(self, count: int) -> list[tuple[Words, int]]:
        """The packets among the words that came out last, each with the flags of its last word: 1 for TLAST, 2 for TUSER."""
        ends = np.flatnonzero(self._out_flags[:count] & 1) + 1
        packets = np.split(self._out[:count], ends)[:-1]
        return [(words.copy(), int(self._out_flags[end - 1])) for words, end in zip(packets, ends, strict=True)]
