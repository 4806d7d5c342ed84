"""The skid buffer, as a queue."""

from collections.abc import Callable

from amaranth.hdl import Const, Mux

from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import send, stays, take
from skipgrid.rtl.parts.skid import SkidBuffer

WORD_BITS = 8


def keeps_order(*, registered: bool) -> Callable[[Proof], None]:
    """The property, of a form."""

    def keeps(proof: Proof) -> None:
        """The skid buffer hands on every word once, in order, and `held` tells whether one is in it.

        For any words and pauses: a word that is chosen by its number, which may be any, comes out as that number, as it went in.
        """
        m = proof.m
        m.submodules.skid = skid = SkidBuffer(WORD_BITS, registered=registered)
        most = 2 if registered else 1
        comes, goes = send(proof, skid.source, "source"), take(proof, skid.sink, "sink")
        stays(proof, skid.sink, "sink")
        came, gone = proof.count(comes, 5), proof.count(goes, 5)
        number = proof.fixed("number", 5)
        chosen = comes & (came == number)
        word = proof.before(skid.source.payload, when=chosen)
        passes = Const(0)
        if not registered:  # it may leave in the cycle in which it comes
            passes = comes & (gone == came)
            word = Mux(chosen, skid.source.payload, word)
        proof.claim("what leaves has come", ~goes | (gone != came) | passes)
        proof.claim("it is the word of its number", ~(goes & (gone == number)) | (skid.sink.payload == word))
        proof.claim("held tells of words in it", skid.held == (came != gone))
        proof.claim(f"it holds {most} at most", (came - gone)[:5] <= most)
        proof.claim("it takes words while it has room", skid.source.ready == ((came - gone)[:5] < most))
        proof.reach("three words in a row", (came == 3) & (gone == 3))

    return keeps


PROPERTIES = (
    Property(
        "skid",
        keeps_order(registered=True),
        18,
        (
            Fault("a word that waits is lost", SkidBuffer, "~moves & (waits | self.source.valid)", "~moves & self.source.valid"),
            Fault("the newer word goes first", SkidBuffer, "Mux(waits, second, self.source.payload)", "self.source.payload"),
            Fault("held forgets the word at the sink", SkidBuffer, "self.held.eq(self.sink.valid)", "self.held.eq(waits)"),
        ),
        quick=True,
    ),
    Property(
        "skid-short",
        keeps_order(registered=False),
        18,
        (
            Fault("a word that waits is lost", SkidBuffer, "self.held.eq(self.sink.valid & ~self.sink.ready)", "self.held.eq(0)"),
            Fault("the newer word goes first", SkidBuffer, "Mux(self.held, kept, self.source.payload)", "self.source.payload"),
            Fault(
                "a word that passes stays, too",
                SkidBuffer,
                "self.held.eq(self.sink.valid & ~self.sink.ready)",
                "self.held.eq(self.sink.valid)",
            ),
        ),
        quick=True,
    ),
)
