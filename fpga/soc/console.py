"""What the CPU says to the world outside."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.register_map import Access, Register

from .cpu import AREA_BITS, CpuBus

REGISTERS = {
    register.name: register
    for register in (
        Register("CHARACTER", 0x0, Access.WRITE, "a character for people", (("character", 0, 8, "in ASCII"),), reset=None),
        Register("WORD", 0x4, Access.WRITE, "a word for programs", reset=None),
        Register("EXIT", 0x8, Access.WRITE, "the program has ended; 0 if all was well", reset=None),
        Register("FAILURES", 0xC, Access.READ, "accesses of the CPU that nobody answered, or that were refused"),
    )
}


class Console(wiring.Component):
    """Registers as `REGISTERS` lists them. In simulation the harness listens; on a board, a UART would.

    Members:
        bus: from the CPU. failed: counts an access of the CPU.
        character_valid, word_valid, exit_valid: for one cycle, `data` is what was written to the register of that name.

    Latency: 2 cycles an access.
    """

    def __init__(self) -> None:
        members = {"bus": In(CpuBus()), "failed": In(1), "data": Out(32)}
        super().__init__(members | {f"{name}_valid": Out(1) for name in ("character", "word", "exit")})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, begins, failures = self.bus, Signal(), Signal(32)
        reads = ~bus.wstrb.any()
        m.d.comb += begins.eq(bus.valid & ~bus.ready)
        m.d.sync += [bus.ready.eq(begins), bus.rdata.eq(failures), bus.failed.eq(1), self.data.eq(bus.wdata)]
        m.d.sync += failures.eq(failures + self.failed)
        for name in ("CHARACTER", "WORD", "EXIT"):
            valid = begins & bus.wstrb.all() & (bus.addr[:-AREA_BITS] == REGISTERS[name].address)
            m.d.sync += getattr(self, f"{name.lower()}_valid").eq(valid)
            with m.If(valid):
                m.d.sync += bus.failed.eq(0)
        with m.If(reads & (bus.addr[:-AREA_BITS] == REGISTERS["FAILURES"].address)):
            m.d.sync += bus.failed.eq(0)
        return m
