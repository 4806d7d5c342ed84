"""The drain against a naive scan of all results: which accumulators are candidates, and how many zeros lie before each."""

from collections import deque
from collections.abc import Iterator

import cocotb
from amaranth.hdl import signed
from amaranth.lib import data

from skipgrid.rtl.layouts import candidate_layout, order_layout
from streams import PROFILES, Bench, Packing, Scoreboard, config, narrow_layer, pace

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


class DrainBench(Bench):
    """A drain between rows, which finish their units when they like, and a monitor of candidates."""

    async def begin(self) -> None:
        self.config = config()
        self.order = self.source("order", order_layout(self.config))
        self.candidates = self.sink("candidates", candidate_layout(self.config))
        self.finished: list[deque[list[int]]] = [deque() for _ in range(self.config.rows)]
        self.offered: list[bool] = [False] * self.config.rows
        self.offered_at: list[int] = []
        self.taken = [0] * self.config.rows  # slices of the unit that stands on a row's outputs
        self.paces: list[Iterator[bool]] = [pace("full", self.random) for _ in range(self.config.rows)]
        self.results = Packing(data.ArrayLayout(signed(32), self.config.scan))
        self.watchers.append(self.drained)
        await self.reset()

    def offer(self) -> None:
        """Put finished units on the rows' outputs; one that stands there stays."""
        for row, units in enumerate(self.finished):
            if units and not self.offered[row] and next(self.paces[row]):
                self.offered[row] = True
                self.offered_at.append(self.cycle)
            scan, first = self.config.scan, self.config.scan * self.taken[row]
            self.signal(f"results_{row}").value = (
                self.results.pack(units[0][first : first + scan]) if self.offered[row] else self.random.getrandbits(32 * scan)
            )
        self.set(finished=sum(offered << row for row, offered in enumerate(self.offered)))

    def drained(self) -> None:
        """The watcher: rows whose unit is drained in this cycle."""
        drained, advance = self.get("drained"), self.get("advance")
        assert not drained & advance
        for row in range(self.config.rows):
            if (drained | advance) >> row & 1:
                assert self.offered[row], f"row {row} is drained, but has no result"
            self.taken[row] += advance >> row & 1
            assert self.taken[row] < self.config.slices
            if drained >> row & 1:
                self.offered[row] = False
                self.taken[row] = 0
                self.finished[row].popleft()

    async def load(self, bounds: list[int]) -> None:
        """Store the channels' bounds."""
        self.set(bound_enable=1)
        for channel, bound in enumerate(bounds):
            self.set(bound_address=channel, bound=bound & 0xFFFFFFFF)
            await self.step()
        self.set(bound_enable=0)

    async def check(self, pixels: int, groups: int, last_lanes: int, base: int, bounds: list[int], values: list[int]) -> None:
        """Drain a layer of `pixels` x `groups` units with results drawn from `values`, and compare."""
        lanes, rows = self.config.lanes, self.config.rows
        self.set(layer=narrow_layer({"groups": groups, "last_lanes": last_lanes, "channels_base": base}))
        await self.pulse(start=1)
        board = Scoreboard("candidates")
        place = 0
        self.candidates.received.clear()
        for pixel in range(pixels):
            for group in range(groups):
                row = self.random.randrange(rows)
                results = [self.random.choice(values) for _ in range(lanes)]
                used = last_lanes if group == groups - 1 else lanes
                final = pixel == pixels - 1 and group == groups - 1
                self.order.send({"row": row, "first_group": group == 0, "last_group": group == groups - 1, "last": final})
                self.finished[row].append(results)
                for lane in range(used):
                    channel = base + group * lanes + lane
                    if results[lane] >= bounds[channel]:
                        board.expect((place, results[lane], channel))
                    place += 1
        place_seen = 0
        ended = False
        limit = 400 * pixels * groups * lanes + 1000
        while not ended:
            limit -= 1
            assert limit, "the tensor never ends"
            self.offer()
            await self.step()
            while self.candidates.received:
                candidate = self.candidates.received.pop(0)
                assert not ended, "a candidate behind the tensor's last one"
                place_seen += candidate["gap"]
                if not candidate["null"]:
                    board.see((place_seen, candidate["accumulator"], candidate["channel"]))
                    place_seen += 1
                ended = bool(candidate["last"])
        assert place_seen == place, f"the tensor has {place} outputs, the candidates stand for {place_seen}"
        board.finish(0)
        assert not self.order.queue
        assert not any(self.finished)


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = DrainBench(dut)
    await bench.begin()
    lanes, channels = bench.config.lanes, bench.config.channels
    for round_ in range(60):
        bounds = [bench.random.choice((INT32_MIN, -5, 0, 5, 6, INT32_MAX)) for _ in range(channels)]
        await bench.load(bounds)
        groups = bench.random.randint(1, 3)
        base = lanes * bench.random.randint(0, channels // lanes - groups)
        bench.order.behave(bench.random.choice(PROFILES))
        bench.candidates.behave(PROFILES[round_ % len(PROFILES)])
        bench.paces = [pace(bench.random.choice(PROFILES), bench.random) for _ in bench.paces]
        values = [INT32_MIN, -6, -5, -4, 0, 4, 5, 6, INT32_MAX - 1, INT32_MAX]
        await bench.check(bench.random.randint(1, 12), groups, bench.random.randint(1, lanes), base, bounds, values)


@cocotb.test
async def long_gaps(dut: object) -> None:
    """Runs that no candidate's gap can hold, at the tensor's end and before a candidate."""
    bench = DrainBench(dut)
    await bench.begin()
    lanes = bench.config.lanes
    bounds = [10] * bench.config.channels
    await bench.load(bounds)
    for values in ([9], [9] * 1500 + [10], [9] * 400 + [10]):
        for last_lanes in (1, lanes - 1, lanes):
            bench.candidates.behave(bench.random.choice(("full", "random")))
            await bench.check(700, 1, last_lanes, 0, bounds, values)


@cocotb.test
async def a_slice_or_a_candidate_a_cycle(dut: object) -> None:
    bench = DrainBench(dut)
    await bench.begin()
    lanes, scan = bench.config.lanes, bench.config.scan
    bounds = [10] * bench.config.channels
    await bench.load(bounds)
    a_lane, latency = (3, 2) if bench.config.serial else (1, 6)
    for values, a_unit in (([9], a_lane * lanes // scan), ([10], a_lane * lanes)):
        bench.order.cycles.clear()
        bench.offered_at.clear()
        bench.candidates.cycles.clear()
        await bench.check(100, 1, lanes, 0, bounds, values)
        flushes = 100 * lanes // 512 if values == [9] else 0  # gaps that are sent before they overflow
        assert bench.order.cycles[-1] - bench.order.cycles[0] <= 99 * a_unit + flushes
        if values == [10]:
            assert bench.candidates.cycles[0] - bench.offered_at[0] == latency
