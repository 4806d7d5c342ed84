"""ExpertRouter against the golden router: every rule and pace, its rate, resets, too many scores, and none."""

from itertools import pairwise

import cocotb

from router_ports import BESIDES, CELLS, EXPERTS, HIGH, LOW, SOFTMAX, RouterBench
from skipgrid.golden import Overflow
from skipgrid.rtl.experts.router_map import COUNT_MAX, ExpertArray
from streams import PROFILES
from topk_units import elements_of


@cocotb.test
async def every_rule_and_pace(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    for scores in PROFILES:
        for pairs in PROFILES:
            bench.scores.behave(scores)
            bench.pairs.behave(pairs)
            bench.behave()
            await bench.some_rules()
            bench.some_tokens(25)
            await bench.finish()
            if bench.random.random() < 0.3:
                await bench.clear()
    bench.board.finish(16 * 25)


@cocotb.test
async def counters_go_on_at_0(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    await bench.configure(k=1, balance=True)
    bench.some_tokens(300, EXPERTS)
    await bench.finish()
    assert bench.golden.tokens == 300 - 256


@cocotb.test
async def rate(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    for overflow in Overflow:
        await bench.configure(overflow=overflow, period=0)
        for scores in ([HIGH, LOW, HIGH, LOW, HIGH], [0, 1, 2, 3, 4], [5], []):
            for _ in range(8):
                bench.scores.send(*elements_of(scores))
            begun, done = len(bench.scores.cycles), len(bench.pairs.cycles)
            await bench.until(lambda: not bench.scores.queue and not bench.taken.words and bench.board.empty, "all pairs have come")
            n = max(1, len(scores))
            lasts = bench.scores.cycles[begun + n - 1 :: n]
            ends = [cycle for cycle, word in zip(bench.pairs.cycles[done:], bench.pairs.received[done:], strict=True) if word["last"]]
            bound = (n + SOFTMAX if overflow == Overflow.NEXT else max(n, SOFTMAX)) + BESIDES
            assert max(after - before for before, after in pairwise(ends)) <= bound
            assert max(end - last for end, last in zip(ends, lasts, strict=True)) <= SOFTMAX + BESIDES
            taken = bench.scores.cycles[begun : begun + n]
            assert taken == list(range(taken[0], taken[0] + n))


@cocotb.test
async def too_many_scores(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    told = bench.record("too_many")
    over = 0
    for experts in (EXPERTS, 2, 0):
        await bench.configure(experts=experts)
        for count in (EXPERTS, EXPERTS + 1, 3 * EXPERTS, 1):
            bench.scores.send(*elements_of(sorted(bench.numbers.integers(LOW, HIGH + 1, count).tolist())))
            over += max(0, count - experts)
        await bench.finish()
    assert len(told) == over
    await bench.clear()
    await bench.finish()


@cocotb.test
async def a_single_null_word_without_pairs(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    bench.pressure = 0
    for rules in ({"k": 0}, {"k": CELLS, "k_max": 0}, {"k_max": CELLS, "share": 0}, {"share": COUNT_MAX, "experts": 0}):
        await bench.configure(**rules)
        bench.scores.send(*elements_of([]), *elements_of([3, 1, 2]), *elements_of([]))
        await bench.finish()
    await bench.configure(experts=EXPERTS, period=0)
    for expert in range(EXPERTS):
        await bench.put(ExpertArray.CAPACITY, expert, 0)
    for overflow in Overflow:
        await bench.configure(overflow=overflow)
        bench.scores.send(*elements_of([3, 1, 2, 5]))
        await bench.finish()
    assert [(word["null"], word["last"]) for word in bench.pairs.received] == [(1, 1)] * 14
    assert bench.golden.overflowed == CELLS


@cocotb.test
async def pressure_leaves_one(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    counts = []
    for k_min in (0, 2):
        await bench.configure(k_min=k_min)
        for pressure in range(CELLS + 1):
            bench.pressure = pressure
            bench.pairs.received.clear()
            bench.scores.send(*elements_of([1, 2, 3, 4]))
            await bench.finish()
            counts.append(sum(not word["null"] for word in bench.pairs.received))
    assert counts == [3, 2, 1, 1, 3, 2, 2, 2]


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    for _ in range(40):
        await bench.some_rules()
        bench.some_tokens(3)
        await bench.step(bench.random.randint(1, 300))
        await bench.restart()
        bench.some_tokens(1)
        await bench.finish()
    bench.board.finish(40)
