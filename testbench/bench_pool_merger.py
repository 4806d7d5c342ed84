"""The pool merger against NumPy: dense lists, of which the pools are the largest values."""

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.pooling.pool_merger import LISTS, list_layout
from streams import PROFILES, Bench, Scoreboard, config, rounds, trials

DEPTH, WIDTH = 16, config().pool_word
POSITIONS = DEPTH * WIDTH
LAYOUT = list_layout(POSITIONS.bit_length() - 1, WIDTH)
Lists = NDArray[np.int64]  # (lists, positions)


def words_of(lists: Lists, along: int) -> list[dict[str, Any]]:
    """A sequence. Where a list has words, its end is the last one's."""
    words: list[dict[str, Any]] = []
    for values in lists:
        places = np.flatnonzero(values.reshape(-1, WIDTH).any(axis=1)) * WIDTH
        for place in places if len(places) else [0]:
            found = values[place : place + WIDTH].tolist()
            words.append({"values": found, "position": int(place), "end": int(place == max(places, default=0)), "last": 0, "along": 0})
    return [*words[:-1], words[-1] | {"last": 1, "along": along}]


def pooled(lists: Lists, size: int, stride: int, pools: int) -> Lists:
    """The model: what is missing of the lists is empty."""
    filled = np.zeros((max(len(lists), (pools - 1) * stride + size), lists.shape[1]), np.int64)
    filled[: len(lists)] = lists
    return np.stack([filled[pool * stride :][:size].max(axis=0) for pool in range(pools)])


class MergerBench(Bench):
    """A merger between a driver and a monitor of sequences."""

    async def begin(self) -> None:
        self.into, self.out = self.source("source", LAYOUT), self.sink("sink", LAYOUT)
        self.board = Scoreboard("lists")
        self.out.listeners.append(self.see)
        self.list = np.zeros(POSITIONS, np.int64)
        self.forgets += [self.board.forget, lambda: self.list.fill(0)]
        await self.reset()

    def expect(self, lists: Lists, along: int) -> None:
        """A sequence of pools."""
        for number, values in enumerate(lists):
            self.board.expect((values.tolist(), along if number == len(lists) - 1 else None))

    def see(self, word: dict[str, Any]) -> None:
        """Of a list, what its words make together; what goes along with a sequence's end."""
        self.list[word["position"] : word["position"] + WIDTH] += np.array(word["values"])
        if word["end"]:
            self.board.see((self.list.tolist(), word["along"] if word["last"] else None))
            self.list[:] = 0

    def behave(self) -> None:
        self.into.behave(self.random.choice(PROFILES))
        self.out.behave(self.random.choice(PROFILES))

    def some_lists(self, count: int) -> Lists:
        """Lists of a random density, with values of few kinds or of all."""
        values = self.numbers.integers(-255, 256, (count, POSITIONS))
        if self.random.random() < 0.5:
            values = self.numbers.choice([-255, -2, -1, 1, 2, 255], (count, POSITIONS))
        if self.random.random() < 0.3:
            values = abs(values)
        return values * (self.numbers.random((count, POSITIONS)) < self.random.choice((0, 0.1, 0.5, 0.9, 1)))

    def send(self, sequences: int, *, size: int, stride: int) -> None:
        """Some sequences of which pools take all lists, or leave some over, or lack some."""
        pools = self.random.choice((1, 1, 2, 3, self.random.randint(1, 9))) if stride <= LISTS + 1 else self.random.randint(1, 2)
        self.set(size=size, stride=stride, pools=pools)
        needed = (pools - 1) * stride + size
        for _ in range(sequences):
            lists = self.some_lists(
                self.random.choice((needed, needed, needed + self.random.randint(1, 4), self.random.randint(1, needed)))
            )
            along = self.random.randrange(2)
            self.into.send(*words_of(lists, along))
            self.expect(pooled(lists, size, stride, pools), along)

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
    bench.board.finish(300)


@cocotb.test
async def what_is_too_long_is_left_out(dut: object) -> None:
    """Of a list with more words than fit, what stands before the last one; and all that follows is right."""
    bench = MergerBench(dut)
    await bench.begin()
    bench.set(size=2, stride=1, pools=3)
    full = np.ones((4, POSITIONS), np.int64)
    words = words_of(full, 0)
    bench.into.send(*(word | {"end": 0} for word in words[:DEPTH]), *words)
    bench.expect(pooled(full, 2, 1, 3), 0)
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
    for words, share in ((DEPTH // 2, 1.0), (DEPTH, 0.5), (DEPTH // 2, 0.2)):
        lists = np.zeros((2 * pools + 1, POSITIONS), np.int64)
        lists[:, : words * WIDTH] = np.repeat(bench.numbers.random((2 * pools + 1, words)) < share, WIDTH, axis=1)
        sent, expected = words_of(lists, 1), words_of(pooled(lists, 3, 2, pools), 1)
        bench.into.send(*sent)
        bench.expect(pooled(lists, 3, 2, pools), 1)
        begin = bench.cycle
        await bench.until(lambda: not bench.board.expected, "all words are through")
        taken = bench.cycle - begin
        assert taken <= max(len(sent), len(expected) + 3 * pools) + 3 * DEPTH, (taken, len(sent), len(expected))
        await bench.through()
