"""The CPU's address space: which part answers an access."""

from enum import IntEnum

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .cpu import AREA_BITS, CpuBus


class Area(IntEnum):
    """The parts of the system, by the highest bits of their addresses."""

    RAM = 0x0
    ACCELERATOR = 0x4
    STREAM_PORT = 0x5
    DMA = 0x6
    CONSOLE = 0x7

    @property
    def title(self) -> str:
        """What it is called, for people."""
        return {"RAM": "the memory", "DMA": "the DMA"}.get(self.name, f"the {self.name.lower().replace('_', ' ')}")

    @property
    def base(self) -> int:
        """The address at which it begins."""
        return self.value << (32 - AREA_BITS)


class AreaSplit(wiring.Component):
    """The CPU's bus for several parts, each at the addresses of its area. Elsewhere an access is answered at once, with `failed`.

    Members:
        bus: the CPU's. parts: in the order of `areas`.

    Latency: none.
    """

    def __init__(self, *areas: Area) -> None:
        self.areas = areas
        super().__init__({"bus": In(CpuBus()), "parts": Out(CpuBus()).array(len(areas))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        for part in self.parts:
            m.d.comb += [getattr(part, name).eq(getattr(bus, name)) for name in ("addr", "wdata", "wstrb", "ahead")]
        with m.Switch(bus.addr[-AREA_BITS:]):
            for area, part in zip(self.areas, self.parts, strict=True):
                with m.Case(area.value):
                    m.d.comb += part.valid.eq(bus.valid)
                    m.d.comb += [getattr(bus, name).eq(getattr(part, name)) for name in ("ready", "rdata", "failed")]
            with m.Default():
                m.d.comb += [bus.ready.eq(bus.valid), bus.failed.eq(1)]
        return m
