"""Packets between memory and the core's streams, by LiteX's own Wishbone DMAs, each with CSRs."""

from typing import Any

from litex.gen import LiteXModule
from litex.soc.cores.dma import WishboneDMAReader, WishboneDMAWriter
from litex.soc.interconnect import stream, wishbone
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage
from migen import Constant, If, ResetInserter, Signal

from .core import OUTPUT, WORDS

BURST = 8  # words, a power of two, after which the bus is given away
AS_IT_IS = "big"  # LiteX's DMAs call an order of bytes so that leaves a word as the CPU has written it


class _Packets(LiteXModule):
    """What both directions have: where in memory a packet is, how far it has come, and a way to the bus."""

    def _add_csrs(self, *fields: CSRField) -> None:
        self._base = CSRStorage(64, description="address of the packet's first word; a multiple of 4")
        self._length = CSRStorage(32, description="bytes of the packet, or of the room for it; a multiple of 4")
        self._enable = CSRStorage(description="each 1 that is written begins a packet, 0 gives up what is left")
        self._status = CSRStatus(fields=[*fields])
        self._offset = CSRStatus(32, description="words that were read from memory or written to it")

    def _run(self, dma: Any, bus: Any, ending: Any) -> Any:
        """Let the DMA run as the CSRs say, but not while `ending`, with the SoC's bus; gives whether it runs."""
        self.bus, own = bus, dma.bus
        running, begins, begun, late = Signal(), Signal(), Signal(), Signal()
        words, pause = Signal(max=BURST), Signal()
        self.wanted, self.asking = wanted, asking = Signal(), Signal()
        self.begins = begins
        self.comb += [
            dma.base.eq(self._base.storage),
            dma.length.eq(self._length.storage),
            self._offset.status.eq(dma.offset),
            wanted.eq(begun & self._enable.storage),
            begins.eq((self._enable.re & self._enable.storage) | late),
            running.eq(wanted & ~begins & ~ending),
            # Whoever has asked the bus for a word waits for it, also if it is given up.
            dma.enable.eq(running | asking),
            own.connect(bus, omit={"cyc", "stb"}),
            bus.cyc.eq(own.cyc & dma.enable & ~pause),
            bus.stb.eq(own.stb & dma.enable & ~pause),
        ]
        self.sync += [
            # Without a length the DMA would never end.
            If(begins, begun.eq(self._length.storage[2:] != 0)).Elif(~self._enable.storage, begun.eq(0)),
            late.eq(begins & asking),
            asking.eq(bus.stb & ~bus.ack),
            # LiteX's arbiter takes the bus from nobody who wants it: it is given away for a cycle after each burst.
            pause.eq(0),
            If(bus.stb & bus.ack, words.eq(words + 1), pause.eq(words == BURST - 1)),
        ]
        return running


class PacketReader(_Packets):
    """Sends a packet from memory each time that it is enabled; its last word carries `last`.

    Given up in the middle of a packet, it sends one more word, which ends the packet, so that the core neither waits for the rest nor
    takes the next packet for it.

    Members: source: the words. done: the packet's last word was taken; until the next one begins, or it is disabled.

    Throughput: a word in as many cycles as the bus takes for one, and one more for every 8 words. Cost: a FIFO of 16 words.
    """

    def __init__(self, bus: Any) -> None:
        self.source = source = stream.Endpoint(WORDS)
        self.done = Signal()
        self.dma = dma = WishboneDMAReader(wishbone.Interface.like(bus), endianness=AS_IT_IS)
        dma.add_ctrl()
        ResetInserter()(dma.fifo)
        self._add_csrs(CSRField("done", description="the packet's last word was taken; until enable is written"))

        inside, ending, ended_late = Signal(), Signal(), Signal()
        words, running = dma.source, self._run(dma, bus, ending)
        self.sync += [
            If(source.valid & source.ready, inside.eq(~source.last)),
            ended_late.eq(ending & ~source.ready),
        ]
        self.comb += [
            ending.eq(inside & (~self.wanted | self.begins | ended_late)),
            dma.fifo.reset.eq(~running),
            source.valid.eq(ending | words.valid),
            source.last.eq(ending | words.last),
            source.data.eq(words.data),
            words.ready.eq(source.ready),
            self.done.eq(dma.done & ~words.valid),
            self._status.fields.done.eq(self.done),
        ]


class PacketWriter(_Packets):
    """Writes a packet to memory each time that it is enabled, and then waits; words that there is no room for are taken and dropped.

    While it is disabled it drops all words, so that a core that is stopped can end its packet.

    Members: sink: the words. done: the packet's last word was taken; until the next one begins, or it is disabled.

    Throughput: as of `PacketReader`.
    """

    def __init__(self, bus: Any) -> None:
        self.sink = sink = stream.Endpoint(OUTPUT)
        self.done = Signal()
        self.dma = dma = WishboneDMAWriter(wishbone.Interface.like(bus), endianness=AS_IT_IS)
        dma.add_ctrl(ready_on_idle=0)  # what waits for the next packet to begin is its first word
        self._add_csrs(
            CSRField("done", description="the packet's last word was taken; until enable is written"),
            CSRField("cut", description="an error has cut the packet short"),
            CSRField("overflow", description="the packet has more words than length has room for; they were dropped"),
        )

        cut, overflow, dropping = Signal(), Signal(), Signal()
        self._run(dma, bus, ending=Constant(0))
        self.sync += [
            If(sink.valid & sink.ready, If(dropping, overflow.eq(1)), If(sink.last, self.done.eq(1), cut.eq(sink.cut))),
            If(~self._enable.storage | self.begins, self.done.eq(0), cut.eq(0), overflow.eq(0)),
        ]
        self.comb += [
            dropping.eq((~self.wanted & ~self.asking) | (dma.done & ~self.done)),
            dma.sink.valid.eq(sink.valid & ~dropping),
            dma.sink.last.eq(sink.last),
            dma.sink.data.eq(sink.data),
            sink.ready.eq(dropping | dma.sink.ready),
            self._status.fields.done.eq(self.done),
            self._status.fields.cut.eq(cut),
            self._status.fields.overflow.eq(overflow),
        ]
