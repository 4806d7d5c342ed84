"""The DMA between cocotbext-axi's memory, streams and register port: packets of every length, errors, a cancel at any moment."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, with_timeout
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiRam,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamMonitor,
    AxiStreamSink,
    AxiStreamSource,
)

from axi_sides import answered, behave, behave_all
from skipgrid.fpga.soc.dma_map import CONTROL, ENDS, REGISTERS, STATUS
from skipgrid.rtl.register_map import Access
from streams import HALF_PERIOD, PROFILES, rounds, trials

SIZE = 1 << 16  # bytes of memory
PAGE = 1 << 12  # none of whose ends a burst may cross
LIMIT = 30_000  # cycles in which a packet must be through
BURST = 16  # words
WEIGHTS = (3, 3, 1, 3)  # of PROFILES: of nine sides one at least would be stalled nearly always


class BusError(RuntimeError):
    """An access was answered with SLVERR."""


class Forbidden(RuntimeError):
    """What the memory raises at an address that it refuses."""


@dataclass(frozen=True)
class Range:
    """Words of memory; one more than `words` at both ends is the bench's, to see that it stays."""

    address: int
    words: int


class DmaBench:
    """A DMA, with a memory that can refuse addresses, and monitors of what it sends."""

    def __init__(self, dut: Any) -> None:
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # what is refused on purpose
        self.dut = dut
        self.random = random.Random(random.getrandbits(64))
        dut.rst.value = 1
        Clock(dut.clk, 2 * HALF_PERIOD, "ns").start()
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "axi"), dut.clk, dut.rst, size=SIZE)
        stream = {"clock": dut.clk, "reset": dut.rst, "byte_lanes": 1}
        self.output = AxiStreamSource(AxiStreamBus.from_prefix(dut, "output"), **stream)
        self.sinks = {name: AxiStreamSink(AxiStreamBus.from_prefix(dut, name), **stream) for name in ("load", "input")}
        self.monitor = AxiStreamMonitor(AxiStreamBus.from_prefix(dut, "output"), **stream)
        self.refused = range(0)  # addresses
        self.written: list[int] = []  # addresses, in order
        self.taken = dict.fromkeys(("load", "input", "output"), 0)  # words
        self.cycle = 0
        self.ended = self.interrupted = 0  # cycles in which the last packet of the output ended, and irq rose last
        self._refuse()

    def _refuse(self) -> None:
        """Give the memory what it does not have: errors, and a list of what was written."""
        write, read = self.ram.write_if._write, self.ram.read_if._read

        async def written(address: int, data: bytes) -> None:
            if address in self.refused:
                raise Forbidden
            self.written.append(address)
            await write(address, data)

        async def given(address: int, length: int) -> bytes:
            if address in self.refused:
                raise Forbidden
            data: bytes = await read(address, length)
            return data

        self.ram.write_if._write, self.ram.read_if._read = written, given

    async def begin(self) -> None:
        """Reset, and watch from then on."""
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        """What is offered to memory stays until it is taken, and words that move are counted."""
        dut = self.dut
        offers = {"aw": ("awaddr", "awlen"), "w": ("wdata", "wlast", "wstrb"), "ar": ("araddr", "arlen")}
        waiting: dict[str, list[int]] = {}
        irq = 0
        while True:
            await FallingEdge(dut.clk)
            self.cycle += 1
            for channel, fields in offers.items():
                valid, ready = (int(getattr(dut, f"axi_{channel}{name}").value) for name in ("valid", "ready"))
                offered = [int(getattr(dut, f"axi_{name}").value) for name in fields]
                if channel in waiting:
                    assert valid, f"what was offered on {channel} is withdrawn"
                    assert offered == waiting[channel], f"what was offered on {channel} changes"
                waiting.pop(channel, None)
                if valid and not ready:
                    waiting[channel] = offered
            if int(dut.irq.value) and not irq:
                self.interrupted = self.cycle
            irq = int(dut.irq.value)
            if all(int(getattr(dut, f"output_t{name}").value) for name in ("valid", "ready", "last")):
                self.ended = self.cycle
            for name in self.taken:
                self.taken[name] += int(getattr(dut, f"{name}_tvalid").value) & int(getattr(dut, f"{name}_tready").value)

    def behave(self, profile: str | None = None) -> None:
        """All sides pause as this profile says, or each as a random one."""
        writes, reads = self.ram.write_if, self.ram.read_if
        sides = [
            writes.aw_channel,
            writes.w_channel,
            writes.b_channel,
            reads.ar_channel,
            reads.r_channel,
            self.output,
            *self.sinks.values(),
        ]
        for side in sides:
            behave(side, profile or self.random.choices(PROFILES, WEIGHTS)[0], self.random)
        behave_all(self.master, self.random, profile or "full")

    async def read(self, name: str) -> int:
        """A register's value; BusError for SLVERR."""
        answer = await answered(self.master.read(REGISTERS[name].address, 4))
        if answer.resp != AxiResp.OKAY:
            raise BusError(name)
        return int.from_bytes(answer.data, "little")

    async def write(self, name: str, value: int) -> None:
        """Write a register; BusError for SLVERR."""
        answer = await answered(self.master.write(REGISTERS[name].address, value.to_bytes(4, "little")))
        if answer.resp != AxiResp.OKAY:
            raise BusError(name)

    async def status(self) -> set[str]:
        """The bits of STATUS that are 1."""
        word = await self.read("STATUS")
        return {name for name, *_ in STATUS.fields if STATUS.field(name, word)}

    async def control(self, *names: str) -> None:
        """Write 1 to these bits of CONTROL."""
        await self.write("CONTROL", sum(CONTROL.mask(name) for name in names))

    async def send(self, words: Range, port: str) -> None:
        """Begin to send."""
        await self.write("SEND_ADDRESS", words.address)
        await self.write("SEND_WORDS", words.words)
        await self.write("SEND_PORT", int(port == "input"))
        await self.control("send")

    async def receive(self, room: Range) -> None:
        """Begin to receive."""
        await self.write("RECEIVE_ADDRESS", room.address)
        await self.write("RECEIVE_ROOM", room.words)
        await self.control("receive")

    async def until(self, condition: Callable[[set[str]], bool]) -> set[str]:
        """The bits of STATUS, as soon as a condition holds for them."""
        end = self.cycle + LIMIT
        while not condition(bits := await self.status()):
            assert self.cycle < end, f"{LIMIT} cycles have passed, and STATUS is {bits}"
        return bits

    def some(self, words: int) -> Range:
        """A range of memory, often near the end of a page."""
        if self.random.random() < 0.5:
            address = self.random.randrange(1, SIZE // PAGE - 1) * PAGE - 4 * self.random.randrange(max(words, 1) + 1)
        else:
            address = 4 * self.random.randrange(1, SIZE // 4 - words - 1)
        return Range(max(address, 4), words)

    def fill(self) -> None:
        """Random bytes in all of memory."""
        self.ram.write(0, self.random.randbytes(SIZE))

    def words(self, place: Range) -> list[int]:
        """What is in memory there."""
        data = self.ram.read(place.address, 4 * place.words)
        return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]

    def packet(self, words: int, *, cut: bool = False) -> list[int]:
        """Queue a random packet for the receiver, and return its words."""
        content = [self.random.getrandbits(32) for _ in range(words)]
        self.output.send_nowait(AxiStreamFrame(content, tuser=[0] * (words - 1) + [int(cut)]))
        return content


@cocotb.test
async def packets_of_every_length(dut: Any) -> None:
    bench = DmaBench(dut)
    await bench.begin()
    lengths = list(range(201))
    bench.random.shuffle(lengths)
    for length in lengths[: trials(120)]:
        bench.behave()
        bench.fill()
        sent, port = bench.some(length), bench.random.choice(("load", "input"))
        came = bench.random.randint(1, 200)
        room = bench.some(bench.random.choice((came, came, bench.random.randrange(201))))
        cut = bench.random.random() < 0.3
        expected = bench.words(sent)  # it may lie where the receiver writes: then it is sent first
        before, taken = bytearray(bench.ram.read(0, SIZE)), bench.taken["load"] + bench.taken["input"]
        apart = not set(range(sent.address, sent.address + 4 * length)) & set(range(room.address, room.address + 4 * room.words))
        await bench.send(sent, port)
        if not apart:
            await bench.until(lambda bits: "sent" in bits)
        packet = bench.packet(came, cut=cut)
        await bench.receive(room)
        bits = await bench.until(lambda bits: {"sent", "received"} <= bits)
        assert bits == {"sent", "received"} | ({"cut"} if cut else set())
        assert await bench.read("SEND_MOVED") == length
        assert await bench.read("RECEIVE_MOVED") == came
        if length:
            frame = await with_timeout(bench.sinks[port].recv(compact=False), 1000, "ns")
            assert list(frame.tdata) == expected
        assert bench.taken["load"] + bench.taken["input"] - taken == length, "what is sent is one packet"
        for number, word in enumerate(packet[: room.words]):
            before[room.address + 4 * number : room.address + 4 * number + 4] = word.to_bytes(4, "little")
        assert bench.ram.read(0, SIZE) == bytes(before), "what is received is in its place, and nothing elsewhere"


@cocotb.test
async def both_together_and_again(dut: Any) -> None:
    """As fast as all sides can: a word a cycle is sent, and 16 in 18 cycles are received."""
    bench = DmaBench(dut)
    await bench.begin()
    bench.behave("full")
    bench.fill()
    await bench.write("INTERRUPT_ENABLE", REGISTERS["INTERRUPT_ENABLE"].mask("received"))
    for sent, room in ((Range(0x1000, 512), Range(0x8000, 512)), (Range(0x1FFC, 512), Range(0x8FF4, 512))):
        packet = bench.packet(512)
        expected = bench.words(sent)
        for port in ("load", "input"):
            begin = bench.cycle
            await bench.send(sent, port)
            await with_timeout(bench.sinks[port].wait(), 2 * HALF_PERIOD * 700, "ns")
            assert bench.cycle - begin < 512 * 1.15 + 100  # and the registers'
            assert await bench.read("SEND_WAITS") < 512 * 0.15
            assert list(bench.sinks[port].recv_nowait(compact=False).tdata) == expected
        begin = bench.cycle
        await bench.receive(room)
        await bench.until(lambda bits: "received" in bits)
        assert bench.cycle - begin < 512 * 18 / 16 + 100
        assert 0 < bench.interrupted - bench.ended <= 20 + 18 + 4  # cocotbext-axi's memory answers later than at once
        assert bench.words(room) == packet


@cocotb.test
async def data_is_taken_before_its_address(dut: Any) -> None:
    bench = DmaBench(dut)
    await bench.begin()
    bench.behave("full")
    for place in (Range(0x2038, 40), Range(0x203C, 40)):  # bursts of two words, and of one, which the memory has room for
        bench.ram.write_if.aw_channel.pause = True
        packet = bench.packet(40)
        await bench.receive(place)
        await ClockCycles(dut.clk, 100)
        bench.ram.write_if.aw_channel.pause = False
        assert await bench.until(lambda bits: "receiving" not in bits) == {"received"}
        assert bench.words(place) == packet


@cocotb.test
async def memory_answers_with_errors(dut: Any) -> None:
    bench = DmaBench(dut)
    await bench.begin()
    for _ in range(trials(60)):
        bench.behave()
        bench.fill()
        place = Range(0x2000 + 4 * bench.random.randrange(40), bench.random.randint(1, 120))
        wrong = bench.random.randrange(place.words)
        bench.refused = range(place.address + 4 * wrong, place.address + 4 * wrong + 4)
        port = bench.random.choice(("load", "input"))
        expected, taken = bench.words(place), bench.taken[port]
        await bench.control("clear")
        await bench.send(place, port)
        assert await bench.until(lambda bits: "sending" not in bits) == {"send_failed"}
        moved = await bench.read("SEND_MOVED")
        assert moved == bench.taken[port] - taken <= wrong
        # What the sink has of the packet is its beginning; a word with TLAST ends it.
        bench.refused = range(0)
        closing = Range(0x100, 1)
        await bench.send(closing, port)
        assert await bench.until(lambda bits: "sending" not in bits) == {"sent"}
        frame = await with_timeout(bench.sinks[port].recv(compact=False), 1000, "ns")
        assert list(frame.tdata) == expected[:moved] + bench.words(closing)

        bench.refused = range(place.address + 4 * wrong, place.address + 4 * wrong + 4)
        bench.written.clear()
        length = place.words + bench.random.randrange(20)
        packet, before = bench.packet(length), bench.words(place)
        await bench.receive(place)
        assert await bench.until(lambda bits: "receiving" not in bits) == {"sent", "receive_failed"}
        assert await bench.read("RECEIVE_MOVED") == length, "the packet is taken to its end"
        written = {address - place.address for address in bench.written}
        assert written >= set(range(0, 4 * (wrong - BURST), 4)), "bursts before the error are written"
        after = [packet[number] if 4 * number in written else word for number, word in enumerate(before)]
        assert bench.words(place) == after
        assert max(written, default=0) < 4 * min(wrong + 3 * BURST, place.words), "nothing is written from then on"
        bench.refused = range(0)


@cocotb.test
async def cancel_at_any_moment(dut: Any) -> None:
    bench = DmaBench(dut)
    await bench.begin()
    seen = {"while a packet was sent": 0, "while one was received": 0, "when both had ended": 0}
    for _ in rounds(100, seen):
        bench.behave()
        bench.fill()
        sent, room = Range(0x1000 + 4 * bench.random.randrange(32), bench.random.randint(1, 100)), Range(0x9000, 90)
        port = bench.random.choice(("load", "input"))
        expected, taken = bench.words(sent), bench.taken.copy()
        packet = bench.packet(bench.random.randint(1, 100))
        before = bench.words(room)
        await bench.send(sent, port)
        await bench.receive(room)
        await ClockCycles(dut.clk, bench.random.choice((1, 20, 200, 1000, bench.random.randint(1, 300))))
        await bench.control("cancel")
        bits = await bench.until(lambda bits: not {"sending", "receiving"} & bits)
        bench.written.clear()
        moved, came = await bench.read("SEND_MOVED"), await bench.read("RECEIVE_MOVED")
        assert moved == bench.taken[port] - taken[port]
        assert came == bench.taken["output"] - taken["output"]
        assert ("sent" in bits) == (moved == sent.words)
        assert "received" not in bits or came == len(packet)
        seen["while a packet was sent"] += "sent" not in bits
        seen["while one was received"] += came != len(packet)
        seen["when both had ended"] += {"sent", "received"} <= bits
        after = bench.words(room)
        assert all(word in pair for word, *pair in zip(after, before, packet + before[len(packet) :], strict=False))

        # Nothing more is written, and what is left of the streams goes with the next packets.
        await ClockCycles(dut.clk, 50)
        assert bench.words(room) == after and not bench.written and not {"sending", "receiving"} & await bench.status()
        bench.behave("full")
        if moved != sent.words:
            await bench.send(Range(sent.address + 4 * moved, sent.words - moved), port)
        if came != len(packet):
            await bench.receive(Range(0xA000, 100))
        await bench.until(lambda bits: not {"sending", "receiving"} & bits)
        frame = await with_timeout(bench.sinks[port].recv(compact=False), 1000, "ns")
        assert list(frame.tdata) == expected
        assert bench.words(Range(0xA000, len(packet) - came)) == packet[came:] or came == len(packet)


@cocotb.test
async def registers_and_interrupts(dut: Any) -> None:
    bench = DmaBench(dut)
    await bench.begin()
    bench.behave("full")
    known = {register.address: register for register in REGISTERS.values()}
    for address in [*range(0, 0x48, 4), 0x80, 0xFFC]:
        register = known.get(address)
        readable = register is not None and register.access != Access.WRITE
        writable = register is not None and register.access != Access.READ
        assert ((await answered(bench.master.read(address, 4))).resp == AxiResp.OKAY) == readable, hex(address)
        assert ((await answered(bench.master.write(address, bytes(2)))).resp == AxiResp.OKAY) is False, hex(address)
        assert ((await answered(bench.master.write(address, bytes(4)))).resp == AxiResp.OKAY) == writable, hex(address)
    for register in (register for register in REGISTERS.values() if register.access is Access.READ_WRITE):
        value = bench.random.getrandbits(32)
        await bench.write(register.name, value)
        kept = (
            sum(register.mask(name) for name, *_ in register.fields)
            if register.fields
            else 0xFFFF_FFFC
            if "ADDRESS" in register.name
            else -1
        )
        assert await bench.read(register.name) == value & kept & 0xFFFF_FFFF, register.name

    bench.fill()
    for enabled in ENDS:
        await bench.write("INTERRUPT_ENABLE", REGISTERS["INTERRUPT_ENABLE"].mask(enabled))
        for failing in (False, True):
            bench.refused = range(SIZE) if failing else range(0)
            bench.packet(40)
            await bench.receive(Range(0x2000, 40))
            await bench.send(Range(0x1000, 40), "load")
            bits = await bench.until(lambda bits: not {"sending", "receiving"} & bits)
            assert bits == ({"send_failed", "receive_failed"} if failing else {"sent", "received"})
            assert int(dut.irq.value) == (enabled in bits), "irq is a level"
            await bench.control("clear")
            assert not await bench.status()
            assert not int(dut.irq.value)
    bench.refused = range(0)

    # What must not change while a channel is under way.
    await bench.receive(Range(0x2000, 40))
    bench.sinks["input"].pause = True
    await bench.send(Range(0x1000, 40), "input")
    for name in ("SEND_ADDRESS", "SEND_WORDS", "SEND_PORT", "RECEIVE_ADDRESS", "RECEIVE_ROOM"):
        try:
            await bench.write(name, 0)
        except BusError:
            continue
        raise AssertionError(f"{name} was written while the channel was under way")
    for names in (("send",), ("receive",), ("send", "clear")):
        try:
            await bench.control(*names)
        except BusError:
            continue
        raise AssertionError(f"{names} was taken while the channel was under way")
    bench.sinks["input"].pause = False
    packet = bench.packet(40)
    assert await bench.until(lambda bits: not {"sending", "receiving"} & bits) == {"sent", "received"}
    assert bench.words(Range(0x2000, 40)) == packet
