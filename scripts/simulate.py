"""skipgrid simulate: a board in simulation, on a pseudo-terminal."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from skipgrid.fpga.board import find_board

from .console import BoardOption, building, link_file, notes
from .interrupts import Interrupted


def simulate(
    board_name: BoardOption,
    baud: Annotated[int | None, typer.Option(help="Of the board's UART, instead of the board's own rate.", min=1)] = None,
    link: Annotated[
        Path | None, typer.Option("--link", metavar="PATH", help="Make a link with this name to the terminal.", callback=link_file)
    ] = None,
) -> None:
    """Simulate a board, with its serial port on a pseudo-terminal, until it is interrupted.

    It is the board's whole design but for the PLL, clock cycle by clock cycle. The first line is the terminal's name, which the commands
    take for `--device`. Like a board, it understands a program only if both have the same rate.

    Examples:

    - `skipgrid simulate --board icebreaker --link board`

    - `skipgrid run models/lenet5.onnx models/digits.npz --device board --limit 2`
    """
    from skipgrid.host.simulation.board import SimulatedBoard, build_board
    from skipgrid.host.simulation.terminal import Terminal, serve

    board = find_board(board_name)
    rate = baud or board.baud
    with suppress(Interrupted):
        with building(board.title):
            simulated = SimulatedBoard(build_board(board.config, clock_hz=board.clock_hz, baud=rate), clock_hz=board.clock_hz)
        terminal = Terminal()
        try:
            if link:
                link.unlink(missing_ok=True)
                link.symlink_to(terminal.name)
            typer.echo(terminal.name)
            notes.print(f"{board.title} at {rate:,} baud; Ctrl-C ends it", highlight=False)
            serve(simulated, terminal, rate)
        finally:
            if link and link.is_symlink():
                link.unlink()
            terminal.close()
