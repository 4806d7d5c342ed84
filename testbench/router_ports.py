"""What the benches of the expert router share: drivers of its ports and registers, and the golden router beside it."""

import logging
from collections.abc import Coroutine
from typing import Any

import cocotb
import numpy as np
from amaranth.hdl import signed
from cocotb.triggers import gather
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from axi_sides import behave_all
from skipgrid.golden import Overflow, Router
from skipgrid.rtl.experts.router_map import ARRAYS, COUNT_MAX, REGISTERS, UNBOUNDED, ExpertArray
from skipgrid.rtl.topk.scores import element_layout, weight_layout
from streams import Bench, Scoreboard
from topk_units import ROUTER, Elements, Tensors, some_elements, values_of

EXPERTS, CELLS, VALUE_BITS, FRACTION, COUNTER_BITS = ROUTER.values()
LOW, HIGH = -(1 << (VALUE_BITS - 1)), (1 << (VALUE_BITS - 1)) - 1
STEP_MAX = HIGH
RULES = ("experts", "k", "k_min", "k_max", "share", "relative", "period", "step")
SOFTMAX = 62 * (CELLS - 1) + 20 * CELLS + 8  # cycles
BESIDES = 3 * CELLS + 8


class RouterBench(Bench):
    """The router between a driver of scores and a monitor of pairs, with another pressure in every cycle; registers behind AXI4-Lite."""

    async def begin(self, scores: str = "full", pairs: str = "full") -> None:
        logging.getLogger(f"cocotb.{self.dut._name}").setLevel(logging.WARNING)
        self.scores = self.source("scores", element_layout(signed(VALUE_BITS)), scores)
        self.pairs = self.sink("pairs", weight_layout((EXPERTS - 1).bit_length()), pairs)
        self.board = Scoreboard("tokens")
        self.forgets.append(self.board.forget)
        self.taken = Tensors(self.scores, self._expect)
        self.results = Tensors(
            self.pairs, lambda words: self.board.see([(word["index"], word["weight"]) for word in words if not word["null"]])
        )
        self.pressure: int | None = None  # another one in every cycle
        self.change(lambda: {"pressure": self.random.randint(0, CELLS) if self.pressure is None else self.pressure})
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(self.dut, "s_axil"), self.dut.clk, self.dut.rst)
        await self.restart()

    async def restart(self) -> None:
        """Reset, and a golden router that is as new."""
        await self.reset()
        self.golden = Router(**ROUTER)

    def _expect(self, words: Elements) -> None:
        self.board.expect(self.golden.route(np.array(values_of(words), np.int8), self.get("pressure")))

    def behave(self) -> None:
        """The five channels of the registers pause at random."""
        behave_all(self.master, self.random)

    async def finish(self) -> None:
        """Until all pairs have come and the state is that of the golden router; both are compared."""
        await self.until(lambda: not self.scores.queue and not self.taken.words and self.board.empty, "all pairs have come")
        while await self.get_register("STATUS") & 1:
            pass
        for array, expected in (
            (ExpertArray.LOAD, self.golden.loads),
            (ExpertArray.BIAS, self.golden.biases),
            (ExpertArray.CAPACITY, self.golden.capacities),
        ):
            found = [await self.read(ARRAYS[array].address + 4 * expert) for expert in range(EXPERTS)]
            assert found == [int(value) & 0xFFFF_FFFF for value in expected], array
        assert await self.get_register("TOKENS") == self.golden.tokens
        assert await self.get_register("OVERFLOWED") == self.golden.overflowed
        assert await self.get_register("STATUS") == 2 * self.golden.too_many

    async def run(self, access: Coroutine[Any, Any, Any]) -> Any:
        """Let the clock go on until an access has ended."""
        task = cocotb.start_soon(access)
        await self.until(task.done, "an access is answered")
        return task.result()

    async def read(self, address: int) -> int | None:
        """A register's value, or None for SLVERR."""
        return await self.run(self._read(address))  # type: ignore[no-any-return]

    async def write(self, address: int, value: int, size: int = 4) -> bool:
        """Whether a write of the lower bytes is answered with OKAY."""
        return await self.run(self._write(address, value, size))  # type: ignore[no-any-return]

    async def together(self, reads: list[int], writes: list[tuple[int, int]]) -> tuple[list[int | None], list[bool]]:
        """Addresses read and values written, none of which waits for the answers to those before it."""
        answers = await self.run(gather(*map(self._read, reads), *(self._write(*write) for write in writes)))
        return list(answers[: len(reads)]), list(answers[len(reads) :])

    async def _read(self, address: int) -> int | None:
        answer = await self.master.read(address, 4)
        return int.from_bytes(answer.data, "little") if answer.resp == AxiResp.OKAY else None

    async def _write(self, address: int, value: int, size: int = 4) -> bool:
        data = (value & 0xFFFF_FFFF).to_bytes(4, "little")[:size]
        return bool((await self.master.write(address, data)).resp == AxiResp.OKAY)

    async def get_register(self, name: str) -> int:
        value = await self.read(REGISTERS[name].address)
        assert value is not None
        return value

    async def configure(self, **rules: Any) -> None:
        """Rules for both routers; the hardware's has nothing to do."""
        for name in set(rules) & set(RULES):
            assert await self.write(REGISTERS[name.upper()].address, rules[name])
        control = REGISTERS["CONTROL"]
        balance = rules.get("balance", self.golden.rules.balance)
        overflow = rules.get("overflow", self.golden.rules.overflow)
        word = control.mask("balance") * balance | control.mask("overflow") * (overflow == Overflow.NEXT)
        assert await self.write(control.address, word)
        self.golden.configure(**rules)

    async def put(self, array: ExpertArray, expert: int, value: int) -> None:
        """What is kept of an expert, for both routers."""
        assert await self.write(ARRAYS[array].address + 4 * expert, value)
        (self.golden.biases if array is ExpertArray.BIAS else self.golden.capacities)[expert] = value

    async def clear(self) -> None:
        """All counters of both routers."""
        word = await self.get_register("CONTROL") | REGISTERS["CONTROL"].mask("clear")
        assert await self.write(REGISTERS["CONTROL"].address, word)
        self.golden.clear()

    async def some_rules(self) -> None:
        """Rules at random, those at the ends of their ranges often, and biases and capacities."""
        choice, below = self.random.choice, self.random.randint
        await self.configure(
            experts=choice((EXPERTS, EXPERTS, below(0, EXPERTS))),
            k=below(0, CELLS),
            k_min=below(0, CELLS),
            k_max=choice((CELLS, below(0, CELLS))),
            share=choice((0, 1 << 14, 1 << 15, COUNT_MAX)),
            relative=choice((0, 1 << 13, 1 << 15, COUNT_MAX)),
            period=choice((0, 1, 2, 5, 20)),
            step=choice((0, 1, 4, STEP_MAX)),
            balance=choice((False, True)),
            overflow=choice(tuple(Overflow)),
        )
        for expert in range(EXPERTS):
            await self.put(ExpertArray.BIAS, expert, choice((0, LOW, HIGH, below(LOW, HIGH))))
            await self.put(ExpertArray.CAPACITY, expert, choice((0, 1, 2, 8, UNBOUNDED, UNBOUNDED)))

    def some_tokens(self, count: int, most: int = EXPERTS + 2) -> None:
        for _ in range(count):
            self.scores.send(*some_elements(self, LOW, HIGH, most))
