"""What the benches of the Top-K units, the gates and the router share: the sizes they are built with, and tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
from amaranth.hdl import signed
from numpy.typing import NDArray

from streams import Bench

CELLS, VALUE, INDEX_BITS, FRACTION = 5, signed(6), 5, 4
LONGEST = 1 << INDEX_BITS
ROUTER = {"experts": 5, "cells": 3, "value_bits": 6, "fraction": 3, "counter_bits": 8}
Elements = list[dict[str, int]]


def elements_of(values: list[int], nulls: NDArray[np.bool_] | None = None) -> Elements:
    """A tensor as elements, with null ones before those where `nulls` says so, and one at the end if it has none or `nulls` says so."""
    words: Elements = []
    for number, value in enumerate(values):
        if nulls is not None and nulls[number]:
            words.append({"value": 0, "null": 1})
        words.append({"value": value})
    if not words or (nulls is not None and nulls[-1]):
        words.append({"value": 0, "null": 1})
    words[-1]["last"] = 1
    return words


def some_elements(bench: Bench, low: int, high: int, most: int) -> Elements:
    """A tensor of 0...most values, many of them equal in every other one."""
    spread = bench.random.choice((1, 3, high - low + 1))
    start = bench.random.randint(low, high + 1 - spread)
    values = [
        bench.random.randrange(start, start + spread) for _ in range(bench.random.choice((0, 1, most, bench.random.randint(0, most))))
    ]
    return elements_of(values, bench.numbers.random(len(values) + 1) < 0.2)


class Tensors:
    """Collects a stream's words until one is the last, and calls with them."""

    def __init__(self, stream: Any, ended: Callable[[list[dict[str, int]]], None]) -> None:
        self.words: list[dict[str, int]] = []
        self.ended = ended
        stream.listeners.append(self._see)
        stream.bench.forgets.append(self.words.clear)

    def _see(self, word: dict[str, int]) -> None:
        self.words.append(word)
        if word["last"]:
            words = self.words.copy()
            self.words.clear()
            self.ended(words)


def values_of(words: Elements) -> list[int]:
    """The values of a tensor's elements, without the null ones."""
    return [word["value"] for word in words if not word["null"]]


def pairs(words: Elements) -> list[tuple[int, int]]:
    """The values and indices of a result's winners."""
    return [(word["value"], word["index"]) for word in words if not word["null"]]


async def tells_of_none(bench: Any) -> None:
    """Nothing is wanted, or there is nothing: one null word each."""
    await bench.begin(k=0)
    bench.elements.send(*elements_of([]), *elements_of([3, 1, 2]), *elements_of([]))
    await bench.finish()
    assert [(word["null"], word["last"]) for word in bench.winners.received] == [(1, 1)] * 3


async def leaves_out_what_has_no_index(bench: Any, low: int, high: int) -> None:
    """Tensors of values in low...high about as long as their indices reach, in rising order, so that those left out would win."""
    told = bench.record("too_long")
    over = 0
    for count in (LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST, 4):
        values = sorted(bench.numbers.integers(low, high + 1, count).tolist())
        bench.elements.send(*elements_of(values, bench.numbers.random(count + 1) < 0.2))
        over += max(0, count - LONGEST)
    await bench.finish()
    bench.board.finish(5)
    assert len(told) == over
