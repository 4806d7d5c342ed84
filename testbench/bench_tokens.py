"""The token builder against golden.tokens: zeros told as gaps, as zero values and as gaps without a value, in any mixture."""

from itertools import pairwise

import cocotb
import numpy as np
from amaranth.lib import data

from skipgrid.golden import max_run
from skipgrid.rtl.config import MAX_RUN
from skipgrid.rtl.layouts import Result, Token
from streams import PROFILES, Bench, Scoreboard, arrays, config, there
from tensors import Coded, edge_tensors, sparse, token_payloads

SURVIVORS = config().survivors


def results_of(coded: Coded, bench: Bench) -> list[dict[str, int]]:
    """A tensor as results; its zeros are told in a way chosen at random."""
    results: list[dict[str, int]] = []
    gap = 0
    for value in coded.tolist():
        if value:
            results.append({"gap": gap, "value": value})
            gap = 0
        elif bench.random.random() < 0.1:
            results.append({"gap": gap, "value": 0})
            gap = 0
        else:
            gap += 1
            if gap == MAX_RUN or bench.random.random() < 0.01:
                results.append({"gap": gap, "null": 1, "value": bench.random.getrandbits(8)})
                gap = 0
    if gap:
        results.append({"gap": gap, "null": 1, "value": bench.random.getrandbits(8)})
    results[-1]["last"] = 1
    return results


def elements(results: list[dict[str, int]]) -> Coded:
    """The model: the tensor that results stand for."""
    found: list[int] = []
    for result in results:
        found += [0] * result["gap"]
        if not result["null"]:
            found.append(result["value"])
    return np.array(found, np.uint8)


class TokensBench(Bench):
    """A token builder between a driver of results and a monitor of tokens."""

    async def begin(self) -> None:
        self.results = self.source("results", data.ArrayLayout(Result, SURVIVORS))
        self.tokens = self.sink("tokens", data.ArrayLayout(Token, SURVIVORS))
        self.taken: list[dict[str, int]] = []
        self.received: list[dict[str, int]] = []
        self.results.listeners.append(lambda results: self.taken.extend(there([results])))
        self.tokens.listeners.append(lambda tokens: self.received.extend(there([tokens])))
        self.board = Scoreboard("tensors")
        await self.reset()

    async def check(self, tensor: Coded, k: int) -> None:
        """Send a tensor, and compare its tokens."""
        self.set(k=k)
        self.taken.clear()
        self.received.clear()
        self.results.behave(self.random.choice(PROFILES[:2] + PROFILES[3:]))
        self.tokens.behave(self.random.choice(PROFILES))
        self.results.send(*arrays(results_of(tensor, self), SURVIVORS, self.random))
        await self.until(lambda: not self.results.queue and any(token["last"] for token in self.received), "the tensor is through")
        seen = elements(self.taken)
        assert seen.tolist() == tensor.tolist()
        self.board.expect([{"last": 0} | token for token in token_payloads(seen, k)])
        self.board.see([{name: token[name] for name in ("last", "run", "value")} for token in self.received])


@cocotb.test
async def every_k_edge_and_pace(dut: object) -> None:
    bench = TokensBench(dut)
    await bench.begin()
    for k in range(8):
        tensors = edge_tensors(k, bench.numbers) + [sparse(bench.numbers, 100, zeros) for zeros in (0, 0.5, 0.9)]
        for tensor in tensors + [np.zeros(3 * max_run(k) + extra, np.uint8) for extra in (0, 1, 5)]:
            await bench.check(tensor, k)
    bench.board.finish(8 * 20)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = TokensBench(dut)
    await bench.begin()
    for _ in range(20):
        k = bench.random.randrange(8)
        await bench.cut(bench.check(sparse(bench.numbers, 60, 0.5), k), 60)
        await bench.check(sparse(bench.numbers, 12, 0.5), k)
    bench.board.finish(20)


@cocotb.test
async def all_survivors_a_cycle(dut: object) -> None:
    bench = TokensBench(dut)
    bench.set(k=7)
    await bench.begin()
    bench.results.send(*arrays(({"gap": bench.random.getrandbits(9), "value": 1 + value} for value in range(100)), SURVIVORS))
    await bench.until(lambda: len(bench.received) == 100, "all tokens are there")
    assert {after - before for before, after in pairwise(bench.results.cycles)} == {1}
    delays = {after - before for before, after in zip(bench.results.cycles, bench.tokens.cycles, strict=True)}
    assert delays == {1 if config().parallel else SURVIVORS + 1}
