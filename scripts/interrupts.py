"""Ctrl-C and SIGTERM: a command ends at once, with what it has begun cleared away, and says so."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}


class Interrupted(BaseException):
    """A signal has come; whatever is under way is left, and its temporary files are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(NAMES[signal.Signals(number)])
        self.code = 128 + number  # as a shell says it


def _in_destructor(frame: FrameType | None) -> bool:
    """Whether a `__del__` is under way: Python prints what is raised there, and goes on."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals that end a program raise Interrupted in what is done here; further ones are ignored from then on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _in_destructor(frame):
            again = threading.Timer(0.01, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        for each in NAMES:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
