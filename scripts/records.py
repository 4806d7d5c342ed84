"""The builds whose figures are kept in the project, and whether they are those of today's sources."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import skipgrid.fpga
import skipgrid.rtl

if TYPE_CHECKING:
    from skipgrid.fpga.board import Board

KEPT = Path("fpga/builds")  # in a clone
FPGA, RTL = (Path(module.__path__[0]) for module in (skipgrid.fpga, skipgrid.rtl))


def sources_hash(board: "Board") -> str:
    """A hash of what a board's bitstream depends on: the hardware, what is common to all boards, and the board's own file."""
    own = FPGA / "boards" / f"{board.name.replace('-', '_')}.py"
    key = hashlib.sha256()
    for path in (*sorted(RTL.glob("*.py")), *sorted(FPGA.glob("*.py")), own):
        key.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    return key.hexdigest()[:16]


def kept() -> dict[str, dict[str, Any]]:
    """The kept figures, by boards' names."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((FPGA / "builds").glob("*.json"))}


def all_records() -> list[dict[str, Any]]:
    """A record a board: the kept figures, with `stale`; of a board that was never built, only what its file says."""
    from skipgrid.fpga.board import all_boards

    found, records = kept(), []
    for board in all_boards().values():
        config = board.config
        known = {
            "board": board.name,
            "device": board.device,
            "pes": config.rows * config.lanes,
            **dict.fromkeys(("lut", "ff", "dsp", "bram", "spram", "lc", "fmax_mhz")),
            "target_mhz": board.clock_hz / 1e6,
            **dict.fromkeys(("seed", "seeds", "tools")),
            "config_hash": f"{config.hash:#010x}",
            "sources_hash": None,
        }
        built = found.get(board.name)
        records.append((built or known) | {"stale": built is None or built["sources_hash"] != sources_hash(board)})
    return records
