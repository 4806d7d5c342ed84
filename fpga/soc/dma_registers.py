"""The DMA's registers behind AXI4-Lite."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import OKAY, SLVERR, AxiLite, packed

from .dma_map import CONTROL, ENDS, INTERRUPT_ENABLE, REGISTERS, STATUS

PULSES = ("send", "receive", "cancel")
STATES = ("sending", "receiving", "cut")


class DmaRegisters(wiring.Component):
    """AXI4-Lite registers as `dma_map` lists them.

    Writes take all four bytes; other strobes, addresses that are missing or of the wrong access, and writes while a channel is under way
    that must not be are answered with SLVERR and change nothing. One access at a time for each direction.

    Members:
        bus: the AXI4-Lite port. irq: the interrupt, a level.
        send, receive, cancel: pulses from CONTROL. send_word, send_count, to_input, receive_word, receive_room: as they were written.
        sending, receiving, cut: for STATUS. sent, received, send_failed, receive_failed: for one cycle, for STATUS and the interrupt.
        send_moved, send_waits, receive_moved: for the registers of these names.

    Latency: 1 cycle from an address, or a write, to its answer.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bus": In(AxiLite()),
                "irq": Out(1),
                **{name: Out(1) for name in PULSES},
                **{name: In(1) for name in (*STATES, *ENDS)},
                "send_word": Out(30),
                "send_count": Out(32),
                "to_input": Out(1),
                "receive_word": Out(30),
                "receive_room": Out(32),
                "send_moved": In(32),
                "send_waits": In(32),
                "receive_moved": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ends = {name: Signal(name=f"has_{name}") for name in ENDS}
        enables = {name: Signal(name=f"enables_{name}") for name in ENDS}
        m.d.comb += self.irq.eq(Cat(ends[name] & enables[name] for name in ENDS).any())
        self._write(m, ends, enables)
        self._read(m, ends, enables)
        for name, has in ends.items():
            with m.If(getattr(self, name)):
                m.d.sync += has.eq(1)
        return m

    def _write(self, m: Module, ends: dict[str, Signal], enables: dict[str, Signal]) -> None:
        bus = self.bus
        written = {
            "SEND_ADDRESS": (self.sending, self.send_word, bus.wdata[2:]),
            "SEND_WORDS": (self.sending, self.send_count, bus.wdata),
            "SEND_PORT": (self.sending, self.to_input, bus.wdata[REGISTERS["SEND_PORT"].bits("input")]),
            "RECEIVE_ADDRESS": (self.receiving, self.receive_word, bus.wdata[2:]),
            "RECEIVE_ROOM": (self.receiving, self.receive_room, bus.wdata),
        }
        write, control, allowed = Signal(), Signal(), Signal()
        send, receive, cancel, clear = (bus.wdata[CONTROL.bits(name)] for name in ("send", "receive", "cancel", "clear"))
        whole = bus.wstrb.all()
        m.d.comb += [write.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)), bus.awready.eq(write), bus.wready.eq(write)]
        with m.Switch(bus.awaddr):
            with m.Case(CONTROL.address):
                m.d.comb += [
                    allowed.eq(~((send & self.sending) | (receive & self.receiving))),
                    control.eq(write & whole & allowed),
                ]
            with m.Case(INTERRUPT_ENABLE.address):
                m.d.comb += allowed.eq(1)
                with m.If(write & whole):
                    m.d.sync += [enable.eq(bus.wdata[INTERRUPT_ENABLE.bits(name)]) for name, enable in enables.items()]
            for name, (under_way, kept, value) in written.items():
                with m.Case(REGISTERS[name].address):
                    m.d.comb += allowed.eq(~under_way)
                    with m.If(write & whole & allowed):
                        m.d.sync += kept.eq(value)
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Mux(allowed & whole, OKAY, SLVERR))]
        m.d.comb += [self.send.eq(control & send), self.receive.eq(control & receive), self.cancel.eq(control & cancel)]
        for name, has in ends.items():
            with m.If(control & (clear | bus.wdata[CONTROL.bits(ENDS[name])])):
                m.d.sync += has.eq(0)

    def _read(self, m: Module, ends: dict[str, Signal], enables: dict[str, Signal]) -> None:
        bus = self.bus
        values = {
            "STATUS": packed(STATUS, {**ends, **{name: getattr(self, name) for name in STATES}}),
            "INTERRUPT_ENABLE": packed(INTERRUPT_ENABLE, enables),
            "SEND_ADDRESS": self.send_word << 2,
            "SEND_WORDS": self.send_count,
            "SEND_PORT": self.to_input,
            "SEND_MOVED": self.send_moved,
            "SEND_WAITS": self.send_waits,
            "RECEIVE_ADDRESS": self.receive_word << 2,
            "RECEIVE_ROOM": self.receive_room,
            "RECEIVE_MOVED": self.receive_moved,
        }
        m.d.comb += bus.arready.eq(~bus.rvalid | bus.rready)
        with m.If(bus.arready):
            m.d.sync += [bus.rvalid.eq(bus.arvalid), bus.rdata.eq(0), bus.rresp.eq(SLVERR)]
            with m.Switch(bus.araddr):
                for name, value in values.items():
                    with m.Case(REGISTERS[name].address):
                        m.d.sync += [bus.rdata.eq(value), bus.rresp.eq(OKAY)]
