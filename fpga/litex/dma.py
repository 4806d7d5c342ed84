"""Packets between memory and the core's streams, by LiteX's own Wishbone DMAs, each with CSRs."""

from typing import Any

from litex.gen import LiteXModule
from litex.soc.cores.dma import WishboneDMAReader, WishboneDMAWriter
from litex.soc.interconnect import stream
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage
from migen import If, Mux, ResetInserter, Signal

from .core import OUTPUT, WORDS

AS_IT_IS = "big"  # LiteX's DMAs call an order of bytes so that leaves a word as the CPU has written it


class _Packets(LiteXModule):
    """What both directions have: where in memory a packet is, and how far it has come."""

    def _add_csrs(self, dma: Any, *fields: CSRField) -> None:
        self._base = CSRStorage(64, description="address of the packet's first word; a multiple of 4")
        self._length = CSRStorage(32, description="bytes of the packet, or of the room for it; a multiple of 4")
        self._enable = CSRStorage(description="1 begins, 0 gives up what is left")
        self._status = CSRStatus(fields=[*fields])
        self._offset = CSRStatus(32, description="words that were read from memory or written to it")
        self.wanted = Signal()
        self.comb += [
            dma.base.eq(self._base.storage),
            dma.length.eq(self._length.storage),
            self._offset.status.eq(dma.offset),
            # Without a length the DMA would never end.
            self.wanted.eq(self._enable.storage & (self._length.storage[2:] != 0)),
        ]


class PacketReader(_Packets):
    """Sends one packet from memory each time it is enabled; its last word carries `last`.

    Given up in the middle of a packet, it sends one more word, which ends the packet, so that the core neither waits for the rest nor
    takes the next packet for it.

    Members: source: the words. done: the packet's last word was taken; until it is disabled.

    Throughput: a word in as many cycles as the bus takes for one. Cost: a FIFO of 16 words.
    """

    def __init__(self, bus: Any) -> None:
        self.source = source = stream.Endpoint(WORDS)
        self.done = Signal()
        self.dma = dma = WishboneDMAReader(bus, endianness=AS_IT_IS)
        dma.add_ctrl()
        ResetInserter()(dma.fifo)
        self._add_csrs(dma, CSRField("done", description="the packet's last word was taken; until enable is 0"))

        inside, ending, ended_late = Signal(), Signal(), Signal()
        words = dma.source
        self.sync += [
            If(source.valid & source.ready, inside.eq(~source.last)),
            ended_late.eq(ending & ~source.ready),
        ]
        self.comb += [
            ending.eq(inside & (~self.wanted | ended_late)),
            dma.enable.eq(self.wanted & ~ending),
            dma.fifo.reset.eq(~dma.enable),
            source.valid.eq(Mux(ending, 1, dma.enable & words.valid)),
            source.last.eq(Mux(ending, 1, words.last)),
            source.data.eq(words.data),
            words.ready.eq(source.ready & dma.enable),
            self.done.eq(dma.done & ~words.valid),
            self._status.fields.done.eq(self.done),
        ]


class PacketWriter(_Packets):
    """Writes one packet to memory each time it is enabled, and then waits; words that there is no room for are taken and dropped.

    While it is disabled it drops all words, so that a core that is stopped can end its packet.

    Members: sink: the words. done: the packet's last word was taken; until it is disabled.

    Throughput: a word in as many cycles as the bus takes for one.
    """

    def __init__(self, bus: Any) -> None:
        self.sink = sink = stream.Endpoint(OUTPUT)
        self.done = Signal()
        self.dma = dma = WishboneDMAWriter(bus, endianness=AS_IT_IS)
        dma.add_ctrl(ready_on_idle=0)
        self._add_csrs(
            dma,
            CSRField("done", description="the packet's last word was taken; until enable is 0"),
            CSRField("cut", description="an error has cut the packet short"),
            CSRField("overflow", description="the packet has more words than length has room for; they were dropped"),
        )

        cut, overflow, dropping = Signal(), Signal(), Signal()
        self.sync += [
            If(sink.valid & sink.ready, If(dropping, overflow.eq(1)), If(sink.last, self.done.eq(1), cut.eq(sink.cut))),
            If(~self._enable.storage, self.done.eq(0), cut.eq(0), overflow.eq(0)),
        ]
        self.comb += [
            dma.enable.eq(self.wanted),
            dropping.eq(~self.wanted | (dma.done & ~self.done)),
            dma.sink.valid.eq(sink.valid & ~dropping),
            dma.sink.last.eq(sink.last),
            dma.sink.data.eq(sink.data),
            sink.ready.eq(dropping | dma.sink.ready),
            self._status.fields.done.eq(self.done),
            self._status.fields.cut.eq(cut),
            self._status.fields.overflow.eq(overflow),
        ]
