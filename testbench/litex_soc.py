"""SoCs with an accelerator, made by LiteX: that of docs/litex.md, and some for benches; run as a program, it writes the files of one.

A process of its own makes each, because LiteX keeps state between SoCs, and what it imports warns.
"""

import logging
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from simulation import BUILD, SMALL
from skipgrid.rtl.config import Config

ROOT = Path(__file__).parent.parent
FOLDER = BUILD / "litex"
INCLUDES = "software/include/generated"  # in each of the folders, where LiteX's Builder writes headers
BOARD, BENCH, CPU, TWO = "radiona_ulx3s", "soc", "soc_cpu", "two"  # the folders; but for the last one also the top modules' names
CONFIG = SMALL
ROUTED_CONFIG = SMALL.replaced(experts=3, experts_chosen=2)
RAM, RAM_BYTES, CSRS = 0x4000_0000, 0x1_0000, 0xF000_0000
DATE = re.compile(r"^//.*\n", re.MULTILINE)
FILE = re.compile(r"^initial begin\n\t\$readmemh\(\"(.*)\", (\w+)\);\nend\n", re.MULTILINE)
ROM = "rom.init"  # its words


class LitexSoc(wiring.Component):
    """A SoC that LiteX made: its top module and its pins, but for clock and reset."""

    def __init__(self, module: str, pins: dict[str, Any]) -> None:
        self.module = module
        super().__init__(pins)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = {f"{'i' if port.flow == In else 'o'}_{path[0]}": value for path, port, value in self.signature.flatten(self)}
        m.submodules.soc = Instance(self.module, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m


BUS_PINS = {
    **{
        f"wb_{name}": In(bits) for name, bits in {"adr": 30, "dat_w": 32, "sel": 4, "cyc": 1, "stb": 1, "we": 1, "cti": 3, "bte": 2}.items()
    },
    **{f"wb_{name}": Out(bits) for name, bits in {"dat_r": 32, "ack": 1, "err": 1}.items()},
    "irq": Out(1),
    "deserted": Out(1),
}
CPU_PINS = {"scratch": Out(32)}


def build_board() -> None:
    """Run the page's example: a board's SoC, by LiteX's Builder, but for its software, bitstream, and the C libraries of the former."""
    from litex.soc.integration import builder

    page = (ROOT / "docs" / "litex.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for library in ("picolibc", "compiler_rt"):
        sys.modules[f"pythondata_software_{library}"] = SimpleNamespace(data_location="")  # type: ignore[assignment]
    builder.Builder = partial(builder.Builder, output_dir=str(FOLDER / BOARD), compile_software=False, compile_gateware=False)
    exec(compile(example, "docs/litex.md", "exec"), {"__name__": "example"})


def for_bench(folder: Path, config: Config, **options: Any) -> Any:
    """RAM and an accelerator, whose Wishbone bus and interrupt are at the pins; with options of LiteX's SoC.

    The pin `deserted` is 1 in the cycle after a DMA asked the bus for something, and does not wait for it.
    """
    from litex.build.generic_platform import Pins
    from litex.soc.integration.soc_core import SoCMini
    from litex.soc.interconnect import wishbone
    from migen import Signal

    bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
    platform = _platform(BENCH, [("irq", 0, Pins(1)), ("deserted", 0, Pins(1)), *bus.get_ios("wb")])
    soc = SoCMini(platform, clk_freq=1e6, **options)
    soc.mem_map = soc.mem_map | {"csr": CSRS}
    soc.comb += bus.connect_to_pads(platform.request("wb"), mode="slave")
    soc.bus.add_master("wb", bus)
    soc.add_ram("main_ram", origin=RAM, size=RAM_BYTES)
    _finish(soc, folder, config)
    soc.comb += platform.request("irq").eq(soc.skipgrid_irq.irq)
    deserted: Any = 0
    for port in ("load", "input", "output"):
        dma, asked = getattr(soc, f"skipgrid_{port}").bus, Signal()
        soc.sync += asked.eq(dma.cyc & dma.stb & ~dma.ack)
        deserted |= asked & ~(dma.cyc & dma.stb)
    soc.comb += platform.request("deserted").eq(deserted)
    return soc


def with_two(folder: Path) -> Any:
    """As `with_cpu`, on AXI4-Lite, with an accelerator that has a router, and another one."""
    from skipgrid.fpga.litex.soc import add_skipgrid

    soc = with_cpu(folder, ROUTED_CONFIG, bus_standard="axi-lite")
    add_skipgrid(soc, CONFIG, name="conv")
    return soc


def with_cpu(folder: Path, config: Config, **options: Any) -> Any:
    """PicoRV32 with a ROM for firmware, RAM and an accelerator; what it writes to ctrl_scratch is at the pins."""
    from litex.build.generic_platform import Pins
    from litex.soc.integration.soc_core import SoCCore

    platform = _platform(CPU, [("scratch", 0, Pins(32))])
    options |= {"integrated_rom_size": 0x8000, "integrated_sram_size": 0x2000, "with_uart": False, "with_timer": False, "ident": ""}
    soc = SoCCore(platform, clk_freq=1e6, cpu_type="picorv32", **options)
    _finish(soc, folder, config)
    soc.comb += platform.request("scratch").eq(soc.ctrl._scratch.storage)
    return soc


def _platform(name: str, pins: list[Any]) -> Any:
    from litex.build.generic_platform import GenericPlatform, Pins

    return GenericPlatform("none", [("clk", 0, Pins(1)), ("rst", 0, Pins(1)), *pins], name=name)


def _finish(soc: Any, folder: Path, config: Config) -> None:
    """Give a SoC a clock and reset from its pins, and an accelerator."""
    from litex.gen import LiteXModule
    from migen import ClockDomain

    from skipgrid.fpga.litex.soc import add_skipgrid

    soc.crg = LiteXModule()
    soc.crg.cd_sys = ClockDomain()
    soc.comb += [getattr(soc.crg.cd_sys, pin).eq(soc.platform.request(pin)) for pin in ("clk", "rst")]
    soc.platform.output_dir = str(folder)
    add_skipgrid(soc, config)


def write(soc: Any, folder: Path) -> None:
    """The SoC's Verilog and what describes its registers; without the date, so that equal SoCs have equal files.

    RAM is not read from a file, which would be one of zeros; ROM from one in the folder.
    """
    from litex.soc.integration import export

    soc.finalize()
    memories = soc.mem_regions
    files = {
        f"{soc.platform.name}.v": _with_rom(soc.platform.get_verilog(soc, name=soc.platform.name).main_source, folder),
        "csr.h": export.get_csr_header(soc.csr_regions, soc.constants, csr_base=memories["csr"].origin),
        "csr.json": export.get_csr_json(soc.csr_regions, soc.constants, memories),
        "soc.svd": export.get_csr_svd(soc),
        "soc.h": export.get_soc_header(soc.constants),
        "mem.h": export.get_mem_header(memories),
    }
    for name, text in files.items():
        path = (folder / INCLUDES if name.endswith(".h") else folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DATE.sub("", text), encoding="utf-8")


def _with_rom(verilog: str, folder: Path) -> str:
    return FILE.sub(lambda found: found[0].replace(found[1], str(folder / ROM)) if found[2] == "rom" else "", verilog)


MAKERS: dict[str, Callable[[], None]] = {
    BOARD: build_board,
    BENCH: lambda: write(for_bench(FOLDER / BENCH, CONFIG), FOLDER / BENCH),
    CPU: lambda: write(with_cpu(FOLDER / CPU, CONFIG), FOLDER / CPU),
    TWO: lambda: write(with_two(FOLDER / TWO), FOLDER / TWO),
}

if __name__ == "__main__":
    logging.disable()
    MAKERS[sys.argv[1]]()
