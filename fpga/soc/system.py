"""The system on a chip: all parts, and who talks to whom."""

from enum import Enum

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config

from .areas import Area, AreaSplit
from .bridge import AxiLiteBridge
from .console import Console
from .cpu import Cpu
from .dma import Dma
from .ram import Ram
from .stream_port import StreamPort

RAM_WORDS = 1 << 18


class Transfers(Enum):
    """How words get to the accelerator and back."""

    POLLING = "polling"
    DMA = "dma"


class SystemOnChip(wiring.Component):
    """PicoRV32, a memory, an accelerator and a console, in one clock domain.

        POLLING:  CPU ─┬─ RAM                              DMA:  CPU ─┬─ RAM ───── AXI4 ─────┐
                       ├─ AXI4-Lite ── accelerator               irq ↑ ├─ AXI4-Lite ── accelerator
                       ├─ stream port ── its streams                   ├─ AXI4-Lite ── DMA ── its streams
                       └─ console                                      └─ console

    Parameters:
        config: the accelerator's. transfers: by the CPU, which reads STATUS until a run has ended; or by a DMA, with interrupts.
    Members:
        boot, boot_address, boot_data: write the program to memory during a reset (see `Ram`).
        character_valid, word_valid, exit_valid, data: what the program says (see `Console`).
        trap: the CPU has stopped, as the program has gone wrong.
    """

    def __init__(self, config: Config, transfers: Transfers) -> None:
        self.config, self.transfers = config, transfers
        said = {f"{name}_valid": Out(1) for name in ("character", "word", "exit")}
        super().__init__({"boot": In(1), "boot_address": In(30), "boot_data": In(32), **said, "data": Out(32), "trap": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        by_dma = self.transfers is Transfers.DMA
        m.submodules.cpu = cpu = Cpu(interrupts=by_dma)
        m.submodules.ram = ram = Ram(RAM_WORDS)
        m.submodules.bridge = bridge = AxiLiteBridge()
        m.submodules.accelerator = accelerator = Accelerator(self.config)
        m.submodules.console = console = Console()
        parts = {Area.RAM: ram.bus, Area.ACCELERATOR: bridge.bus, Area.CONSOLE: console.bus}
        wiring.connect(m, bridge.axil, accelerator.s_axil)
        if by_dma:
            m.submodules.dma = mover = Dma()
            m.submodules.dma_bridge = dma_bridge = AxiLiteBridge()
            wiring.connect(m, dma_bridge.axil, mover.bus)
            wiring.connect(m, mover.axi, ram.axi)
            m.d.comb += [cpu.accelerator_irq.eq(accelerator.irq), cpu.dma_irq.eq(mover.irq)]
            parts[Area.DMA] = dma_bridge.bus
        else:
            m.submodules.stream_port = mover = StreamPort()
            parts[Area.STREAM_PORT] = mover.bus
        wiring.connect(m, mover.load, accelerator.s_axis_load)
        wiring.connect(m, mover.input, accelerator.s_axis_in)
        wiring.connect(m, accelerator.m_axis_out, mover.output)

        m.submodules.areas = areas = AreaSplit(*parts)
        wiring.connect(m, cpu.bus, areas.bus)
        for part, bus in zip(areas.parts, parts.values(), strict=True):
            wiring.connect(m, part, bus)

        m.d.comb += [
            console.failed.eq(cpu.bus.valid & cpu.bus.ready & cpu.bus.failed),
            *(getattr(ram, name).eq(getattr(self, name)) for name in ("boot", "boot_address", "boot_data")),
            *(getattr(self, name).eq(getattr(console, name)) for name in ("character_valid", "word_valid", "exit_valid", "data")),
            self.trap.eq(cpu.trap),
        ]
        return m
