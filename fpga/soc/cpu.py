"""The CPU and its bus."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

IRQ_ADDRESS = 0x10  # of the interrupt handler; the first instruction is at 0
# Interrupts below 3 are the CPU's own: an instruction or an address that it does not know stops it, as nobody unmasks these.
ACCELERATOR_IRQ, DMA_IRQ = 3, 4
AREA_BITS = 4  # of an address, its highest, which say whose it is
UNUSED = {
    "mem_instr": 1,
    "mem_la_read": 1,
    "mem_la_write": 1,
    "mem_la_wdata": 32,
    "mem_la_wstrb": 4,
    "pcpi_valid": 1,
    "pcpi_insn": 32,
    "pcpi_rs1": 32,
    "pcpi_rs2": 32,
    "eoi": 32,
    "trace_valid": 1,
    "trace_data": 36,
}
"""Outputs of PicoRV32 of which nothing here makes use, with their widths."""


class CpuBus(wiring.Signature):
    """PicoRV32's memory interface, seen from the CPU.

    Members:
        valid: an access is asked for; all that says which one stays until it is answered.
        addr: of a word, in bytes. wstrb: the bytes to write; 0 for a read. wdata: what is written.
        ahead: in the cycle before `valid` rises, what `addr` will be, so that a memory can answer a read at once.
        ready: for one cycle, the answer. rdata: what was read. failed: nobody is there, or the access was refused; the CPU goes on.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "addr": Out(32),
                "wdata": Out(32),
                "wstrb": Out(4),
                "ahead": Out(32),
                "ready": In(1),
                "rdata": In(32),
                "failed": In(1),
            }
        )


class Cpu(wiring.Component):
    """PicoRV32 (RV32IM), whose Verilog comes with the PyPI package pythondata-cpu-picorv32.

    interrupts: it has an interrupt; otherwise `accelerator_irq` and `dma_irq` do nothing.

    Members:
        bus: its instructions and its data. accelerator_irq, dma_irq: levels. trap: it has stopped, for ever.

    Throughput: 3 to 5 cycles an instruction with a memory that answers at once.
    """

    def __init__(self, *, interrupts: bool) -> None:
        self.interrupts = interrupts
        super().__init__({"bus": Out(CpuBus()), "accelerator_irq": In(1), "dma_irq": In(1), "trap": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        switches = {
            "ENABLE_COUNTERS64": 0,
            "BARREL_SHIFTER": 1,
            "ENABLE_FAST_MUL": 1,
            "ENABLE_DIV": 1,
            "ENABLE_IRQ": int(self.interrupts),
            "ENABLE_IRQ_TIMER": 0,
        }
        parameters: dict[str, Any] = {f"p_{name}": Const(value, 1) for name, value in switches.items()}
        levels = (1 << ACCELERATOR_IRQ) | (1 << DMA_IRQ)
        m.submodules.picorv32 = Instance(
            "picorv32",
            p_LATCHED_IRQ=Const(~levels, 32),
            p_PROGADDR_IRQ=Const(IRQ_ADDRESS, 32),
            **parameters,
            i_clk=ClockSignal(),
            i_resetn=~ResetSignal(),
            o_trap=self.trap,
            o_mem_valid=bus.valid,
            i_mem_ready=bus.ready,
            o_mem_addr=bus.addr,
            o_mem_wdata=bus.wdata,
            o_mem_wstrb=bus.wstrb,
            o_mem_la_addr=bus.ahead,
            i_mem_rdata=bus.rdata,
            i_pcpi_wr=Const(0, 1),
            i_pcpi_rd=Const(0, 32),
            i_pcpi_wait=Const(0, 1),
            i_pcpi_ready=Const(0, 1),
            i_irq=(self.accelerator_irq << ACCELERATOR_IRQ) | (self.dma_irq << DMA_IRQ),
            **{f"o_{name}": Signal(width, name=name) for name, width in UNUSED.items()},
        )
        return m
