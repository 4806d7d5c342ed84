"""The accelerator at its AXI ports: registers, packets in, packets out, each side pausing at random."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamMonitor,
    AxiStreamSink,
    AxiStreamSource,
)
from numpy.typing import NDArray

from axi_sides import answered, behave, behave_all
from skipgrid.golden import Layer
from skipgrid.host.compiler.fits import routing
from skipgrid.rtl.errors import Error
from skipgrid.rtl.experts.router_map import REGISTERS as ROUTER_REGISTERS
from skipgrid.rtl.register_map import REGISTERS, ROUTER_BASE
from streams import HALF_PERIOD, PROFILES, config

Words = Sequence[int] | NDArray[np.uint32]
LIMIT = 200_000  # cycles in which a run must end


class BusError(RuntimeError):
    """An access was answered with SLVERR."""


@dataclass(frozen=True)
class Packet:
    """A packet that passed a port; damaged: TUSER of its last word."""

    words: list[int]
    damaged: bool = False


class Ports:
    """The accelerator behind cocotbext-axi's drivers, and monitors of both data streams."""

    def __init__(self, dut: Any) -> None:
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)  # not a line for each packet
        self.dut = dut
        self.config = config()
        self.random = random.Random(random.getrandbits(64))
        self.numbers = np.random.default_rng(self.random.getrandbits(64))
        dut.rst.value = 1
        if self.config.experts:
            dut.pressure.value = 0
        Clock(dut.clk, 2 * HALF_PERIOD, "ns").start()
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        stream = {"clock": dut.clk, "reset": dut.rst, "byte_lanes": 1}
        self.load_port = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_load"), **stream)
        self.in_port = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_in"), **stream)
        self.out_port = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_out"), **stream)
        self.in_monitor = AxiStreamMonitor(AxiStreamBus.from_prefix(dut, "s_axis_in"), **stream)
        self.irq_low = 0  # cycles without irq since it was last high
        self.irq_low_before = 0  # in the time before that

    async def begin(self, profile: str | None = None) -> None:
        """Reset; from then on all sides pause, as the profile says or each at its own random pace."""
        self.behave(profile)
        await self.reset()
        cocotb.start_soon(self._watch_irq())

    def behave(self, profile: str | None = None) -> None:
        """Pause as this profile says, or each side as a random one."""
        for port in (self.load_port, self.in_port, self.out_port):
            behave(port, profile or self.random.choice(PROFILES), self.random)
        behave_all(self.master, self.random, profile)

    async def reset(self, cycles: int = 3) -> None:
        """So many cycles of reset, of which the last one ends now; packets that wait at the ports are forgotten."""
        self.dut.rst.value = 1
        for port in (self.load_port, self.in_port, self.out_port, self.in_monitor):
            port.clear()
        await ClockCycles(self.dut.clk, cycles)
        self.dut.rst.value = 0

    async def read(self, address: int) -> int:
        """A register's value; BusError for SLVERR."""
        answer = await answered(self.master.read(address, 4))
        if answer.resp == AxiResp.SLVERR:
            raise BusError(f"reading {address:#x}")
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int) -> None:
        """Write a register; BusError for SLVERR."""
        answer = await answered(self.master.write(address, value.to_bytes(4, "little")))
        if answer.resp == AxiResp.SLVERR:
            raise BusError(f"writing {address:#x}")
        assert answer.resp == AxiResp.OKAY

    async def get(self, name: str) -> int:
        """A register by name."""
        return await self.read(REGISTERS[name].address)

    async def put(self, name: str, value: int) -> None:
        """Write a register by name."""
        await self.write(REGISTERS[name].address, value)

    async def set_router(self, layers: Sequence[Layer]) -> None:
        """How many experts the layers have, and how many of them are chosen, if they have any."""
        chosen = routing(layers)
        if chosen is not None:
            await self.write(ROUTER_BASE + ROUTER_REGISTERS["EXPERTS"].address, chosen[0])
            await self.write(ROUTER_BASE + ROUTER_REGISTERS["K"].address, chosen[1])

    async def status(self) -> tuple[int, int, int]:
        """busy, done, error, of which a finished run has one."""
        word = await self.get("STATUS")
        return word & 1, word >> 1 & 1, word >> 2 & 1

    async def error(self) -> tuple[Error, int]:
        """The error, and the descriptor in which it was found."""
        word = await self.get("ERROR")
        return Error(word & 0xFF), word >> 8 & 0xFF

    async def load(self, *packets: Words) -> None:
        """Send packets to the load port, and wait until they are taken."""
        for packet in packets:
            self.load_port.send_nowait(AxiStreamFrame([int(word) for word in packet]))
        await self.load_port.wait()
        await ClockCycles(self.dut.clk, 4)

    def send(self, words: Words) -> None:
        """Queue a packet for the input port."""
        self.in_port.send_nowait(AxiStreamFrame([int(word) for word in words]))

    async def start(self, program: int = 0) -> None:
        """Start the program at a descriptor."""
        await self.put("PROGRAM", program)
        await self.put("CONTROL", 1)

    async def finish(self) -> None:
        """Wait until the run has ended, and output packets have been taken."""
        for _ in range(LIMIT):
            await RisingEdge(self.dut.clk)
            if int(self.dut.irq.value) and not int(self.dut.m_axis_out_tvalid.value):
                break
        else:
            raise AssertionError(f"the run has not ended in {LIMIT} cycles")
        await ClockCycles(self.dut.clk, 2)

    async def idle(self) -> None:
        """Wait until nothing runs, whether somebody is told of it or not, and output packets have been taken."""
        for _ in range(LIMIT):
            await RisingEdge(self.dut.clk)
            if not int(self.dut.busy.value) and not int(self.dut.m_axis_out_tvalid.value):
                break
        else:
            raise AssertionError(f"the run has not ended in {LIMIT} cycles")
        await ClockCycles(self.dut.clk, 2)

    def taken(self) -> list[Packet]:
        """Packets that the input port has taken since the last call."""
        return [Packet(list(self.in_monitor.recv_nowait(compact=False).tdata)) for _ in range(self.in_monitor.count())]

    def received(self) -> list[Packet]:
        """Packets that have come out since the last call."""
        frames = [self.out_port.recv_nowait(compact=False) for _ in range(self.out_port.count())]
        for frame in frames:
            assert not any(frame.tuser[:-1]), "TUSER before a packet's last word"
        return [Packet(list(frame.tdata), bool(frame.tuser[-1])) for frame in frames]

    async def _watch_irq(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if not int(self.dut.irq.value):
                self.irq_low += 1
            elif self.irq_low:
                self.irq_low, self.irq_low_before = 0, self.irq_low
