"""Softmax and Sparsemax against the golden functions: every pace, ties, more scores than built, none, resets, and their rate."""

from itertools import pairwise

import cocotb
import numpy as np
from amaranth.hdl import signed

from skipgrid.golden import softmax, sparsemax
from skipgrid.rtl.topk.scores import weight_layout, winner_layout
from streams import PROFILES, Bench, Scoreboard, trials
from topk_units import CELLS, FRACTION, INDEX_BITS, Elements, Tensors

SOFTMAX = cocotb.top._name == "softmax"
GATE = softmax if SOFTMAX else sparsemax
SCORE = signed(8)
A_SCORE, A_WEIGHT = 62, 20  # cycles


class GateBench(Bench):
    """The gate between a driver of falling scores and a monitor of weights."""

    async def begin(self, profile: str = "full") -> None:
        self.scores = self.source("scores", winner_layout(SCORE, INDEX_BITS), profile)
        self.weights = self.sink("weights", weight_layout(INDEX_BITS), profile)
        self.board = Scoreboard("tensors")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.scores, self._expect)
        self.results = Tensors(
            self.weights, lambda words: self.board.see([(word["weight"], word["index"]) for word in words if not word["null"]])
        )
        await self.reset()

    def _expect(self, words: Elements) -> None:
        chosen = [word for word in words if not word["null"]][:CELLS]
        weights = GATE(np.array([word["value"] for word in chosen], np.int8), FRACTION).tolist()
        self.board.expect([(weight, word["index"]) for weight, word in zip(weights, chosen, strict=False)])

    async def finish(self) -> None:
        await self.until(lambda: not self.scores.queue and not self.taken.words and self.board.empty, "all weights have come")

    def some_scores(self, count: int | None = None) -> Elements:
        """0...7 scores that fall: equal, near each other, or anywhere, with null words between."""
        spread = self.random.choice((1, 4, 16, 256))
        start = self.random.randint(-128, 128 - spread)
        many = self.random.randint(0, CELLS + 2) if count is None else count
        words: Elements = []
        for value in sorted(self.numbers.integers(start, start + spread, many).tolist(), reverse=True):
            if count is None and self.random.random() < 0.1:
                words.append({"value": 127, "null": 1})
            words.append({"value": value, "index": self.random.randrange(1 << INDEX_BITS)})
        if not words or (count is None and self.random.random() < 0.1):
            words.append({"value": 127, "null": 1})
        words[-1]["last"] = 1
        return words


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for scores in PROFILES:
        for weights in PROFILES:
            bench.scores.behave(scores)
            bench.weights.behave(weights)
            for _ in range(12):
                bench.scores.send(*bench.some_scores())
            await bench.finish()
    bench.board.finish(16 * 12)


@cocotb.test
async def every_distance_of_two_scores(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for distance in range(256):
        bench.scores.send({"value": 127, "index": 1}, {"value": 127 - distance, "index": 2, "last": 1})
    await bench.finish()
    bench.board.finish(256)


@cocotb.test
async def none_is_told_by_one_null_word(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for _ in range(3):
        bench.scores.send({"null": 1, "last": 1})
    await bench.finish()
    assert [(word["null"], word["last"]) for word in bench.weights.received] == [(1, 1)] * 3


@cocotb.test
async def rate(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for _ in range(trials(100)):
        bench.scores.cycles.clear()
        bench.weights.cycles.clear()
        bench.scores.send(*bench.some_scores(CELLS))
        await bench.finish()
        gaps = {after - before for before, after in pairwise(bench.scores.cycles)}
        assert max(gaps) <= A_SCORE if SOFTMAX else gaps == {1}
        assert {after - before for before, after in pairwise(bench.weights.cycles)} <= {A_WEIGHT}
        assert bench.weights.cycles[0] - bench.scores.cycles[-1] <= (A_SCORE if SOFTMAX else 0) + A_WEIGHT + 2


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin("random")
    for _ in range(trials(60)):
        bench.scores.send(*bench.some_scores(), *bench.some_scores())
        await bench.step(bench.random.randint(1, 300))
        await bench.reset()
        bench.scores.send(*bench.some_scores())
        await bench.finish()
    bench.board.finish(trials(60))
