"""The builds whose figures are kept in the project, and whether they are those of today's sources."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import skipgrid.fpga

from .console import working, write_json
from .sources import hash_of, with_imports

if TYPE_CHECKING:
    from skipgrid.fpga.board import Board

KEPT = Path("fpga/builds")  # in a clone
FPGA = Path(skipgrid.fpga.__path__[0])


def sources_hash(board: "Board") -> str:
    """A hash of what a board's bitstream depends on: its own file, the tools' scripts, and all of the hardware that these import."""
    own = FPGA / "boards" / f"{board.name.replace('-', '_')}.py"
    return hash_of(with_imports(own, FPGA / "build.py", FPGA / "system.py"))


def is_stale(board: "Board", built: dict[str, Any]) -> bool | None:
    """Whether today's sources give another design than the one that was built; None if that cannot be known.

    That is so only if the sources have changed; if they have, the board is elaborated and compared, so that changes that do not reach
    it do not count. This takes the extra `boards`.
    """
    from skipgrid.fpga import tools

    if built["sources_hash"] == sources_hash(board):
        return False
    try:
        tools.need()
        return bool(built["design_hash"] != _design_hash(board.name))
    except tools.ToolError:  # without the tools, nothing can be compared
        return None


@cache
def _design_hash(name: str) -> str:
    from skipgrid.fpga.board import find_board
    from skipgrid.fpga.build import Build

    with working(f"elaborating {name}, as sources have changed"), TemporaryDirectory() as folder:
        made = Build(find_board(name), Path(folder))
        made.prepare()
        return made.design_hash()


def kept() -> dict[str, dict[str, Any]]:
    """The kept figures, by boards' names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((FPGA / "builds").glob("*.json"))}


def all_records() -> list[dict[str, Any]]:
    """A record a board, as `known_records` has it, with `stale` as `is_stale` says."""
    from skipgrid.fpga.board import find_board

    found = known_records()
    return [each | {"stale": each["design_hash"] is None or is_stale(find_board(each["board"]), each)} for each in found]


def confirm(folder: Path, records: list[dict[str, Any]]) -> None:
    """Note in a folder's kept figures which of today's sources give the designs that were built, so that nobody elaborates them again.

    records: as `all_records` gives them.
    """
    from skipgrid.fpga.board import find_board

    for record in records:
        today = sources_hash(find_board(record["board"]))
        if record["stale"] is False and record["sources_hash"] != today:
            figures = {key: value for key, value in record.items() if key != "stale"}
            write_json(folder / f"{record['board']}.json", figures | {"sources_hash": today})


def known_records() -> list[dict[str, Any]]:
    """A record a board: the kept figures; of a board that was never built, only what its file says."""
    from skipgrid.fpga.board import all_boards

    found, records = kept(), []
    for board in all_boards().values():
        config = board.config
        known = {
            "board": board.name,
            "device": board.device,
            "pes": config.pes,
            **dict.fromkeys(("lut", "ff", "dsp", "bram", "spram", "lc", "fmax_mhz")),
            "target_mhz": board.clock_hz / 1e6,
            **dict.fromkeys(("seed", "seeds", "tools")),
            "config_hash": f"{config.hash:#010x}",
            **dict.fromkeys(("sources_hash", "design_hash")),
        }
        records.append(found.get(board.name, known))
    return records
