"""HistogramTopK against golden.winners: ties, signs and magnitudes, every k and pace, resets, its rate, and tensors that are too long."""

from itertools import pairwise

import cocotb
import numpy as np
from amaranth.hdl import unsigned

from skipgrid.golden import winners
from skipgrid.rtl.topk.scores import element_layout, winner_layout
from streams import PROFILES, Bench, Scoreboard, trials
from topk_units import (
    INDEX_BITS,
    LONGEST,
    Elements,
    Tensors,
    elements_of,
    leaves_out_what_has_no_index,
    pairs,
    some_elements,
    tells_of_none,
    values_of,
)

BYTE = unsigned(8)
SIGNED, MAGNITUDE = 1, 2  # bits of an order


class TopKBench(Bench):
    """The unit between a driver that sends every tensor again and a monitor of winners, with another k in every cycle."""

    async def begin(self, elements: str = "full", again: str = "full", winners: str = "full", k: int | None = None) -> None:
        shape = element_layout(BYTE)
        self.elements, self.again = self.source("elements", shape, elements), self.source("again", shape, again)
        self.winners = self.sink("winners", winner_layout(BYTE, INDEX_BITS), winners)
        self.board = Scoreboard("tensors")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.elements, self._expect)
        self.results = Tensors(self.winners, lambda words: self.board.see(pairs(words)))
        self.order = 0
        some_k = (0, 1, 2, LONGEST, *range(2 * LONGEST))
        self.change(lambda: {"k": self.random.choice(some_k) if k is None else k, "order": self.order})
        await self.reset()

    def _expect(self, words: Elements) -> None:
        self.again.send(*words)
        values = np.array(values_of(words)[:LONGEST], np.uint8)
        typed = values.view(np.int8) if self.order & SIGNED else values
        chosen = winners(typed, self.get("k"), magnitude=bool(self.order & MAGNITUDE))
        self.board.expect(list(zip(values[chosen].tolist(), chosen.tolist(), strict=True)))
        self.order = self.random.randrange(4)  # of the next tensor

    def idle(self) -> bool:
        return not self.elements.queue and not self.again.queue and not self.taken.words and self.board.empty

    async def finish(self) -> None:
        await self.until(self.idle, "all winners have come")


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin()
    for elements in PROFILES:
        for again in PROFILES:
            bench.elements.behave(elements)
            bench.again.behave(again)
            bench.winners.behave(bench.random.choice(PROFILES))
            for _ in range(8):
                bench.elements.send(*some_elements(bench, 0, 255, LONGEST))
            await bench.finish()
    bench.board.finish(16 * 8)


@cocotb.test
async def one_element_a_cycle_and_the_latency(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin(k=LONGEST + 1)
    await bench.step(256)
    for value in (0, 0, 255, 7):
        begun = len(bench.elements.cycles)
        bench.elements.send(*elements_of([value] * LONGEST))
        await bench.finish()
        assert {after - before for before, after in pairwise(bench.elements.cycles[begun:])} == {1}
        assert {after - before for before, after in pairwise(bench.again.cycles[begun:])} == {1}
        assert bench.winners.cycles[-1] - bench.elements.cycles[-1] == LONGEST + 260  # all win: every bin is looked up
        await bench.step(256)


@cocotb.test
async def a_tensor_is_counted_while_the_one_before_comes_again(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin(k=LONGEST)
    for _ in range(8):
        bench.elements.send(*elements_of(bench.numbers.integers(0, 256, LONGEST).tolist()))
    await bench.finish()
    ends = bench.elements.cycles[LONGEST - 1 :: LONGEST]
    assert max(after - before for before, after in pairwise(ends)) <= LONGEST + 259


@cocotb.test
async def only_a_null_word_without_winners(dut: object) -> None:
    await tells_of_none(TopKBench(dut))


@cocotb.test
async def elements_without_an_index_take_no_part(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin("random", "random", "random")
    await leaves_out_what_has_no_index(bench, 0, 255)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin("random", "random", "random")
    for _ in range(trials(60)):
        for _ in range(3):
            bench.elements.send(*some_elements(bench, 0, 255, 12))
        await bench.step(bench.random.randint(1, 700))
        await bench.reset()
        bench.elements.send(*some_elements(bench, 0, 255, 12))
        await bench.finish()
    bench.board.finish(trials(60))
