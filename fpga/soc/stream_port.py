"""Streams by programmed transfers: the CPU sends and takes words itself, and never waits for a stream."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import AxiStream, packed
from skipgrid.rtl.register_map import Access, Register

from .cpu import AREA_BITS, CpuBus

_READ, _WRITE = Access.READ, Access.WRITE
REGISTERS = {
    register.name: register
    for register in (
        Register("LOAD", 0x00, _WRITE, "the next word of a load packet", reset=None),
        Register("LOAD_LAST", 0x04, _WRITE, "its last word", reset=None),
        Register("INPUT", 0x08, _WRITE, "the next word of an input packet", reset=None),
        Register("INPUT_LAST", 0x0C, _WRITE, "its last word", reset=None),
        Register("OUTPUT", 0x10, _READ, "the next word of the output, which is taken with that"),
        Register(
            "STATUS",
            0x14,
            _READ,
            "what can be done now",
            (
                ("load_room", 0, 1, "a word for the load port can be written: the one before has been taken"),
                ("input_room", 1, 1, "the same for the input stream"),
                ("output_waits", 2, 1, "a word of the output can be read"),
                ("output_last", 3, 1, "it is the packet's last one"),
                ("output_cut", 4, 1, "and has TUSER: an error has cut the packet short"),
            ),
            reset=3,
        ),
        Register("CANCEL", 0x18, _WRITE, "withdraws the words that were written and have not been taken", reset=None),
    )
}


class StreamPort(wiring.Component):
    """Registers as `REGISTERS` lists them. What cannot be done now, such as a write without room, is answered with `failed`.

    Members:
        bus: from the CPU. load, input: AXI4-Streams to the accelerator; a word that is written is held until it is taken. output: from it.

    Latency: 2 cycles an access. Throughput: that of the CPU, some 35 cycles a word.
    """

    def __init__(self) -> None:
        super().__init__(
            {"bus": In(CpuBus()), "load": Out(AxiStream()), "input": Out(AxiStream()), "output": In(AxiStream(user=True))},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, output = self.bus, self.output
        begins, wanted = Signal(), {}
        for name, register in REGISTERS.items():
            wanted[name] = Signal(name=f"wants_{name.lower()}")
            accessed = bus.wstrb.all() if register.access == _WRITE else ~bus.wstrb.any()
            m.d.comb += wanted[name].eq(begins & accessed & (bus.addr[:-AREA_BITS] == register.address))
        m.d.comb += begins.eq(bus.valid & ~bus.ready)
        m.d.sync += [bus.ready.eq(begins), bus.failed.eq(1), bus.rdata.eq(output.tdata)]

        for name, stream in (("LOAD", self.load), ("INPUT", self.input)):
            writes = wanted[name] | wanted[f"{name}_LAST"]
            with m.If(stream.tready | wanted["CANCEL"]):
                m.d.sync += stream.tvalid.eq(0)
            with m.If(writes & ~stream.tvalid):
                m.d.sync += [stream.tvalid.eq(1), stream.tdata.eq(bus.wdata), stream.tlast.eq(wanted[f"{name}_LAST"]), bus.failed.eq(0)]

        m.d.comb += output.tready.eq(wanted["OUTPUT"])
        state = {
            "load_room": ~self.load.tvalid,
            "input_room": ~self.input.tvalid,
            "output_waits": output.tvalid,
            "output_last": output.tvalid & output.tlast,
            "output_cut": output.tvalid & output.tlast & output.tuser,
        }
        with m.If(wanted["STATUS"]):
            m.d.sync += bus.rdata.eq(packed(REGISTERS["STATUS"], state))
        with m.If(wanted["STATUS"] | wanted["CANCEL"] | (wanted["OUTPUT"] & output.tvalid)):
            m.d.sync += bus.failed.eq(0)
        return m
