"""What Vivado is told of an accelerator: which of its ports are clock, reset and interrupt, and a block design around it."""

import re
from importlib import resources

INTERFACES = ("s_axil", "s_axis_load", "s_axis_in", "m_axis_out")

# Of each port: Xilinx's definition of a signal, its signal there, and what else is to be known.
TOLD = {
    "clk": ("clock", "CLK", f"ASSOCIATED_BUSIF {':'.join(INTERFACES)}, ASSOCIATED_RESET rst"),
    "rst": ("reset", "RST", "POLARITY ACTIVE_HIGH"),
    "irq": ("interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
}


def with_attributes(verilog: str, module: str) -> str:
    """The Verilog of a top module with attributes before its clock, reset and interrupt, which other tools ignore.

    Vivado takes the AXI interfaces from their ports' names alone. Unless it is told, it does not know that they have the clock in common,
    takes a reset for active low, and an output for no interrupt.
    """
    before, opening, rest = verilog.partition(f"module {module} (\n")
    head, closing, body = rest.partition("\n);\n")

    def attribute(port: re.Match[str]) -> str:
        definition, signal, parameters = TOLD[port[1]]
        info = f"xilinx.com:signal:{definition}:1.0 {port[1]} {signal}"
        return f'  (* X_INTERFACE_INFO = "{info}", X_INTERFACE_PARAMETER = "{parameters}" *)\n'

    head, count = re.subn(rf"^(?=  (?:input|output) wire ({'|'.join(TOLD)})\b)", attribute, head, flags=re.MULTILINE)
    if count != len(TOLD):
        raise LookupError(f"the module {module} lacks some of the ports {', '.join(TOLD)}")
    return "".join([before, opening, head, closing, body])


def zynq_tcl(module: str) -> str:
    """A script for Vivado that makes a block design: a Zynq-7000, the module, and its DMAs."""
    return resources.files("skipgrid.reference").joinpath("zynq.tcl").read_text(encoding="utf-8").replace("@module@", module)
