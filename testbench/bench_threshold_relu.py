"""ThresholdRelu against golden.threshold_relu: every pace and threshold, resets, its rate, and tensors that are too long."""

from itertools import pairwise

import cocotb
import numpy as np

from skipgrid.golden import threshold_relu
from skipgrid.rtl.topk.scores import element_layout, winner_layout
from streams import PROFILES, Bench, Scoreboard
from topk_units import INDEX_BITS, LONGEST, VALUE, Elements, Tensors, elements_of, pairs, some_elements, values_of

LOW, HIGH = -32, 31


class GateBench(Bench):
    """The gate between a driver of scores and a monitor of winners."""

    async def begin(self, profile: str = "full") -> None:
        self.scores = self.source("scores", element_layout(VALUE), profile)
        self.winners = self.sink("winners", winner_layout(VALUE, INDEX_BITS), profile)
        self.board = Scoreboard("tensors")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.scores, self._expect)
        self.results = Tensors(self.winners, lambda words: self.board.see(pairs(words)))
        self.threshold = 0
        await self.reset()

    def _expect(self, words: Elements) -> None:
        values = np.array(values_of(words)[:LONGEST], np.int8)
        chosen = threshold_relu(values, self.threshold)
        self.board.expect(list(zip(values[chosen].tolist(), chosen.tolist(), strict=True)))

    async def check(self, *tensors: Elements) -> None:
        """Send tensors, with a new threshold for all of them."""
        self.threshold = self.random.randint(LOW, HIGH)
        self.set(threshold=self.threshold & 63)
        for tensor in tensors:
            self.scores.send(*tensor)
        await self.until(lambda: not self.scores.queue and not self.taken.words and self.board.empty, "all winners have come")


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for scores in PROFILES:
        for winners in PROFILES:
            bench.scores.behave(scores)
            bench.winners.behave(winners)
            for _ in range(6):
                await bench.check(*(some_elements(bench, LOW, HIGH, LONGEST) for _ in range(3)))
    bench.board.finish(16 * 18)


@cocotb.test
async def one_score_a_cycle(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    await bench.check(*(elements_of(bench.numbers.integers(LOW, HIGH + 1, LONGEST).tolist()) for _ in range(4)), elements_of([]))
    assert {after - before for before, after in pairwise(bench.scores.cycles)} == {1}
    assert bench.winners.cycles[-1] - bench.scores.cycles[-1] == 1


@cocotb.test
async def scores_without_an_index_are_left_out(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin("random")
    told = bench.record("too_long")
    await bench.check(*(elements_of([HIGH] * count) for count in (LONGEST, LONGEST + 1, 3 * LONGEST, 2)))
    assert len(told) == 1 + 2 * LONGEST


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin("random")
    for _ in range(100):
        bench.scores.send(*some_elements(bench, LOW, HIGH, LONGEST))
        await bench.step(bench.random.randint(1, 40))
        await bench.reset()
        await bench.check(some_elements(bench, LOW, HIGH, 8))
    bench.board.finish(100)
