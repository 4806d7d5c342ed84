"""Weight lists: of each tap the weights that are not zero, so that a row multiplies only with these."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import store_layout
from .element import step_layout
from .weights import WeightBlock

TAPS_AHEAD = 16  # whose lists are found while the one before is walked


def list_layout(config: Config) -> data.StructLayout:
    """A tap's list: the address of its first weights, and how many addresses it has: as many as the lane with most weights needs."""
    return data.StructLayout({"start": 16, "count": config.count_bits})


def list_latency(config: Config) -> int:
    """Cycles from a tap to its list: of the memory, and where rows are spread of the register behind it."""
    return 2 if config.spread else 1


class ListMemory(wiring.Component):
    """The lists of all taps, for one row or for a pair of rows.

    Members:
        store: a list is written, or while loading none is read.
        taps, lists: for each row; the list follows its tap by `list_latency(config)` cycles.

    Cost: weights x (16 + count_bits) bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "store": In(store_layout(config)),
                "taps": In(config.weight_bits).array(config.weight_ports),
                "lists": Out(list_layout(config)).array(config.weight_ports),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, store = self.config, self.store
        m = Module()
        # Of a start, what no weight memory of this configuration has is kept in one bit; and of a count, that it is too large.
        kept = Signal(config.weight_bits + 1 + config.count_bits)
        start, count = store.data[:16], store.data[16:]
        too_long = count[config.count_bits :].any().replicate(config.count_bits)
        m.d.comb += kept.eq(Cat(start[: config.weight_bits], start[config.weight_bits :].any(), count[: config.count_bits] | too_long))
        m.submodules.block = block = WeightBlock(config, len(kept))
        m.d.comb += [block.loading.eq(store.loading), block.write_enable.eq(store["list"]), block.write_data.eq(kept)]
        for port, (tap, found) in enumerate(zip(self.taps, self.lists, strict=True)):
            address = Mux(store.loading, store.address[: config.weight_bits], tap) if port == 0 else tap
            word = block.words[port]
            m.d.comb += [
                block.addresses[port].eq(address),
                found.start.eq(word[: config.weight_bits + 1]),
                found.count.eq(word[config.weight_bits + 1 :]),
            ]
        return m


class ListReader(wiring.Component):
    """Walks the lists of a row's taps: an address a cycle, whose weights all lanes multiply with the tap's activation.

    A window's sums stand in one of two banks of accumulators. When it ends, its slots are drained one after the other, while the next
    window is summed in the other bank, and may end when all of them are.

    Members:
        slots: of the layer: no list is longer.
        tap: valid: the entry reader has read an entry, or the end of a window without any (some is 0). address: its tap. byte: its value.
            end: of a window; slots: how many slots of it are drained.
        room: so many more taps may follow as are under way behind it at most.
        memory, found: the tap whose list is looked up, and its list.
        place_free: the sums of a slot may be drained.
        address, byte, step, multiplies: what the lanes multiply next.
        drains: a slot is drained with this step. waits: a window's end waits until the one before is drained.
        wrong: a list is longer than the slots, or lies outside the memory.
        taken: taps that begin to be walked, or are dropped, in this cycle: 0...2.

    Throughput: an address a cycle; a slot a cycle is drained. A tap whose list is empty takes no cycle where others wait, unless it ends a
    window. Latency: 4 cycles from a tap to its first address, 5 where rows are spread.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "slots": In(config.count_bits),
                "tap": In(tap_layout(config)),
                "room": Out(1),
                "memory": Out(config.weight_bits),
                "found": In(list_layout(config)),
                "place_free": In(1),
                "address": Out(config.weight_bits),
                "byte": Out(8),
                "step": Out(step_layout(config)),
                "multiplies": Out(1),
                "drains": Out(1),
                "waits": Out(1),
                "wrong": Out(1),
                "taken": Out(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        # The list is looked up.
        asked = Signal(tap_layout(config))
        m.d.sync += asked.eq(self.tap)
        m.d.comb += self.memory.eq(asked.address)
        known = asked
        for _ in range(list_latency(config)):
            before, known = known, Signal(tap_layout(config), name="known")
            m.d.sync += known.eq(before)

        # It waits for its turn. An empty one is dropped, unless it ends a window.
        found = self.found
        fields = {"start": config.weight_bits, "count": config.count_bits, "byte": 8, "end": 1, "slots": config.count_bits}
        queued = data.StructLayout(fields)
        offered, first = Signal(queued), Signal(queued)
        m.submodules.queue = queue = SyncFIFO(width=queued.size, depth=TAPS_AHEAD)
        # A tap for each cycle until it is known that there is no room: in the reader, and on the way from there.
        under_way = list_latency(config) + (5 if config.spread else 3)
        last_word = Signal(config.weight_bits + 2)
        looks, wrong, drops = Signal(), Signal(), Signal()
        m.d.comb += [
            looks.eq(known.valid & known.some),
            last_word.eq(found.start[: config.weight_bits + 1] + found.count),
            wrong.eq((found.count > self.slots) | (found.count.any() & (last_word > config.weights))),
            offered.start.eq(found.start),
            offered.count.eq(Mux(known.some, found.count, 0)),
            offered.byte.eq(known.byte),
            offered.end.eq(known.end),
            offered.slots.eq(known.slots),
            queue.w_data.eq(offered.as_value()),
            queue.w_en.eq(known.valid & ~drops),
            drops.eq(known.valid & ~known.end & ~offered.count.any()),
            self.taken.eq((queue.r_en & queue.r_rdy) + drops),
            first.eq(queue.r_data),
        ]
        m.d.sync += [self.wrong.eq(looks & wrong), self.room.eq(queue.level <= TAPS_AHEAD - under_way)]

        # It is walked.
        current, walking, begins, bank = Signal(queued), Signal(), Signal(init=1), Signal()  # begins: a window
        last, ends, goes = Signal(), Signal(), Signal()
        draining, slot = Signal(config.count_bits), Signal(config.index_bits)  # slots left; the next one
        m.d.comb += [
            last.eq(current.count <= 1),
            ends.eq(last & current.end),
            self.waits.eq(walking & ends & draining.any()),
            goes.eq(walking & ~self.waits),
            queue.r_en.eq(~walking | (goes & last)),
            self.address.eq(current.start),
            self.byte.eq(current.byte),
            self.multiplies.eq(goes & current.count.any()),
            self.drains.eq(draining.any() & self.place_free),
            self.step.valid.eq(goes),
            self.step.first.eq(begins),
            self.step.bank.eq(bank),
            self.step.swaps.eq(goes & ends),
            self.step.drains.eq(self.drains),
            self.step.slot.eq(slot),
        ]
        with m.If(goes):
            m.d.sync += [current.start.eq(current.start + 1), current.count.eq(current.count - 1), begins.eq(ends), bank.eq(bank ^ ends)]
        with m.If(queue.r_en):
            m.d.sync += [current.eq(first), walking.eq(queue.r_rdy)]
        with m.If(self.drains):
            m.d.sync += [draining.eq(draining - 1), slot.eq(slot + 1)]
        with m.If(goes & ends):
            m.d.sync += [draining.eq(current.slots), slot.eq(0)]
        return m


def tap_layout(config: Config) -> data.StructLayout:
    """An entry and the tap that it is multiplied at: see `ListReader`."""
    return data.StructLayout({"valid": 1, "some": 1, "address": config.weight_bits, "byte": 8, "end": 1, "slots": config.count_bits})
