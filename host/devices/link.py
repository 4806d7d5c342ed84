"""The link to a board: requests and answers in frames, sent again until they are answered (docs/link.md)."""

import random
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cobs import cobs

from skipgrid.fpga.protocol import HELLO_BYTES, PROTOCOL, RESET, SLOT_BYTES, WAIT_CYCLES, WINDOW, Flags, Operation

DELIMITER = b"\0"
LATENCY = 0.5  # seconds that the computer, its adapter and their buffers may take
ATTEMPTS = 8  # to send requests, without an answer to any
HELLO_ATTEMPTS = 4
GARBAGE_LIMIT = 1 << 16  # bytes without an answer in them
SLOWEST_CLOCK = 1_000_000  # Hz; until HELLO tells it


class LinkError(RuntimeError):
    """The board does not answer, or what answers is no board."""


class NoBoard(LinkError):
    """There is no board, or it has another rate; heard: something answers."""

    def __init__(self, *, heard: bool) -> None:
        super().__init__("what answers is no Skipgrid board, or has another rate" if heard else "nothing answers")
        self.heard = heard


class _OnlyGarbage(LinkError):
    """Bytes came, but no answer."""


class Line(Protocol):
    """A serial line."""

    def write(self, data: bytes) -> None:
        """Send bytes; LinkError if the line is gone."""

    def read(self, timeout: float) -> bytes:
        """Bytes that have come, at least one, or b"" if none comes for `timeout` seconds; LinkError if the line is gone."""


@dataclass(frozen=True)
class Request:
    """What the board is asked for; options: bits beside the operation."""

    operation: Operation
    argument: int = 0
    data: bytes = b""
    options: int = 0


@dataclass(frozen=True)
class Answer:
    """What the board answers; left: the argument, counted down by the words that were moved."""

    data: bytes
    left: int
    flags: Flags


@dataclass(frozen=True)
class Hello:
    """What a board says of itself: the longest frame in words, the clock in Hz, and the UART's rate."""

    frame_words: int
    clock_hz: int
    baud: int


def request_frame(session: int, number: int, request: Request) -> bytes:
    """A request as it goes over the line."""
    body = bytes((session, number, request.operation | request.options, request.argument)) + request.data
    return bytes(cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))) + DELIMITER


def read_answer(frame: bytes) -> tuple[int, int, Answer] | None:
    """Session, number and answer of a frame without its delimiter; None if it is damaged."""
    try:
        body = cobs.decode(frame)
    except cobs.DecodeError:
        return None
    if len(body) < 8 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        return None
    return body[0], body[1], Answer(body[2:-6], body[-6], Flags(body[-5]))


class Link:
    """Requests to a board, at most WINDOW under way, answered in order, each carried out once.

    line: to the board. baud: its rate. latency: in seconds, of everything between here and the line. choose: makes session numbers.
    """

    def __init__(self, line: Line, baud: int, *, latency: float = LATENCY, choose: random.Random | None = None) -> None:
        self.resent = 0  # requests that were sent more than once
        self._line = line
        self._baud = baud
        self._latency = latency
        self._choose = choose or random.Random()
        self._silence = self._timeout(SLOWEST_CLOCK)
        self._session = 0
        self._next = 0
        self._under_way: deque[tuple[int, bytes]] = deque()  # numbers and frames
        self._answers: dict[int, Answer] = {}  # that came before their turn
        self._missed: int | None = None  # the number that was asked for again when a later answer came
        self._partial = b""

    def _timeout(self, clock_hz: int) -> float:
        """Seconds of silence after which something was lost: a window goes out, and each request in it waits for a word."""
        return self._latency + WINDOW * (10 * SLOT_BYTES / self._baud + WAIT_CYCLES / clock_hz)

    @property
    def under_way(self) -> int:
        """Requests without an answer."""
        return len(self._under_way)

    def hello(self, *, reset: bool = True) -> Hello:
        """Begin a session; NoBoard if no board answers, LinkError if one does that this version does not know.

        reset: the accelerator too, which gives up a run that another program has left.
        """
        heard = False
        for _ in range(HELLO_ATTEMPTS):
            # Another session each time: one that happens to be the board's own would not be begun again.
            self._session = self._choose.choice([number for number in range(1, 256) if number != self._session])
            self._next, self._missed = 0, None
            self._under_way.clear()
            self._answers.clear()
            self._line.write(DELIMITER)
            self._submit(Request(Operation.HELLO, HELLO_BYTES, options=RESET if reset else 0))
            try:
                answer = self._await_answer(attempts=1)
            except LinkError as error:
                heard |= isinstance(error, _OnlyGarbage)
                continue
            if len(answer.data) == HELLO_BYTES:
                protocol, _, words, _ = answer.data[:4]
                if protocol != PROTOCOL:
                    raise LinkError(f"the board's link has version {protocol}, and this is for {PROTOCOL}; build and flash the board again")
                clock_hz, baud = (int.from_bytes(answer.data[low : low + 4], "little") for low in (4, 8))
                self._silence = self._timeout(clock_hz)
                return Hello(words, clock_hz, baud)
            heard = True
        raise NoBoard(heard=heard)

    def exchange(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """The answers to requests, in order, with as many under way as may be."""
        for request in requests:
            if self.under_way == WINDOW:
                yield self.answer()
            self.submit(request)
        while self.under_way:
            yield self.answer()

    def ask(self, request: Request) -> Answer:
        """The answer to a request, while no other is under way."""
        (answer,) = self.exchange([request])
        return answer

    def submit(self, request: Request) -> None:
        """Send a request; ValueError if WINDOW requests are under way."""
        if self.under_way == WINDOW:
            raise ValueError(f"{WINDOW} requests are under way; take an answer first")
        self._submit(request)

    def _submit(self, request: Request) -> None:
        frame = request_frame(self._session, self._next, request)
        self._under_way.append((self._next, frame))
        self._next = (self._next + 1) % 256
        self._line.write(frame)

    def answer(self) -> Answer:
        """The answer to the oldest request; LinkError if none comes."""
        return self._await_answer(ATTEMPTS)

    def _await_answer(self, attempts: int) -> Answer:
        oldest = self._under_way[0][0]
        garbage = 0
        while oldest not in self._answers:
            data = self._line.read(self._silence)
            if not data:
                attempts -= 1
                if not attempts:
                    raise (_OnlyGarbage if garbage else LinkError)(
                        "the board does not answer any more; press its reset button, or plug it in again"
                    )
                self._send_again(len(self._under_way))
                continue
            garbage += len(data)
            if garbage > GARBAGE_LIMIT:
                raise _OnlyGarbage("nothing that comes from the board is an answer; is another program using it?")
            for number in self._take_in(data):
                garbage = 0
                if oldest not in (number, self._missed):
                    self._missed = oldest  # answers come in order, so this one was lost
                    self._send_again(1)
        self._under_way.popleft()
        return self._answers.pop(oldest)

    def _send_again(self, count: int) -> None:
        self.resent += count
        self._line.write(DELIMITER + b"".join(frame for _, frame in list(self._under_way)[:count]))

    def _take_in(self, data: bytes) -> Iterator[int]:
        """Keep the answers in some bytes; their numbers."""
        *frames, self._partial = (self._partial + data).split(DELIMITER)
        self._partial = self._partial[-SLOT_BYTES:]
        for frame in filter(None, frames):
            found = read_answer(frame)
            if found is None or found[0] != self._session:
                continue
            _, number, answer = found
            if number in (waiting for waiting, _ in self._under_way):
                self._answers[number] = answer
                yield number
