"""Both sides of a component's streams: what is sent, what is taken, and the rule that both keep."""

from typing import Any

from amaranth.hdl import Mux, Value

from formal.proof import Proof


def send(proof: Proof, stream: Any, name: str) -> Value:
    """Send anything into a component's stream, with any pauses; what is offered stays until it is taken. Returns when it is taken."""
    offers, word = proof.free(f"{name}_offers"), proof.free(f"{name}_word", len(Value.cast(stream.payload)))
    waits, waiting = proof.before(stream.valid & ~stream.ready), proof.before(stream.payload)
    proof.m.d.comb += [stream.valid.eq(offers | waits), Value.cast(stream.payload).eq(Mux(waits, waiting, word))]
    return stream.valid & stream.ready


def take(proof: Proof, stream: Any, name: str) -> Value:
    """Take what a component's stream offers, with any pauses. Returns when it is taken."""
    proof.m.d.comb += stream.ready.eq(proof.free(f"{name}_takes"))
    return stream.valid & stream.ready


def stays(proof: Proof, stream: Any, name: str) -> None:
    """Claim that what a stream offers stays until it is taken."""
    waits, waiting = proof.before(stream.valid & ~stream.ready), proof.before(stream.payload)
    proof.claim(f"{name}: valid stays until ready", ~waits | stream.valid)
    proof.claim(f"{name}: the payload stays until ready", ~(waits & stream.valid) | (Value.cast(stream.payload) == waiting))
    proof.reach(f"{name}: a word waits, and is taken", waits & stream.valid & stream.ready)
