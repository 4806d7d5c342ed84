"""The accelerator in LiteX's terms: its generated Verilog behind an AXI4-Lite interface and stream endpoints."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from litex.soc.interconnect.axi import AXILiteInterface
from migen import ClockSignal, Instance, ResetSignal, Signal

from skipgrid.driver.header import driver_files
from skipgrid.reference.description import accelerator_ports, describe
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.parts.vendors import find_platform
from skipgrid.rtl.verilog import generate_verilog

WORDS = [("data", 32)]  # what a stream carries
OUTPUT = stream.EndpointDescription(WORDS, [("cut", 1)])  # and that of the core's output


class SkipgridCore(LiteXModule):
    """The accelerator of a configuration, in the clock domain `sys`.

    When the SoC is finalised, its Verilog is written to the folder `gateware` of the build, and is one of the platform's sources then; and
    its C driver to `software/MODULE`, with the bus of skipgrid_litex.h to the DMAs that `add_skipgrid` brings.

    Parameters:
        platform: LiteX's, of the FPGA or of a simulation.
        config: the accelerator.
        module: the Verilog module's name.
        form: of `vendors`: "ice40" and "ecp5" take primitives of these FPGAs, "generic" none.

    Members:
        bus: the registers, AXI4-Lite; of an address the lowest 12 bits count.
        load, input: streams that the core takes; `last` ends a packet.
        output: the stream that it sends; `cut` in a packet's last word says that an error has cut it short.
        irq, busy, error: as in the registers.
        pressure: to the expert router, where it is built; 0 unless it is driven.
    """

    def __init__(self, platform: Any, config: Config, module: str = "skipgrid", form: str = "generic") -> None:
        self.platform, self.config, self.module, self.form = platform, config, module, form
        self.bus = AXILiteInterface(data_width=32, address_width=32)
        self.load = stream.Endpoint(WORDS)
        self.input = stream.Endpoint(WORDS)
        self.output = stream.Endpoint(OUTPUT)
        self.irq = Signal()
        self.busy = Signal()
        self.error = Signal()
        self.pressure = Signal(max=max(config.experts_chosen, 1) + 1)
        self.specials += Instance(module, **self._pins())

    def do_finalize(self) -> None:
        """Write the Verilog and the driver, and add the former to the platform's sources."""
        folder = Path(self.platform.output_dir or "build")
        verilog = folder / "gateware" / f"{self.module}.v"
        files = {verilog: generate_verilog(Accelerator(self.config), self.module, platform=find_platform(self.form))}
        bus = resources.files("skipgrid.fpga.litex").joinpath("skipgrid_litex.h").read_text(encoding="utf-8")
        driver = driver_files(describe(self.config, self.module, self.form), self.module)
        driver[f"{self.module}_litex.h"] = bus.replace("SKIPGRID", self.module.upper()).replace("skipgrid", self.module)
        files |= {folder / "software" / self.module / name: text for name, text in driver.items()}
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.platform.add_source(str(verilog))

    def _pins(self) -> dict[str, Any]:
        """What is at each port of the module, by the names that an Instance wants."""
        signals = {"clk": ClockSignal("sys"), "rst": ResetSignal("sys"), "irq": self.irq, "busy": self.busy, "error": self.error}
        signals |= {"pressure": self.pressure}
        for name, port in (("s_axis_load", self.load), ("s_axis_in", self.input), ("m_axis_out", self.output)):
            signals |= {f"{name}_t{field}": getattr(port, field) for field in ("data", "last", "valid", "ready")}
        signals["m_axis_out_tuser"] = self.output.cut
        for port in accelerator_ports(self.config):
            if found := re.fullmatch(r"s_axil_(aw|w|b|ar|r)(\w+)", port["name"]):
                channel, field = found.groups()
                signals[port["name"]] = getattr(getattr(self.bus, channel), field)[: port["width"]]
        return {f"{port['direction'][0]}_{port['name']}": signals[port["name"]] for port in accelerator_ports(self.config)}
