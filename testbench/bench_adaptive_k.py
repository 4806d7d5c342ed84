"""AdaptiveK against golden.adaptive_k: every pace, rules at their ends, resets, and its rate."""

from itertools import pairwise

import cocotb
import numpy as np

from skipgrid.golden import WEIGHT_ONE, adaptive_k, softmax
from skipgrid.rtl.topk.scores import weight_layout
from streams import PROFILES, Bench, Scoreboard
from topk_units import CELLS, INDEX_BITS, Elements, Tensors


class GateBench(Bench):
    """The gate between a driver of falling weights and a monitor of those kept."""

    async def begin(self, profile: str = "full") -> None:
        self.weights = self.source("weights", weight_layout(INDEX_BITS), profile)
        self.kept = self.sink("kept", weight_layout(INDEX_BITS), profile)
        self.board = Scoreboard("tensors")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.weights, self._expect)
        self.results = Tensors(self.kept, lambda words: self.board.see(held(words)))
        await self.reset()
        await self.check()

    def _expect(self, words: Elements) -> None:
        weights = held(words)
        count = adaptive_k(np.array([weight for weight, _ in weights], np.uint16), **self.rules)
        self.board.expect(weights[:count])

    async def check(self, *tensors: Elements) -> None:
        """Send tensors, with new rules for all of them; k_min and k_max go past what is built."""
        choice = self.random.choice
        self.rules: dict[str, int] = {
            "share": choice((0, 1, WEIGHT_ONE // 2, WEIGHT_ONE, 2 * WEIGHT_ONE - 1, self.random.randrange(2 * WEIGHT_ONE))),
            "relative": choice((0, 1, WEIGHT_ONE // 2, WEIGHT_ONE, 2 * WEIGHT_ONE - 1, self.random.randrange(WEIGHT_ONE))),
            "k_min": self.random.randint(0, 7),
            "k_max": self.random.randint(0, 7),
        }
        self.set(**self.rules)
        for tensor in tensors:
            self.weights.send(*tensor)
        await self.until(lambda: not self.weights.queue and not self.taken.words and self.board.empty, "all weights have come")

    def some_weights(self) -> Elements:
        """A softmax of 0...9 scores, or of equal ones, with null words of any weight between."""
        spread = self.random.choice((1, 20, 100))
        scores = np.sort(self.numbers.integers(0, spread, self.random.randint(0, 2 * CELLS - 1)))[::-1]
        words: Elements = []
        for number, weight in enumerate(softmax(scores, 4)):
            if self.random.random() < 0.1:
                words.append({"weight": self.random.randrange(WEIGHT_ONE), "null": 1})
            words.append({"weight": int(weight), "index": number})
        if not words or self.random.random() < 0.2:
            words.append({"null": 1})
        words[-1]["last"] = 1
        return words


def held(words: Elements) -> list[tuple[int, int]]:
    """Weights and indices of the words that are not null."""
    return [(word["weight"], word["index"]) for word in words if not word["null"]]


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    for weights in PROFILES:
        for kept in PROFILES:
            bench.weights.behave(weights)
            bench.kept.behave(kept)
            for _ in range(15):
                await bench.check(*(bench.some_weights() for _ in range(3)))
    bench.board.finish(16 * 45)


@cocotb.test
async def one_weight_a_cycle(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin()
    await bench.check(*(bench.some_weights() for _ in range(50)))
    assert {after - before for before, after in pairwise(bench.weights.cycles)} == {1}
    assert bench.kept.cycles[-1] - bench.weights.cycles[-1] == 1


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = GateBench(dut)
    await bench.begin("random")
    for _ in range(100):
        bench.weights.send(*bench.some_weights(), *bench.some_weights())
        await bench.step(bench.random.randint(1, 30))
        await bench.reset()
        await bench.check(bench.some_weights())
    bench.board.finish(100)
