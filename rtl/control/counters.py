"""The performance counters' hardware: all in one small memory, each brought up to date when its turn comes."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..counters import COUNTERS, built_counters, counter_words

LAYERS_BASE = 16  # of the layers' cycles in the memory, behind the counters
BETWEEN_TURNS = 20  # cycles: one for each counter, for layers that end, and for reads of layers' cycles

WORDS = sum(len(counter.words) for counter in COUNTERS)
assert WORDS <= LAYERS_BASE
assert WORDS + 2 + WORDS // 3 <= BETWEEN_TURNS


def event_members(config: Config) -> dict[str, wiring.Member]:
    """Of each counter what is added to it in this cycle."""
    return {counter.event: In(range(counter.at_once(config) + 1)) for counter in built_counters(config)}


class PerformanceCounters(wiring.Component):
    """Counts in 32 bits what happens in each cycle, and keeps the cycles of each layer.

    A counter's own register is a few bits wide: what it has to add since its last turn. In each cycle another counter has its turn:
    its word has been looked up, the register is added to it, and the sum is stored; where rows are spread, a cycle later.

    Members:
        clear: all counters begin at 0 again; the layers' cycles stay.
        busy, and the other events of `COUNTERS`: are added in this cycle.
        layer_done, layer: store the cycles since the layer before ended (or since clear) for layer number `layer`; in at most one of
            15 cycles.
        read, index: ask for a counter, or with `of_layer` for a layer's cycles; they stay until `found`.
        value: valid with `found`, as it was at the end of the cycle before, and where rows are spread two cycles earlier still.

    Latency: 20 cycles at most, 21 where rows are spread, if at most one of three is used to ask for a layer.
    Cost: 16 + layers words of memory, and one adder of 32 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.layer_bits = (config.layers - 1).bit_length()
        self.names = counter_words(config)
        super().__init__(
            {
                "clear": In(1),
                **event_members(config),
                "layer_done": In(1),
                "layer": In(self.layer_bits),
                "read": In(1),
                "index": In(max(4, self.layer_bits)),
                "of_layer": In(1),
                "found": Out(1),
                "value": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=32, depth=LAYERS_BASE + self.config.layers, init=[])
        write, read = memory.write_port(), memory.read_port()

        events: list[Value] = []
        carries: list[tuple[int, Signal]] = []  # out of lower words, and which these are
        most: list[int] = []
        for counter in built_counters(self.config):
            event = getattr(self, counter.event)
            if counter.event != "busy" and not self.config.serial:  # from all parts, on paths that are long already
                event = Signal.like(event, name=counter.words[0].lower())
                m.d.sync += event.eq(getattr(self, counter.event))
            events.append(event)
            most.append(counter.at_once(self.config))
            if counter.wide:  # the lower word's carry is the higher one's event
                carries.append((len(events) - 1, carry := Signal(name="carry")))
                events.append(carry)
                most.append(1)
        waiting = [
            Signal(range(BETWEEN_TURNS * at_once + 1), name=f"waiting_{name.lower()}")
            for name, at_once in zip(self.names, most, strict=True)
        ]

        turn = Signal(range(len(self.names)))  # its word has been looked up
        following = Signal.like(turn)
        layer_looked_up = Signal()  # instead of a counter's word
        right = Signal()  # the word that is asked for has been looked up
        stores = Signal()
        fresh = Signal(range(len(self.names) + 1), init=len(self.names))  # turns until all words are of the time after clear
        added, layer_cycles = Signal(32), Signal(32, init=1)  # with the cycle that a layer's end is in
        with m.If(self.layer_done):
            m.d.comb += added.eq(layer_cycles)
        with m.Elif(~layer_looked_up):
            m.d.comb += added.eq(Array(waiting)[turn])
        m.d.comb += [
            following.eq(Mux(turn == len(self.names) - 1, 0, turn + 1)),
            stores.eq(~self.layer_done & ~layer_looked_up),
        ]
        # What is added to what, and where the sum goes: where rows are spread, all of it waits for the next cycle.
        base, addend, total, address, enable = Signal(32), Signal(32), Signal(33), Signal.like(write.addr), Signal()
        summed, counted = Signal.like(turn), Signal()  # whose turn it is; the sum is of this run
        chosen = m.d.sync if self.config.spread else m.d.comb
        chosen += [
            base.eq(Mux(self.layer_done | (stores & fresh.any()), 0, read.data)),
            addend.eq(added),
            address.eq(Mux(self.layer_done, LAYERS_BASE + self.layer, turn)),
            enable.eq(~layer_looked_up | self.layer_done),
            summed.eq(turn),
            counted.eq(stores & ~fresh.any() & ~self.clear),
            self.found.eq(right & ~self.layer_done),
        ]
        m.d.comb += [total.eq(base + addend), write.en.eq(enable), write.addr.eq(address), write.data.eq(total), self.value.eq(total)]
        for number, (register, event) in enumerate(zip(waiting, events, strict=True)):
            m.d.sync += register.eq(Mux(stores & (turn == number), 0, register) + event)
        for number, carry in carries:
            m.d.sync += carry.eq(counted & ~self.clear & total[32] & (summed == number))
        with m.If(stores):
            m.d.sync += fresh.eq(fresh - fresh.any())
        m.d.sync += layer_cycles.eq(Mux(self.layer_done, 1, layer_cycles + self.busy))
        with m.If(self.clear):
            m.d.sync += [fresh.eq(len(self.names)), layer_cycles.eq(1), *(register.eq(0) for register in waiting)]

        # A layer's end takes the write port, and its look-up the read port, instead of a counter, whose turn comes then.
        looks_up_layer = self.read & self.of_layer & ~layer_looked_up & stores
        m.d.comb += [
            read.en.eq(~self.layer_done),
            read.addr.eq(Mux(looks_up_layer, LAYERS_BASE + self.index[: self.layer_bits], Mux(stores, following, turn))),
            right.eq(self.read & Mux(self.of_layer, layer_looked_up, ~layer_looked_up & (self.index[:4] == turn))),
        ]
        with m.If(stores):
            m.d.sync += turn.eq(following)
        with m.If(~self.layer_done):
            m.d.sync += layer_looked_up.eq(looks_up_layer)
        return m
