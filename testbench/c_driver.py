"""The C driver in tests: its compilers, and what they make of it."""

import ctypes
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from skipgrid.driver.errors import DriverError
from skipgrid.driver.header import driver_files
from skipgrid.reference.description import describe
from skipgrid.rtl.config import Config
from skipgrid.rtl.errors import Error

ZIG = (sys.executable, "-m", "ziglang", "cc")
RISCV = ("-target", "riscv32-freestanding", "-mcpu=generic_rv32+m", "-Os")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined")
"""Undefined behaviour ends the program."""

OK = Error.NONE.value
ERRORS = {0: "OK"} | {error.value: error.name for error in (*Error, *DriverError) if error.value}


@cache
def native() -> tuple[str, ...]:
    """The command of a compiler for this machine: its own, or zig's."""
    return ("cc",) if shutil.which("cc") else ZIG


def compiled(command: Iterable[str], folder: Path) -> None:
    """Run a compiler that must have nothing to say."""
    done = subprocess.run(list(command), cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout + done.stderr


def write_driver(folder: Path, config: Config, name: str = "skipgrid") -> Path:
    """The folder, with the driver's files in it."""
    for file, text in driver_files(describe(config, name), name).items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def build_library(folder: Path, config: Config) -> ctypes.CDLL:
    """The driver, compiled for this machine, with its functions' types."""
    write_driver(folder, config)
    compiled([*native(), *STRICT, *UNDEFINED, "-O1", "-shared", "-fPIC", "skipgrid.c", "-o", "skipgrid.so"], folder)
    library = ctypes.CDLL(str(folder / "skipgrid.so"))
    values, number, integer = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
    library.skipgrid_begin.argtypes = [ctypes.POINTER(CCore), number, CWords, values, number]
    library.skipgrid_quantise.argtypes = [values, number, ctypes.c_float, ctypes.c_int32, integer, values]
    library.skipgrid_dequantise.argtypes = library.skipgrid_quantise.argtypes
    return library


class CWords(ctypes.Structure):
    """`struct skipgrid_words`."""

    _fields_ = [("words", ctypes.c_void_p), ("count", ctypes.c_uint32)]


class CTransfer(ctypes.Structure):
    """`struct skipgrid_transfer`."""

    _fields_ = [
        ("port", ctypes.c_int),
        ("in_", ctypes.POINTER(ctypes.c_uint32)),
        ("in_count", ctypes.c_uint32),
        ("out", ctypes.POINTER(ctypes.c_uint32)),
        ("out_room", ctypes.c_uint32),
        ("started", ctypes.c_uint8),
        ("in_moved", ctypes.c_uint32),
        ("out_moved", ctypes.c_uint32),
        ("out_ended", ctypes.c_uint8),
        ("out_cut", ctypes.c_uint8),
    ]


READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
MOVE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(CTransfer))
PLAIN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class CBus(ctypes.Structure):
    """`struct skipgrid_bus`."""

    _fields_ = [("read", READ), ("write", WRITE), ("move", MOVE), ("cancel", PLAIN), ("wait", PLAIN), ("context", ctypes.c_void_p)]


class CCore(ctypes.Structure):
    """`struct skipgrid`."""

    _fields_ = [
        ("bus", ctypes.POINTER(CBus)),
        ("patience", ctypes.c_uint32),
        ("transfer", CTransfer),
        ("waited", ctypes.c_uint32),
        ("received", ctypes.c_uint32),
        ("layer", ctypes.c_uint32),
        ("ended", ctypes.c_uint32),
        ("result", ctypes.c_uint32),
        ("state", ctypes.c_uint8),
        ("inside", ctypes.c_uint8),
        ("masked", ctypes.c_uint8),
        ("load_open", ctypes.c_uint8),
    ]


def sections(file: Path) -> list[dict[str, Any]]:
    """The sections of a 32-bit ELF file: name, size, content."""
    data = file.read_bytes()
    (at,), (size, count, names) = struct.unpack_from("<I", data, 32), struct.unpack_from("<HHH", data, 46)
    found = [struct.unpack_from("<10I", data, at + size * number) for number in range(count)]
    start = found[names][4]
    return [
        {
            "name": data[start + row[0] :].partition(b"\0")[0].decode(),
            "size": row[5],
            "content": data[row[4] : row[4] + row[5]],
        }
        for row in found
    ]


def code_bytes(file: Path) -> int:
    """Bytes of code in an object file of RISC-V."""
    return sum(section["size"] for section in sections(file) if section["name"].startswith(".text"))


def missing_symbols(file: Path) -> list[str]:
    """What an object file of RISC-V calls or reads that is not in it."""
    found = {section["name"]: section["content"] for section in sections(file)}
    symbols = [struct.unpack_from("<IIIBBH", found[".symtab"], at) for at in range(0, len(found[".symtab"]), 16)]
    names = [found[".strtab"][row[0] :].partition(b"\0")[0].decode() for row in symbols if row[5] == 0]
    return [name for name in names if name]
