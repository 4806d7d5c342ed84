"""A PE row with weight lists against plain sums of each slot: neighbouring products of a slot, windows of any size, late drains."""

from collections import deque

import cocotb
import numpy as np

from bench_row import Range, RowBench
from skipgrid.rtl.grid.lists import list_latency, list_layout
from streams import PROFILES, Packing, config, pace, rounds


class RowListsBench(RowBench):
    """A row whose memories, those of lists with them, the bench keeps; of a layer with lists or without."""

    async def begin(self) -> None:
        self.list = Packing(list_layout(config()))
        self.lists = False
        self.counts = {"taken": 0, "list_wrong": 0}
        await super().begin()
        self.watchers.append(self.count)

    def forget(self) -> None:
        super().forget()
        self.taps_asked = deque([0] * list_latency(self.config))
        self.slot_sums = np.zeros((self.config.slots, self.config.lanes), np.int64)

    def layer(self, *, lists: bool) -> None:
        """A layer begins, with lists or without."""
        self.lists, self.slots = lists, self.random.choice((1, 2, self.config.slots, self.random.randint(1, self.config.slots)))
        self.set(lists=int(lists), slots=self.slots)

    def fill(self, kind: str) -> None:
        """New entries, weights and lists, whose words are of all slots, or of few."""
        super().fill(kind)
        config, numbers = self.config, self.numbers
        few = min(self.slots, self.random.choice((1, 2, config.slots)))
        self.indices = numbers.integers(0, few, (config.weights, config.lanes))
        self.index_words = [sum(int(index) << 4 * lane for lane, index in enumerate(row)) for row in self.indices]
        longest = self.random.randint(1, self.slots)
        self.found = [(self.random.randrange(config.weights - longest + 1), self.random.randint(0, longest)) for _ in range(config.weights)]

    def memories(self) -> None:
        super().memories()
        self.taps_asked.append(self.get("tap"))

    def count(self) -> None:
        """The watcher: entries that were taken, and lists that are wrong."""
        for name in self.counts:
            self.counts[name] += self.get(name)

    async def advance(self) -> None:
        start, count = self.found[self.taps_asked.popleft()]
        self.set(found=self.list.pack({"start": start, "count": count}), indices=self.index_words[self.weights_asked[0]])
        await super().advance()

    def expect(self, taken: Range) -> None:
        if not self.lists:
            super().expect(taken)
            return
        for entry in range(taken["start"], taken["start"] + taken["count"]):
            value, place = int(self.values[entry]), int(self.places[entry])
            start, count = self.found[(place + taken["weight"]) % self.config.weights]
            words = slice(start, start + count)
            activation = value - 256 * (value > self.positive_max)
            np.add.at(self.slot_sums, (self.indices[words], np.arange(self.config.lanes)), activation * self.weights[words])
        if taken["end"]:
            for sums in self.slot_sums[: taken["slots"]]:
                wanted = self.random.randint(self.least_wanted, self.config.slices)
                self.wanted.append(wanted)
                self.board.expect(sums[: wanted * self.config.scan].tolist())
            self.slot_sums[:] = 0

    async def check_lists(self, windows: int, *, most_ranges: int, most_entries: int) -> None:
        """Run windows of a layer with lists, and compare the sums of their slots."""
        self.counts |= dict.fromkeys(self.counts, 0)
        drained = taken = 0
        for _ in range(windows):
            slots = self.random.randint(1, self.slots)
            ranges = self.unit(1, most_ranges, most_entries)
            self.ranges.send(*(one | {"slots": slots} for one in ranges))
            drained += slots
            taken += sum(max(1, one["count"]) for one in ranges)
        matched = self.board.matched
        for _ in range(400_000):
            if not self.ranges.queue and self.board.empty and self.counts["taken"] == taken and self.board.matched == matched + drained:
                break
            await self.advance()
        self.board.finish(matched + drained)
        assert self.counts == {"taken": taken, "list_wrong": 0}


@cocotb.test
async def lists_between_layers_without(dut: object) -> None:
    bench = RowListsBench(dut)
    await bench.begin()
    for number in rounds(40, {}):
        bench.layer(lists=False)
        for kind in ("random", "extreme"):
            bench.fill(kind)
            bench.ranges.behave(bench.random.choice(PROFILES))
            bench.drains = pace(bench.random.choice(PROFILES), bench.random)
            matched = bench.board.matched
            await bench.check(3, windows=3, most_ranges=3, most_entries=4)
            assert bench.board.matched == matched + 3
            bench.layer(lists=True)
            bench.fill(kind)
            bench.drains = pace(PROFILES[number % len(PROFILES)], bench.random)
            await bench.check_lists(8, most_ranges=3, most_entries=bench.random.choice((1, 2, 6)))
            bench.layer(lists=False)


@cocotb.test
async def products_of_a_slot_follow_each_other_at_any_distance(dut: object) -> None:
    """Lists of one word each: a slot's sums meet themselves one cycle later, two, or more, in a window and across its ends."""
    bench = RowListsBench(dut)
    await bench.begin()
    for _ in rounds(10, {}):
        bench.layer(lists=True)
        bench.fill("random")
        bench.found = [(start, 1) for start in range(bench.config.weights)]
        bench.drains = pace("full", bench.random)
        await bench.check_lists(12, most_ranges=2, most_entries=8)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = RowListsBench(dut)
    await bench.begin()
    for _ in rounds(60, {}):
        bench.layer(lists=True)
        bench.fill("random")
        bench.drains = pace(bench.random.choice(PROFILES), bench.random)
        await bench.cut(bench.check_lists(6, most_ranges=3, most_entries=4), 150)
        assert not bench.get("sums_valid")
        await bench.check_lists(2, most_ranges=2, most_entries=4)


@cocotb.test
async def an_index_of_no_slot_is_wrong(dut: object) -> None:
    """An entry meets it, not the end of a window without any."""
    bench = RowListsBench(dut)
    await bench.begin()
    bench.watchers.remove(bench.memories)  # sums do not matter
    for _ in rounds(25, {}):
        bench.layer(lists=True)
        bench.fill("random")
        few = bench.config.slots
        bench.slots = bench.random.randint(1, few - 1)
        index = bench.random.randrange(few)
        bench.set(slots=bench.slots, found=bench.list.pack({"start": 3, "count": 1}), entries_entry=bench.entry.pack({"value": 1}))
        bench.set(indices=index << 4 * bench.random.randrange(bench.config.lanes))
        some = bench.random.getrandbits(1)
        bench.counts["list_wrong"] = 0
        bench.ranges.send({"count": some, "first_window": 1, "last_window": 1, "end": 1, "slots": 1})
        await bench.step(24)
        assert bench.counts["list_wrong"] == (some and index >= bench.slots)
        await bench.reset()


@cocotb.test
async def an_address_a_cycle(dut: object) -> None:
    """Nothing waits in long windows that are drained in time."""
    bench = RowListsBench(dut)
    await bench.begin()
    bench.layer(lists=True)
    bench.fill("random")
    bench.found = [(start % 64, 1 + start % 2) for start in range(bench.config.weights)]
    before = len(bench.multiplied)
    entries, slices = 12 * bench.config.slots, bench.config.slices
    assert entries > bench.slots * slices
    for start in range(6):
        bench.ranges.send({"start": start, "count": entries, "first_window": 1, "last_window": 1, "end": 1, "slots": bench.slots})
    while not bench.board.matched or not bench.board.empty or bench.ranges.queue:
        await bench.advance()
    cycles = [cycle for cycle, *_ in bench.multiplied[before:]]
    assert cycles[-1] - cycles[0] == len(cycles) - 1
    assert len(cycles) == sum(
        bench.found[bench.places[start + entry] % bench.config.weights][1] for start in range(6) for entry in range(entries)
    )
