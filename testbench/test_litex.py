"""The accelerator in LiteX SoCs: their Verilog, what their CSR headers say, and runs by their DMAs."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from c_driver import RISCV, ZIG, compiled
from litex_soc import BENCH, BOARD, BUS_PINS, CONFIG, CPU, CPU_PINS, FOLDER, INCLUDES, ROM, ROOT, TWO, LitexSoc
from skipgrid.host.simulation.toolchain import verilator_environment
from skipgrid.reference.config_files import LINT_PRIMITIVES, lint, primitive_model
from skipgrid.reference.example import example
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.register_map import ADDRESS_BITS, LAYERS, REGISTERS, ROUTER_BASE, Access, Register

NEEDED = ("litex", "litex_boards", "litedram", "pythondata_cpu_picorv32")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.xdist_group("litex"),
    pytest.mark.skipif(bool(MISSING), reason=f'{", ".join(MISSING)} not installed; type: pip install "skipgrid[test]"'),
]
LITEX_PRIMITIVES = {"EHXPLLL", "FD1S3BX", "IFS1P3BX", "ODDRX1F", "OFS1P3BX", "TRELLIS_IO"}  # of the board's FPGA, without Verilog here
WARNING = re.compile(r"^%(?:Warning|Error)(?:-(\w+))?: (?:(\S+?):(\d+):\d+: )?(.*)$", re.MULTILINE)  # rule, file, line, what it says


@cache
def made(soc: str) -> Path:
    """The folder of a SoC, made by LiteX."""
    program = Path(__file__).with_name("litex_soc.py")
    done = subprocess.run([sys.executable, "-W", "ignore", program, soc], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return FOLDER / soc


def test_runs_by_dmas(simulate: Callable[..., None]) -> None:
    folder = made(BENCH)
    simulate(LitexSoc(BENCH, BUS_PINS), "bench_litex", CONFIG, sources=[folder / f"{BENCH}.v", folder / "gateware" / "skipgrid.v"])


RULES = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding")
LINK = """\
ENTRY(start)
SECTIONS {
  . = 0; .text : { KEEP(*(.start)) *(.text .text.*) *(.rodata .rodata.* .srodata .srodata.*) }
  . = 0x01000000; .bss : { *(.bss .bss.* .sbss .sbss.*) }
  stack = 0x01000000 + 0x2000;
  /DISCARD/ : { *(.comment) *(.eh_frame*) *(.riscv.attributes) }
}
ASSERT(!(SIZEOF(.data) + SIZEOF(.sdata)), "variables have no first value here")
"""


def c_words(name: str, words: Iterable[int]) -> str:
    """An array of words in C."""
    return f"static const uint32_t {name}[] = {{{', '.join(f'{int(word):#x}' for word in words)}}};\n"


def test_the_driver_runs_by_dmas(simulate: Callable[..., None], tmp_path: Path) -> None:
    """Of the SoC's own CPU, which boots from firmware that was compiled with LiteX's headers and the SoC's."""
    soc = made(CPU)
    packets, sent, expected = example(CONFIG)
    text = (
        "".join(c_words(f"packet{n}", packet) for n, packet in enumerate(packets)) + c_words("input", sent) + c_words("expected", expected)
    )
    listed = ", ".join(f"{{packet{n}, {len(packet)}}}" for n, packet in enumerate(packets))
    text += f"static const struct skipgrid_words packets[] = {{{listed}}};\n"
    text += f"enum {{ PACKETS = {len(packets)}, INPUT_WORDS = {len(sent)}, OUTPUT_WORDS = {len(expected)} }};\n"
    (tmp_path / "example.h").write_text(text, encoding="utf-8")
    (tmp_path / "link.ld").write_text(LINK, encoding="utf-8")
    driver = soc / "software" / "skipgrid"
    includes = [f"-I{driver}", f"-I{tmp_path}", *(f"-isystem{folder}" for folder in headers(CPU))]
    sources = [str(Path(__file__).with_name("litex_driver.c")), str(driver / "skipgrid.c")]
    options = ("-fno-builtin", "-nostdlib", "-static", "-Wl,-T,link.ld,-e,start", "-o", "firmware.elf")
    compiled([*ZIG, *RISCV, *RULES, *includes, *sources, *options], tmp_path)
    compiled([*ZIG[:-1], "objcopy", "-O", "binary", "firmware.elf", "firmware.bin"], tmp_path)
    words = np.frombuffer((tmp_path / "firmware.bin").read_bytes().ljust(0x8000, b"\0"), np.uint32)
    (soc / ROM).write_text("".join(f"{word:08x}\n" for word in words), encoding="utf-8")
    verilog = [soc / f"{CPU}.v", soc / "gateware" / "skipgrid.v", picorv32()]
    simulate(LitexSoc(CPU, CPU_PINS), "bench_litex_driver", CONFIG, sources=verilog)


def picorv32() -> Path:
    """The Verilog of the board's CPU, which comes with a package."""
    (found,) = find_spec("pythondata_cpu_picorv32").submodule_search_locations  # type: ignore[union-attr, misc]
    return Path(found) / "verilog" / "picorv32.v"


def headers(soc: str) -> list[Path]:
    """The folders of the headers that a SoC's software includes."""
    (litex,) = find_spec("litex").submodule_search_locations  # type: ignore[union-attr, misc]
    folder = Path(litex) / "soc"
    return [folder / "cores" / "cpu" / "picorv32", folder / "software" / "include", made(soc) / "software" / "include"]


def test_the_boards_verilog_lints_clean(tmp_path: Path) -> None:
    """All that Verilator says is of LiteX's own Verilog, but not of how the core is connected there, or of the CPU's."""
    (tmp_path / "lint.vlt").write_text(lint("skipgrid") + LINT_PRIMITIVES, encoding="utf-8")
    (tmp_path / "primitives.v").write_text("".join(map(primitive_model, ("MULT18X18D", "DP16KD"))), encoding="utf-8")
    top, core = (made(BOARD) / "gateware" / f"{name}.v" for name in (BOARD, "skipgrid"))
    rules = ["-Wall", "-Wno-fatal", "-Wwarn-MODMISSING"]
    files = map(str, (tmp_path / "lint.vlt", top, core, tmp_path / "primitives.v", picorv32()))
    command = ["verilator", "--lint-only", *rules, "--top-module", BOARD, *files]
    done = subprocess.run(command, env=verilator_environment(), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, instance, _ = re.split(r"(?m)^(skipgrid skipgrid\((?:.*\n)+?\);)$", top.read_text(encoding="utf-8"))
    first = before.count("\n") + 1
    connecting = range(first, first + instance.count("\n") + 1)
    found = WARNING.findall(done.stderr)
    assert len(found) > 100  # LiteX's style is another one; if nothing is said of it, nothing is looked at
    assert {re.sub(r".*'(\w+)'", r"\1", says) for rule, _, _, says in found if rule == "MODMISSING"} <= LITEX_PRIMITIVES
    assert [each for each in found if each[1] == str(core)] == []
    assert [each for each in found if each[1] == str(top) and int(each[2]) in connecting] == []


def header(soc: str, name: str) -> str:
    """A C header of a SoC."""
    return (made(soc) / INCLUDES / name).read_text(encoding="utf-8")


def named(soc: str) -> dict[str, int]:
    """What a SoC's CSR header defines, with the value of each."""
    text = header(soc, "csr.h")
    values = dict(re.findall(r"^#define (\w+) (.+)$", text, re.MULTILINE))
    base = int(values["CSR_BASE"].rstrip("L"), 16)
    offset = re.compile(r"\(CSR_BASE \+ (0x[0-9a-f]+)L\)")
    found = {name: base + int(place[1], 16) for name, value in values.items() if (place := offset.fullmatch(value))}
    return found | {name: int(value) for name, value in values.items() if value.isdigit()}


def check_names(found: dict[str, int], bank: str, base: int, registers: list[Register]) -> None:
    """Each register has its address there, and each field its place."""
    for register in registers:
        name = f"CSR_{bank}_{register.name}"
        assert found[f"{name}_ADDR"] == base + register.address
        assert found[f"{name}_SIZE"] == 1  # word
        for field, low, width, _ in register.fields:
            assert (found[f"{name}_{field.upper()}_OFFSET"], found[f"{name}_{field.upper()}_SIZE"]) == (low, width)


@pytest.mark.parametrize("soc", [BOARD, BENCH])
def test_the_csr_header_names_the_registers(soc: str) -> None:
    found = named(soc)
    base = int(re.search(r"#define SKIPGRID_BASE 0x(\w+)L", header(soc, "mem.h"))[1], 16)  # type: ignore[index]
    registers = [register for register in REGISTERS.values() if register.name != "WINNERS_CYCLES"]  # which is not built
    assert found["CSR_SKIPGRID_BASE"] == base
    check_names(found, "SKIPGRID", base, registers)
    assert found["CSR_SKIPGRID_LAYER_CYCLES_BASE"] == base + LAYERS.address
    assert "CSR_SKIPGRID_WINNERS_CYCLES_ADDR" not in found
    text = header(soc, "csr.h")
    for register in registers:
        name = f"skipgrid_{register.name.lower()}"
        assert f"uint32_t {name}_read(void)" in text
        assert (f"void {name}_write(uint32_t v)" in text) == (register.access != Access.READ)
    for port in ("load", "input", "output"):
        assert {f"CSR_SKIPGRID_{port.upper()}_{name}_ADDR" for name in ("BASE", "LENGTH", "ENABLE", "STATUS", "OFFSET")} <= set(found)


@pytest.mark.slow
def test_two_accelerators_stand_side_by_side(tmp_path: Path) -> None:
    """One has a router; the other's names begin with another one, also in C, so that one program drives both."""
    found = named(TWO)
    base = found["CSR_SKIPGRID_BASE"] + ROUTER_BASE
    check_names(found, "SKIPGRID_ROUTER", base, list(router_map.REGISTERS.values()))
    for array in router_map.ARRAYS.values():
        assert found[f"CSR_SKIPGRID_ROUTER_{array.name}_BASE"] == base + array.address
    assert found["CSR_CONV_BASE"] == found["CSR_SKIPGRID_BASE"] + (1 << ADDRESS_BITS)
    check_names(found, "CONV", found["CSR_CONV_BASE"], [REGISTERS["CONTROL"], REGISTERS["STATUS"]])
    assert sorted(path.name for path in (made(TWO) / "gateware").iterdir()) == ["conv.v", "skipgrid.v"]
    cores = "".join(f"struct {name} {name}_core = {{.bus = &{name}_litex}};\n" for name in ("skipgrid", "conv"))
    (tmp_path / "both.c").write_text(f'#include "skipgrid_litex.h"\n#include "conv_litex.h"\n{cores}', encoding="utf-8")
    software = made(TWO) / "software"
    includes = [*(f"-I{software / name}" for name in ("skipgrid", "conv")), *(f"-isystem{folder}" for folder in headers(TWO))]
    compiled([*ZIG, *RISCV, *RULES, *includes, "-c", "both.c", "-o", "both.o"], tmp_path)


def test_the_cpu_has_the_interrupt() -> None:
    assert re.search(r"^#define SKIPGRID_IRQ_INTERRUPT \d+$", header(BOARD, "soc.h"), re.MULTILINE)


def test_the_pages_c_compiles(tmp_path: Path) -> None:
    """With LiteX's own headers and those of the board."""
    (block,) = re.findall(r"^```c\n(.*?)^```", (ROOT / "docs" / "litex.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "run.c").write_text(block, encoding="utf-8")
    includes = [f"-I{made(BOARD) / 'software' / 'skipgrid'}", *(f"-isystem{folder}" for folder in headers(BOARD))]
    compiled([*ZIG, *RISCV, *RULES, *includes, "-c", "run.c", "-o", "run.o"], tmp_path)


def test_what_cannot_be_is_refused() -> None:
    """In a process of its own, as above: a bus that is too wide, and a place before the CSRs."""
    script = f"""
import logging, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
logging.disable()
from litex_soc import CONFIG, FOLDER, for_bench
from skipgrid.fpga.litex.soc import add_skipgrid
wide = lambda: for_bench(FOLDER, CONFIG, bus_data_width=64)
low = lambda: add_skipgrid(for_bench(FOLDER, CONFIG), CONFIG, name="low", origin=0x1000)
for attempt in (wide, low):
    try:
        attempt()
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, encoding="utf-8", check=False)
    first, second = done.stdout.splitlines()
    assert first.startswith("the SoC's bus has 64 bits; ")
    assert second.startswith("low at 0x1000 would lie before the CSRs at 0xf0000000, ")
