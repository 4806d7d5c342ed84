"""The requantiser against golden.requantise, on values at every edge of float32's rounding and of the clamp."""

from itertools import pairwise
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, apply_threshold, requantise
from skipgrid.rtl.layouts import Result, candidate_layout, store_layout
from streams import PROFILES, Bench, Packing, config, narrow_layer, trials

BATCH = 20_480  # values for each of twelve kinds of scale and type; fewer for the serial form, which takes 22 to 81 cycles for each


class RequantiserBench(Bench):
    """A requantiser with the channels' parameters in it."""

    async def begin(self) -> None:
        self.config = config()
        self.candidates = self.source("candidates", candidate_layout(self.config))
        self.results = self.sink("results", Result)
        self.taken: list[dict[str, int]] = []
        self.candidates.listeners.append(self.taken.append)
        self.store = Packing(store_layout(self.config))
        self.forgets.append(lambda: self.set(store=0))
        await self.reset()

    async def load(self, bias: NDArray[np.int32], scale: NDArray[np.float32]) -> None:
        """Store all channels' parameters."""
        for name, words in (("bias", bias.view(np.uint32)), ("scale", scale.view(np.uint32))):
            for channel, word in enumerate(words.tolist()):
                self.set(store=self.store.pack({name: 1, "address": channel, "data": word}))
                await self.step()
        self.set(store=0)

    async def check(
        self,
        sums: NDArray[np.int64],
        bias: NDArray[np.int32],
        scale: NDArray[np.float32],
        y: Activation,
        low: int,
        high: int,
        threshold: int,
    ) -> None:
        """Requantise the accumulators (channels, n) in a random order, and compare with the golden model."""
        await self.load(bias, scale)
        zero = y.zero_point
        self.set(layer=narrow_layer({"low": low - zero, "high": high - zero, "threshold": threshold}))
        channels = np.repeat(np.arange(len(bias)), sums.shape[1])
        values = sums.astype(np.int32).ravel()
        order = self.numbers.permutation(len(values))
        self.taken.clear()
        self.results.received.clear()
        for at in order:
            null = self.random.random() < 0.02
            self.candidates.send(
                {
                    "gap": self.random.getrandbits(10),
                    "accumulator": int(values[at]),
                    "channel": int(channels[at]),
                    "null": null,
                    "last": self.random.random() < 0.01,
                }
            )
        done = (self.results.received, self.taken)
        await self.until(lambda: all(len(seen) == len(order) for seen in done), "all results are there", 400 * len(order) + 400)
        # The model is fed with what the monitor saw.
        seen = np.array([(item["channel"], item["accumulator"]) for item in self.taken], np.int64)
        expected = np.zeros(len(seen), np.int64)
        for channel in range(len(bias)):
            of_channel = seen[:, 0] == channel
            acc = seen[of_channel, 1].astype(np.int32).reshape(1, -1)
            whole = requantise(acc, bias[[channel]], scale[[channel]], zero, low, high)
            expected[of_channel] = apply_threshold(whole, zero, threshold).ravel() - zero
        for item, result, value in zip(self.taken, self.results.received, expected.tolist(), strict=True):
            for name in ("gap", "null", "last"):
                assert item[name] == result[name]
            channel = item["channel"]
            assert item["null"] or result["value"] == value & 0xFF, (
                f"accumulator {item['accumulator']}, bias {bias[channel]}, scale {scale[channel]!r}, low {low}, high {high}, "
                f"zero point {zero}, threshold {threshold}: expected {value}, saw the byte {result['value']}"
            )


def near_ties(numbers: np.random.Generator, scale: NDArray[np.float32], bias: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Accumulators whose output lies about halfway between two integers."""
    halves = numbers.integers(-300, 300, (len(scale), count)) + 0.5
    sums = np.rint(halves / scale.astype(np.float64).reshape(-1, 1)) + numbers.integers(-1, 2, (len(scale), count))
    return clipped(sums - bias.reshape(-1, 1))


def clipped(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(np.clip(values, -(2**31), 2**31 - 1), np.int64)


def edges(numbers: np.random.Generator, channels: int, count: int) -> NDArray[np.int64]:
    """Accumulators about powers of two, about zero, at the ends of int32, and anywhere, of all magnitudes."""
    powers = 2 ** numbers.integers(0, 32, (channels, count)) + numbers.integers(-3, 4, (channels, count))
    magnitudes = numbers.integers(0, 2**31, (channels, count)) >> numbers.integers(0, 31, (channels, count))
    chosen = np.where(numbers.random((channels, count)) < 0.5, powers, magnitudes)
    return clipped(chosen * numbers.choice([-1, 1], (channels, count)))


@cocotb.test
async def every_edge_of_rounding(dut: object) -> None:
    bench = RequantiserBench(dut)
    await bench.begin()
    numbers, channels = bench.numbers, bench.config.channels
    count = trials(BATCH) // (20 if bench.config.serial else 1) // channels
    scales = {
        "usual": numbers.uniform(1e-4, 1e-1, channels),
        "powers of two": 2.0 ** numbers.integers(-20, 3, channels),
        "of all sizes": 2.0 ** numbers.uniform(-126, 127, channels),
        "tiny": np.full(channels, np.finfo(np.float32).tiny),
        "huge": np.full(channels, np.finfo(np.float32).max),
        "one": np.ones(channels),
    }
    for scaled in scales.values():
        scale = np.maximum(scaled.astype(np.float32), np.finfo(np.float32).tiny)
        for dtype in ("uint8", "int8"):
            zero = bench.random.choice((np.iinfo(dtype).min, 0, np.iinfo(dtype).max, 5))
            y = Activation(dtype, zero)
            bias = numbers.integers(-(2**20), 2**20, channels).astype(np.int32)
            bias[:2] = np.iinfo(np.int32).min, np.iinfo(np.int32).max
            low, high = sorted(bench.random.choice(((y.low, y.high), (zero, y.high), (zero, min(zero + 6, y.high)), (y.low, zero))))
            threshold = bench.random.choice((0, 1, 2, 17, 255))
            half = count // 2
            sums = np.concatenate([near_ties(numbers, scale, bias, half), edges(numbers, channels, count - half)], axis=1)
            await bench.check(sums, bias, scale, y, low, high, threshold)


@cocotb.test
async def exact_ties_of_both_roundings(dut: object) -> None:
    bench = RequantiserBench(dut)
    await bench.begin()
    numbers, channels = bench.numbers, bench.config.channels
    y = Activation("int8", 0)
    no_bias = np.zeros(channels, np.int32)
    count = 16 if bench.config.serial else 128
    # n + 1/2 exactly, for scales that are powers of two.
    exponents = numbers.integers(1, 20, channels)
    scale = (2.0**-exponents).astype(np.float32)
    odd = 2 * numbers.integers(-150, 150, (channels, count)) + 1
    await bench.check(odd << (exponents - 1).reshape(-1, 1), no_bias, scale, y, -128, 127, 0)
    # Accumulators over 2 ** 24, halfway between two float32; the scale brings them back into the range of outputs.
    shifts = numbers.integers(1, 7, (channels, count))
    sums = ((numbers.integers(2**23, 2**24, (channels, count)) << shifts) + (1 << (shifts - 1))) * numbers.choice(
        [-1, 1], (channels, count)
    )
    scale = (2.0 ** -numbers.uniform(22, 25, channels)).astype(np.float32)
    await bench.check(clipped(sums), no_bias, scale, y, -128, 127, 0)


@cocotb.test
async def less_than_a_bit_from_halfway(dut: object) -> None:
    """Products that lie by quarters of a float32's last bit beside n + 1/2, so that each bit of the product counts in one of them."""
    bench = RequantiserBench(dut)
    await bench.begin()
    numbers, channels = bench.numbers, bench.config.channels
    sums, scale = [], []
    for _ in range(channels):
        # factor * accumulator = (2 n + 1) * 2 ** (point - 1) + beside, exactly.
        factor, point = 2 * bench.random.randint(1, 100) + 1, bench.random.randint(15, 24)
        n, beside = np.meshgrid(np.arange(256), np.arange(-7, 8))
        product = ((2 * n + 1) << (point - 1)) + beside
        found = (product // factor)[(product % factor == 0) & (product // factor < 2**24)]
        sums.append(numbers.choice(found, 8 if bench.config.serial else trials(300)) * bench.random.choice((-1, 1)))
        scale.append(factor * 2.0**-point)
    zero = np.zeros(channels, np.int32)
    for y in (Activation("uint8", 0), Activation("int8", 0)):
        await bench.check(np.stack(sums), zero, np.array(scale, np.float32), y, y.low, y.high, 0)


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = RequantiserBench(dut)
    await bench.begin()
    channels = bench.config.channels
    scale = bench.numbers.uniform(1e-3, 1e-1, channels).astype(np.float32)
    bias = bench.numbers.integers(-1000, 1000, channels).astype(np.int32)
    for candidates in PROFILES:
        for results in PROFILES:
            bench.candidates.behave(candidates)
            bench.results.behave(results)
            sums = bench.numbers.integers(-9000, 9000, (channels, 4))
            await bench.check(sums, bias, scale, Activation("int8", -4), -128, 127, 3)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = RequantiserBench(dut)
    await bench.begin()
    scale, bias = np.full(4, 0.01, np.float32), np.zeros(4, np.int32)
    for results in PROFILES * 3:
        bench.results.behave(results)
        for cut in (True, False):
            work = bench.check(bench.numbers.integers(-9000, 9000, (4, 5)), bias, scale, Activation("int8", -4), -128, 127, 3)
            await (bench.cut(work, 400 if bench.config.serial else 40) if cut else work)


@cocotb.test
async def latency(dut: object) -> None:
    bench = RequantiserBench(dut)
    await bench.begin()
    if bench.config.serial:
        for scale in (2.0**-126, 2.0**-55, 2.0**-31, 1.0):
            sums = np.array([[-(2**31), 1 - 2**31, 2**31 - 1, -1, 0, 1]])
            await bench.check(sums, np.zeros(1, np.int32), np.array([scale], np.float32), Activation("int8", 0), -128, 127, 0)
        cycles = bench.results.cycles
        assert max(after - before for before, after in pairwise(cycles)) == 81
        return
    bench.candidates.send(*({"accumulator": value} for value in range(20)))
    await bench.until(lambda: len(bench.results.received) == 20, "all results are there")
    delays = {after - before for before, after in zip(bench.candidates.cycles, bench.results.cycles, strict=True)}
    assert delays == {6 if bench.config.parallel else 13}
