"""A manager at an AXI4-Lite port that asks for anything, and what it may expect."""

from typing import Any

from amaranth.hdl import Mux

from formal.proof import Proof
from skipgrid.rtl.register_map import ADDRESS_BITS

CHANNELS = {  # payload of each, with its width; the manager's first
    "aw": {"addr": ADDRESS_BITS},
    "w": {"data": 32, "strb": 4},
    "ar": {"addr": ADDRESS_BITS},
    "b": {"resp": 2},
    "r": {"resp": 2, "data": 32},
}
ASKS, ANSWERS = ("aw", "w", "ar"), ("b", "r")
COUNT_BITS = 4


def answers_once(proof: Proof, bus: Any, *, write_cycles: int, read_cycles: int) -> None:
    """Claim that each request is answered once, soon, and that an answer stays until it is taken.

    The manager asks for anything, in any order and with any pauses, and what it asks stays until it is taken.

    write_cycles: from the one in which a write is offered whole, or has been taken, to its answer, those apart in which the answer to
        another one waits. read_cycles: likewise.
    """
    happens = {}
    for channel, payload in CHANNELS.items():
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        happens[channel] = valid & ready
        waits = proof.before(valid & ~ready)
        words = {name: getattr(bus, f"{channel}{name}") for name in payload}
        if channel in ASKS:
            proof.m.d.comb += valid.eq(proof.free(f"{channel}valid") | waits)
            for name, word in words.items():
                proof.m.d.comb += word.eq(Mux(waits, proof.before(word), proof.free(f"{channel}{name}", payload[name])))
        else:
            proof.m.d.comb += ready.eq(proof.free(f"{channel}ready"))
            proof.claim(f"{channel}valid stays until {channel}ready", ~waits | valid)
            for name, word in words.items():
                proof.claim(f"{channel}{name} stays until {channel}ready", ~waits | (proof.before(word) == word))
            proof.reach(f"an answer on {channel} waits, and is taken", waits & valid & ready)

    asked_address, asked_data, asked_read = (proof.count(happens[channel], COUNT_BITS) for channel in ASKS)
    answered_write, answered_read = (proof.count(happens[channel], COUNT_BITS) for channel in ANSWERS)
    writes, reads = asked_address != answered_write, asked_read != answered_read  # are under way
    proof.claim("a write's address and data are taken together", asked_address == asked_data)
    proof.claim("a write's answer has been asked for", ~bus.bvalid | writes)
    proof.claim("a read's answer has been asked for", ~bus.rvalid | reads)
    proof.claim("two writes at most are under way", (asked_address - answered_write)[:COUNT_BITS] <= 2)
    proof.claim("one read at most is under way", (asked_read - answered_read)[:COUNT_BITS] <= 1)
    waits_write = ((bus.awvalid & bus.wvalid) | writes) & ~bus.bvalid
    waits_read = (bus.arvalid | reads) & ~bus.rvalid
    proof.claim(f"a write is answered in {write_cycles} cycles", proof.since(waits_write, 6) <= write_cycles)
    proof.claim(f"a read is answered in {read_cycles} cycles", proof.since(waits_read, 6) <= read_cycles)
    proof.reach("two writes and two reads are answered", (answered_write == 2) & (answered_read == 2))
