"""The firmware of the example system on a chip: compiled for RV32IM by zig from PyPI, or by GCC where there is one for RISC-V."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from skipgrid.fpga.soc.header import header
from skipgrid.fpga.soc.system import Transfers

from .simulation.toolchain import ToolError, run

GCC = "riscv64-unknown-elf-gcc"  # of Debian's package gcc-riscv64-unknown-elf
BUS = {Transfers.POLLING: "bus_pio.c", Transfers.DMA: "bus_dma.c"}
OPTIONS = ["-std=c99", "-O2", "-fomit-frame-pointer", "-ffreestanding", "-fno-builtin", "-nostdlib", "-Wl,-T,link.ld"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


def compiler() -> tuple[list[str], list[str]]:
    """The command of a compiler for RV32IM, and that of its objcopy; ToolError if there is none."""
    if importlib.util.find_spec("ziglang") is not None:
        zig = [sys.executable, "-m", "ziglang"]
        return [*zig, "cc", "-target", "riscv32-freestanding", "-mcpu=generic_rv32+m+zicsr"], [*zig, "objcopy"]
    if shutil.which(GCC):
        return [GCC, "-march=rv32im_zicsr", "-mabi=ilp32"], [GCC.replace("gcc", "objcopy")]
    raise ToolError(f'there is no C compiler for RISC-V: neither ziglang, which pip install "skipgrid[soc]" brings, nor {GCC}')


def compile_firmware(program: str, transfers: Transfers, files: Mapping[str, bytes]) -> bytes:
    """What lies in memory when the CPU begins, from address 0 on; ToolError if that cannot be compiled.

    program: "main" or "errors", a file of fpga/soc/firmware. files: by name, what else is compiled: job.h, model.h, and the driver.
    """
    command, objcopy = compiler()
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as temporary:
        folder = Path(temporary)
        for source in resources.files("skipgrid.fpga.soc").joinpath("firmware").iterdir():
            (folder / source.name).write_bytes(source.read_bytes())
        for name, content in {**files, "soc.h": header(transfers).encode()}.items():
            (folder / name).write_bytes(content)
        sources = ["start.S", f"{program}.c", BUS[transfers], "memory.c", "skipgrid.c"]
        _run([*command, *OPTIONS, *WARNINGS, *sources, "-o", "firmware.elf"], folder)
        _run([*objcopy, "-O", "binary", "firmware.elf", "firmware.bin"], folder)
        return (folder / "firmware.bin").read_bytes()


def _run(command: list[str], folder: Path) -> None:
    done = run(command, folder, dict(os.environ))
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError(f"the firmware could not be compiled: {' / '.join(said[:5])}")
