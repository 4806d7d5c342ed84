"""A PE row against plain sums: windows of any ranges, pools, extreme products, results that wait to be drained."""

from collections import deque
from collections.abc import Iterator

import cocotb
import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data

from skipgrid.rtl.grid.weights import latency
from skipgrid.rtl.layouts import entry_layout, range_layout
from streams import PROFILES, Bench, Packing, Scoreboard, config, pace

Range = dict[str, int]


class RowBench(Bench):
    """A row whose memories the bench keeps, and whose results it drains."""

    async def begin(self) -> None:
        self.config = config()
        self.ranges = self.source("ranges", range_layout(self.config))
        self.ranges.listeners.append(self.expect)
        self.entry = Packing(entry_layout(self.config))
        self.sums_offered = Packing(data.ArrayLayout(signed(32), self.config.scan))
        self.board = Scoreboard("sums")
        self.drains: Iterator[bool] = pace("full", self.random)
        self.issued = self.record("issued")
        self.multiplied = self.record("multiplies", "last_group")
        self.finished: list[int] = []  # cycles in which the first slice of a unit is drained
        self.least_wanted = 1  # slices of a unit
        self.asked = 0
        self.held: int | None = None
        self.slices: list[int] = []  # of the unit that is being drained, lane by lane
        self.wanted: deque[int] = deque()  # slices of each unit that are drained
        self.watchers.append(self.memories)
        self.forgets.append(self.forget)
        await self.reset()

    def forget(self) -> None:
        """The memories and the drain are reset, too."""
        self.board.forget()
        self.weights_asked = deque([0] * latency(self.config))
        self.sums, self.best = np.zeros((2, self.config.lanes), np.int64)
        self.held = None
        self.slices = []
        self.wanted.clear()
        self.set(sums_drained=0, sums_advance=0)

    def fill(self, kind: str) -> None:
        """New entries and weights: of all sizes, or only the extreme ones."""
        config, numbers = self.config, self.numbers
        self.values = numbers.choice([1, 127, 128, 255], config.entries) if kind == "extreme" else numbers.integers(1, 256, config.entries)
        self.places = numbers.integers(0, config.features, config.entries)
        shape = (config.weights, config.lanes)
        self.weights = numbers.choice([-128, 127], shape) if kind == "extreme" else numbers.integers(-128, 128, shape)
        self.words = [int.from_bytes(row.astype(np.int8).tobytes(), "little") for row in self.weights]
        self.positive_max = self.random.choice((0, 127, 255, self.random.randrange(256)))
        self.set(positive_max=self.positive_max)

    def memories(self) -> None:
        """The watcher: the addresses of this cycle, which the memories answer in the coming ones."""
        self.asked = self.get("entries_address")
        self.weights_asked.append(self.get("weight_address"))
        if self.get("sums_valid"):
            bits = self.get("sums_values")
            assert self.held is None or self.held == bits, "sums change before they are drained"
            self.held = bits
            if self.draining:
                if not self.slices:
                    self.finished.append(self.cycle)
                self.slices += self.sums_offered.unpack(bits)
                self.held = None
                if self.get("sums_drained"):
                    self.board.see(self.slices)
                    self.slices = []
                    self.wanted.popleft()

    async def advance(self) -> None:
        """One cycle."""
        self.set(entries_entry=self.entry.pack({"value": int(self.values[self.asked]), "f": int(self.places[self.asked])}))
        self.set(weights=self.words[self.weights_asked.popleft()])
        self.draining = next(self.drains)
        self.draining &= bool(self.get("sums_valid"))
        last = self.draining and len(self.slices) + self.config.scan == self.config.scan * self.wanted[0]
        self.set(sums_drained=int(last), sums_advance=int(self.draining and not last))
        await self.step()

    def expect(self, taken: Range) -> None:
        """The model: a range's sums, and the unit's result with its last one."""
        config, start = self.config, taken["start"]
        values = self.values[start : start + taken["count"]]
        addresses = (self.places[start : start + taken["count"]] + taken["weight"]) % config.weights
        self.sums += np.where(values > self.positive_max, values - 256, values) @ self.weights[addresses]
        if taken["end"]:
            self.best = self.sums if taken["first_window"] else np.maximum(self.best, self.sums)
            self.sums = np.zeros(config.lanes, np.int64)
            if taken["last_window"]:
                wanted = self.random.randint(self.least_wanted, config.slices)  # the drain leaves lanes out that are not in use
                self.wanted.append(wanted)
                self.board.expect(self.best[: wanted * config.scan].tolist())

    def unit(self, windows: int, most_ranges: int, most_entries: int) -> list[Range]:
        """A unit's ranges."""
        config = self.config
        ranges: list[Range] = []
        for window in range(windows):
            count = self.random.choice((0, self.random.randint(1, most_ranges)))
            of_window: list[Range] = []
            for _ in range(count):
                entries = self.random.randint(1, most_entries)
                start = self.random.randrange(config.entries - entries + 1)
                weight = self.random.randrange(config.weights)
                of_window.append({"start": start, "count": entries, "weight": weight})
            of_window = of_window or [{"start": self.random.randrange(config.entries), "count": 0}]
            of_window[-1]["end"] = 1
            flags = {"first_window": int(window == 0), "last_window": int(window == windows - 1)}
            ranges += [one | flags for one in of_window]
        return ranges

    async def check(self, units: int, **shape: int) -> None:
        """Run units, and compare their results."""
        self.issued.clear()
        self.multiplied.clear()
        self.windows = entries = empty = 0
        last_groups: list[int] = []  # of each entry
        for _ in range(units):
            last_group = self.random.getrandbits(1)
            ranges = self.unit(self.random.randint(1, shape["windows"]), shape["most_ranges"], shape["most_entries"])
            self.ranges.send(*(one | {"last_group": last_group} for one in ranges))
            entries += sum(one["count"] for one in ranges)
            last_groups += [last_group] * (entries - len(last_groups))
            empty += sum(one["count"] == 0 for one in ranges)
            self.windows += sum(one.get("end", 0) for one in ranges)
        for _ in range(400_000):
            if not self.ranges.queue and self.board.empty:
                break
            await self.advance()
        assert not self.ranges.queue, f"only {self.board.matched} results came"
        self.board.finish(units)
        assert len(self.issued) == entries + empty
        assert [last_group for _, last_group in self.multiplied] == last_groups


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = RowBench(dut)
    await bench.begin()
    for kind in ("random", "extreme"):
        for ranges in PROFILES:
            for drains in PROFILES:
                bench.fill(kind)
                bench.ranges.behave(ranges)
                bench.drains = pace(drains, bench.random)
                await bench.check(20, windows=4, most_ranges=3, most_entries=8)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = RowBench(dut)
    await bench.begin()
    bench.fill("random")
    for drains in PROFILES * 5:
        bench.drains = pace(drains, bench.random)
        await bench.cut(bench.check(12, windows=3, most_ranges=3, most_entries=4), 60)
        assert not bench.get("sums_valid")
        await bench.check(2, windows=3, most_ranges=3, most_entries=4)


@cocotb.test
async def one_entry_a_cycle(dut: object) -> None:
    """No bubble between the ranges and windows of a unit, nor between units that last until the one before is drained.

    Where serial, one cycle between windows.
    """
    bench = RowBench(dut)
    await bench.begin()
    bench.fill("random")
    window = {"first_window": 1, "last_window": 1, "end": 1}
    pause = int(bench.config.serial)
    for _ in range(10):
        await bench.check(1, windows=30, most_ranges=3, most_entries=4)
        cycles = [cycle for (cycle,) in bench.issued]
        assert cycles[-1] - cycles[0] == len(cycles) - 1 + pause * (bench.windows - 1)
    bench.issued.clear()
    bench.least_wanted = bench.config.slices
    bench.ranges.send(*({"start": unit, "count": 10} | window for unit in range(50)))
    for _ in range(580):
        await bench.advance()
    cycles = [cycle for (cycle,) in bench.issued]
    assert len(cycles) == 500
    assert cycles[-1] - cycles[0] == 499 + pause * 49


@cocotb.test
async def cycles_to_a_result(dut: object) -> None:
    bench = RowBench(dut)
    await bench.begin()
    bench.fill("random")
    flags = {"first_window": 1, "last_window": 1, "end": 1}
    bench.ranges.send({"start": 3, "count": 1, "weight": 5} | flags)
    for _ in range(20):
        await bench.advance()
    bench.board.finish()
    several = bench.config.sums > 1
    to_result = 8 + 2 * several if bench.config.serial else 12 + several if bench.config.spread else 6
    assert bench.finished[0] - bench.ranges.cycles[0] == to_result
