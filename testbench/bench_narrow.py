"""What narrows arrays to one result a cycle: everything that stands in them comes out, in order."""

import cocotb
from amaranth.lib import data

from skipgrid.rtl.layouts import Result
from streams import PROFILES, Bench, Sink, Source, arrays, config, there, trials

WIDTH = config().survivors


async def begin(dut: object) -> tuple[Bench, Source, Sink]:
    """A bench behind a reset, its arrays of results, and the results."""
    bench = Bench(dut)
    source = bench.source("source", data.ArrayLayout(Result, WIDTH))
    sink = bench.sink("sink", Result)
    await bench.reset()
    return bench, source, sink


@cocotb.test
async def every_pace(dut: object) -> None:
    bench, source, sink = await begin(dut)
    taken: list[dict[str, int]] = []
    source.listeners.append(lambda results: taken.extend(there([results])))
    for sends in PROFILES:
        for takes in PROFILES:
            source.behave(sends)
            sink.behave(takes)
            results = [
                {"gap": bench.random.getrandbits(2), "value": bench.random.getrandbits(8), "last": 0, "null": 0} for _ in range(trials(100))
            ]
            source.send(*arrays(results, WIDTH, bench.random))
            await bench.until(lambda: not source.queue, "all are taken")
            await bench.until(lambda: len(sink.received) == len(taken), "all are passed on")
            assert sink.received == taken
    assert len(taken) == 16 * trials(100)


@cocotb.test
async def one_a_cycle(dut: object) -> None:
    bench, source, sink = await begin(dut)
    source.send(*arrays(({"gap": 1, "value": value} for value in range(100)), WIDTH))
    await bench.until(lambda: len(sink.received) == 100, "all are passed on")
    assert sink.cycles[-1] - sink.cycles[0] == 99
