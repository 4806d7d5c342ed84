"""The accelerator of a board on a serial port."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from skipgrid.fpga.protocol import LAST, PAGE_SHIFT, RESUME, WAIT_CYCLES, WINDOW, Flags, Operation
from skipgrid.rtl.config import Config
from skipgrid.rtl.register_map import IDENTIFICATION, REGISTERS

from .device import CONTROL, BusError, Device, Words
from .link import Answer, Hello, Link, LinkError, Request

IDLE_LIMIT = 100_000_000  # cycles without a word moved, after which a run counts as hung


class SerialDevice(Device):
    """A board behind a link.

    link: to the board. known: the configurations that the board may have.
    expected: the one that it must have; None for any that is known. reset: the accelerator, but for its memories, so that a run is
    given up which another program has left. LinkError says what is wrong with the board.
    """

    def __init__(self, link: Link, known: Iterable[Config], *, expected: Config | None = None, reset: bool = True) -> None:
        self.link = link
        self.hello: Hello = link.hello(reset=reset)
        if self.read_register(REGISTERS["IDENTIFICATION"].address) != IDENTIFICATION:
            raise LinkError("what answers has a link like a Skipgrid board's, but another design behind it; flash the board again")
        self.config = self._configuration(list(known), expected)

    def _configuration(self, known: list[Config], expected: Config | None) -> Config:
        """The configuration that the board has; LinkError if it is not the expected one, or none that is known."""
        found = self.read_register(REGISTERS["CONFIG_HASH"].address)
        if expected is not None and expected.hash == found:
            return expected
        config = next((config for config in known if config.hash == found), None)
        if expected is not None:
            what = f"that of {config.name}" if config else f"another one (hash {found:#010x})"
            raise LinkError(f"the board's configuration is {what}, not that of {expected.name}; choose that one, or flash the board again")
        if config is None:
            grid = self.read_register(REGISTERS["GRID"].address)
            rows, lanes = REGISTERS["GRID"].field("rows", grid), REGISTERS["GRID"].field("lanes", grid)
            raise LinkError(
                f"the board's configuration ({rows} x {lanes}, hash {found:#010x}) is none of {', '.join(each.name for each in known)};"
                " flash the board again"
            )
        return config

    def read_register(self, address: int) -> int:
        answer = self.link.ask(_access(Operation.READ, address))
        if answer.flags & Flags.REFUSED:
            raise BusError(f"register {address:#05x} cannot be read")
        return int.from_bytes(answer.data, "little")

    def write_register(self, address: int, value: int) -> None:
        if self.link.ask(_access(Operation.WRITE, address, value.to_bytes(4, "little"))).flags & Flags.REFUSED:
            raise BusError(f"register {address:#05x} cannot be written with {value:#x}")

    def load(self, packet: Words) -> None:
        requests = (self.sending(Operation.LOAD, [packet], start) for start in range(0, len(packet), self.hello.frame_words))
        first = next(requests)
        left = [answer.left for answer in self.link.exchange(_chain(_resumed(first), requests))]
        if any(left):
            raise LinkError("the board takes no load packets while a run is under way; stop it first")
        self.check()

    def stream(self, packets: list[Words]) -> list[Words]:
        self.write_register(CONTROL.address, CONTROL.mask("start"))
        return _Streams(self, packets).run()

    def sending(self, operation: Operation, packets: list[Words], start: int) -> Request:
        """The request that sends words of some packets from word `start` on, to a packet's end at most."""
        for packet in packets:
            if start < len(packet):
                words = packet[start : start + self.hello.frame_words]
                last = LAST if start + len(words) == len(packet) else 0
                return Request(operation, len(words), np.asarray(words, "<u4").tobytes(), last)
            start -= len(packet)
        raise IndexError(start)


def _access(operation: Operation, address: int, data: bytes = b"") -> Request:
    return Request(operation, address >> 2 & 0xFF, data, address >> 10 << PAGE_SHIFT)


def _resumed(request: Request) -> Request:
    return Request(request.operation, request.argument, request.data, request.options | RESUME)


def _chain(first: Request, others: Iterable[Request]) -> Iterator[Request]:
    yield first
    yield from others


class _Streams:
    """One run's streams: inputs are sent and outputs taken together, so that neither side waits for the other for ever."""

    def __init__(self, device: SerialDevice, packets: list[Words]) -> None:
        self.device = device
        self.link = device.link
        self.packets = packets
        self.total = sum(map(len, packets))
        self.position = 0  # of the next word to send
        self.resume = True  # the next words follow others that were not taken, or are the first
        self.blocked: int | None = None  # where to go on, once all words under way have been answered
        self.under_way: deque[tuple[Operation, int, int]] = deque()  # with the first word and the number of words
        self.flowing = False  # output words came with the last TAKE, or wait for the next
        self.ended = False
        self.words: list[bytes] = []  # of the packet that comes
        self.out: list[Words] = []
        self.idle_cycles = 0

    def run(self) -> list[Words]:
        """The output packets, when the run has ended; LinkError if it does not end."""
        while not self.ended:
            while len(self.under_way) < WINDOW and self._submit():
                pass
            self._take_in(self.link.answer())
            if self.idle_cycles > IDLE_LIMIT:
                self._drain()
                self.device.write_register(CONTROL.address, CONTROL.mask("stop"))
                raise LinkError(f"the run moved no word for {IDLE_LIMIT:,} cycles, and was stopped; is an input packet missing?")
        self._drain()
        return self.out

    def _drain(self) -> None:
        while self.under_way:
            self._take_in(self.link.answer())

    def _submit(self) -> bool:
        """Send the next request, if there is one to send now."""
        takes = sum(operation == Operation.TAKE for operation, _, _ in self.under_way)
        sends = self.position < self.total and self.blocked is None
        turn = self.flowing and takes < WINDOW // 2 and not (self.under_way and self.under_way[-1][0] == Operation.TAKE)
        if sends and not turn:
            request = self.device.sending(Operation.SEND, self.packets, self.position)
            self.link.submit(_resumed(request) if self.resume else request)
            self.under_way.append((Operation.SEND, self.position, request.argument))
            self.position += request.argument
            self.resume = False
        elif turn or takes < (1 if self.position < self.total else WINDOW):
            self.link.submit(Request(Operation.TAKE, self.device.hello.frame_words))
            self.under_way.append((Operation.TAKE, 0, self.device.hello.frame_words))
        else:
            return False
        return True

    def _take_in(self, answer: Answer) -> None:
        operation, start, count = self.under_way.popleft()
        if operation == Operation.SEND:
            if answer.left and self.blocked is None:
                self.blocked = start + count - answer.left
                self.position = self.blocked
            if self.blocked is not None and not any(each == Operation.SEND for each, _, _ in self.under_way):
                self.blocked, self.resume = None, True
        else:
            self.words.append(answer.data)
            if answer.flags & Flags.LAST:
                self.out.append(np.frombuffer(b"".join(self.words), "<u4").astype(np.uint32))
                self.words = []
            self.flowing = bool(answer.data)
            self.ended = not answer.flags & (Flags.BUSY | Flags.WAITING)
        self.flowing |= bool(answer.flags & Flags.WAITING)
        self.idle_cycles = 0 if answer.left < count else self.idle_cycles + WAIT_CYCLES
