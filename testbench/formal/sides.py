"""What is on the other side of a component's ports: streams with all their pauses, and what may be anything."""

from collections.abc import Container
from typing import Any

from amaranth.hdl import Mux, Value
from amaranth.lib import wiring

from formal.proof import Proof

STREAM = ("payload", "valid", "ready")


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


def surround(proof: Proof, component: Any, *, fixed: Container[str] = (), apart: Container[str] = ()) -> None:
    """All of a component's ports: streams are sent and taken, and stay, and other inputs may be anything.

    fixed: inputs that are the same in all cycles. apart: members that the caller connects.
    """
    ports = {path: (member.flow, value) for path, member, value in component.signature.flatten(component)}
    for (*place, end), (flow, value) in ports.items():
        name = "_".join(map(str, (*place, end)))
        in_stream = end in STREAM and all((*place, other) in ports for other in STREAM)
        if (place or [end])[0] in apart or (in_stream and end != "valid"):
            continue
        if in_stream:
            stream, where = component, "_".join(map(str, place))
            for step in place:
                stream = stream[step] if isinstance(step, int) else getattr(stream, step)
            if flow == wiring.In:
                send(proof, stream, where)
            else:
                take(proof, stream, where)
                stays(proof, stream, where)
        elif flow == wiring.In:
            bits = Value.cast(value)
            proof.m.d.comb += bits.eq(proof.fixed(name, len(bits)) if name in fixed else proof.free(name, len(bits)))
