"""The tables of functions: every byte of every table, results that go around it, and as many a cycle as there are."""

import cocotb
import numpy as np
from amaranth.lib import data

from skipgrid.rtl.layouts import FUNCTION_WORDS, Result, store_layout
from streams import PROFILES, Bench, Packing, config, narrow_layer, trials

TABLES, WIDTH = config().functions, config().survivors


class TableBench(Bench):
    """Tables with something in them, between a driver and a monitor of results."""

    async def begin(self) -> None:
        results = data.ArrayLayout(Result, WIDTH)
        self.into, self.out = self.source("source", results), self.sink("sink", results)
        self.store = Packing(store_layout(config()))
        self.forgets.append(lambda: self.set(store=0))
        await self.reset()
        await self.load()

    async def load(self) -> None:
        """Store other tables."""
        self.tables = self.numbers.integers(0, 256, (TABLES, 256)).astype(np.uint8)
        for address, word in enumerate(self.tables.reshape(-1).view(np.uint32).tolist()):
            self.set(store=self.store.pack({"function": 1, "address": address, "data": word}))
            await self.step()
        assert address == FUNCTION_WORDS * TABLES - 1
        self.set(store=0)

    async def passes(self, values: list[int], table: int | None) -> None:
        """Results with these values pass, and are looked up, or not."""
        self.set(layer=narrow_layer({} if table is None else {"looked_up": 1, "table": table}))
        self.out.received.clear()
        some = [
            {"gap": self.random.getrandbits(10), "value": value, "null": self.random.random() < 0.1, "last": self.random.random() < 0.1}
            for value in values
        ]
        some += [{"null": 1}] * (-len(some) % WIDTH)
        self.into.send(*(some[at : at + WIDTH] for at in range(0, len(some), WIDTH)))
        await self.until(lambda: len(self.out.received) * WIDTH == len(some), "all are through", 20 * len(some) + 400)
        for before, after in zip(some, (result for results in self.out.received for result in results), strict=True):
            assert all(after[name] == before.get(name, 0) for name in ("gap", "null", "last"))
            if not before["null"]:
                assert after["value"] == (before["value"] if table is None else self.tables[table][before["value"]])


@cocotb.test
async def every_byte_of_every_table(dut: object) -> None:
    bench = TableBench(dut)
    await bench.begin()
    for table in (*range(TABLES), None):
        await bench.passes(bench.numbers.permutation(256).tolist(), table)


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = TableBench(dut)
    await bench.begin()
    for sends in PROFILES:
        for takes in PROFILES:
            bench.into.behave(sends)
            bench.out.behave(takes)
            for table in (bench.random.randrange(TABLES), None):
                await bench.passes(bench.numbers.integers(0, 256, trials(40)).tolist(), table)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    """The tables stay."""
    bench = TableBench(dut)
    await bench.begin()
    for takes in PROFILES * 3:
        bench.out.behave(takes)
        for table in (bench.random.randrange(TABLES), None):
            await bench.cut(bench.passes(bench.numbers.integers(0, 256, 30).tolist(), table), 30)
            await bench.passes(bench.numbers.integers(0, 256, 30).tolist(), table)


@cocotb.test
async def latency(dut: object) -> None:
    bench = TableBench(dut)
    await bench.begin()
    for table, cycles in ((TABLES - 1, 2), (None, 0)):
        bench.into.cycles.clear()
        bench.out.cycles.clear()
        await bench.passes(list(range(100)), table)
        assert {after - before for before, after in zip(bench.into.cycles, bench.out.cycles, strict=True)} == {cycles}
        assert bench.out.cycles[-1] - bench.out.cycles[0] == len(bench.out.cycles) - 1
