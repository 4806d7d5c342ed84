"""The DMA's channel from memory to a stream."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.layouts import Word

from .axi4 import INCR, WORD, Axi4
from .bursts import BEATS, BurstSplitter

DEPTH = 2 * BEATS  # words that are asked for and not sent yet: one burst is sent while the next one comes


class Reader(wiring.Component):
    """Reads words from memory, and sends them as one packet.

    A burst is asked for when there is room for all of it, so that the memory never waits for the stream.

    Members:
        start: of a packet of `count` words from the word address `word` on, taken while it is not busy. Without words there is no packet.
        cancel: gives the packet up. A word that is offered is withdrawn, which AXI4-Stream forbids and the accelerator allows; what
            has been asked of memory is waited for.
        busy: from the cycle behind `start` until nothing is under way.
        done: for one cycle, the last word was taken. failed: for one cycle, memory answered with an error, and the packet is given up.
        axi: the memory. words: the packet.
        moved: words taken since `start`. waits: cycles since then in which a word was to come, and none was offered.

    Latency: 2 cycles from `start` to the first address, and 2 from a word's way over the bus to its offer.
    Throughput: a word a cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "word": In(30),
                "count": In(32),
                "cancel": In(1),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "axi": Out(Axi4(writes=False)),
                "words": Out(stream.Signature(Word)),
                "moved": Out(32),
                "waits": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, words = self.axi, self.words
        m.submodules.splitter = splitter = BurstSplitter()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=32, depth=DEPTH)
        bursts = splitter.bursts
        running = Signal()
        left = Signal(32)  # words to send
        free = Signal(range(DEPTH + 1), init=DEPTH)  # places in the FIFO that hold nothing, and for which nothing has been asked
        asks, comes, goes = Signal(), axi.rvalid & axi.rready, Signal()
        m.d.comb += [
            self.busy.eq(running | (free != DEPTH)),
            splitter.start.eq(self.start & ~self.busy),
            splitter.word.eq(self.word),
            splitter.count.eq(self.count),
            splitter.drop.eq(~running),
            axi.arsize.eq(WORD),
            axi.arburst.eq(INCR),
            axi.rready.eq(1),
            fifo.w_data.eq(axi.rdata),
            fifo.w_en.eq(comes & running),
            words.valid.eq(running & fifo.r_rdy),
            words.payload.data.eq(fifo.r_data),
            words.payload.last.eq(left == 1),
            goes.eq(words.valid & words.ready),
            fifo.r_en.eq(goes | ~running),
            self.failed.eq(running & comes & axi.rresp[1]),
            asks.eq(running & bursts.valid & (bursts.payload.beats <= free) & (~axi.arvalid | axi.arready)),
            bursts.ready.eq(asks),
        ]

        with m.If(splitter.start):
            m.d.sync += [left.eq(self.count), self.moved.eq(0), self.waits.eq(0), running.eq(self.count != 0)]
        asked = Signal.like(bursts.payload.beats)
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(asks):
            m.d.comb += asked.eq(bursts.payload.beats)
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(bursts.payload.word << 2), axi.arlen.eq(bursts.payload.beats - 1)]
        m.d.sync += free.eq(free - asked + (fifo.r_rdy & fifo.r_en) + (comes & ~running))

        with m.If(goes):
            m.d.sync += [left.eq(left - 1), self.moved.eq(self.moved + 1)]
        with m.If(running & ~words.valid):
            m.d.sync += self.waits.eq(self.waits + 1)
        m.d.comb += self.done.eq((goes & words.payload.last) | (splitter.start & (self.count == 0)))
        with m.If(goes & words.payload.last):
            m.d.sync += running.eq(0)
        with m.Elif(self.failed | self.cancel):
            m.d.sync += running.eq(0)
        return m
