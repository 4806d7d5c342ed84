"""The DMA: packets from memory to the accelerator, and from the accelerator to memory."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import AxiLite, AxiStream, from_stream

from .axi4 import Axi4
from .dma_registers import DmaRegisters
from .reader import Reader
from .writer import Writer


class Dma(wiring.Component):
    """A *sender*, which reads a packet from memory for the load or the input stream, and a *receiver*, which writes a packet of the output
    stream to memory. Both work at the same time.

    Members:
        bus: registers (see `dma_map`). irq: an end of a channel, or an error of memory, where INTERRUPT_ENABLE lets it, until that is
            cleared or the channel begins again.
        axi: an AXI4 manager: bursts of up to 16 words, none of which crosses 4 KiB. One ID; answers in order.
        load, input: AXI4-Streams; SEND_PORT says to which of them a packet goes. output: an AXI4-Stream with TUSER.

    Throughput: of the sender a word a cycle, of the receiver 16 words in 18 cycles. Memory: two FIFOs of 32 words.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bus": In(AxiLite()),
                "irq": Out(1),
                "axi": Out(Axi4()),
                "load": Out(AxiStream()),
                "input": Out(AxiStream()),
                "output": In(AxiStream(user=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = DmaRegisters()
        m.submodules.reader = reader = Reader()
        m.submodules.writer = writer = Writer()
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        for channel in (reader, writer):
            for path, member, value in channel.axi.signature.flatten(channel.axi):
                port = getattr(self.axi, path[0])
                m.d.comb += port.eq(value) if member.flow == Out else value.eq(port)

        for port, chosen in ((self.load, ~registers.to_input), (self.input, registers.to_input)):
            m.d.comb += [
                port.tdata.eq(reader.words.payload.data),
                port.tlast.eq(reader.words.payload.last),
                port.tvalid.eq(reader.words.valid & chosen),
            ]
            with m.If(chosen):
                m.d.comb += reader.words.ready.eq(port.tready)
        from_stream(m, wiring.flipped(self.output), writer.words)
        m.d.comb += [
            writer.words.payload.damaged.eq(self.output.tuser),
            reader.start.eq(registers.send),
            reader.word.eq(registers.send_word),
            reader.count.eq(registers.send_count),
            reader.cancel.eq(registers.cancel),
            writer.start.eq(registers.receive),
            writer.word.eq(registers.receive_word),
            writer.room.eq(registers.receive_room),
            writer.cancel.eq(registers.cancel),
            registers.sending.eq(reader.busy),
            registers.receiving.eq(writer.busy),
            registers.cut.eq(writer.cut),
            registers.sent.eq(reader.done),
            registers.received.eq(writer.done),
            registers.send_failed.eq(reader.failed),
            registers.receive_failed.eq(writer.failed),
            registers.send_moved.eq(reader.moved),
            registers.send_waits.eq(reader.waits),
            registers.receive_moved.eq(writer.moved),
            self.irq.eq(registers.irq),
        ]
        return m
