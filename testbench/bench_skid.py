"""The skid buffer: every word once and in order, at every pace, a cycle later, and neither side sees the other within a cycle."""

from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import Timer

from skipgrid.rtl.layouts import Word
from streams import HALF_PERIOD, PROFILES, Bench, Scoreboard


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = Bench(dut)
    source, sink = bench.source("source", Word), bench.sink("sink", Word)
    await bench.reset()
    board = Scoreboard("words")
    source.listeners.append(board.expect)
    sink.listeners.append(board.see)
    for sends in PROFILES:
        for takes in PROFILES:
            source.behave(sends)
            sink.behave(takes)
            source.send(*({"data": bench.random.getrandbits(32), "last": bench.random.getrandbits(1)} for _ in range(100)))
            await bench.until(lambda: not source.queue and not bench.get("held") and board.empty, "all words are through")
    board.finish(1600)


@cocotb.test
async def a_word_a_cycle(dut: object) -> None:
    bench = Bench(dut)
    source, sink = bench.source("source", Word), bench.sink("sink", Word)
    await bench.reset()
    source.send(*({"data": word} for word in range(50)))
    await bench.until(lambda: len(sink.received) == 50, "all words are through")
    assert [after - before for before, after in zip(source.cycles, sink.cycles, strict=True)] == [1] * 50
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
