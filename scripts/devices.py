"""What the commands have in common that talk to a board."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from skipgrid.fpga.board import all_boards, find_board, find_config
from skipgrid.rtl.config import PRESETS, Config

from .console import working
from .files import BadOption

if TYPE_CHECKING:
    from skipgrid.host.devices.serial_device import SerialDevice

BaudOption = Annotated[
    int | None,
    typer.Option("--baud", metavar="N", help="The rate of the board's link; otherwise that of each known board is tried.", min=1),
]


def chosen_config(preset_name: str | None, board_name: str | None) -> Config | None:
    """The configuration of a preset or of a board; None if neither is given, ValueError if both are."""
    if preset_name and board_name:
        raise BadOption("choose the accelerator with --preset or with --board, not with both")
    if board_name:
        return find_board(board_name).config
    return find_config(preset_name) if preset_name else None


@contextmanager
def opened(port: str, baud: int | None, expected: Config | None, *, reset: bool = True) -> Iterator["SerialDevice"]:
    """The board on a serial port; LinkError, in one sentence, if it cannot be used."""
    from skipgrid.host.devices.link import Link, LinkError, NoBoard
    from skipgrid.host.devices.serial_device import SerialDevice
    from skipgrid.host.devices.serial_line import SerialLine

    boards = all_boards().values()
    rates = [baud] if baud else sorted({board.baud for board in boards}, reverse=True)
    known = [*(board.config for board in boards), *PRESETS.values()]
    heard = False
    for rate in rates:
        line = SerialLine(port, rate)
        try:
            with working(f"looking for a board on {port} at {rate:,} baud"):
                device = SerialDevice(Link(line, rate), known, expected=expected, reset=reset)
            yield device
            return
        except NoBoard as reason:
            heard |= reason.heard
        finally:
            line.close()
    tried = " or ".join(f"{rate:,}" for rate in rates)
    what = f"what answers on {port} at {tried} baud is" if heard else f"nothing on {port} answers at {tried} baud: it is"
    raise LinkError(f"{what} no Skipgrid board, or one whose link has another rate; choose that with --baud, or flash the board")
