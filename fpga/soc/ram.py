"""The memory of CPU and DMA."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In

from .axi4 import DECERR, INCR, OKAY, SLVERR, WORD, Axi4
from .cpu import CpuBus


class Ram(wiring.Component):
    """A memory with two ports, of which the CPU has one and the DMA the other, so that neither waits for the other.

    Parameters:
        words: of four bytes, a power of two.
    Members:
        bus: the CPU's port. An address behind the end is answered with `failed`, and nothing is written.
        axi: the DMA's, an AXI4 subordinate: incrementing bursts of words; another kind is answered with SLVERR, a beat behind the
            memory's end with DECERR, and neither of them is written. Beats of a read and of a write that come together take turns, the
            write first.
        boot: in this cycle, the word boot_data is written to the word address boot_address, also during a reset, and the CPU's port
            writes nothing. So a program gets in before the CPU begins.

    Latency: of the CPU's port none; of a burst 2 to the first beat that is read, and 1 from the last one that is written to its answer.
    Throughput: a beat a cycle, and one cycle more a burst.
    Memory: 4 · words bytes. What both ports write at the same time, or one reads and the other writes, must not be the same word.
    """

    def __init__(self, words: int) -> None:
        if words < 1024 or words & (words - 1):
            raise ValueError(f"a memory has a power of two of words, and 1,024 at least, not {words:,}")
        self.words = words
        super().__init__(
            {"bus": In(CpuBus()), "axi": In(Axi4()), "boot": In(1), "boot_address": In(30), "boot_data": In(32)},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # With that attribute synthesis takes block memories with two ports: what a read gives that meets a write does not matter.
        m.submodules.memory = memory = Memory(shape=32, depth=self.words, init=[], attrs={"no_rw_check": 1})
        self._cpu_port(m, memory.read_port(), memory.write_port(granularity=8))
        read, write = memory.read_port(), memory.write_port(granularity=8)
        written, writes = self._write_bursts(m, write)
        self._read_bursts(m, read, writes, written)
        m.d.comb += write.addr.eq(read.addr)
        return m

    def _cpu_port(self, m: Module, read: ReadPort, write: WritePort) -> None:
        bus = self.bus
        outside = bus.addr[2:] >= self.words
        m.d.comb += [
            read.addr.eq(Mux(self.boot, self.boot_address, Mux(bus.valid & bus.wstrb.any(), bus.addr[2:], bus.ahead[2:]))),
            write.addr.eq(read.addr),
            bus.ready.eq(bus.valid),
            bus.rdata.eq(read.data),
            bus.failed.eq(outside),
            write.data.eq(Mux(self.boot, self.boot_data, bus.wdata)),
            write.en.eq(Mux(self.boot, 0b1111, Mux(bus.valid & ~outside, bus.wstrb, 0))),
        ]

    def _write_bursts(self, m: Module, port: WritePort) -> tuple[Value, Value]:
        """The word address of a beat, and whether it is written in this cycle."""
        axi = self.axi
        word, refused, response = Signal(30), Signal(), Signal(2)
        taken = axi.wvalid & axi.wready
        outside = word >= self.words
        m.d.comb += [
            axi.awready.eq(~axi.wready & ~axi.bvalid),
            port.data.eq(axi.wdata),
            port.en.eq(Mux(taken & ~refused & ~outside, axi.wstrb, 0)),
            axi.bresp.eq(Mux(refused, SLVERR, response)),
        ]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [word.eq(axi.awaddr[2:]), refused.eq((axi.awsize != WORD) | (axi.awburst != INCR)), response.eq(OKAY)]
            m.d.sync += [axi.bid.eq(axi.awid), axi.wready.eq(1)]
        with m.If(taken):
            m.d.sync += word.eq(word + 1)
            with m.If(outside):
                m.d.sync += response.eq(DECERR)
            with m.If(axi.wlast):
                m.d.sync += [axi.wready.eq(0), axi.bvalid.eq(1)]
        return word, taken

    def _read_bursts(self, m: Module, port: ReadPort, writes: Value, written: Value) -> None:
        """Reads a beat, in a cycle in which none is written."""
        axi = self.axi
        word, left, number, refused, reading, begins = Signal(30), Signal(8), Signal(), Signal(), Signal(), Signal()
        last = left == 0
        m.d.comb += [
            axi.arready.eq(~reading),
            begins.eq(reading & (~axi.rvalid | axi.rready) & ~writes),
            port.addr.eq(Mux(writes, written, word)),
            port.en.eq(begins),
            axi.rdata.eq(port.data),
        ]
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [word.eq(axi.araddr[2:]), refused.eq((axi.arsize != WORD) | (axi.arburst != INCR)), left.eq(axi.arlen)]
            m.d.sync += [number.eq(axi.arid), reading.eq(1)]
        with m.If(begins):
            m.d.sync += [word.eq(word + 1), left.eq(left - 1), reading.eq(~last), axi.rvalid.eq(1), axi.rlast.eq(last), axi.rid.eq(number)]
            m.d.sync += axi.rresp.eq(Mux(refused, SLVERR, Mux(word >= self.words, DECERR, OKAY)))
