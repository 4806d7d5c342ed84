"""ExpertRouter against the golden router: every rule and pace, registers beside tokens, its rate, resets, and too many scores."""

import logging
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import cocotb
import numpy as np
from amaranth.hdl import signed
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from skipgrid.golden import Overflow, Router
from skipgrid.rtl.register_map import Access
from skipgrid.rtl.router_map import ARRAYS, COUNT_MAX, IDENTIFICATION, REGISTERS, UNBOUNDED, ExpertArray
from skipgrid.rtl.scores import element_layout, weight_layout
from streams import PROFILES, Bench, Scoreboard, pace
from topk_units import ROUTER, Elements, Tensors, elements_of, some_elements, values_of, withdraw

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
        writes, reads = self.master.write_if, self.master.read_if
        for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
            channel.set_pause_generator(not willing for willing in pace(self.random.choice(PROFILES), self.random))

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
        answer = await self.run(self.master.read(address, 4))
        return int.from_bytes(answer.data, "little") if answer.resp == AxiResp.OKAY else None

    async def write(self, address: int, value: int, size: int = 4) -> bool:
        """Whether a write of the lower bytes is answered with OKAY."""
        data = (value & 0xFFFF_FFFF).to_bytes(4, "little")[:size]
        return bool((await self.run(self.master.write(address, data))).resp == AxiResp.OKAY)

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
async def every_address(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    known = {register.address: register for register in REGISTERS.values()}
    known |= {register.address + 4 * expert: register for register in ARRAYS.values() for expert in range(EXPERTS)}
    addresses = [*range(0, 0x48, 4), *(0x100 * block + 4 * word for block in range(16) for word in (0, 1, EXPERTS - 1, EXPERTS, 63))]
    for address in addresses:
        bench.behave()
        register = known.get(address)
        value = await bench.read(address)
        assert (value is not None) == (register is not None), hex(address)
        writable = register is not None and register.access != Access.READ
        assert await bench.write(address, value or 0) == writable, hex(address)
        assert not await bench.write(address, value or 0, bench.random.randint(1, 3))
        assert await bench.read(address) == value
    assert await bench.get_register("IDENTIFICATION") == IDENTIFICATION
    assert await bench.get_register("SIZES") == EXPERTS | CELLS << 8 | VALUE_BITS << 16 | FRACTION << 24
    for odd in (0x001, 0x016, 0x403):
        assert await bench.run(read_byte(bench.master, odd)) == AxiResp.SLVERR
    bench.some_tokens(3)
    await bench.finish()


async def read_byte(master: AxiLiteMaster, address: int) -> AxiResp:
    """The answer to an address that is no multiple of 4, which the master itself would never send."""
    channel = master.read_if.ar_channel
    await channel.send(channel._transaction_obj(araddr=address, arprot=0))
    return AxiResp((await master.read_if.r_channel.recv()).rresp)


@cocotb.test
async def values_that_a_register_cannot_hold(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    most = {"EXPERTS": EXPERTS, "K": CELLS, "K_MIN": CELLS, "K_MAX": CELLS, "STEP": STEP_MAX, "CONTROL": 3}
    most |= dict.fromkeys(("SHARE", "RELATIVE", "PERIOD"), COUNT_MAX)
    assert set(most) == {name for name, register in REGISTERS.items() if register.access != Access.READ}
    for name, value in most.items():
        address = REGISTERS[name].address
        assert await bench.write(address, value)
        for wrong in (1 << 3, 1 << 31) if name == "CONTROL" else (value + 1, 1 << 31, value | 1 << 20):
            assert not await bench.write(address, wrong), (name, wrong)
        assert await bench.read(address) == value
    for array, right, refused in (
        (ExpertArray.BIAS, (LOW, HIGH), (LOW - 1, HIGH + 1, 1 << 31)),
        (ExpertArray.CAPACITY, (0, COUNT_MAX), (COUNT_MAX + 1, -1)),
        (ExpertArray.LOAD, (), (0, 1)),
    ):
        address = ARRAYS[array].address + 4 * bench.random.randrange(EXPERTS)
        for value in right:
            assert await bench.write(address, value)
            assert await bench.read(address) == value & 0xFFFF_FFFF
        for value in refused:
            assert not await bench.write(address, value), (array, value)


@cocotb.test
async def registers_beside_tokens(dut: object) -> None:
    """Accesses neither disturb tokens nor lose a count; biases are written again as they are, and another register changes nothing."""
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    await bench.configure(overflow=Overflow.NEXT, period=7)
    for expert in range(EXPERTS):
        await bench.put(ExpertArray.BIAS, expert, bench.random.randint(LOW, HIGH))
        await bench.put(ExpertArray.CAPACITY, expert, 4)
    bench.some_tokens(60)
    accesses = 0
    while not bench.board.empty or bench.scores.queue:
        bench.behave()
        expert = bench.random.randrange(EXPERTS)
        before = await bench.read(ARRAYS[ExpertArray.LOAD].address + 4 * expert)
        await bench.put(ExpertArray.BIAS, expert, int(bench.golden.biases[expert]))
        await bench.put(ExpertArray.CAPACITY, expert, 4)
        after = await bench.read(ARRAYS[ExpertArray.LOAD].address + 4 * expert)
        assert before is not None
        assert after is not None
        assert before <= after
        accesses += 4
    await bench.finish()
    bench.board.finish(60)
    assert accesses > 100


@cocotb.test
async def clear_beside_tokens(dut: object) -> None:
    """Where neither capacities nor balance count, a clear at any moment changes no pair; a second one, afterwards, leaves nothing."""
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    bench.some_tokens(40)
    while not bench.board.empty or bench.scores.queue:
        await bench.step(bench.random.randint(1, 200))
        await bench.clear()
        assert await bench.get_register("TOKENS") <= 2
    await bench.clear()
    await bench.finish()
    bench.board.finish(40)
    assert bench.golden.loads.sum() == 0


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
        withdraw(bench, bench.board, bench.taken, bench.results)
        bench.set(scores_valid=0)
        bench.pairs.release()
        await bench.restart()
        bench.some_tokens(1)
        await bench.finish()
    bench.board.finish(40)
