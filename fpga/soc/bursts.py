"""How a range of memory becomes bursts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

BEATS = 16  # of a burst, at most


class Burst(data.Struct):
    """Words that are moved with one address: `beats` of them, from the word address `word` on."""

    word: 30
    beats: range(BEATS + 1)


class BurstSplitter(wiring.Component):
    """Cuts a range of memory into bursts that end where 64 bytes do, so that none crosses 4 KiB, which AXI4 forbids.

    Members:
        start: takes a range: `count` words from the word address `word` on. What is left of the range before is forgotten.
        drop: forgets what is left.
        bursts: one after another; all but the first and the last have 16 beats.

    Throughput: a burst a cycle. Latency: 1 cycle.
    """

    def __init__(self) -> None:
        super().__init__({"start": In(1), "word": In(30), "count": In(32), "drop": In(1), "bursts": Out(stream.Signature(Burst))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left, burst = Signal(32), self.bursts.payload
        room = BEATS - burst.word[: (BEATS - 1).bit_length()]  # to the next 64 bytes
        m.d.comb += [self.bursts.valid.eq(left != 0), burst.beats.eq(Mux(left < room, left, room))]
        word = Signal(30)
        m.d.comb += burst.word.eq(word)
        with m.If(self.start):
            m.d.sync += [word.eq(self.word), left.eq(self.count)]
        with m.Elif(self.drop):
            m.d.sync += left.eq(0)
        with m.Elif(self.bursts.ready):
            m.d.sync += [word.eq(word + burst.beats), left.eq(left - burst.beats)]
        return m
