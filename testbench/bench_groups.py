"""Units of several groups as the drain is told of them: each of their groups once, in order, and the ends of pixels and tensors once."""

from itertools import chain, pairwise

import cocotb

from skipgrid.rtl.layouts import order_layout
from streams import PROFILES, Bench, Source, config, rounds

Unit = dict[str, int]


class GroupsBench(Bench):
    """Between the order of units and the drain."""

    async def begin(self) -> None:
        self.config = config()
        self.units: Source = self.source("units", order_layout(self.config))
        self.groups = self.sink("groups", order_layout(self.config))
        await self.reset()

    def tensor(self, *, lists: bool) -> list[Unit]:
        """The units of some rows of pixels, of a layer with lists or without."""
        most = self.random.randint(1, self.config.slots) if lists else 1
        rows, columns, units = (self.random.randint(1, 3) for _ in range(3))
        left = self.random.randint(1, most)  # groups of a pixel's last unit
        return [
            {
                "row": self.random.randrange(self.config.rows),
                "first_group": int(unit == 0),
                "last_group": int(unit == units - 1),
                "row_end": int(column == columns - 1),
                "last": int((row, column, unit) == (rows - 1, columns - 1, units - 1)),
                "slots": left if unit == units - 1 else most,
            }
            for row in range(rows)
            for column in range(columns)
            for unit in range(units)
        ]

    def groups_of(self, unit: Unit) -> list[Unit]:
        """The model."""
        count = unit["slots"]
        ends = [int(group == count - 1) for group in range(count)]
        return [
            unit | {"first_group": unit["first_group"] & (group == 0)} | {name: unit[name] & end for name in ("last_group", "last")}
            for group, end in enumerate(ends)
        ]

    async def check(self, units: list[Unit]) -> None:
        expected = list(chain.from_iterable(self.groups_of(unit) for unit in units))
        self.groups.received.clear()
        self.units.send(*units)
        await self.until(lambda: not self.units.queue, "all units are taken")
        await self.step(3)
        assert self.groups.received == expected


@cocotb.test
async def every_group_once_in_order(dut: object) -> None:
    bench = GroupsBench(dut)
    await bench.begin()
    for number in rounds(60, {}):
        bench.units.behave(bench.random.choice(PROFILES))
        bench.groups.behave(PROFILES[number % len(PROFILES)])
        await bench.check(bench.tensor(lists=bench.random.random() < 0.7))


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = GroupsBench(dut)
    await bench.begin()
    for _ in rounds(60, {}):
        bench.groups.behave(bench.random.choice(PROFILES))
        await bench.cut(bench.check(bench.tensor(lists=True)), 60)
        await bench.check(bench.tensor(lists=True))


@cocotb.test
async def a_group_a_cycle(dut: object) -> None:
    bench = GroupsBench(dut)
    await bench.begin()
    for lists in (True, False):
        units = bench.tensor(lists=lists) + bench.tensor(lists=lists)
        bench.groups.cycles.clear()
        await bench.check(units)
        assert {after - before for before, after in pairwise(bench.groups.cycles)} == {1}
