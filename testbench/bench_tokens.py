"""The token builder against golden.tokens: zeros told as gaps, as zero values and as gaps without a value, in any mixture."""

from itertools import pairwise

import cocotb
import numpy as np

from skipgrid.golden import max_run
from skipgrid.rtl.config import MAX_RUN
from skipgrid.rtl.layouts import Result, Token
from streams import PROFILES, Bench, Scoreboard
from tensors import Coded, edge_tensors, sparse, token_payloads


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


@cocotb.test
async def every_k_edge_and_pace(dut: object) -> None:
    bench = Bench(dut)
    results, tokens = bench.source("results", Result), bench.sink("tokens", Token)
    await bench.reset()
    taken: list[dict[str, int]] = []
    results.listeners.append(taken.append)
    board = Scoreboard("tensors")
    for k in range(8):
        bench.set(k=k)
        tensors = edge_tensors(k, bench.numbers) + [sparse(bench.numbers, 100, zeros) for zeros in (0, 0.5, 0.9)]
        for tensor in tensors + [np.zeros(3 * max_run(k) + extra, np.uint8) for extra in (0, 1, 5)]:
            results.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            tokens.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            results.send(*results_of(tensor, bench))
            await bench.until(lambda: not results.queue and any(token["last"] for token in tokens.received), "the tensor is through")
            seen = elements(taken)
            assert seen.tolist() == tensor.tolist()
            board.expect([{"last": 0} | token for token in token_payloads(seen, k)])
            board.see([{name: token[name] for name in ("last", "run", "value")} for token in tokens.received])
            taken.clear()
            tokens.received.clear()
    board.finish(8 * 20)


@cocotb.test
async def one_result_a_cycle(dut: object) -> None:
    bench = Bench(dut)
    results, tokens = bench.source("results", Result), bench.sink("tokens", Token)
    bench.set(k=7)
    await bench.reset()
    results.send(*({"gap": bench.random.getrandbits(9), "value": 1 + value} for value in range(100)))
    await bench.until(lambda: len(tokens.received) == 100, "all tokens are there")
    assert {after - before for before, after in pairwise(results.cycles)} == {1}
    assert [after - before for before, after in zip(results.cycles, tokens.cycles, strict=True)] == [2] * 100
