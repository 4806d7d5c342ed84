"""The range fetcher against naive loops over windows, rows and pixels of a tensor in CSR."""

import cocotb
import numpy as np
from numpy.typing import NDArray

from networks import large_layer, random_network
from skipgrid.golden import Layer, coded_bytes
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.placement import Placed
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import layer_layout
from skipgrid.rtl.layouts import range_layout, unit_layout
from streams import PROFILES, Bench, Packing, Scoreboard, config, layer_bits, pace, trials


class FetcherBench(Bench):
    """A fetcher between a driver of units and a row that takes ranges and issues their entries; the bench keeps the pointers."""

    async def begin(self) -> None:
        self.config = config()
        self.units = self.source("units", unit_layout(self.config))
        self.ranges = self.sink("ranges", range_layout(self.config))
        self.pointers = self.stored = np.zeros(self.config.pixels, np.int64)
        self.rows = 0
        self.owed = 0  # entries of ranges that were taken and not issued
        self.lead = 0
        self.issues = pace("full", self.random)
        self.looked_up: tuple[int, int] | None = None
        self.ranges.listeners.append(self.owe)
        self.units.listeners.append(self.unit_taken)
        self.watchers.append(self.look_up)
        self.forgets.append(self.forget)
        await self.reset()

    def forget(self) -> None:
        """The row is reset, too."""
        self.owed = 0
        self.set(issued=0)

    def owe(self, found: dict[str, int]) -> None:
        self.owed += max(1, found["count"])

    def unit_taken(self, unit: dict[str, int]) -> None:
        assert self.config.rows == 1 or self.owed <= self.lead, (
            f"a unit is taken with {self.owed} entries left, which are more than {self.lead}"
        )
        for found in ranges_of(self.layer, self.pointers, unit, self.config):
            self.board.expect(found)

    def arrives(self) -> bool:
        """Whether the next layer's input is still to come; where parts work serially a unit comes when all of it is there."""
        return not self.config.serial and self.random.random() < 0.5

    def look_up(self) -> None:
        """The watcher: what the memory reads at the end of this cycle."""
        if self.get("pointers_lookup"):
            self.looked_up = self.get("pointers_start_pixel"), self.get("pointers_end_pixel")

    async def advance(self) -> None:
        """One cycle, with the memory's answer to the one before and an entry issued or not."""
        if self.looked_up is not None:
            start, end = self.looked_up
            begins = 0 if start == self.config.pixels - 1 else int(self.stored[start])  # behind the pixel -1 lies nothing
            self.set(pointers_start=begins, pointers_end=int(self.stored[end]))
        if self.rows < self.layer.shape[1] and self.random.random() < 0.1:
            self.store_rows(self.rows + 1)
        issued = min(self.owed, self.random.randint(1, 2) if self.config.slots else 1) if next(self.issues) else 0
        self.set(issued=issued)
        self.owed -= issued
        await self.step()

    def store_rows(self, rows: int) -> None:
        """So many rows of the input are stored; pointers of others are anything."""
        self.rows = rows
        behind = rows * self.layer.shape[2]
        self.stored = np.concatenate([self.pointers[:behind], self.numbers.integers(0, self.config.entries, self.config.pixels - behind)])
        if not self.config.serial:
            self.set(rows=rows)

    async def check(self, placed: Placed, coded: NDArray[np.uint8], units: int = 12, *, streams: bool = False) -> None:
        """Fetch the ranges of some units of a layer, and compare; while its input's rows arrive one after another if it `streams`."""
        config = self.config
        layer = placed.walked(config)
        C, H, W = layer.shape
        at = np.count_nonzero(coded.reshape(H * W, C), axis=1)
        self.pointers[: H * W] = np.cumsum(at)
        words = descriptor(placed, config, buffer=0, from_stream=True, to_stream=True, final=True)
        bits = layer_bits(words)
        self.set(layer=bits)
        self.lead = Packing(layer_layout(config)).unpack(bits)["lead"]
        self.layer, self.board = layer, Scoreboard("ranges")
        self.store_rows(0 if streams else H)
        _, rows, columns = layer.out_shape
        for _ in range(units):
            y, x = self.random.randrange(rows), self.random.randrange(columns)
            left = x * layer.pool_stride[1] * layer.stride[1] - layer.pads[1]
            top = y * layer.pool_stride[0] * layer.stride[0] - layer.pads[0]
            weight = (placed.weights_base - left * C) % config.weights
            flags = {"last_group": self.random.getrandbits(1)} | ({} if config.serial else {"whole": int(not streams)})
            if config.slots:
                flags["slots"] = self.random.randint(1, config.slots)
            self.units.send({"x": left, "y": top, "row_pixel": (top * W - 1) % config.pixels, "weight": weight} | flags)
        for _ in range(200_000):
            if not self.units.queue and self.board.empty and not self.owed:
                break
            await self.advance()
            while self.ranges.received:
                found = self.ranges.received.pop(0)
                if not found["count"]:
                    found |= {"start": -1, "weight": -1}
                self.board.see(found)
        for _ in range(20):
            await self.advance()
        assert not self.ranges.received
        self.board.finish(units)


def ranges_of(layer: Layer, pointers: NDArray[np.int64], unit: dict[str, int], config: Config) -> list[dict[str, int]]:
    """The model: the ranges of a unit.

    A window without entries has an empty one; where serial, so has one whose last row is without.
    """
    C, H, W = layer.shape
    _, _, R, S = layer.weights.shape
    left, top = unit["x"], unit["y"]
    weights_base = unit["weight"] + left * C
    found = []
    windows = [(i, j) for i in range(layer.pool[0]) for j in range(layer.pool[1])]
    for index, (i, j) in enumerate(windows):
        x0, y0 = left + j * layer.stride[1], top + i * layer.stride[0]
        ranges = []
        for r in range(R):
            first, behind = max(x0, 0), min(x0 + S, W)
            if 0 <= y0 + r < H and first < behind:
                places = ((y0 + r) * W + column - 1 for column in (first, behind))
                start, end = (int(pointers[place]) if place >= 0 else 0 for place in places)
                if end > start:
                    weight = (weights_base + (r * S - x0) * C) % config.weights
                    ranges.append({"start": start, "count": end - start, "weight": weight})
                    last = r
        if not ranges or (config.serial and last < R - 1):
            ranges.append({"start": -1, "count": 0, "weight": -1})
        flags = {"last_group": unit["last_group"], "first_window": int(index == 0), "last_window": int(index == len(windows) - 1)}
        if config.slots:
            flags["slots"] = unit["slots"]
        found += [one | flags | {"end": int(one is ranges[-1])} for one in ranges]
    return found


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = FetcherBench(dut)
    await bench.begin()
    for large in (False, True) * trials(80):
        bench.units.behave(bench.random.choice(PROFILES))
        bench.ranges.behave(bench.random.choice(PROFILES))
        bench.issues = pace(bench.random.choice(("full", "random", "bursts")), bench.random)
        if large:
            layer = large_layer(bench.random, bench.config)
            size = int(np.prod(layer.shape))
            coded = np.zeros(size, np.uint8)
            coded[bench.numbers.permutation(size)[: bench.random.randint(0, bench.config.entries)]] = 1
            await bench.check(Placed(layer, bench.random.randrange(bench.config.weights), 0), coded, streams=bench.arrives())
        else:
            network = random_network(bench.numbers, bench.config, 1)
            await bench.check(network.placed[0], coded_bytes(network.x, network.layers[0].x), streams=bench.arrives())


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = FetcherBench(dut)
    await bench.begin()
    for _ in range(15):
        bench.ranges.behave(bench.random.choice(PROFILES))
        for cut in (True, False):
            network = random_network(bench.numbers, bench.config, 1)
            bench.ranges.received.clear()
            work = bench.check(network.placed[0], coded_bytes(network.x, network.layers[0].x))
            await (bench.cut(work, 60) if cut else work)


@cocotb.test
async def pools_over_whole_signals(dut: object) -> None:
    """As long as the configuration holds, along a row and along a column."""
    bench = FetcherBench(dut)
    await bench.begin()
    most = min(bench.config.side, bench.config.pixels, bench.config.features)
    ones = np.ones(1, np.float32)
    for shape, filter_, pads in (((1, 1, most), (1, 3), (0, 1, 0, 1)), ((1, most, 1), (3, 1), (1, 0, 1, 0))):
        layer = Layer("signal", np.ones((1, 1, *filter_), np.int8), ones.astype(np.int32), ones, shape, pads=pads, pool=shape[1:])
        bench.ranges.behave(bench.random.choice(("full", "random")))
        coded = np.where(bench.numbers.random(shape) < 0.15, 1, 0).astype(np.uint8)
        await bench.check(Placed(layer, 0, 0), coded, units=2)


@cocotb.test
async def a_range_at_a_time(dut: object) -> None:
    bench = FetcherBench(dut)
    await bench.begin()
    ones = np.ones(1, np.float32)
    layer = Layer("dense", np.ones((1, 1, 5, 5), np.int8), ones.astype(np.int32), ones, (1, 9, 9))
    words = descriptor(Placed(layer, 0, 0), bench.config, buffer=0, from_stream=True, to_stream=True, final=True)
    bench.set(layer=layer_bits(words))
    bench.pointers[:82] = np.arange(82)
    bench.lead = 13
    bench.layer, bench.board = layer, Scoreboard("ranges")
    bench.store_rows(9)
    bench.units.send({"x": 1, "y": 1, "row_pixel": 9, "weight": 0} | ({} if bench.config.serial else {"whole": 1}))
    for _ in range(40):
        await bench.advance()
    # Where serial, the unit is taken when its last row is looked up, a cycle before that row's range.
    first = -3 if bench.config.serial else 8 if bench.config.spread else 3
    taken = bench.units.cycles[0]
    assert [cycle - taken for cycle in bench.ranges.cycles] == [first + index for index in range(5)]
