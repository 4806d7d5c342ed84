"""A serial port, or a pseudo-terminal, as a line; what can go wrong with it in one sentence each."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import serial
from serial.tools import list_ports

from .link import LinkError

WRITE_LIMIT = 10.0  # seconds in which the port must take what is written


class SerialLine:
    """A serial port that nobody else uses. LinkError if it cannot be opened, or goes away."""

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        try:
            self._serial = serial.Serial(port, baud, exclusive=True, write_timeout=WRITE_LIMIT)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise LinkError(_refusal(port, baud, error)) from error
        except Exception as error:
            if type(error).__module__ != "termios":
                raise
            raise LinkError(f"{port} is not a serial port; {_ports()}") from error
        with suppress(AttributeError, OSError, ValueError):  # a USB adapter otherwise keeps bytes back for some milliseconds
            self._serial.set_low_latency_mode(True)

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except OSError as error:
            raise LinkError(f"{self.port} takes no more bytes; was the board unplugged? Plug it in and run again") from error

    def read(self, timeout: float) -> bytes:
        try:
            if self._serial.timeout != timeout:
                self._serial.timeout = timeout
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except OSError as error:
            raise LinkError(f"{self.port} is gone; was the board unplugged? Plug it in and run again") from error


def _refusal(port: str, baud: int, error: OSError | ValueError) -> str:
    """Why a port could not be opened, and what to do."""
    number = _number(error)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or not Path(port).exists():
        return f"there is no device {port}; {_ports()}"
    if number in (errno.EACCES, errno.EPERM):
        group = Path(port).group() if hasattr(os, "getgid") else "dialout"
        return f"{port} may not be opened by you; join its group with `sudo usermod -aG {group} $USER`, and log in again"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"{port} is in use by another program; end that one first"
    if number == errno.ENOTTY or not stat.S_ISCHR(Path(port).stat().st_mode):
        return f"{port} is not a serial port; {_ports()}"
    if isinstance(error, ValueError):
        return f"{port} does not make {baud:,} baud; choose another rate with --baud"
    return f"{port} cannot be opened: {error}"


def _number(error: OSError | ValueError) -> object:
    """The system's number of an error. Where termios refuses, pySerial raises an error without one; the one before has it first."""
    before = getattr(error.__context__, "args", ())
    return getattr(error, "errno", None) or next(iter(before), None)


def _ports() -> str:
    found = [port.device for port in list_ports.comports()]
    return f"there are {', '.join(found)}" if found else "no board is plugged in"
