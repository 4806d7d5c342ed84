"""What the DMA asks of memory."""

from amaranth.hdl import Mux, Signal

from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import stays, take
from skipgrid.fpga.soc.bursts import BEATS, BurstSplitter

PAGE_WORDS = 1024  # of 4 KiB


def cuts_ranges(proof: Proof) -> None:
    """Bursts are the words of a range, each once and in order; none crosses 4 KiB, or has more than 16 beats, or none.

    For any pauses and any ranges, also one that begins before another one is at its end, while none of its bursts waits.
    """
    m = proof.m
    m.submodules.splitter = splitter = BurstSplitter()
    start, word, count = proof.free("start"), proof.free("word", 30), proof.free("count", 32)
    m.d.comb += [splitter.start.eq(start), splitter.word.eq(word), splitter.count.eq(count), splitter.drop.eq(0)]
    goes = take(proof, splitter.bursts, "bursts")
    burst = splitter.bursts.payload
    proof.grant(~proof.before(splitter.bursts.valid & ~splitter.bursts.ready) | ~proof.before(start))
    begun, next_word, left = Signal(), Signal(30), Signal(32)  # of the range that came last
    with m.If(start):
        m.d.sync += [begun.eq(1), next_word.eq(word), left.eq(count)]
    with m.Elif(goes):
        m.d.sync += [next_word.eq(next_word + burst.beats), left.eq(left - burst.beats)]
    offered = begun & splitter.bursts.valid
    last = (burst.word + Mux(offered, burst.beats, 1) - 1)[:30]
    proof.claim("a burst begins behind the one before", ~offered | (burst.word == next_word))
    proof.claim("there are bursts as long as words are left", ~begun | (splitter.bursts.valid == (left != 0)))
    proof.claim("none has more words than are left", ~offered | (burst.beats <= left))
    proof.claim("each has a beat, and 16 at most", ~offered | ((burst.beats != 0) & (burst.beats <= BEATS)))
    proof.claim("none crosses 4 KiB", ~offered | (burst.word // PAGE_WORDS == last // PAGE_WORDS))
    stays(proof, splitter.bursts, "bursts")
    proof.reach("a range of four bursts ends", (proof.count(goes, 3) == 4) & begun & (left == 0))


PROPERTIES = (
    Property(
        "dma-bursts",
        cuts_ranges,
        10,
        (
            Fault("bursts begin anywhere", BurstSplitter, "BEATS - burst.word[: (BEATS - 1).bit_length()]", "BEATS"),
            Fault("the last burst is too long", BurstSplitter, "Mux(left < room, left, room)", "room"),
            Fault("a burst is repeated", BurstSplitter, "word.eq(word + burst.beats), ", ""),
            Fault("an offer does not wait", BurstSplitter, "m.Elif(self.bursts.ready)", "m.Else()"),
        ),
        quick=True,
    ),
)
