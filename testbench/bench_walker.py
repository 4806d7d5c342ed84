"""The window walker against naive loops: every unit once, in order, not before its input rows, to rows that are ready."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cocotb
import numpy as np

from networks import large_layer, random_network
from skipgrid.golden import Layer
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.compiler.way import PLAIN
from skipgrid.rtl.layouts import Opcode, order_layout, unit_layout
from streams import PROFILES, Bench, Scoreboard, config, layer_bits, rounds, trials


class WalkerBench(Bench):
    """A walker before rows that take units when they like."""

    async def begin(self) -> None:
        self.config = config()
        # A unit that no row has taken may go to another one.
        self.rows = [self.sink(f"units_{row}", unit_layout(self.config), steady=False, waits=False) for row in range(self.config.rows)]
        self.order = self.sink("order", order_layout(self.config), steady=False)
        await self.reset()

    def behave(self, *profiles: str) -> None:
        for sink in (*self.rows, self.order):
            sink.behave(self.random.choice(profiles))

    async def check(self, placed: Placed, *, ramp: bool, streams: bool | None = None) -> None:
        """Walk a layer, while its input's rows arrive one after another if `ramp`, and compare.

        streams: the input comes from the stream; at random without.
        """
        config = self.config
        layer = placed.walked(config)
        H = layer.shape[1]
        options: dict[str, Any] = {"opcode": Opcode.LAYER if layer.mixture is None else Opcode.EXPERTS}
        streams = ramp or bool(self.random.getrandbits(1)) if streams is None else streams
        self.set(layer=layer_bits(descriptor(placed, config, buffer=0, from_stream=streams, to_stream=True, final=True, **options)))
        chosen = self.random.getrandbits(config.experts) if config.experts else 0
        if config.experts:
            self.set(chosen=chosen)
        present = 0 if ramp else H
        self.set(rows=present)
        board = Scoreboard("units")
        expected = units(placed, self, chosen)
        for unit in expected:
            board.expect(unit)
        for sink in (*self.rows, self.order):
            sink.received.clear()
        await self.pulse(start=1)
        span = (layer.pool[0] - 1) * layer.stride[0] + layer.weights.shape[2]
        lacked: list[tuple[int, bool]] = []  # in each cycle, before which unit, and whether its input rows were not there
        limit = self.cycle + 400 * len(expected) + 40 * H + 1000
        while self.get("busy"):
            assert self.cycle < limit, "the layer never ends"
            following = expected[board.matched][0]
            if following is not None:
                lacked.append((board.matched, self.lacks(following["y"], span, present, H)))
                assert len(set(lacked[-3:])) > 1 or len(lacked) < 3 or self.get("waiting") == lacked[-1][1], "it waits for its input rows"
            if present < H and self.random.random() < 0.1:
                present += 1
                self.set(rows=present)
            await self.step()
            while self.order.received:
                order = self.order.received.pop(0)
                row = order.pop("row")
                if order.get("skipped"):
                    board.see((None, order))
                    continue
                (unit,) = self.rows[row].received  # it is handed out in the same cycle
                self.rows_clear()
                assert not self.lacks(unit["y"], span, present, H), "a unit whose input rows are not there"
                if not config.serial and unit.pop("whole"):
                    assert unit["y"] + span <= present or present == H or not streams, "a unit of which not all is there"
                board.see((unit, order))
        board.finish()
        assert not any(row.received for row in self.rows)

    def lacks(self, y: int, span: int, present: int, rows: int) -> bool:
        """Whether a unit, from row y on, waits for its first row, or, where parts work serially, for any."""
        return y + span > present < rows if self.config.serial else y >= present < rows

    def rows_clear(self) -> None:
        for row in self.rows:
            row.received.clear()


def units(placed: Placed, bench: WalkerBench, chosen: int) -> list[tuple[dict[str, int] | None, dict[str, int]]]:
    """The model: each unit, or None for all those of an expert that is not chosen, and what the drain is told of it."""
    config = bench.config
    layer, shift = placed.walked(config), placed.shift(config)
    C, _, W = layer.shape
    K, rows, columns = layer.out_shape
    groups = -(-K // config.lanes)
    each = groups // layer.mixture.experts if layer.mixture else groups  # groups of an expert
    base, at_once = (placed.lists_base, placed.slots) if placed.slots else (placed.weights_base, 1)
    if placed.slots:
        groups = placed.groups(config)
    found: list[tuple[dict[str, int] | None, dict[str, int]]] = []
    for y in range(rows):
        for x in range(columns):
            left = x * layer.pool_stride[1] * layer.stride[1] - layer.pads[1]
            top = y * layer.pool_stride[0] * layer.stride[0] - layer.pads[0]
            for unit_number, group in enumerate(range(0, groups, at_once)):
                skipped = layer.mixture is not None and not chosen >> group // each & 1
                if skipped and group % each:
                    continue
                first = left + group * shift
                slots = min(at_once, groups - group)
                last_group = int(group + (each if skipped else slots) == groups)
                weight = base + unit_number * layer.weights[0].size - first * C
                unit = {
                    "x": first,
                    "y": top,
                    "row_pixel": (top * W - 1) % config.pixels,
                    "weight": weight % config.weights,
                    "last_group": last_group,
                }
                last = int(last_group and x == columns - 1 and y == rows - 1)
                order = {"first_group": int(group == 0), "last_group": last_group, "row_end": int(x == columns - 1), "last": last}
                if config.experts:
                    order["skipped"] = int(skipped)
                if config.slots:
                    unit["slots"] = order["slots"] = slots
                found.append((None if skipped else unit, order))
    return found


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = WalkerBench(dut)
    await bench.begin()
    for _ in range(trials(8)):
        bench.behave("full", "random", "bursts")
        await bench.check(Placed(large_layer(bench.random, bench.config), bench.random.randrange(bench.config.weights), 0), ramp=True)
    for _ in range(trials(50)):
        bench.behave(*PROFILES)
        placed = random_network(bench.numbers, bench.config, 1).placed[0]
        spare = bench.config.weights - placed.weights(bench.config)
        placed = replace(placed, weights_base=bench.random.randint(0, spare))
        await bench.check(placed, ramp=bench.random.random() < 0.7)


@cocotb.test
async def groups_that_begin_further_right(dut: object) -> None:
    """As many outputs at once as there are lanes, of a channel less: each group has channels of two of them."""
    bench = WalkerBench(dut)
    await bench.begin()
    lanes = bench.config.lanes
    ones = np.ones(lanes - 1, np.float32)
    for _ in range(trials(8)):
        bench.behave(*PROFILES)
        R, S, step, pad = (bench.random.randint(1, 3) for _ in range(4))
        weights = np.ones((lanes - 1, 1, R, S), np.int8)
        shape = (1, 4, (lanes * bench.random.randint(1, 2) - 1) * step + S - pad)
        layer = Layer("shifted", weights, ones.astype(np.int32), ones, shape, stride=(1, step), pads=(0, pad, 0, 0))
        placed = Placed(layer, bench.random.randrange(bench.config.weights), 0, way=replace(PLAIN, factor=lanes))
        assert placed.shift(bench.config) == step
        await bench.check(placed, ramp=bench.random.random() < 0.7)


@cocotb.test(skip=not config().slots)
async def units_of_several_groups(dut: object) -> None:
    """Layers with lists, whose pixels' last unit may have fewer groups, and layers without between them."""
    bench = WalkerBench(dut)
    await bench.begin()
    slots, weights, most = bench.config.slots, bench.config.weights, min(bench.config.channels, 12 * bench.config.lanes)
    seen = {"several units": 0, "a last unit with fewer groups": 0}
    for _ in rounds(40, seen):
        bench.behave(*PROFILES)
        K, C, R, S = bench.random.randint(1, most), *(bench.random.randint(1, 3) for _ in range(3))
        steps = (bench.random.randint(1, 2), bench.random.randint(1, 2))
        ones = np.ones(K, np.float32)
        layer = Layer(
            "lists", np.ones((K, C, R, S), np.int8), ones.astype(np.int32), ones, (C, R + 3, S + 4), stride=steps, pads=(0, S // 2, 0, 0)
        )
        way = replace(PLAIN, slots=bench.random.randint(1, slots), spare_lane=bool(bench.random.getrandbits(1)))
        placed = Placed(layer, 0, 0, lists_base=bench.random.randrange(weights), way=way)
        groups = placed.groups(bench.config)
        seen["several units"] += groups > way.slots
        seen["a last unit with fewer groups"] += groups > way.slots and groups % way.slots > 0
        await bench.check(placed, ramp=bench.random.random() < 0.7)
        await bench.check(replace(placed, way=PLAIN), ramp=False)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = WalkerBench(dut)
    await bench.begin()
    for _ in range(15):
        bench.behave(*PROFILES)
        for cut in (True, False):
            placed = random_network(bench.numbers, bench.config, 1).placed[0]
            work = bench.check(placed, ramp=False)
            await (bench.cut(work, 30) if cut else work)
            assert not bench.get("busy")


@cocotb.test
async def one_unit_a_cycle(dut: object) -> None:
    bench = WalkerBench(dut)
    await bench.begin()
    bench.behave("full")
    layer: Layer = random_network(bench.numbers, bench.config, 1, stride=(1, 1), pool=(1, 1)).layers[0]
    layer = layer.replaced(mixture=None)
    for streams in (False, True):
        bench.order.cycles.clear()
        await bench.check(Placed(layer, 0, 0), ramp=False, streams=streams)
        gaps = [after - before for before, after in pairwise(bench.order.cycles)]
        assert set(gaps) <= {1, 2}
        assert gaps.count(2) == (layer.out_shape[1] - 1) * streams, "a stream takes one cycle more at the end of each row of pixels"
