"""A simulated board: its whole system, compiled by Verilator, with a UART whose other side is bytes."""

import ctypes
from pathlib import Path

import numpy as np

from skipgrid.fpga.system import System
from skipgrid.fpga.uart import divider
from skipgrid.rtl.config import Config

from .library import build_library, sources_hash

HARNESS = Path(__file__).with_name("board.cpp")
CAPACITY = 4096  # bytes from the board in one call


def build_board(config: Config, *, clock_hz: int, baud: int) -> Path:
    """The shared library of a board's simulation, compiled unless the cache holds it; ToolError if that fails.

    ValueError if the clock does not make the rate.
    """
    divider(clock_hz, baud)
    key = f"{sources_hash(HARNESS, 'skipgrid.rtl', 'skipgrid.fpga')} {config.hash} {clock_hz} {baud}"
    return build_library(lambda: System(config, clock_hz=clock_hz, baud=baud), HARNESS, name=f"board-{config.name}", key=key)


class SimulatedBoard:
    """A board in simulation, one clock cycle after another.

    library: made by `build_board`. clock_hz: its clock.
    """

    def __init__(self, library: Path, *, clock_hz: int) -> None:
        self.library = library
        self.clock_hz = clock_hz
        self._library = ctypes.CDLL(str(library))
        self._library.board_new.restype = ctypes.c_void_p
        self._library.board_cycle.restype = ctypes.c_uint64
        self._library.board_quiet.restype = ctypes.c_uint64
        self._board = ctypes.c_void_p(self._library.board_new())
        self._out = np.zeros(CAPACITY, np.uint8)

    def close(self) -> None:
        """End the simulation."""
        if self._board:
            self._library.board_delete(self._board)
            self._board = ctypes.c_void_p()

    def __del__(self) -> None:
        self.close()

    @property
    def cycle(self) -> int:
        """Clock cycles simulated so far."""
        return int(self._library.board_cycle(self._board))

    @property
    def quiet(self) -> int:
        """Clock cycles since a byte was last on the line, either way."""
        return int(self._library.board_quiet(self._board))

    @property
    def lights(self) -> tuple[bool, bool, bool]:
        """The LEDs: ready, busy, error."""
        bits = self._library.board_lights(self._board)
        return bool(bits & 1), bool(bits & 2), bool(bits & 4)

    def run(self, cycles: int, data: bytes, *, baud: int, until_zero: bool = False) -> tuple[int, bytes]:
        """Run for some cycles with bytes to send at a rate: how many of these were begun, and the bytes that came.

        until_zero: only to the end of the first zero byte that comes.
        """
        taken, count = ctypes.c_uint64(), ctypes.c_uint64()
        self._library.board_run(
            self._board,
            ctypes.c_uint64(cycles),
            ctypes.c_double(self.clock_hz / baud),
            data,
            ctypes.c_uint64(len(data)),
            ctypes.byref(taken),
            self._out.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(CAPACITY),
            ctypes.byref(count),
            int(until_zero),
        )
        return taken.value, self._out[: count.value].tobytes()


class SimulatedLine:
    """The line to a simulated board in this process; its time is the board's, so that a time-out depends on nothing else."""

    def __init__(self, board: SimulatedBoard, baud: int) -> None:
        self.board = board
        self.baud = baud
        self._sending = b""

    def write(self, data: bytes) -> None:
        self._sending += data

    def read(self, timeout: float) -> bytes:
        """What comes next, to the end of a frame, or b"" after `timeout` seconds of the board's time."""
        end = self.board.cycle + round(timeout * self.board.clock_hz)
        received = b""
        while not received and self.board.cycle < end:
            taken, received = self.board.run(end - self.board.cycle, self._sending, baud=self.baud, until_zero=True)
            self._sending = self._sending[taken:]
        return received
