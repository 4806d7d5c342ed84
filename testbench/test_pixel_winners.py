"""The winners of each pixel by themselves: more zeros than any stored tensor has, and any number of winners of few channels."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from simulation import SMALL
from skipgrid.golden import keep_pixel_winners
from skipgrid.rtl.config import MAX_RUN, Config
from skipgrid.rtl.winners.pixel_winners import PixelWinners

Result = tuple[int, int, bool, bool]  # gap, value, null, last


def results(y: NDArray[np.int8]) -> list[Result]:
    """A tensor (H * W, K) as the requantiser gives it: long gaps in parts."""
    flat, found, zeros = y.reshape(-1), [], 0
    for place, value in enumerate(flat):
        last = place == len(flat) - 1
        if value or last:
            found.append((zeros, int(value) & 0xFF, False, last))
            zeros = 0
        elif zeros == MAX_RUN - 1:
            found.append((MAX_RUN, 0, True, False))
            zeros = 0
        else:
            zeros += 1
    return found


def kept(config: Config, k: int, tensors: list[NDArray[np.int8]], *, magnitude: bool = False, seed: int | None = None) -> list[list[int]]:
    """What is left of each tensor (H * W, K); with a seed, both sides pause at random."""
    unit = PixelWinners(config)
    words = [word for y in tensors for word in results(y)]
    numbers = np.random.default_rng(seed)
    out: list[list[int]] = [[]]

    async def feed(ctx: Any) -> None:
        layer, source = unit.layer, unit.source
        fields = {"of_pixel": 1, "computes": 1, "K": tensors[0].shape[1], "winners": k, "high": 127, "magnitude": magnitude}
        for name, value in fields.items():
            ctx.set(layer[name], value)
        for gap, value, null, last in words:
            if seed is not None:
                await ctx.tick().repeat(int(numbers.integers(1, 4)))
            ctx.set(source.payload, {"gap": gap, "value": value, "null": null, "last": last})
            ctx.set(source.valid, 1)
            await ctx.tick().until(source.ready)
            ctx.set(source.valid, 0)

    async def take(ctx: Any) -> None:
        for _ in range(1000 + 20 * sum(y.size for y in tensors)):
            if len(out) > len(tensors):
                break
            ctx.set(unit.sink.ready, seed is None or numbers.random() < 0.5)
            _, _, valid, ready, word = await ctx.tick().sample(unit.sink.valid, unit.sink.ready, unit.sink.payload)
            if valid and ready:
                out[-1] += [0] * word.gap
                if not word.null:
                    out[-1].append(word.value - (word.value >> 7 << 8))
                if word.last:
                    out.append([])

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(take)
    simulator.run()
    assert len(out) == len(tensors) + 1, "tensors are missing"
    return out[:-1]


def winners(y: NDArray[np.int8], k: int, *, magnitude: bool = False) -> list[int]:
    """The model."""
    return [int(value) for value in keep_pixel_winners(y.T[:, :, None], 0, k, magnitude=magnitude)[:, :, 0].T.reshape(-1)]


@pytest.mark.parametrize("K", [8, 32])
def test_zeros_between_winners_are_as_many_as_a_stream_has(K: int) -> None:
    """A stored tensor has fewer than 8,192 elements here, and one pixel, or several, have more than a token's run."""
    config = SMALL.replaced(pixels=64, features=64, pixel_winners=3)
    assert config.element_bits == 13
    y = np.zeros((10_000 // K, K), np.int8)
    y[[0, 1000 // K, 1000 // K + 1, -1], [0, K - 1, 0, K - 1]] = 1, 2, 3, 4
    lost = y.copy()
    lost[-1, -4:] = 9, 9, 9, 8  # the last element loses
    assert kept(config, 3, [y, lost, y]) == [winners(tensor, 3) for tensor in (y, lost, y)]


@pytest.mark.parametrize(("channels", "cells", "K", "k"), [(8, 64, 8, 64), (8, 64, 7, 32), (4, 16, 4, 16)])
def test_more_winners_than_channels(channels: int, cells: int, K: int, k: int) -> None:
    """All of a pixel's outputs win, those below zero too."""
    y = np.array([[-1, 2, -3, 4, -5, 6, -7, 8]], np.int8)[:, :K]
    config = SMALL.replaced(channels=channels, pixel_winners=cells)
    for magnitude in (False, True):
        assert kept(config, k, [y, -y], magnitude=magnitude) == [list(y[0]), list(-y[0])]


@pytest.mark.parametrize("seed", range(3))
def test_random_tensors(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    K, k = int(numbers.integers(1, 12)), int(numbers.integers(0, 6))
    tensors = [numbers.integers(-3, 4, (int(numbers.integers(1, 30)), K)).astype(np.int8) for _ in range(6)]
    tensors = [np.where(numbers.random(y.shape) < numbers.random(), 0, y).astype(np.int8) for y in tensors]
    magnitude = bool(numbers.integers(2))
    found = kept(SMALL.replaced(channels=16, pixel_winners=5), k, tensors, magnitude=magnitude, seed=seed)
    assert found == [winners(y, k, magnitude=magnitude) for y in tensors]
