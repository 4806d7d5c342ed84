"""What the project knows of a board, and the boards there are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from skipgrid.rtl.config import PRESETS, Config

from . import boards


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board and what is built for it.

    name: as on the command line. title: as its maker calls it. device: the FPGA, with package and speed grade.
    family: "ice40", "ecp5" or "gowin", as in `fpga.families`. loader: the board's name in openFPGALoader.
    config: the accelerator's configuration; its name is the board's.
    clock_hz: the clock of the whole design, made from the board's oscillator by `top`.
    baud: of the UART, the best rate that the board's USB bridge and the clock both make.
    platform: makes the platform of amaranth-boards (imported when called: the package comes with the extra `boards`).
    top: makes the top component, PLL and pins around a `System` (or a component with its ports).
    floorplan: where on the die cells of the netlist are put, by their names (in which `*` stands for any characters); nextpnr's names of
        places. The placer chooses for all others.
    """

    name: str
    title: str
    device: str
    family: str
    loader: str
    config: Config
    clock_hz: int
    baud: int
    platform: Callable[[], Any]
    top: Callable[[Any], Any]
    floorplan: dict[str, str] = field(default_factory=dict)


@cache
def all_boards() -> dict[str, Board]:
    """All boards by name: each module in `fpga/boards` has one as `BOARD`."""
    found = [import_module(f"{boards.__name__}.{module.name}").BOARD for module in iter_modules(boards.__path__)]
    return {board.name: board for board in sorted(found, key=lambda board: board.name)}


def find_board(name: str) -> Board:
    """The board of that name, in which `_` stands for `-` too; ValueError names those that exist."""
    known = all_boards()
    if (found := known.get(name.replace("_", "-"))) is None:
        raise ValueError(f"there is no board {name!r}; there are {', '.join(known)}")
    return found


def find_config(name: str) -> Config:
    """The configuration of that name: a preset's or a board's; ValueError names those that exist."""
    if name in PRESETS:
        return PRESETS[name]
    known = all_boards()
    if (found := known.get(name.replace("_", "-"))) is None:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}, and the boards' own: {', '.join(known)}")
    return found.config
