"""The DMA's channel from a stream to memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.layouts import Word

from .axi4 import INCR, WORD, Axi4
from .bursts import BEATS, BurstSplitter

DEPTH = 2 * BEATS  # words that are taken and not written yet: one burst is written while the next one comes


class Writer(wiring.Component):
    """Takes one packet, and writes its words to memory, as many as there is room for.

    How long a packet is is known when it ends. So words are collected until they fill a burst, or the packet has ended, and a burst begins
    when all of its words are there: a stream that stops holds no bus.

    Members:
        start: to take a packet into `room` words from the word address `word` on, taken while it is not busy.
        cancel: takes no more words, and ends the burst that has begun; when it is not busy any more, nothing will be written.
        busy: from the cycle behind `start` until the packet has ended, and memory has answered.
        done: for one cycle, all words have been written for which there is room, and the others taken.
        failed: for one cycle, memory answered with an error; the rest of the packet is taken, and not written.
        axi: the memory. words: the packet.
        moved: words taken since `start`, also those that found no room. cut: the packet's last word had TUSER.

    Latency: from a packet's last word to `done`, with a memory that answers at once, up to 20 cycles, and 18 if a burst has just begun.
    Throughput: 16 words in 18 cycles.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "word": In(30),
                "room": In(32),
                "cancel": In(1),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "axi": Out(Axi4(reads=False)),
                "words": In(stream.Signature(Word)),
                "moved": Out(32),
                "cut": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, words = self.axi, self.words
        m.submodules.splitter = splitter = BurstSplitter()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=32, depth=DEPTH)
        burst = splitter.bursts.payload
        taking = Signal()  # words, until the packet ends
        writes = Signal()  # what is taken, as nothing has failed and nobody has cancelled
        ended = Signal()  # nothing is under way
        left = Signal(32)  # room
        sends = Signal(range(BEATS + 1))  # beats of the burst that has begun
        answers = Signal(2)  # that are to come: of the burst that has begun, and of the one before
        takes, stores, begins, beat = Signal(), Signal(), Signal(), axi.wvalid & axi.wready
        answered = axi.bvalid & axi.bready
        ready_beats = Signal.like(burst.beats)  # of the next burst, that are there
        m.d.comb += [
            splitter.start.eq(self.start & ~self.busy),
            splitter.word.eq(self.word),
            splitter.count.eq(self.room),
            splitter.drop.eq(~writes),
            ended.eq(~taking & ~axi.awvalid & (sends == 0) & (answers == 0) & (fifo.level == 0)),
            self.done.eq(self.busy & ended & writes),
            words.ready.eq(taking & (fifo.w_rdy | ~writes | (left == 0))),
            takes.eq(words.valid & words.ready),
            stores.eq(takes & writes & (left != 0)),
            fifo.w_en.eq(stores),
            fifo.w_data.eq(words.payload.data),
            ready_beats.eq(Mux(fifo.level < burst.beats, fifo.level, burst.beats)),
            begins.eq(writes & (fifo.level != 0) & ((fifo.level >= burst.beats) | ~taking) & (sends == 0) & ~axi.awvalid & ~answers[1]),
            splitter.bursts.ready.eq(begins),
            axi.awsize.eq(WORD),
            axi.awburst.eq(INCR),
            axi.wstrb.eq(0b1111),
            axi.wdata.eq(fifo.r_data),
            axi.wvalid.eq((sends != 0) & fifo.r_rdy),
            axi.wlast.eq(sends == 1),
            axi.bready.eq(1),
            fifo.r_en.eq(beat | (~writes & (sends == 0))),
            self.failed.eq(answered & axi.bresp[1]),
        ]

        with m.If(ended):
            m.d.sync += self.busy.eq(0)
        with m.If(splitter.start):
            m.d.sync += [self.busy.eq(1), taking.eq(1), writes.eq(1), left.eq(self.room), self.moved.eq(0), self.cut.eq(0)]
        with m.If(takes):
            m.d.sync += self.moved.eq(self.moved + 1)
            with m.If(words.payload.last):
                m.d.sync += [taking.eq(0), self.cut.eq(words.payload.damaged)]
        with m.If(stores):
            m.d.sync += left.eq(left - 1)

        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(beat):
            m.d.sync += sends.eq(sends - 1)
        with m.If(begins):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(burst.word << 2), axi.awlen.eq(ready_beats - 1), sends.eq(ready_beats)]
        m.d.sync += answers.eq(answers + begins - answered)

        with m.If(self.failed):
            m.d.sync += writes.eq(0)
        with m.If(self.cancel):
            m.d.sync += [writes.eq(0), taking.eq(0)]
        return m
