"""The list reader against plain lists: each address of each list once and in order, and each window's slots drained once."""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import cocotb

from skipgrid.rtl.grid.element import step_layout
from skipgrid.rtl.grid.lists import list_latency, list_layout, tap_layout
from streams import PROFILES, Bench, Packing, Scoreboard, config, pace, rounds

Tap = dict[str, int]


class ListsBench(Bench):
    """A list reader between an entry reader, which keeps to its `room`, and lanes whose slots are drained when there is a place."""

    async def begin(self) -> None:
        self.config = config()
        self.tap, self.list = Packing(tap_layout(self.config)), Packing(list_layout(self.config))
        self.step_fields = Packing(step_layout(self.config))
        self.behind = 2 if self.config.spread else 0  # cycles from an entry that is read to its tap
        self.most = self.config.slots  # of the layer
        self.lists: list[Tap] = [{"start": 0, "count": 0}] * self.config.weights
        self.taps: deque[Tap] = deque()  # that are not read yet
        self.steps, self.drained = Scoreboard("steps"), Scoreboard("drained slots")
        self.comes, self.places = pace("full", self.random), pace("full", self.random)
        self.walked: list[int] = []  # cycles
        self.came: list[int] = []  # taps, in these cycles
        self.counts = {"taken": 0, "wrong": 0, "waits": 0, "dropped": 0, "empty ends": 0}
        self.watchers.append(self.watch)
        self.forgets.append(self.forget)
        await self.reset()

    def forget(self) -> None:
        """Both sides are reset, too."""
        self.taps.clear()
        self.steps.forget()
        self.drained.forget()
        self.under_way: deque[Tap] = deque([{}] * self.behind)
        self.asked = deque([0] * list_latency(self.config))
        self.first, self.bank = True, 0  # of the next step that is expected
        self.ended: deque[int] = deque()  # slots of the windows that have not ended yet
        self.left = 0  # slots of the last one that has, and are not drained
        self.place = False
        self.set(tap=0, place_free=0)

    def fill(self, counts: Iterator[int]) -> None:
        """New lists, of these lengths, anywhere in the memory."""
        size = self.config.weights
        lengths = [next(counts) for _ in range(size)]
        self.lists = [{"start": self.random.randrange(size - count + 1), "count": count} for count in lengths]

    async def advance(self) -> None:
        """One cycle: an entry is read if there is room, and a slot may be drained."""
        reads = self.get("room") and self.taps and next(self.comes)
        self.under_way.append(self.taps.popleft() if reads else {})
        tap = self.under_way.popleft()
        if tap:
            self.came.append(self.cycle)
            self.expect(tap)
        rest = self.tap.pack({"valid": 1}) if not tap else 0
        self.set(tap=self.tap.pack(tap | {"valid": 1}) if tap else self.random.getrandbits(self.tap.width) & ~rest)
        self.set(found=self.list.pack(self.lists[self.asked.popleft()]))
        self.place = next(self.places)
        self.set(place_free=int(self.place))
        await self.step()

    def expect(self, tap: Tap) -> None:
        """The model: what is multiplied for a tap, and what is drained behind it."""
        found = self.lists[tap["address"]]
        length = found["count"] if tap["some"] else 0
        for place in range(max(length, tap["end"])):
            swaps = int(tap["end"] and place >= length - 1)
            walks = (found["start"] + place, tap["byte"]) if length else None
            self.steps.expect((walks, int(self.first), self.bank, swaps))
            self.first = bool(swaps)
            self.bank ^= swaps
        if tap["end"]:
            self.ended.append(tap["slots"])
        self.counts["empty ends"] += tap["end"] and not length
        self.counts["dropped"] += not tap["end"] and not length

    def watch(self) -> None:
        """The watcher: what the lanes are told in this cycle."""
        self.asked.append(self.get("memory"))
        step = self.step_fields.unpack(self.get("step"))
        multiplies, waits = self.get("multiplies"), self.get("waits")
        assert step["drains"] == self.get("drains")
        if step["valid"]:
            walks = (self.get("address"), self.get("byte")) if multiplies else None
            self.steps.see((walks, step["first"], step["bank"], step["swaps"]))
            self.walked.append(self.cycle)
        else:
            assert not multiplies and not step["swaps"]
        assert not waits or (self.left and not step["valid"]), "a window's end waits for nothing"
        left = self.left
        if step["drains"]:
            assert self.place, "a slot is drained without a place"
            assert left, "a slot is drained that is not there"
            self.drained.see(step["slot"])
            self.left -= 1
        if step["swaps"]:
            assert not left, "a window ends before the one before is drained"
            self.left = self.ended.popleft()
            for slot in range(self.left):
                self.drained.expect(slot)
        for name in ("taken", "wrong", "waits"):
            self.counts[name] += self.get(name)

    def window(self, most: int) -> list[Tap]:
        """A window's taps, `most` at most; one without any has its end alone."""
        slots = self.random.randint(1, self.most)
        some = self.random.randrange(most + 1)
        taps = [
            {"some": 1, "address": self.random.randrange(self.config.weights), "byte": self.random.getrandbits(8), "end": 0, "slots": slots}
            for _ in range(some)
        ]
        taps = taps or [{"some": 0, "address": self.random.randrange(self.config.weights), "byte": 0, "end": 0, "slots": slots}]
        taps[-1]["end"] = 1
        return taps

    async def check(self, windows: list[list[Tap]]) -> None:
        """Walk windows, and compare."""
        taps = [tap for window in windows for tap in window]
        self.taps.extend(taps)
        self.set(slots=self.most)
        self.walked.clear()
        self.came.clear()
        self.counts |= {"taken": 0, "wrong": 0}
        matched, quiet = self.steps.matched, 0
        for _ in range(100 * len(taps) + 1000):
            done = not self.taps and not any(self.under_way) and self.steps.empty and not self.ended and not self.left
            quiet = quiet + 1 if done else 0
            if quiet > 10:  # nothing comes behind the last one
                break
            await self.advance()
        assert quiet > 10, "the windows never end"
        self.steps.finish(matched + len(windows))
        self.drained.finish()
        assert self.counts["taken"] == len(taps)


def lengths(bench: ListsBench) -> Iterator[int]:
    """Lengths of lists: one in four is empty, others are of any length up to the layer's slots."""
    while True:
        yield bench.random.choice((0, 1, bench.random.randint(0, bench.most), bench.random.randint(1, bench.most)))


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = ListsBench(dut)
    await bench.begin()
    seen = bench.counts
    for number in rounds(60, {}):
        bench.most = bench.random.choice((1, bench.config.slots, bench.random.randint(1, bench.config.slots)))
        bench.fill(lengths(bench))
        bench.comes = pace(bench.random.choice(PROFILES), bench.random)
        bench.places = pace(PROFILES[number % len(PROFILES)], bench.random)
        await bench.check([bench.window(bench.random.choice((2, 10))) for _ in range(25)])
        assert not seen["wrong"]
    assert all(seen[what] for what in ("waits", "dropped", "empty ends")), f"not all has happened: {seen}"


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = ListsBench(dut)
    await bench.begin()
    for _ in rounds(60, {}):
        bench.fill(lengths(bench))
        bench.comes = pace(bench.random.choice(PROFILES), bench.random)
        bench.places = pace(bench.random.choice(PROFILES), bench.random)
        await bench.cut(bench.check([bench.window(6) for _ in range(12)]), 150)
        await bench.check([bench.window(4) for _ in range(2)])


@cocotb.test
async def what_is_wrong_is_told(dut: object) -> None:
    """A list that is longer than the slots, or lies outside the memory; of what is not looked up, nothing."""
    bench = ListsBench(dut)
    await bench.begin()
    bench.watchers.clear()  # what is walked then does not matter
    size, most = bench.config.weights, (1 << bench.config.count_bits) - 1
    for _ in rounds(25, {}):
        bench.most = bench.random.randint(1, bench.config.slots)
        bench.set(slots=bench.most)
        some = bench.random.getrandbits(1)
        start = bench.random.choice((bench.random.randrange(size), size - bench.random.randint(0, most), size, 2 * size - 1))
        count = bench.random.randint(0, most)
        bench.lists = [{"start": start, "count": count}] * size
        wrong = some and count and (count > bench.most or start + count > size)
        cycles = []
        bench.set(tap=bench.tap.pack({"valid": 1, "some": some, "end": 1, "slots": 1}), found=bench.list.pack(bench.lists[0]))
        for _ in range(8):
            await bench.step()
            bench.set(tap=0)
            cycles.append(bench.get("wrong"))
        assert sum(cycles) == bool(wrong), (start, count, bench.most, some)
        await bench.reset()


@cocotb.test
async def an_address_a_cycle(dut: object) -> None:
    """No pause between lists and windows, whatever lists are empty, as long as taps and places come."""
    bench = ListsBench(dut)
    await bench.begin()
    bench.most = 4
    for _ in rounds(10, {}):
        size = bench.config.weights
        bench.lists = [{"start": size - 4 - address % 8, "count": 2 + address % 3 if address % 2 else 0} for address in range(size)]
        taps = [2 * bench.random.randrange(size // 2) + number % 2 for number in range(120)]  # every other one has no list
        windows = [
            [
                {"some": 1, "address": tap, "byte": tap, "end": int(number == 5), "slots": 4}
                for number, tap in enumerate(taps[first : first + 6])
            ]
            for first in range(0, len(taps), 6)
        ]
        await bench.check(windows)
        assert {after - before for before, after in pairwise(bench.walked)} == {1}
        assert len(bench.walked) == sum(bench.lists[tap]["count"] for tap in taps)
        assert bench.walked[0] - bench.came[1] == list_latency(bench.config) + 3


@cocotb.test
async def a_window_ends_as_soon_as_it_may(dut: object) -> None:
    """A slot a cycle is drained, and the next window ends in the cycle behind the last one."""
    bench = ListsBench(dut)
    await bench.begin()
    bench.lists = [{"start": address, "count": 1} for address in range(bench.config.weights)]
    slots = bench.config.slots
    await bench.check([[{"some": 1, "address": window, "byte": window, "end": 1, "slots": slots}] for window in range(40)])
    assert {after - before for before, after in pairwise(bench.walked)} == {slots + 1}
