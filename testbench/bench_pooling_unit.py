"""The pooling unit against golden.max_pool: tensors of results, whose zeros are told in any way."""

import cocotb
import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from bench_tokens import elements, results_of
from skipgrid.golden import max_pool
from skipgrid.rtl.layouts import Result
from streams import PROFILES, Bench, arrays, config, narrow_layer, rounds, there, trials
from tensors import Coded

RESULTS = data.ArrayLayout(Result, config().survivors)

Tensor = NDArray[np.integer]  # (K, rows, columns), y - zero point


def coded(x: Tensor) -> Coded:
    """In (y, x, c) order."""
    return (x & 255).astype(np.uint8).transpose(1, 2, 0).ravel()


class UnitBench(Bench):
    """A pooling unit between a driver and a monitor of results."""

    async def begin(self) -> None:
        self.into, self.out = self.source("source", RESULTS), self.sink("sink", RESULTS)
        await self.reset()

    async def sends(self, coded: Coded) -> Coded:
        """A tensor passes; returns the one that comes out."""
        self.out.received.clear()
        full = None if self.random.random() < 0.5 else self.random
        self.into.send(*arrays(results_of(coded, self), config().survivors, full))
        await self.until(lambda: any(result["last"] for array in self.out.received for result in array), "the tensor is through")
        assert not self.into.queue, "the last result came before the tensor had ended"
        await self.step(30)
        results = there(self.out.received)
        assert [result["last"] for result in results][:-1].count(1) == 0, "nothing follows"
        return elements(results)

    def some_tensor(self, K: int, rows: int, columns: int, high: int) -> Tensor:
        low = max(high - 255, -255)
        values = self.numbers.integers(low, high + 1, (K, rows, columns))
        if self.random.random() < 0.5:
            values = self.numbers.choice([low, max(low, min(high, -1)), min(high, 1), high], values.shape)
        keep = self.numbers.random(values.shape) < self.random.choice((0, 0.02, 0.3, 0.6, 1))
        for axis in range(3):
            if self.random.random() < 0.2:
                keep &= np.expand_dims(self.numbers.random(values.shape[axis]) < 0.5, tuple({0, 1, 2} - {axis}))
        return np.asarray(values * keep)

    async def pools(self, x: Tensor, high: int, pool: tuple[int, int], stride: tuple[int, int]) -> None:
        """A tensor passes, and its pools come out."""
        y = max_pool(x, pool, stride)
        self.set(layer=self.layer(x, y, high, pool, stride))
        assert (await self.sends(coded(x))).tolist() == coded(y).tolist(), (x.shape, pool, stride)

    def layer(self, x: Tensor, y: Tensor, high: int, pool: tuple[int, int], stride: tuple[int, int]) -> int:
        return narrow_layer(
            {
                "merges": 1,
                "high": high,
                "stored_channels": len(y),
                "stored_rows": y.shape[1],
                "stored_columns": y.shape[2],
                "row_elements": len(y) * y.shape[2],
                "conv_columns": x.shape[2],
                "merge_rows": pool[0],
                "merge_columns": pool[1],
                "merge_stride_rows": stride[0],
                "merge_stride_columns": stride[1],
            }
        )

    async def some_pools(self, most: int = 13) -> None:
        """A random tensor, small or with rows or pixels as long as fit."""
        self.into.behave(self.random.choice(PROFILES))
        self.out.behave(self.random.choice(PROFILES))
        while True:
            K = self.random.choice((1, 2, self.random.randint(1, config().pool_channels - 1), config().pool_channels - 1))
            rows, columns = (self.random.choice((1, self.random.randint(1, 6), self.random.randint(1, most))) for _ in range(2))
            pool, stride = ((self.random.randint(1, 3), self.random.randint(1, 3)) for _ in range(2))
            if pool[0] <= rows and pool[1] <= columns and K * rows * columns < 2000:
                high = self.random.choice((255, 127, 0, -1, self.random.randint(-1, 255)))
                x = self.some_tensor(K, rows, columns, high)
                words = -(-K // config().pool_word) * max_pool(x, pool, stride).shape[2]
                if words * config().pool_word <= config().pool_elements:
                    break
        await self.pools(x, high, pool, stride)


@cocotb.test
async def random_tensors(dut: object) -> None:
    bench = UnitBench(dut)
    await bench.begin()
    for _ in range(trials(500)):
        await bench.some_pools()


@cocotb.test
async def many_zeros(dut: object) -> None:
    """More than a result tells of, with an element here and there."""
    bench = UnitBench(dut)
    await bench.begin()
    for _ in range(trials(10)):
        x = np.zeros((3, 40, 20), np.int64)
        for _ in range(bench.random.randint(0, 3)):
            x[tuple(bench.numbers.integers(0, x.shape))] = bench.random.choice((-1, 1, 100))
        x[:, -1, -1] = bench.random.choice((0, 1))
        await bench.pools(x, 127, bench.random.choice(((3, 3), (2, 2), (1, 3))), bench.random.choice(((2, 2), (1, 1))))


@cocotb.test
async def other_layers_pass(dut: object) -> None:
    bench = UnitBench(dut)
    await bench.begin()
    for _ in range(trials(20)):
        bench.set(layer=0)
        passes = bench.numbers.integers(0, 256, 50).astype(np.uint8)
        assert (await bench.sends(passes)).tolist() == passes.tolist()
        await bench.some_pools()


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = UnitBench(dut)
    await bench.begin()
    seen = {"cut": 0}
    for _ in rounds(60, seen):
        await bench.cut(bench.some_pools(), 600)
        seen["cut"] += 1
        await bench.some_pools(4)


@cocotb.test
async def descriptors_that_contradict_themselves(dut: object) -> None:
    """Whatever the sizes say, the results are all taken, and one is the last."""
    bench = UnitBench(dut)
    await bench.begin()
    for _ in range(trials(100)):
        bench.into.behave("full")
        bench.out.behave("full")
        x = bench.some_tensor(bench.random.randint(1, 5), bench.random.randint(1, 6), bench.random.randint(1, 6), 127)
        y = np.zeros(bench.numbers.integers(1, 9, 3), np.int64)
        false = bench.some_tensor(1, 1, bench.random.randint(1, 9), 1)
        pool, stride = ((bench.random.randint(1, most), bench.random.randint(1, most)) for most in (3, 9))
        bench.set(layer=bench.layer(false, y, 127, pool, stride))
        await bench.sends(coded(x))
        await bench.some_pools(4)


@cocotb.test
async def the_time(dut: object) -> None:
    """Results are taken all of a cycle at once, but for the ends of rows, where pools overlap and two fifths of all are not zero."""
    bench = UnitBench(dut)
    await bench.begin()
    K, rows, columns = 15, 21, 9
    x = np.where(bench.numbers.random((K, rows, columns)) < 0.4, 5, 0)
    await bench.pools(x, 127, (3, 3), (2, 2))
    taken = bench.into.cycles[-1] - bench.into.cycles[0]
    assert taken <= 1.15 * len(bench.into.cycles) + 2 * rows * columns + 50, (taken, len(bench.into.cycles))
    assert bench.out.cycles[-1] - bench.into.cycles[-1] <= 150
