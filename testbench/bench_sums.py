"""Sums as their bytes: four results of each candidate, least significant first, and of what is none, nothing."""

import cocotb
from amaranth.lib import data

from skipgrid.rtl.layouts import Result, candidate_layout
from streams import PROFILES, Bench, Sink, Source, arrays, config, there, trials

WIDTH = config().survivors


async def begin(dut: object) -> tuple[Bench, Source, Sink]:
    """A bench behind a reset, its candidates, and its results."""
    bench = Bench(dut)
    candidates = bench.source("candidates", data.ArrayLayout(candidate_layout(config()), WIDTH))
    results = bench.sink("results", data.ArrayLayout(Result, WIDTH))
    await bench.reset()
    return bench, candidates, results


@cocotb.test
async def every_pace(dut: object) -> None:
    bench, candidates, results = await begin(dut)
    for sends in PROFILES:
        for takes in PROFILES:
            candidates.behave(sends)
            results.behave(takes)
            results.received.clear()
            count = trials(40)
            sums = [bench.random.choice((bench.random.randint(-(1 << 31), (1 << 31) - 1), 0, -1, 255)) for _ in range(count)]
            words = [{"gap": 0, "accumulator": total, "channel": 0, "null": 0, "last": int(i == count - 1)} for i, total in enumerate(sums)]
            candidates.send(*arrays(words, WIDTH, bench.random))
            await bench.until(lambda: not candidates.queue, "all are taken")
            await bench.until(lambda count=count: len(there(results.received)) == 4 * count, "all leave")  # type: ignore[misc]
            found = there(results.received)
            assert bytes(result["value"] for result in found) == b"".join(total.to_bytes(4, "little", signed=True) for total in sums)
            assert not any(result["gap"] or result["null"] for result in found)
            assert [result["last"] for result in found] == [0] * (4 * count - 1) + [1]


@cocotb.test
async def a_byte_a_cycle(dut: object) -> None:
    bench, candidates, results = await begin(dut)
    words = [{"gap": 0, "accumulator": total, "channel": 0, "null": 0, "last": 0} for total in range(50)]
    candidates.send(*arrays(words, WIDTH))
    await bench.until(lambda: len(results.received) == 200, "all bytes are passed on")
    assert results.cycles[-1] - results.cycles[0] == 199
