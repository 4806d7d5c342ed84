"""The drain against a naive scan of all sums: which accumulators are candidates, and how many zeros lie before each."""

from collections import deque
from collections.abc import Iterator
from itertools import chain, repeat

import cocotb
from amaranth.hdl import signed
from amaranth.lib import data

from skipgrid.rtl.layouts import candidate_layout, order_layout, store_layout
from skipgrid.rtl.output.drain import SKIPPED_AT_ONCE
from streams import PROFILES, Bench, Packing, Scoreboard, config, narrow_layer, pace, there, trials

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
Bounds = tuple[int, int]  # of a channel: what is at least the upper one survives, and what is below the lower one


class DrainBench(Bench):
    """A drain between rows, which finish their units when they like, and a monitor of candidates."""

    async def begin(self) -> None:
        self.config = config()
        self.order = self.source("order", order_layout(self.config))
        self.candidates = self.sink("candidates", data.ArrayLayout(candidate_layout(self.config), self.config.survivors))
        self.finished: list[deque[list[int]]] = [deque() for _ in range(self.config.rows)]
        self.offered: list[bool] = [False] * self.config.rows
        self.offered_at: list[int] = []
        self.taken = [0] * self.config.rows  # slices of the unit that stands on a row's outputs
        self.paces: list[Iterator[bool]] = [pace("full", self.random) for _ in range(self.config.rows)]
        self.sums = Packing(data.ArrayLayout(signed(32), self.config.scan))
        self.store = Packing(store_layout(self.config))
        self.orders: deque[dict[str, int]] = deque()  # that were taken, and not drained
        self.order.listeners.append(self.orders.append)
        self.watchers.append(self.drained)
        self.forgets.append(self.forget)
        await self.reset()

    def forget(self) -> None:
        """The rows are reset, too."""
        for units in self.finished:
            units.clear()
        self.orders.clear()
        self.offered = [False] * self.config.rows
        self.taken = [0] * self.config.rows
        self.set(**{f"sums_{row}_valid": 0 for row in range(self.config.rows)})

    def offer(self) -> None:
        """Put finished units on the rows' outputs; one that stands there stays."""
        for row, units in enumerate(self.finished):
            if units and not self.offered[row] and next(self.paces[row]):
                self.offered[row] = True
                self.offered_at.append(self.cycle)
            scan, first = self.config.scan, self.config.scan * self.taken[row]
            self.signal(f"sums_{row}_values").value = (
                self.sums.pack(units[0][first : first + scan]) if self.offered[row] else self.random.getrandbits(32 * scan)
            )
            self.signal(f"sums_{row}_valid").value = int(self.offered[row])

    def drained(self) -> None:
        """The watcher: rows whose unit is drained in this cycle."""
        for row in range(self.config.rows):
            drained, advance = self.get(f"sums_{row}_drained"), self.get(f"sums_{row}_advance")
            assert not drained & advance
            if drained | advance:
                assert self.offered[row], f"row {row} is drained, but has no sums"
            self.taken[row] += advance
            assert self.taken[row] < self.config.slices
            if drained:
                self.offered[row] = False
                self.taken[row] = 0
                self.expect(row, self.finished[row].popleft())

    def expect(self, row: int, sums: list[int]) -> None:
        """The model: what is found in the sums of a unit that was drained."""
        self.pass_skipped()
        order = self.orders.popleft()
        assert order["row"] == row, "a unit is drained that is not the next one"
        if order["first_group"]:
            self.channel = 0
        last_lanes = self.end_lanes if order["row_end"] else self.last_lanes
        for value in sums[: last_lanes if order["last_group"] else len(sums)]:
            upper, lower = self.bounds[self.channel]
            if value >= upper or value < lower:
                self.board.expect((self.place, value, self.base + self.channel))
            self.place += 1
            self.channel += 1

    def pass_skipped(self) -> None:
        """Experts that were skipped are zeros."""
        while self.orders and self.orders[0].get("skipped"):
            order = self.orders.popleft()
            self.channel = self.skipped + (0 if order["first_group"] else self.channel)
            self.place += self.skipped

    async def load(self, base: int, bounds: list[Bounds]) -> None:
        """Store bounds for the channels from `base` on."""
        for channel, (upper, lower) in enumerate(bounds, start=base):
            for name, bound in (("upper", upper), ("lower", lower)):
                self.set(store=self.store.pack({name: 1, "address": channel, "data": bound & 0xFFFFFFFF}))
                await self.step()
        self.set(store=0)

    async def check(
        self, pixels: int, groups: int, last_lanes: int, base: int, bounds: list[Bounds], values: list[int], expert_groups: int = 0
    ) -> None:
        """Drain a layer of `pixels` x `groups` units with sums drawn from `values`, and compare.

        bounds: of the channels from `base` on, upper and lower. expert_groups: groups of each expert, half of which are skipped; 0 where
            there are none.
        """
        lanes, rows = self.config.lanes, self.config.rows
        self.base, self.bounds, self.last_lanes, self.skipped = base, bounds, last_lanes, expert_groups * lanes
        self.end_lanes = last_lanes if expert_groups else self.random.choice((last_lanes, self.random.randint(1, last_lanes)))
        fields = {"groups": groups, "last_lanes": last_lanes, "channels_base": base, "expert_groups": expert_groups}
        fields["end_lanes"] = self.end_lanes
        fields["low"] = -any(lower > INT32_MIN for _, lower in bounds)
        self.set(layer=narrow_layer(fields))
        await self.pulse(start=1)
        self.board = Scoreboard("candidates")
        self.place = self.channel = 0
        self.candidates.received.clear()
        for pixel in range(pixels):
            skipped, row_end = False, self.random.random() < 0.3
            for group in range(groups):
                begins_expert = bool(expert_groups) and group % expert_groups == 0
                if begins_expert:
                    skipped = bool(self.random.getrandbits(1))
                last_group = group + (expert_groups if skipped else 1) == groups
                row = self.random.randrange(rows)
                order = {"row": row, "first_group": group == 0, "last_group": last_group, "last": last_group and pixel == pixels - 1}
                order["row_end"] = row_end
                if skipped:
                    if begins_expert:
                        self.order.send(order | {"skipped": 1})
                    continue
                self.order.send(order)
                self.finished[row].append([self.random.choice(values) for _ in range(lanes)])
        place_seen = 0
        ended = False
        limit = 40 * pixels * groups * lanes + 1000
        while not ended:
            limit -= 1
            assert limit, "the tensor never ends"
            self.offer()
            await self.step()
            for candidate in there(self.candidates.received):
                assert not ended, "a candidate behind the tensor's last one"
                place_seen += candidate["gap"]
                if not candidate["null"]:
                    self.board.see((place_seen, candidate["accumulator"], candidate["channel"]))
                    place_seen += 1
                ended = bool(candidate["last"])
            self.candidates.received.clear()
        self.pass_skipped()
        assert place_seen == self.place, f"the tensor has {self.place} outputs, the candidates stand for {place_seen}"
        self.board.finish(0)
        assert not self.order.queue
        assert not any(self.finished)


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = DrainBench(dut)
    await bench.begin()
    lanes, channels = bench.config.lanes, bench.config.channels
    for round_ in range(trials(60)):
        groups = bench.random.randint(1, 3)
        base = lanes * bench.random.randint(0, channels // lanes - groups)
        lowest = bench.random.choice(((INT32_MIN,), (INT32_MIN,) if bench.config.serial else (INT32_MIN, INT32_MIN + 1, -5, -4, 0, 4)))
        uppers = (INT32_MIN, -5, 0, 5, 6, INT32_MAX)
        bounds = [(bench.random.choice(uppers), bench.random.choice(lowest)) for _ in range(groups * lanes)]
        await bench.load(base, bounds)
        bench.order.behave(bench.random.choice(PROFILES))
        bench.candidates.behave(PROFILES[round_ % len(PROFILES)])
        bench.paces = [pace(bench.random.choice(PROFILES), bench.random) for _ in bench.paces]
        values = [INT32_MIN, -6, -5, -4, 0, 4, 5, 6, INT32_MAX - 1, INT32_MAX]
        await bench.check(bench.random.randint(1, 12), groups, bench.random.randint(1, lanes), base, bounds, values)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = DrainBench(dut)
    await bench.begin()
    lanes = bench.config.lanes
    bounds = [(5, INT32_MIN)] * 2 * lanes
    await bench.load(0, bounds)
    for takes in PROFILES * 5:
        bench.candidates.behave(takes)
        await bench.cut(bench.check(20, 2, lanes, 0, bounds, [4, 5]), 60)
        await bench.step(8)
        assert not bench.candidates.offered
        await bench.check(2, 1, lanes, 0, bounds, [4, 5])


@cocotb.test(skip=not config().experts)
async def experts_that_are_skipped(dut: object) -> None:
    """Of a slice and less, and of more channels than a gap can tell of."""
    bench = DrainBench(dut)
    await bench.begin()
    lanes, channels = bench.config.lanes, bench.config.channels
    at_once = SKIPPED_AT_ONCE // lanes
    for expert_groups in (1, 1, 2, 3, at_once - 1, at_once, at_once + 1, 3 * at_once):
        groups = expert_groups * bench.random.randint(2, 4)
        base = lanes * bench.random.randint(0, channels // lanes - groups)
        bounds = [(bench.random.choice((-5, 0, 5)), INT32_MIN) for _ in range(groups * lanes)]
        await bench.load(base, bounds)
        for _ in range(4 if groups < 10 else 1):
            bench.order.behave(bench.random.choice(PROFILES))
            bench.candidates.behave(bench.random.choice(("full", "random", "bursts")))
            pixels = bench.random.randint(1, 6) if groups < 10 else 2
            await bench.check(pixels, groups, lanes, base, bounds, [-6] * 20 + [-5, 0, 5], expert_groups)


@cocotb.test
async def long_gaps(dut: object) -> None:
    """Runs that no candidate's gap can hold, at the tensor's end and before a candidate."""
    bench = DrainBench(dut)
    await bench.begin()
    lanes = bench.config.lanes
    bounds = [(10, INT32_MIN)] * lanes
    await bench.load(0, bounds)
    for values in ([9], [9] * 1500 + [10], [9] * 400 + [10]):
        for last_lanes in (1, lanes - 1, lanes):
            bench.candidates.behave(bench.random.choice(("full", "random")))
            await bench.check(700, 1, last_lanes, 0, bounds, values)


@cocotb.test
async def a_slice_or_all_survivors_a_cycle(dut: object) -> None:
    bench = DrainBench(dut)
    await bench.begin()
    lanes, scan = bench.config.lanes, bench.config.scan
    bounds = [(10, INT32_MIN)] * lanes
    await bench.load(0, bounds)
    for values, a_unit in (([9], lanes // scan), ([10], lanes // bench.config.survivors)):
        bench.order.cycles.clear()
        bench.offered_at.clear()
        bench.candidates.cycles.clear()
        await bench.check(100, 1, lanes, 0, bounds, values)
        flushes = 100 * lanes // 512 if values == [9] else 0  # gaps that are sent before they overflow
        assert bench.order.cycles[-1] - bench.order.cycles[0] <= 99 * a_unit + flushes


@cocotb.test
async def the_time(dut: object) -> None:
    """From sums to their first candidate, where the unit has been in order for long."""
    bench = DrainBench(dut)
    await bench.begin()
    lanes = bench.config.lanes
    bounds = [(10, INT32_MIN)] * lanes
    await bench.load(0, bounds)
    bench.paces = [chain(repeat(False, 20), repeat(True)) for _ in bench.paces]
    await bench.check(1, 1, lanes, 0, bounds, [10])
    assert bench.candidates.cycles[0] - bench.offered_at[0] == (0 if bench.config.serial else 4 if bench.config.spread else 2)
