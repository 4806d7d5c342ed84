"""The pool merger against NumPy: dense lists, of which the pools are the largest values."""

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.pooling.pool_merger import LISTS, list_layout
from streams import PROFILES, Bench, Scoreboard, rounds, trials

DEPTH = 16
LAYOUT = list_layout(DEPTH.bit_length() - 1)
Lists = NDArray[np.int64]  # (lists, positions)
END = {"value": 0, "position": 0, "end": 1, "last": 0}


def words_of(lists: Lists, along: int) -> list[dict[str, int]]:
    """A sequence."""
    words: list[dict[str, int]] = []
    for values in lists:
        words += [{"value": int(values[place]), "position": int(place), "end": 0, "last": 0} for place in np.flatnonzero(values)]
        words.append(END)
    return [*words, END | {"value": along, "last": 1}]


def pooled(lists: Lists, size: int, stride: int, pools: int) -> Lists:
    """The model: what is missing of the lists is empty."""
    filled = np.zeros((max(len(lists), (pools - 1) * stride + size), lists.shape[1]), np.int64)
    filled[: len(lists)] = lists
    return np.stack([filled[pool * stride :][:size].max(axis=0) for pool in range(pools)])


class MergerBench(Bench):
    """A merger between a driver and a monitor of sequences."""

    async def begin(self) -> None:
        self.into, self.out = self.source("source", LAYOUT), self.sink("sink", LAYOUT)
        self.board = Scoreboard("words")
        self.out.listeners.append(self.see)
        self.forgets.append(self.board.forget)
        await self.reset()

    def see(self, word: dict[str, Any]) -> None:
        """Of an end, the position means nothing, nor the value of a list's."""
        if word["end"]:
            word = word | {"position": 0, "value": word["value"] if word["last"] else 0}
        self.board.see(word)

    def behave(self) -> None:
        self.into.behave(self.random.choice(PROFILES))
        self.out.behave(self.random.choice(PROFILES))

    def some_lists(self, count: int, positions: int = DEPTH - 1) -> Lists:
        """Lists of a random density, with values of few kinds or of all."""
        values = self.numbers.integers(-255, 256, (count, positions))
        if self.random.random() < 0.5:
            values = self.numbers.choice([-255, -2, -1, 1, 2, 255], (count, positions))
        if self.random.random() < 0.3:
            values = abs(values)
        return values * (self.numbers.random((count, positions)) < self.random.choice((0, 0.1, 0.5, 0.9, 1)))

    def send(self, sequences: int, *, size: int, stride: int) -> None:
        """Some sequences of which pools take all lists, or leave some over, or lack some."""
        pools = self.random.choice((1, 1, 2, 3, self.random.randint(1, 9)))
        self.set(size=size, stride=stride, pools=pools)
        needed = (pools - 1) * stride + size
        for _ in range(sequences):
            lists = self.some_lists(
                self.random.choice((needed, needed, needed + self.random.randint(1, 4), self.random.randint(1, needed)))
            )
            along = self.random.randrange(2)
            self.into.send(*words_of(lists, along))
            for word in words_of(pooled(lists, size, stride, pools), along):
                self.board.expect(word)

    async def through(self) -> None:
        await self.until(lambda: not self.into.queue and not self.board.expected, "all words are through")
        await self.step(20)
        self.board.finish(0)


@cocotb.test
async def every_pool_and_pace(dut: object) -> None:
    bench = MergerBench(dut)
    await bench.begin()
    for size in range(1, LISTS + 1):
        for stride in (1, 2, 3, 4, 31):
            for _ in range(trials(25)):
                bench.behave()
                bench.send(bench.random.randint(1, 4), size=size, stride=stride)
                await bench.through()
    bench.board.finish(2000)


@cocotb.test
async def what_is_too_long_is_left_out(dut: object) -> None:
    """Of a list with an element at each position, the last one; and all that follows is right."""
    bench = MergerBench(dut)
    await bench.begin()
    bench.set(size=2, stride=1, pools=3)
    full = np.ones((4, DEPTH), np.int64)
    bench.into.send(*words_of(full, 0))
    for word in words_of(pooled(full[:, :-1], 2, 1, 3), 0):
        bench.board.expect(word)
    await bench.through()
    bench.send(3, size=3, stride=2)
    await bench.through()


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = MergerBench(dut)
    await bench.begin()
    seen = {"cut": 0}
    for _ in rounds(40, seen):
        bench.behave()
        bench.send(3, size=bench.random.randint(1, 3), stride=bench.random.randint(1, 3))
        await bench.cut(bench.through(), 150)
        seen["cut"] += 1
        bench.send(1, size=bench.random.randint(1, 3), stride=bench.random.randint(1, 3))
        await bench.through()


@cocotb.test
async def the_time(dut: object) -> None:
    """A word a cycle at both sides: of pools of three lists, two of which are new, neither waits where the other one has as many."""
    bench = MergerBench(dut)
    await bench.begin()
    pools = 40
    bench.set(size=3, stride=2, pools=pools)
    for positions, share in ((DEPTH // 2, 1.0), (DEPTH - 1, 0.5), (DEPTH // 2, 0.2)):
        lists = bench.numbers.integers(1, 256, (2 * pools + 1, positions)) * (bench.numbers.random((2 * pools + 1, positions)) < share)
        words, expected = words_of(lists, 1), words_of(pooled(lists, 3, 2, pools), 1)
        bench.into.send(*words)
        for word in expected:
            bench.board.expect(word)
        begin = bench.cycle
        await bench.until(lambda: not bench.board.expected, "all words are through")
        taken = bench.cycle - begin
        assert taken <= max(len(words), len(expected) + 3 * pools) + 3 * DEPTH, (taken, len(words), len(expected))
        await bench.through()
