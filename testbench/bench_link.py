"""The link's gateware at its pins: every operation, back pressure, repeats, damage, break and reset at any moment."""

import random
from collections import deque
from typing import Any

import cocotb

from skipgrid.fpga.executor import hello_bytes
from skipgrid.fpga.protocol import FRAME_WORDS, HELLO_BYTES, LAST, PAGE_SHIFT, RESET, RESUME, WAIT_CYCLES, Flags, Operation
from skipgrid.host.devices.link import Answer, Request, read_answer, request_frame
from streams import Bench, pace, trials

CLOCKS = 4  # a bit
CLOCK, BAUD = 12_000_000, 3_000_000
HELLO = Request(Operation.HELLO, HELLO_BYTES, options=RESET)
MISSING = 0x7FC  # a register that answers SLVERR


class Uart:
    """The other side of the line."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.levels: deque[tuple[int, int]] = deque()  # with the cycles they last
        self.left = 0
        self.bits: list[int] | None = None
        self.due = 0
        self.received = bytearray()
        bench.set(rx=1)

    def send(self, data: bytes) -> None:
        for byte in data:
            self.levels.append((0, CLOCKS))
            self.levels.extend((byte >> bit & 1, CLOCKS) for bit in range(8))
            self.levels.append((1, CLOCKS))

    def low(self, bits: int) -> None:
        """Hold the line low, and then let it rest for a while."""
        self.levels += [(0, bits * CLOCKS), (1, 10 * CLOCKS)]

    def drive(self) -> None:
        if self.left == 0 and self.levels:
            level, self.left = self.levels.popleft()
            self.bench.set(rx=level)
        self.left = max(0, self.left - 1)

    def sample(self) -> None:
        tx = self.bench.get("tx")
        if self.bits is None:
            if not tx:
                self.bits, self.due = [], self.bench.cycle + CLOCKS + CLOCKS // 2
        elif self.bench.cycle == self.due:
            self.due += CLOCKS
            if len(self.bits) == 8:
                assert tx, "no stop bit"
                self.received.append(sum(bit << place for place, bit in enumerate(self.bits)))
                self.bits = None
            else:
                self.bits.append(tx)


class Words:
    """An AXI4-Stream that takes words into `taken`, with their TLAST."""

    def __init__(self, bench: Bench, name: str, profile: str) -> None:
        self.bench, self.name = bench, name
        self.taken: list[tuple[int, int]] = []
        self.behave(profile)

    def behave(self, profile: str) -> None:
        self.pace = pace(profile, self.bench.random) if profile != "closed" else iter(lambda: False, None)

    def drive(self) -> None:
        self.ready = next(self.pace)
        self.bench.set(**{f"{self.name}_tready": int(self.ready)})

    def sample(self) -> None:
        if self.ready and self.bench.get(f"{self.name}_tvalid"):
            self.taken.append((self.bench.get(f"{self.name}_tdata"), self.bench.get(f"{self.name}_tlast")))


class Output:
    """The output stream: gives the words of `queue`, with TLAST and TUSER."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue: deque[tuple[int, int, int]] = deque()

    def drive(self) -> None:
        word, last, damaged = self.queue[0] if self.queue else (0, 0, 0)
        self.bench.set(output_tvalid=int(bool(self.queue)), output_tdata=word, output_tlast=last, output_tuser=damaged)

    def sample(self) -> None:
        if self.queue and self.bench.get("output_tready"):
            self.queue.popleft()


class Registers:
    """A register file that answers after some cycles, and counts the writes."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.held: dict[int, int] = {}
        self.writes: list[tuple[int, int]] = []
        self.reading: tuple[int, int] | None = None  # address, and cycles until the answer
        self.writing: tuple[int, int] | None = None

    def forget(self) -> None:
        self.reading = self.writing = None

    def drive(self) -> None:
        willing = self.bench.random.random() < 0.3
        answers = {"rvalid": 0, "rdata": self.bench.random.getrandbits(32), "rresp": 0, "bvalid": 0, "bresp": 0}
        if self.reading and self.reading[1] == 0:
            address = self.reading[0]
            answers |= {"rvalid": 1, "rdata": self.held.get(address, 0), "rresp": 2 * (address == MISSING)}
        if self.writing and self.writing[1] == 0:
            answers |= {"bvalid": 1, "bresp": 2 * (self.writing[0] == MISSING)}
        ready = {"arready": willing and not self.reading, "awready": willing and not self.writing}
        answers |= {name: int(value) for name, value in ready.items()} | {"wready": int(ready["awready"])}
        self.bench.set(**{f"registers_{name}": value for name, value in answers.items()})
        self.ready = ready

    def sample(self) -> None:
        def port(name: str) -> int:
            return self.bench.get(f"registers_{name}")

        self.reading = _later(self.reading)
        self.writing = _later(self.writing)
        if self.ready["arready"] and port("arvalid"):
            self.reading = (port("araddr"), self.bench.random.randrange(4))
        if self.ready["awready"] and port("awvalid"):
            assert port("wvalid") and port("wstrb") == 15
            self.writing = (port("awaddr"), self.bench.random.randrange(4))
            self.writes.append((port("awaddr"), port("wdata")))
            if port("awaddr") != MISSING:
                self.held[port("awaddr")] = port("wdata")


def _later(access: tuple[int, int] | None) -> tuple[int, int] | None:
    """The access one cycle on; its answer is taken at once."""
    return (access[0], access[1] - 1) if access and access[1] else None


class Peer:
    """Both sides of the link."""

    def __init__(self, dut: Any) -> None:
        self.bench = bench = Bench(dut)
        self.random: random.Random = bench.random
        self.uart, self.registers, self.output = Uart(bench), Registers(bench), Output(bench)
        self.load, self.input = Words(bench, "load", "random"), Words(bench, "input", "random")
        bench.streams += [self.uart, self.registers, self.output, self.load, self.input]  # type: ignore[list-item]
        self.restarts = bench.record("restart")
        self.session, self.number = 0, 0

    async def begin(self) -> None:
        """Reset, and a new session."""
        await self.bench.reset()
        await self.hello()

    async def hello(self) -> None:
        self.session = self.session % 255 + 1
        self.number = 0
        before = len(self.restarts)
        answer = await self.ask(HELLO)
        assert answer == Answer(hello_bytes(CLOCK, BAUD), 0, Flags(0))
        assert len(self.restarts) == before + 1

    def frame(self, request: Request) -> bytes:
        """The next request."""
        frame = request_frame(self.session, self.number, request)
        self.number = (self.number + 1) % 256
        return frame

    async def ask(self, request: Request) -> Answer:
        (answer,) = await self.say(b"\0" + self.frame(request), 1)
        return answer

    async def say(self, data: bytes, count: int) -> list[Answer]:
        """The answers to some bytes, of which there must be `count`, and of this session."""
        self.uart.received.clear()
        self.uart.send(data)
        await self.bench.until(lambda: self.uart.received.count(0) >= count and not self.uart.levels, f"{count} answers")
        if not count:
            await self.quiet()
        found = [read_answer(bytes(frame)) for frame in self.uart.received.split(b"\0") if frame]
        assert all(each and each[0] == self.session for each in found), found
        assert len(found) == count
        return [each[2] for each in found if each]

    async def quiet(self) -> None:
        """Long enough for any answer to come."""
        await self.bench.step(1500)


def access(operation: Operation, address: int, data: bytes = b"") -> Request:
    return Request(operation, address >> 2 & 0xFF, data, address >> 10 << PAGE_SHIFT)


def sending(operation: Operation, words: list[int], options: int = 0) -> Request:
    return Request(operation, len(words), b"".join(word.to_bytes(4, "little") for word in words), options)


def numbers(peer: Peer, count: int) -> list[int]:
    """Words, with many zero bytes in some."""
    return [peer.random.choice((0, 0xFF, peer.random.getrandbits(32), peer.random.getrandbits(32))) for _ in range(count)]


@cocotb.test
async def registers(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    for address in (0, 4, 0x3FC, 0x400, 0x8A4, 0xFFC):
        value = peer.random.getrandbits(32)
        assert await peer.ask(access(Operation.WRITE, address, value.to_bytes(4, "little"))) == Answer(b"", address >> 2 & 0xFF, Flags(0))
        answer = await peer.ask(access(Operation.READ, address))
        assert (int.from_bytes(answer.data, "little"), answer.flags) == (value, Flags(0))
    assert (await peer.ask(access(Operation.READ, MISSING))).flags == Flags.REFUSED
    assert (await peer.ask(access(Operation.WRITE, MISSING, bytes(4)))).flags == Flags.REFUSED
    for unknown in (6, 7):
        assert await peer.ask(Request(Operation(Operation.HELLO), 9, options=unknown)) == Answer(b"", 9, Flags.REFUSED)


@cocotb.test
async def words_to_the_accelerator(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    for operation, port in ((Operation.LOAD, peer.load), (Operation.SEND, peer.input)):
        for count, last in ((1, 0), (FRAME_WORDS, 0), (7, LAST)):
            port.taken.clear()
            words = numbers(peer, count)
            assert await peer.ask(sending(operation, words, last | RESUME)) == Answer(b"", 0, Flags(0))
            assert port.taken == [(word, int(bool(last) and place == count)) for place, word in enumerate(words, 1)]
        port.behave("full")


@cocotb.test
async def words_that_are_not_taken(dut: Any) -> None:
    """The first frame is taken in part; the next ones are refused until one resumes, and no word comes twice or is lost."""
    peer = Peer(dut)
    await peer.begin()
    peer.input.behave("closed")
    words = numbers(peer, 30)
    frames = [peer.frame(sending(Operation.SEND, words[low : low + 10])) for low in (0, 10, 20)]
    before = peer.bench.cycle
    answers = await peer.say(b"".join(frames), 3)
    assert [answer.left for answer in answers] == [10, 10, 10]
    assert peer.bench.cycle - before > WAIT_CYCLES
    peer.input.behave("full")
    assert (await peer.ask(sending(Operation.SEND, words[:10]))).left == 10
    assert (await peer.ask(sending(Operation.SEND, words[:10], RESUME))).left == 0
    assert (await peer.ask(sending(Operation.SEND, words[10:], LAST))).left == 0
    assert [word for word, _ in peer.input.taken] == words


@cocotb.test
async def words_from_the_accelerator(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    peer.bench.set(busy=1)
    words = numbers(peer, 70)
    peer.output.queue.extend((word, int(place == 70), int(place == 70)) for place, word in enumerate(words, 1))
    peer.output.queue.append((5, 1, 0))
    first = await peer.ask(Request(Operation.TAKE, FRAME_WORDS))
    second = await peer.ask(Request(Operation.TAKE, FRAME_WORDS))
    third = await peer.ask(Request(Operation.TAKE, FRAME_WORDS))
    assert (first.left, first.flags) == (0, Flags.BUSY | Flags.WAITING)
    assert (second.left, second.flags) == (FRAME_WORDS - 9, Flags.BUSY | Flags.WAITING | Flags.LAST | Flags.DAMAGED)
    assert third == Answer((5).to_bytes(4, "little"), FRAME_WORDS - 1, Flags.BUSY | Flags.LAST)
    assert first.data + second.data == sending(Operation.SEND, words).data
    for busy in (1, 0):
        peer.bench.set(busy=busy, error=1 - busy)
        before = peer.bench.cycle
        answer = await peer.ask(Request(Operation.TAKE, FRAME_WORDS))
        assert answer == Answer(b"", FRAME_WORDS, Flags.BUSY if busy else Flags.ERROR)
        assert (peer.bench.cycle - before > WAIT_CYCLES) == bool(busy)


@cocotb.test
async def each_request_once(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    for _ in range(3):
        frames = [peer.frame(access(Operation.WRITE, 0x20 + 4 * place, bytes([place] * 4))) for place in range(4)]
        peer.registers.writes.clear()
        assert len(await peer.say(b"".join(frames), 4)) == 4
        assert [address for address, _ in peer.registers.writes] == [0x20, 0x24, 0x28, 0x2C]
    first = peer.frame(access(Operation.READ, 0x20))
    (answer,) = await peer.say(first, 1)
    peer.registers.held[0x20] = 77
    assert await peer.say(first, 1) == [answer]
    assert len(await peer.say(frames[1] + frames[2], 4)) == 4  # all from 1 on; 2 comes while they are sent
    ahead = request_frame(peer.session, (peer.number + 1) % 256, access(Operation.WRITE, 0x40, bytes(4)))
    other = request_frame(peer.session ^ 1, peer.number, access(Operation.WRITE, 0x40, bytes(4)))
    peer.registers.writes.clear()
    await peer.say(ahead + other, 0)
    assert not peer.registers.writes
    await peer.ask(access(Operation.READ, 0x20))


@cocotb.test
async def damaged_frames(dut: Any) -> None:
    """Nothing is carried out of a frame that is not whole, and the next one is."""
    peer = Peer(dut)
    await peer.begin()
    for trial in range(trials(16)):
        frame = request_frame(peer.session, peer.number, access(Operation.WRITE, 0x40, numbers(peer, 1)[0].to_bytes(4, "little")))
        place, bit = peer.random.randrange(len(frame) - 1), peer.random.randrange(8)
        damaged = (
            frame[:place] + bytes([frame[place] ^ 1 << bit]) + frame[place + 1 :],
            frame[:place] + b"\0",
            peer.random.randbytes(300).replace(b"\0", b"\1") + frame,
            bytes(20) + frame[:-1] + frame,
        )[trial % 4]
        peer.registers.writes.clear()
        await peer.say(damaged + b"\0", 0)
        assert not peer.registers.writes
    peer.uart.low(1)  # a byte without a stop bit is none
    peer.uart.low(11)
    await peer.ask(access(Operation.READ, 0x40))


@cocotb.test
async def a_break_at_any_moment(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    for _ in range(trials(10)):
        peer.input.behave(peer.random.choice(("full", "closed")))
        peer.output.queue.extend((word, 0, 0) for word in numbers(peer, 20))
        peer.bench.set(busy=1)
        frames = [sending(Operation.SEND, numbers(peer, 5), RESUME), Request(Operation.TAKE, 30), access(Operation.READ, 0x20)]
        peer.uart.send(b"".join(map(peer.frame, frames)))
        await peer.bench.step(peer.random.randrange(4000))
        peer.uart.levels.clear()
        peer.uart.low(40)
        before = len(peer.restarts)
        await peer.bench.until(lambda: not peer.uart.levels, "the break is over")
        assert len(peer.restarts) > before
        peer.registers.forget()
        peer.output.queue.clear()
        peer.uart.bits = None
        peer.bench.set(busy=0)
        await peer.say(b"\0" + peer.frame(access(Operation.READ, 0x20)), 0)
        await peer.hello()


@cocotb.test
async def a_reset_at_any_moment(dut: Any) -> None:
    peer = Peer(dut)
    await peer.begin()
    for _ in range(trials(10)):
        peer.uart.send(b"".join(peer.frame(access(Operation.READ, 0x20)) for _ in range(3)))
        await peer.bench.step(peer.random.randrange(1500))
        peer.uart.levels.clear()
        peer.uart.bits = None
        peer.registers.forget()
        peer.bench.set(rx=1)
        await peer.bench.reset()
        await peer.bench.step(12 * CLOCKS)
        await peer.hello()
