"""The memory, the bridge and the stream port at the CPU's bus, with cocotbext-axi's sides at their other ports."""

import logging
import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiBurstType,
    AxiBus,
    AxiLiteBus,
    AxiLiteRam,
    AxiMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from axi_sides import answered, behave, behave_all
from skipgrid.fpga.soc.stream_port import REGISTERS
from streams import HALF_PERIOD, PROFILES, trials

BYTES = 4096  # of the memory
CYCLES = 1000  # in which an access of the CPU is answered
STATUS = REGISTERS["STATUS"]


class CpuSide:
    """A component at the CPU's bus: one access after another, at random times."""

    def __init__(self, dut: Any) -> None:
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # what is refused on purpose
        self.dut = dut
        self.random = random.Random(random.getrandbits(64))
        for name in os.environ["BENCH_INPUTS"].split():
            getattr(dut, name).value = 0
        dut.rst.value = 1
        Clock(dut.clk, 2 * HALF_PERIOD, "ns").start()

    async def begin(self) -> None:
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def access(self, address: int, data: int = 0, strobes: int = 0) -> tuple[int, bool]:
        """What was read, and whether the access failed."""
        dut = self.dut
        await ClockCycles(dut.clk, self.random.choice((1, 1, 2, 5)))
        dut.bus_ahead.value = address
        await RisingEdge(dut.clk)
        dut.bus_valid.value, dut.bus_addr.value, dut.bus_wdata.value, dut.bus_wstrb.value = 1, address, data, strobes
        for _ in range(CYCLES):
            dut.bus_ahead.value = self.random.getrandbits(32)
            await FallingEdge(dut.clk)
            answered, read, failed = (int(getattr(dut, f"bus_{name}").value) for name in ("ready", "rdata", "failed"))
            await RisingEdge(dut.clk)
            if answered:
                dut.bus_valid.value = 0
                return read, bool(failed)
        raise AssertionError(f"the access to {address:#x} is not answered in {CYCLES} cycles")

    async def write(self, address: int, data: int, strobes: int = 0b1111) -> bool:
        """Whether a write is done."""
        return not (await self.access(address, data, strobes))[1]

    async def read(self, address: int) -> int | None:
        """What is read, or None for a failure."""
        value, failed = await self.access(address)
        return None if failed else value


class RamBench(CpuSide):
    """A memory of which both ports are used at the same time, each at words of its own."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "axi"), dut.clk, dut.rst)
        self.content = bytearray(self.random.randbytes(BYTES))

    async def boot(self) -> None:
        """Put the content in, during a reset."""
        self.dut.boot.value = 1
        for word in range(BYTES // 4):
            self.dut.boot_address.value = word
            self.dut.boot_data.value = int.from_bytes(self.content[4 * word : 4 * word + 4], "little")
            await RisingEdge(self.dut.clk)
        await RisingEdge(self.dut.clk)
        self.dut.boot.value = 0
        await self.begin()

    async def cpu(self, count: int) -> None:
        """Random accesses to the lower half."""
        for _ in range(count):
            at, data, strobes = 4 * self.random.randrange(BYTES // 8), self.random.getrandbits(32), self.random.getrandbits(4)
            before = self.content[at : at + 4]
            value, failed = await self.access(at, data, strobes)
            assert not failed
            if strobes:
                for place, byte in enumerate(data.to_bytes(4, "little")):
                    if strobes >> place & 1:
                        self.content[at + place] = byte
            else:
                assert value == int.from_bytes(before, "little")

    async def write_bursts(self, count: int) -> None:
        """Random writes to the last quarter, some of which go beyond the end."""
        for _ in range(count):
            at, size = self._some(3 * BYTES // 4, BYTES + 64)
            data = self.random.randbytes(size)
            answer = await answered(self.master.write(at, data))
            assert answer.resp == (AxiResp.OKAY if at + size <= BYTES else AxiResp.DECERR)
            inside = max(min(size, BYTES - at), 0)
            self.content[at : at + inside] = data[:inside]

    async def read_bursts(self, count: int) -> None:
        """Random reads of the quarter before, which nobody writes."""
        for _ in range(count):
            at, size = self._some(BYTES // 2, 3 * BYTES // 4)
            answer = await answered(self.master.read(at, min(size, 3 * BYTES // 4 - at)))
            assert answer.resp == AxiResp.OKAY
            assert answer.data == self.content[at : min(at + size, 3 * BYTES // 4)]

    def _some(self, begin: int, end: int) -> tuple[int, int]:
        return self.random.randrange(begin, end), self.random.randint(1, self.random.choice((4, 64, 1100)))

    def behave(self) -> None:
        writes, reads = self.master.write_if, self.master.read_if
        for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
            behave(channel, self.random.choice(PROFILES), self.random)


@cocotb.test
async def ram_holds_what_is_written(dut: Any) -> None:
    bench = RamBench(dut)
    await bench.boot()
    for _ in range(trials(40)):
        bench.behave()
        sides = [cocotb.start_soon(side) for side in (bench.cpu(30), bench.write_bursts(4), bench.read_bursts(4))]
        for side in sides:
            await side
        at = bench.random.randrange(BYTES - 64)
        assert (await answered(bench.master.read(at, 64))).data == bench.content[at : at + 64]
    assert (await answered(bench.master.read(0, BYTES))).data == bench.content
    assert [await bench.read(4 * word) for word in range(BYTES // 4)] == [
        int.from_bytes(bench.content[4 * word : 4 * word + 4], "little") for word in range(BYTES // 4)
    ]


@cocotb.test
async def ram_refuses_the_rest(dut: Any) -> None:
    bench = RamBench(dut)
    await bench.boot()
    assert await bench.read(BYTES) is None
    assert await bench.read(0x0FFF_FFFC) is None
    assert not await bench.write(BYTES + 8, 0)
    for wrong in ({"size": 1}, {"burst": AxiBurstType.FIXED}):
        assert (await answered(bench.master.write(0x800, bytes(12), **wrong))).resp == AxiResp.SLVERR
        assert (await answered(bench.master.read(0x800, 12, **wrong))).resp == AxiResp.SLVERR
    crossing = await answered(bench.master.read(BYTES - 8, 16))
    assert (crossing.resp, crossing.data[:8]) == (AxiResp.DECERR, bench.content[-8:])
    assert (await answered(bench.master.write(0x2000_0000, bytes(12)))).resp == AxiResp.DECERR
    assert (await answered(bench.master.read(0, BYTES))).data == bench.content


@cocotb.test
async def bridge_passes_accesses_on(dut: Any) -> None:
    bench = CpuSide(dut)
    registers = AxiLiteRam(AxiLiteBus.from_prefix(dut, "axil"), dut.clk, dut.rst, size=BYTES)
    asked: list[int] = []
    refused = range(0x100, 0x140)

    def watched(access: Any) -> Any:
        async def watch(address: int, *arguments: Any) -> Any:
            asked.append(address)
            if address in refused:
                raise ValueError(f"{address:#x} is refused")
            return await access(address, *arguments)

        return watch

    registers.write_if._write, registers.read_if._read = watched(registers.write_if._write), watched(registers.read_if._read)
    await bench.begin()
    content = dict.fromkeys(range(0, BYTES, 4), 0)
    registers.write(0, bytes(BYTES))
    for number in range(trials(1000)):
        if number % 50 == 0:
            behave_all(registers, bench.random)
        at, data = bench.random.choice((0x0F8, 0x100, 0x13C, 0x140, 4 * bench.random.randrange(BYTES // 4))), bench.random.getrandbits(32)
        asked.clear()
        if bench.random.random() < 0.5:
            assert await bench.write(0x4000_0000 + at, data) == (at not in refused)
            if at not in refused:
                content[at] = data
        else:
            assert await bench.read(0x4000_0000 + at) == (None if at in refused else content[at])
        assert asked == [at], "an access is passed on once"


class PortBench(CpuSide):
    """A stream port between the CPU and the three streams."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        stream = {"clock": dut.clk, "reset": dut.rst, "byte_lanes": 1}
        self.sinks = {name: AxiStreamSink(AxiStreamBus.from_prefix(dut, name), **stream) for name in ("load", "input")}
        self.output = AxiStreamSource(AxiStreamBus.from_prefix(dut, "output"), **stream)

    def behave(self, profile: str | None = None) -> None:
        for side in (self.output, *self.sinks.values()):
            behave(side, profile or self.random.choice(PROFILES), self.random)

    async def status(self) -> set[str]:
        word = await self.read(STATUS.address)
        assert word is not None
        return {name for name, *_ in STATUS.fields if STATUS.field(name, word)}

    async def put(self, port: str, word: int, *, last: bool) -> bool:
        """Write a word; whether there was room."""
        return await self.write(REGISTERS[f"{port.upper()}_LAST" if last else port.upper()].address, word)

    async def send(self, port: str, words: list[int]) -> None:
        """Write a packet as there is room."""
        for number, word in enumerate(words):
            while f"{port}_room" not in await self.status():
                pass
            assert await self.put(port, word, last=number == len(words) - 1)


@cocotb.test
async def stream_port_moves_packets(dut: Any) -> None:
    bench = PortBench(dut)
    await bench.begin()
    for _ in range(trials(60)):
        bench.behave()
        port = bench.random.choice(("load", "input"))
        packet, came = ([bench.random.getrandbits(32) for _ in range(bench.random.randint(1, 20))] for _ in range(2))
        cut = bench.random.random() < 0.5
        bench.output.send_nowait(AxiStreamFrame(came, tuser=[0] * (len(came) - 1) + [int(cut)]))
        await bench.send(port, packet)
        frame = await with_timeout(bench.sinks[port].recv(compact=False), 2 * HALF_PERIOD * CYCLES, "ns")
        assert list(frame.tdata) == packet
        assert all(sink.empty() for sink in bench.sinks.values())
        for number, word in enumerate(came):
            while "output_waits" not in (bits := await bench.status()):
                assert not bits & {"output_last", "output_cut"}
            assert ("output_last" in bits) == (number == len(came) - 1)
            assert ("output_cut" in bits) == (cut and number == len(came) - 1)
            assert await bench.read(REGISTERS["OUTPUT"].address) == word
        assert await bench.read(REGISTERS["OUTPUT"].address) is None, "there is no word"


@cocotb.test
async def stream_port_cancels_and_refuses(dut: Any) -> None:
    bench = PortBench(dut)
    await bench.begin()
    for port in ("load", "input"):
        bench.sinks[port].pause = True
        await ClockCycles(dut.clk, 2)
        assert await bench.put(port, 7, last=True)
        assert f"{port}_room" not in await bench.status()
        assert not await bench.put(port, 8, last=True), "there is no room"
        assert await bench.write(REGISTERS["CANCEL"].address, 0)
        assert f"{port}_room" in await bench.status()
        bench.sinks[port].pause = False
        await bench.send(port, [9])
        frame = await with_timeout(bench.sinks[port].recv(compact=False), 2 * HALF_PERIOD * CYCLES, "ns")
        assert list(frame.tdata) == [9], "what was withdrawn does not come"
    for name, register in REGISTERS.items():
        written, read = await bench.write(register.address, 0, 0b0011), await bench.read(register.address)
        assert not written, f"{name} was written with two bytes"
        assert (read is not None) == (name == "STATUS")
    assert not await bench.write(STATUS.address, 0)
    assert await bench.read(0x20) is None
    assert await bench.read(0x100 + STATUS.address) is None
