"""What the project knows of a board, and the boards there are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from skipgrid.rtl.config import Config

from . import boards


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board and what is built for it.

    name: as on the command line. title: as its maker calls it. device: the FPGA, with package and speed grade.
    family: "ice40", "ecp5" or "gowin".
    config: the accelerator's configuration; its name is the board's.
    clock_hz: the clock of the whole design, made from the board's oscillator by `top`.
    baud: of the UART, the best rate that the board's USB bridge and the clock both make.
    platform: makes the platform of amaranth-boards (imported when called: the package comes with the extra `boards`).
    top: makes the top component, which has the platform's pins, a PLL and a `System`.
    """

    name: str
    title: str
    device: str
    family: str
    config: Config
    clock_hz: int
    baud: int
    platform: Callable[[], Any]
    top: Callable[[], Any]


@cache
def all_boards() -> dict[str, Board]:
    """All boards by name: each module in `fpga/boards` has one as `BOARD`."""
    found = [import_module(f"{boards.__name__}.{module.name}").BOARD for module in iter_modules(boards.__path__)]
    return {board.name: board for board in sorted(found, key=lambda board: board.name)}


def find_board(name: str) -> Board:
    """The board of that name; ValueError names those that exist."""
    known = all_boards()
    if name not in known:
        raise ValueError(f"there is no board {name!r}; there are {', '.join(known)}")
    return known[name]
