"""The list reader, over any taps and lists."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from amaranth.hdl import Mux, Signal

from formal.configurations import LISTS
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.grid import lists
from skipgrid.rtl.grid.lists import ListReader

NUMBER_BITS = 3  # of taps and windows
TOTAL_BITS = 6  # of addresses
FEW = 4  # lists that are found ahead
LONGEST = 3  # of lists, and of slots: a layer has no more


@contextmanager
def few_taps() -> Iterator[None]:
    """While it lasts, as few lists are found ahead as can be: what waits for room is soon reached."""
    with patch.object(lists, "TAPS_AHEAD", FEW):
        yield


def walks_lists(proof: Proof) -> None:
    """Each address of each list is walked once, in order, with its tap's byte; windows end, and their slots are drained, likewise.

    For any taps as long as there is room, any lists that are not wrong, up to 3 long, and any places. Bytes are one bit, repeated. A tap,
    an address of its list and a window are chosen by their numbers, which may be any.
    """
    m = proof.m
    m.submodules.reader = reader = ListReader(LISTS)
    tap, step, found = reader.tap, reader.step, reader.found
    m.d.comb += [
        reader.slots.eq(LONGEST),
        reader.place_free.eq(proof.free("place_free")),
        tap.valid.eq(proof.free("comes") & reader.room),
        tap.some.eq(proof.free("some") | ~tap.end),
        tap.end.eq(proof.free("end")),
        tap.address.eq(proof.free("address").replicate(LISTS.weight_bits)),
        tap.byte.eq(proof.free("byte").replicate(8)),
        tap.slots.eq(proof.free("slots", 2)),
        found.start.eq(proof.free("start", 2)),
        found.count.eq(proof.free("count", 2)),
    ]
    proof.grant(tap.slots.any())
    proof.claim("the list of a tap is looked up", ~proof.before(tap.valid) | (reader.memory == proof.before(tap.address)))
    proof.claim("lists that are not wrong are not said to be", ~reader.wrong)

    # A tap, when its list is found.
    known, length = proof.before(proof.before(tap.valid)), Signal(2)
    end, some, byte, slots = (proof.before(proof.before(field)) for field in (tap.end, tap.some, tap.byte, tap.slots))
    m.d.comb += length.eq(Mux(known & some, found.count, 0))
    total = Signal(TOTAL_BITS)  # addresses of all lists
    m.d.sync += total.eq(total + length)
    taps, ends = proof.count(known, NUMBER_BITS), proof.count(known & end, NUMBER_BITS)
    walks, swaps = reader.multiplies, step.swaps
    walked, ended = proof.count(walks, TOTAL_BITS), proof.count(swaps, NUMBER_BITS)
    taken = Signal(NUMBER_BITS)
    m.d.sync += taken.eq(taken + reader.taken)

    comes = known & (taps == proof.fixed("tap", NUMBER_BITS))
    place = proof.fixed("place", 2)
    came, first, start, count, its_byte = (proof.before(v, when=comes) for v in (1, total, found.start, length, byte))
    chosen = walks & came & (place < count) & (walked == (first + place)[:TOTAL_BITS])
    proof.claim("the address of its number is that of its list", ~chosen | (reader.address == start + place))
    proof.claim("with the byte of its tap", ~chosen | (reader.byte == its_byte))
    proof.claim("no address is walked that is in no list", ~walks | (walked != total))
    proof.claim("no window ends that has not come", ~swaps | (ended != ends))
    proof.claim("what is multiplied, and ends, is a step", step.valid == (walks | swaps))
    owed = (walked != total) | (ended != ends)
    proof.claim("what is owed is walked soon", proof.since(owed & ~step.valid & ~reader.waits, 3) <= 2)
    proof.claim("all taps are taken when all is walked", owed | (taken == taps))
    proof.claim("no more taps wait than can, and none is taken that has not come", (taps - taken)[:NUMBER_BITS] <= FEW)

    window = proof.fixed("window", NUMBER_BITS)
    closes = known & end & (ends == window)
    closed, behind, its_slots = (proof.before(value, when=closes) for value in (1, (total + length)[:TOTAL_BITS], slots))
    its_end = swaps & (ended == window)
    proof.claim("a window ends with its last address", ~its_end | (closed & ((walked + walks)[:TOTAL_BITS] == behind)))
    begun = Signal()  # a window that has not ended
    with m.If(step.valid):
        m.d.sync += begun.eq(~swaps)
    proof.claim("a window begins with its first step", ~step.valid | (step.first == ~begun))
    proof.claim("windows take turns in the banks", step.bank == ended[0])

    drains, has_ended, is_last = reader.drains, proof.seen(its_end), ended == (window + 1)[:NUMBER_BITS]
    drained = proof.count(drains & has_ended, 2)
    its_drain = drains & has_ended & is_last
    proof.claim("no slot is drained without a window or a place", ~drains | (reader.place_free & ended.any()))
    proof.claim("a window's slots are drained in order", ~its_drain | ((step.slot == drained) & (drained < its_slots)))
    proof.claim("all of them, before the next window ends", ~(swaps & has_ended & is_last) | (drained == its_slots))
    proof.claim("as soon as there is a place", ~(has_ended & is_last & (drained < its_slots) & reader.place_free) | drains)
    proof.claim("a slot is drained by its step", step.drains == drains)
    proof.claim("a window's end waits for slots alone", ~reader.waits | ~(has_ended & is_last) | (drained < its_slots))
    dropped = known & ~end & ~length.any()
    proof.reach("a window ends behind one that was drained late", swaps & proof.before(reader.waits) & (ended == 1))
    proof.reach("there is no room", ~reader.room & (taps > 2))
    proof.reach("a tap without a list is dropped as another one is taken", dropped & (reader.taken == 2))
    proof.reach("a window without any entry ends", swaps & ~walks & ended.any())
    proof.reach("three windows have ended", ended == 3)


PROPERTIES = (
    Property(
        "lists",
        walks_lists,
        12,
        (
            Fault("there is room for a tap too many", ListReader, "queue.level <= TAPS_AHEAD - under_way", "queue.level <= TAPS_AHEAD - 2"),
            Fault(
                "a window ends while the one before is drained",
                ListReader,
                "walking & ends & draining.any()",
                "walking & ends & (draining > 1)",
            ),
            Fault("a tap without a list is walked", ListReader, "drops.eq(known.valid & ~known.end & ~offered.count.any())", "drops.eq(0)"),
            Fault("a window's end without a list is dropped", ListReader, "known.valid & ~known.end &", "known.valid &"),
            Fault("a list is walked one address too far", ListReader, "current.count <= 1", "current.count == 0"),
            Fault("slots are drained from where the window before ended", ListReader, "slot.eq(0)", "slot.eq(slot)"),
            Fault("a slot is drained without a place", ListReader, "draining.any() & self.place_free", "draining.any()"),
            Fault("an end without any entry has a list", ListReader, "Mux(known.some, found.count, 0)", "found.count"),
        ),
        within=few_taps,
    ),
)
