"""From a top component to a bitstream: constraints and RTLIL by Amaranth, netlist by yosys, placement by nextpnr, bitstream by a packer."""

import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import tools
from .board import Board
from .families import FAMILIES, NAME, Area, Family
from .system import System

# Start values of memories are dropped: none matters, and lists of zeros make blocks out of reach and synthesis slow. Nor does it matter
# what a read gives that meets a write to the same word, unless the design asks for the new one (all benches run with unknown words
# there), so blocks need no logic for it.
READS = "*/t:$memrd_v2 r:CLK_ENABLE=1 %i r:TRANSPARENCY_MASK=1'0 %i"
READ = f"read_rtlil {NAME}.il; delete */t:$meminit_v2; setparam -set COLLISION_X_MASK 1'1 {READS}"
FLOORPLAN = "floorplan.ys"  # yosys' commands that say where the placer puts cells
MISPLACED = re.compile(r"selection contains (\d+) elements instead of the asserted 1: c:(\S+)")
NAMES_OF_VALUES = re.compile(rb"^ *attribute .enum_.*\n", re.M)  # in RTLIL
OVERFULL = re.compile(r"Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%")


@dataclass(frozen=True)
class Placement:
    """What one seed gave: the clock's limit, the area, the time it took, and the placer's result."""

    seed: int
    fmax_mhz: float
    area: Area
    seconds: float
    file: Path


class Build:
    """One design on its way to a bitstream.

    board: its FPGA, pins and clock. folder: gets all files.
    design: what stands between the pins, a component with `System`'s ports; the board's `System` by default.
    The steps, in order: `prepare`, `synthesise`, `place` (with any seeds, at the same time if wanted), `pack`.
    Each raises ToolError if a tool is missing or fails, with what the tool said in a log beside its files.
    """

    def __init__(self, board: Board, folder: Path, *, design: Any = None) -> None:
        self.board = board
        self.family: Family = FAMILIES[board.family]
        self.folder = folder
        self.tools = ("yosys", self.family.placer, self.family.packer)
        tools.need(*self.tools)
        self.platform = board.platform()
        self.design = design

    def prepare(self) -> None:
        """Elaborate the design, and write its RTLIL and its pins."""
        board, design = self.board, self.design
        if design is None:
            design = System(board.config, clock_hz=board.clock_hz, baud=board.baud)
        plan = self.platform.prepare(board.top(design), NAME, emit_src=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (f"{NAME}.il", f"{NAME}.{self.family.constraints}"):
            content = plan.files[name]
            (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if board.floorplan:
            (self.folder / FLOORPLAN).write_text("".join(map(_put, board.floorplan, board.floorplan.values())), encoding="utf-8")

    def design_hash(self) -> str:
        """16 digits that tell what the tools get after `prepare` apart from anything else: the design, its pins and the commands.

        Names of values, which only people read, do not count.
        """
        key = hashlib.sha256(f"{self._script} {self._options('')}".encode())
        for name in (f"{NAME}.il", f"{NAME}.{self.family.constraints}", *([FLOORPLAN] if self.board.floorplan else [])):
            key.update(NAMES_OF_VALUES.sub(b"", (self.folder / name).read_bytes()))
        return key.hexdigest()[:16]

    def synthesise(self) -> None:
        """Make the netlist, and write yosys' counts of its cells to area.txt."""
        try:
            tools.run("yosys", "-p", self._script, folder=self.folder, log="synthesis.log")
        except tools.ToolError as error:
            if (missed := MISPLACED.search(str(error))) is None:
                raise
            count, cell = missed.groups()
            raise tools.ToolError(
                f"the floorplan of {self.board.title} has a place for {cell}, but the design has {count} cells of that name, not one;"
                f" build without a floorplan, and take the names from {self.folder / NAME}.json"
            ) from None

    @property
    def _script(self) -> str:
        put = f"script {FLOORPLAN}; " if self.board.floorplan else ""
        return f"{READ}; {self.family.synthesis}; {put}write_json {NAME}.json; tee -q -o area.txt stat"

    def _options(self, placed: str) -> list[str]:
        """The placer's, but for its seed."""
        options = ["--json", f"{NAME}.json", "--freq", f"{self.board.clock_hz / 1e6:g}", "--timing-allow-fail"]
        return [*options, *self.family.device(self.platform), *self.family.files(placed)]

    def place(self, seed: int) -> Placement:
        """Place and route with a seed. A clock that is missed is no error here."""
        began = time.monotonic()
        placed, report, log = f"seed{seed}.{self.family.placed}", f"seed{seed}.timing.json", f"seed{seed}.log"
        options = [*self._options(placed), "--seed", str(seed), "--report", report]
        try:
            said = tools.run(self.family.placer, *options, folder=self.folder, log=log)
        except tools.ToolError as error:
            full = overfull((self.folder / log).read_text(encoding="utf-8", errors="replace"))
            if not full:
                raise
            raise tools.ToolError(f"the design does not fit on {self.board.device}: {full}; {error}") from None
        result = json.loads((self.folder / report).read_text(encoding="utf-8"))
        used = {name: count["used"] for name, count in result["utilization"].items()}
        if not result["fmax"]:
            raise tools.ToolError(f"{self.family.placer} found no clock in the design (see {self.folder / log})")
        fmax = min(clock["achieved"] for clock in result["fmax"].values())  # the oscillator's clocks nothing but the PLL
        return Placement(seed, round(fmax, 2), self.family.area(used, said), time.monotonic() - began, self.folder / placed)

    def pack(self, placement: Placement) -> Path:
        """Make the bitstream of a placement."""
        name = f"seed{placement.seed}.{self.family.bitstream}"
        tools.run(self.family.packer, *self.family.pack(self.platform, placement.file.name, name), folder=self.folder, log="pack.log")
        return self.folder / name


def _put(cell: str, place: str) -> str:
    """yosys' commands for one line of a floorplan; they fail where there is no such cell, or several."""
    return f'select -assert-count 1 c:{cell}\nsetattr -set BEL "{place}" c:{cell}\n'


def overfull(log: str) -> str:
    """The resources of which a design needs more than there are, from nextpnr's log: "5,989 of 5,280 ICESTORM_LC"."""
    counts = {name: (int(needed), int(there)) for name, needed, there in OVERFULL.findall(log)}
    return ", ".join(f"{needed:,} of {there:,} {name}" for name, (needed, there) in counts.items() if needed > there)


def best(placements: list[Placement]) -> Placement:
    """The fastest; of equals, the one with the lowest seed."""
    return max(placements, key=lambda placement: (placement.fmax_mhz, -placement.seed))
