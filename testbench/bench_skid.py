"""The skid buffer: every word once and in order, at every pace, and of the sink's ready the source sees nothing within a cycle."""

from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import Timer

from skipgrid.rtl.layouts import Word
from streams import HALF_PERIOD, PROFILES, Bench, Scoreboard, config


class SkidBench(Bench):
    """A skid buffer between a driver and a monitor of words."""

    async def begin(self) -> None:
        self.words, self.taken = self.source("source", Word), self.sink("sink", Word)
        self.board = Scoreboard("words")
        self.words.listeners.append(self.board.expect)
        self.taken.listeners.append(self.board.see)
        self.forgets.append(self.board.forget)
        await self.reset()

    async def check(self, sends: str, takes: str) -> None:
        """Words go through, as fast as the profiles say."""
        self.words.behave(sends)
        self.taken.behave(takes)
        self.words.send(*({"data": self.random.getrandbits(32), "last": self.random.getrandbits(1)} for _ in range(80)))
        await self.until(self.through, "all words are through")

    def through(self) -> bool:
        """Whether all words are through."""
        assert self.get("held") == (not self.board.empty), "a word is in it"
        return not self.words.queue and self.board.empty


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = SkidBench(dut)
    await bench.begin()
    for sends in PROFILES:
        for takes in PROFILES:
            await bench.check(sends, takes)
    bench.board.finish(16 * 80)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = SkidBench(dut)
    await bench.begin()
    for takes in PROFILES * 5:
        await bench.cut(bench.check("bursts", takes), 40)
        assert not bench.get("held")
        await bench.check("full", "full")


@cocotb.test
async def a_word_a_cycle(dut: object) -> None:
    bench = Bench(dut)
    source, sink = bench.source("source", Word), bench.sink("sink", Word)
    await bench.reset()
    source.send(*({"data": word} for word in range(50)))
    await bench.until(lambda: len(sink.received) == 50, "all words are through")
    assert [after - before for before, after in zip(source.cycles, sink.cycles, strict=True)] == [int(config().spread)] * 50
    assert {after - before for before, after in pairwise(sink.cycles)} == {1}


@cocotb.test
async def ready_comes_from_a_register(dut: Any) -> None:
    bench = Bench(dut)
    await bench.reset()
    bench.set(source_valid=1)
    for _ in range(50):
        seen = set()
        for ready in (0, 1, bench.random.getrandbits(1)):
            bench.set(sink_ready=ready)
            await Timer(HALF_PERIOD, "ns")
            seen.add(bench.get("source_ready"))
        assert len(seen) == 1, "the source's ready follows the sink's within the cycle"
        await bench.step()
