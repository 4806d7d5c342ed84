"""The builds whose figures are kept in the project, and whether they are those of today's sources."""

import ast
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
    """A hash of what a board's bitstream depends on: its own file, the tools' scripts, and all of the hardware that these import."""
    own = FPGA / "boards" / f"{board.name.replace('-', '_')}.py"
    key = hashlib.sha256()
    for path in sorted(with_imports(own, FPGA / "build.py", FPGA / "system.py")):
        key.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    return key.hexdigest()[:16]


def with_imports(*files: Path) -> set[Path]:
    """Files of `rtl` and `fpga`, and those of both that they import."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                package = (node.module or "").removeprefix("skipgrid.").split(".")
                folder = path.parent if node.level else {"rtl": RTL, "fpga": FPGA}.get(package[0])
                names = [package[-1], *(alias.name for alias in node.names)]  # from .module import thing; from . import module
                waiting += [folder / f"{name}.py" for name in names if folder and (folder / f"{name}.py").is_file()]
    return found


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
