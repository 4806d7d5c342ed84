"""From the CPU's bus to AXI4-Lite."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import AxiLite

from .cpu import CpuBus


class AxiLiteBridge(wiring.Component):
    """Makes each of the CPU's accesses one of AXI4-Lite, and answers when that is answered; SLVERR and DECERR become `failed`.

    Members:
        bus: from the CPU. axil: to registers, which see the lower bits of the address.

    Latency: none of its own, so an access takes as long as at the registers, and the cycle of its answer.
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(CpuBus()), "axil": Out(AxiLite())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, axil = self.bus, self.axil
        writes = bus.wstrb.any()
        m.d.comb += [
            axil.awaddr.eq(bus.addr),
            axil.araddr.eq(bus.addr),
            axil.wdata.eq(bus.wdata),
            axil.wstrb.eq(bus.wstrb),
            axil.bready.eq(1),
            axil.rready.eq(1),
            bus.ready.eq(axil.bvalid | axil.rvalid),
            bus.rdata.eq(axil.rdata),
            bus.failed.eq((axil.bvalid & axil.bresp[1]) | (axil.rvalid & axil.rresp[1])),
        ]
        for channel, wanted in (("aw", writes), ("w", writes), ("ar", ~writes)):
            valid, ready = getattr(axil, f"{channel}valid"), getattr(axil, f"{channel}ready")
            taken = Signal(name=f"{channel}_taken")  # its answer is to come
            m.d.comb += valid.eq(bus.valid & wanted & ~taken)
            m.d.sync += taken.eq((taken | (valid & ready)) & ~bus.ready)
        return m
