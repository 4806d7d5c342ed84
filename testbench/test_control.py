"""Loader, sequencer and registers."""

from collections.abc import Callable

import pytest
from amaranth.sim import Simulator, SimulatorContext

from simulation import SERIAL, SMALL, shapes
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.control.counters import PerformanceCounters
from skipgrid.rtl.control.loader import Loader
from skipgrid.rtl.control.registers import Registers
from skipgrid.rtl.control.sequencer import Sequencer

LOADERS = {
    "4 lanes": SMALL,
    "4 lanes, lists": SMALL.replaced(slots=8),
    "16 lanes, functions, lists": SMALL.replaced(lanes=16, functions=2, slots=16),
}


@shapes(LOADERS, "16 lanes, functions, lists")
def test_loader(simulate: Callable[..., None], config: Config) -> None:
    simulate(Loader(config), "bench_loader", config)


SEQUENCERS = {
    "2 rows": SMALL,
    "winners": SMALL.replaced(winners=128),
    "wide": SMALL.replaced(wide_program=True, channels=256),
    "serial, pixel winners": SERIAL.replaced(pixel_winners=5),
    "wide, all": SMALL.replaced(
        wide_program=True, winners=128, pixel_winners=5, experts=4, experts_chosen=2, pool_elements=128, functions=4, slots=16
    ),
    "lists": SMALL.replaced(slots=8),
    "experts": SMALL.replaced(experts=4, experts_chosen=2),
    "pooling": SMALL.replaced(pool_elements=64),
    "pooling, 2 results": SMALL.replaced(pool_elements=256, survivors=2),
    "a function": SMALL.replaced(functions=1),
}


@shapes(SEQUENCERS, "serial, pixel winners", "wide, all")
def test_sequencer(simulate: Callable[..., None], config: Config) -> None:
    simulate(Sequencer(config), "bench_sequencer", config)


@shapes({"2 rows": SMALL, "serial": SERIAL, "winners, spread": SMALL.replaced(winners=128, form=Form.SPREAD)}, "serial", "winners, spread")
def test_registers(simulate: Callable[..., None], config: Config) -> None:
    simulate(Registers(config), "bench_registers", config)


def test_multiplications_are_counted_beyond_32_bits_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SMALL.replaced()
    object.__setattr__(config, "rows", 1 << 26)  # more than can be built, so that few cycles are enough
    monkeypatch.setattr(Config, "zeros_at_once", 1 << 28)
    counters = PerformanceCounters(config)
    macs = [1 << 28, (1 << 28) - 1, 0, 12345] * 30

    async def bench(ctx: SimulatorContext) -> None:
        await ctx.tick().repeat(20)  # in which all counters begin at 0
        for count in macs:
            ctx.set(counters.macs, count)
            ctx.set(counters.zeros, 1 << 28)
            await ctx.tick()
        ctx.set(counters.macs, 0)
        ctx.set(counters.zeros, 0)
        await ctx.tick().repeat(40)
        ctx.set(counters.read, 1)
        of_zeros = (len(macs) << 28) % 2**32
        for name, expected in (
            ("USEFUL_MACS_LOW", sum(macs) % 2**32),
            ("USEFUL_MACS_HIGH", sum(macs) >> 32),
            ("SKIPPED_ZEROS", of_zeros),
        ):
            ctx.set(counters.index, counters.names.index(name))
            (value,) = await ctx.tick().sample(counters.value).until(counters.found)
            assert value == expected, name

    simulator = Simulator(counters)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
