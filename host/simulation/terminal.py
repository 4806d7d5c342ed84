"""A pseudo-terminal that stands for a board's serial port, and the simulated board behind it."""

import fcntl
import os
import select
import struct
import tty
from contextlib import suppress
from typing import NoReturn

from .board import SimulatedBoard

SLICE = 4000  # cycles between two looks at the terminal
QUIET = 200_000  # cycles without a byte, after which nothing more comes from a board that is not busy
ABANDONED = 50_000_000  # the same for a busy one, which nobody waits for then
TCGETS2 = 0x802C542A  # Linux: a terminal's settings, with its rate as a number
SETTINGS = struct.Struct("4I 20B 2I")


class Terminal:
    """A pseudo-terminal in raw mode; a program opens `name` as it would a serial port."""

    def __init__(self) -> None:
        self.board_side, self._port = os.openpty()  # the port stays open here, so that programs may come and go
        tty.setraw(self._port)
        os.set_blocking(self.board_side, False)
        self.name = os.ttyname(self._port)

    def close(self) -> None:
        """Unplug it: programs that have it open notice."""
        os.close(self._port)
        os.close(self.board_side)

    def rate(self, default: int) -> int:
        """The rate to which a program has set the port, or the default where the system does not tell."""
        with suppress(OSError):
            settings = fcntl.ioctl(self.board_side, TCGETS2, bytes(SETTINGS.size))
            return int(SETTINGS.unpack(settings)[-1]) or default
        return default

    def read(self) -> bytes:
        """Bytes that have come, or none."""
        with suppress(BlockingIOError):
            return os.read(self.board_side, 4096)
        return b""

    def write(self, data: bytes) -> None:
        """Send bytes; what nobody reads is lost, as on a line."""
        with suppress(BlockingIOError):
            while data:
                data = data[os.write(self.board_side, data) :]


def serve(board: SimulatedBoard, terminal: Terminal, baud: int) -> NoReturn:
    """Run a board whose UART is on a terminal, for ever; asleep while line and board are idle."""
    waiting = b""
    while True:
        waiting += terminal.read()
        if not waiting and board.quiet > (ABANDONED if board.lights[1] else QUIET):
            select.select([terminal.board_side], [], [])
            continue
        taken, answer = board.run(SLICE, waiting, baud=terminal.rate(baud), until_zero=True)
        waiting = waiting[taken:]
        terminal.write(answer)
