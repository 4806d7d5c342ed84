"""SoCs with an accelerator, made by LiteX: that of docs/litex.md, and some for benches; run as a program, it writes their files.

A process of its own makes them, because LiteX keeps state between SoCs, and what it imports warns.
"""

import logging
import re
import sys
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
BOARD, BENCH, ROUTED = "radiona_ulx3s", "soc", "routed"  # the folders; the first two are also their top modules' names
CONFIG = SMALL
ROUTED_CONFIG = SMALL.replaced(experts=3, experts_chosen=2)
RAM, RAM_BYTES, CSRS = 0x4000_0000, 0x1_0000, 0xF000_0000
DATE = re.compile(r"^//.*\n", re.MULTILINE)
FILE = re.compile(r"^initial begin\n\t\$readmemh.*\nend\n", re.MULTILINE)


class LitexSoc(wiring.Component):
    """The SoC that `for_bench` makes: a Wishbone bus, and the interrupt."""

    def __init__(self) -> None:
        bus = {"adr": Out(30), "dat_w": Out(32), "sel": Out(4), "cyc": Out(1), "stb": Out(1), "we": Out(1), "cti": Out(3), "bte": Out(2)}
        bus |= {"dat_r": In(32), "ack": In(1), "err": In(1)}
        super().__init__({"wb": In(wiring.Signature(bus)), "irq": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = {(port.flow, "_".join(map(str, path))): value for path, port, value in self.signature.flatten(self)}
        pins = {f"{'i' if flow == In else 'o'}_{name}": value for (flow, name), value in ports.items()}
        m.submodules.soc = Instance(BENCH, i_clk=ClockSignal(), i_rst=ResetSignal(), **pins)
        return m


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
    """RAM and an accelerator, whose Wishbone bus and interrupt are at the pins; with options of LiteX's SoC."""
    from litex.build.generic_platform import GenericPlatform, Pins
    from litex.gen import LiteXModule
    from litex.soc.integration.soc_core import SoCMini
    from litex.soc.interconnect import wishbone
    from migen import ClockDomain

    from skipgrid.fpga.litex.soc import add_skipgrid

    bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
    pins = [(name, 0, Pins(1)) for name in ("clk", "rst", "irq")]
    platform = GenericPlatform("none", [*pins, *bus.get_ios("wb")], name=BENCH)
    soc = SoCMini(platform, clk_freq=1e6, **options)
    soc.mem_map = soc.mem_map | {"csr": CSRS}
    soc.crg = LiteXModule()
    soc.crg.cd_sys = ClockDomain()
    soc.comb += [soc.crg.cd_sys.clk.eq(platform.request("clk")), soc.crg.cd_sys.rst.eq(platform.request("rst"))]
    soc.comb += bus.connect_to_pads(platform.request("wb"), mode="slave")
    soc.bus.add_master("wb", bus)
    soc.add_ram("main_ram", origin=RAM, size=RAM_BYTES)
    platform.output_dir = str(folder)
    add_skipgrid(soc, config)
    soc.comb += platform.request("irq").eq(soc.skipgrid_irq.irq)
    return soc


def write(soc: Any, folder: Path) -> None:
    """The SoC's Verilog and what describes its registers; without the date, so that equal SoCs have equal files.

    RAM is not read from a file, which would be one of zeros.
    """
    from litex.soc.integration import export

    soc.finalize()
    memories = soc.mem_regions
    files = {
        f"{soc.platform.name}.v": FILE.sub("", soc.platform.get_verilog(soc, name=soc.platform.name).main_source),
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


if __name__ == "__main__":
    logging.disable()
    build_board()
    write(for_bench(FOLDER / BENCH, CONFIG), FOLDER / BENCH)
    write(for_bench(FOLDER / ROUTED, ROUTED_CONFIG, bus_standard="axi-lite"), FOLDER / ROUTED)
