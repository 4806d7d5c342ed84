"""StreamingTopK against golden.topk: ties, null elements, every k and pace, resets, its rate, and tensors that are too long."""

from itertools import pairwise

import cocotb
import numpy as np

from skipgrid.golden import topk
from skipgrid.rtl.topk.scores import element_layout, winner_layout
from streams import PROFILES, Bench, Scoreboard
from topk_units import (
    CELLS,
    INDEX_BITS,
    LONGEST,
    VALUE,
    Elements,
    Tensors,
    elements_of,
    leaves_out_what_has_no_index,
    pairs,
    some_elements,
    tells_of_none,
    values_of,
)

LOW, HIGH = -32, 31


class TopKBench(Bench):
    """The unit between a driver of elements and a monitor of winners, with another k in every cycle."""

    async def begin(self, elements: str = "full", winners: str = "full", k: int | None = None) -> None:
        self.elements = self.source("elements", element_layout(VALUE), elements)
        self.winners = self.sink("winners", winner_layout(VALUE, INDEX_BITS), winners)
        self.board = Scoreboard("tensors")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.elements, self._expect)
        self.results = Tensors(self.winners, lambda words: self.board.see(pairs(words)))
        self.change(lambda: {"k": self.random.randint(0, 7) if k is None else k})  # 6 and 7 are over the cells
        await self.reset()

    def _expect(self, words: Elements) -> None:
        values = np.array(values_of(words)[:LONGEST], np.int8)
        chosen = topk(values, min(self.get("k"), CELLS))
        self.board.expect(list(zip(values[chosen].tolist(), chosen.tolist(), strict=True)))

    async def finish(self) -> None:
        await self.until(lambda: not self.elements.queue and not self.taken.words and self.board.empty, "all winners have come")


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin()
    for elements in PROFILES:
        for winners in PROFILES:
            bench.elements.behave(elements)
            bench.winners.behave(winners)
            for _ in range(30):
                bench.elements.send(*some_elements(bench, LOW, HIGH, 3 * CELLS))
            await bench.finish()
    bench.board.finish(16 * 30)


@cocotb.test
async def one_element_a_cycle_and_no_gap(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin(k=CELLS)
    for count in (CELLS, CELLS, 20, LONGEST, CELLS + 1, CELLS):
        bench.elements.send(*elements_of(bench.numbers.integers(LOW, HIGH + 1, count).tolist()))
    await bench.finish()
    assert {after - before for before, after in pairwise(bench.elements.cycles)} == {1}
    assert {after - before for before, after in pairwise(bench.winners.cycles[:CELLS])} == {1}
    assert bench.winners.cycles[0] - bench.elements.cycles[CELLS - 1] == 2


@cocotb.test
async def a_single_null_word_without_winners(dut: object) -> None:
    await tells_of_none(TopKBench(dut))


@cocotb.test
async def elements_without_an_index_take_no_part(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin("random", "random")
    await leaves_out_what_has_no_index(bench, LOW, HIGH)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = TopKBench(dut)
    await bench.begin("random", "random")
    for _ in range(150):
        for _ in range(3):
            bench.elements.send(*some_elements(bench, LOW, HIGH, 8))
        await bench.step(bench.random.randint(1, 40))
        await bench.reset()
        bench.elements.send(*some_elements(bench, LOW, HIGH, 8))
        await bench.finish()
    bench.board.finish(150)
