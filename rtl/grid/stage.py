"""The grid: units of work become ranges of entries, and these become sums in the rows' lanes."""

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..input.memory import read_signature
from ..layouts import order_layout, store_layout, sums_signature
from ..parts.far import emptied_by, near
from .fetcher import RangeFetcher
from .lists import ListMemory
from .row import Row
from .serial_fetcher import SerialRangeFetcher
from .walker import WindowWalker
from .ways import SumWay, UnitWay
from .weights import IndexMemory, WeightMemory

ROW_EVENTS = ("entries", "sum_waits", "range_waits")


class GridStage(wiring.Component):
    """From entries to sums: units of work go to the rows, which find their ranges of entries, and multiply them with their weights.

        walker → (unit way) → fetcher → row → (sum way) → sums     for each row
                                 ↑ reads  ↑ weights

    Members:
        layer: steady while anything is under way. start: it begins, and computes. clear, clear_rows: what stands in the walker, and in
            each row, is given up. old: what is under way is of the time before a reset.
        rows_stored: as of `InputStage`. chosen: experts that are not skipped, where experts are built.
        reads: each row's reads of entries and pointers. store: weights.
        order: which row works on the next unit. sums: of each row's finished units.
        list_wrong: where lists are built, some row's list is wrong.
        waiting: a unit waits for input rows. multiplying: some row multiplies. macs: how many lanes that are in use do.
        entries, sum_waits, range_waits: rows that take an entry, whose sums wait for others to be drained, that wait for a look-up.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(layer_layout(config)),
                "start": In(1),
                "clear": In(1),
                "clear_rows": In(config.rows),
                "old": In(1),
                "rows_stored": In(config.coordinate_bits),
                **({"chosen": In(config.experts)} if config.experts else {}),
                "reads": Out(read_signature(config)).array(config.rows),
                "store": In(store_layout(config)),
                "order": Out(stream.Signature(order_layout(config))),
                "sums": Out(sums_signature(config)).array(config.rows),
                "waiting": Out(1),
                **({"list_wrong": Out(1)} if config.slots else {}),
                "multiplying": Out(1),
                "macs": Out(range(config.pes + 1)),
                **{name: Out(range(config.rows + 1)) for name in ROW_EVENTS},
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        m = Module()
        m.submodules.walker = emptied_by(m, config, "cleared", self.clear)(walker := WindowWalker(config))
        m.d.comb += [
            walker.start.eq(self.start),
            walker.layer.eq(layer),
            walker.rows.eq(self.rows_stored),
        ]
        if config.experts:
            m.d.comb += walker.chosen.eq(self.chosen)
        wiring.connect(m, walker.order, wiring.flipped(self.order))
        waits = [walker.waiting]
        events: dict[str, list[Value]] = {name: [] for name in ROW_EVENTS}
        rows = [self._row(m, number, walker.units[number], waits, events) for number in range(config.rows)]
        m.d.comb += self.waiting.eq(Cat(waits).any() & ~self.old)
        for copy in range(config.weight_copies):
            m.submodules[f"weights{copy}"] = weights = WeightMemory(config)
            store = self.store
            if config.spread:  # copies are far from each other
                store = data.View(store.shape(), near(m, store.as_value(), copy % 2))
            m.d.comb += weights.store.eq(store)
            if config.slots:
                m.submodules[f"indices{copy}"] = indices = IndexMemory(config)
                m.submodules[f"lists{copy}"] = lists = ListMemory(config)
                m.d.comb += [indices.store.eq(store), lists.store.eq(store)]
            for port, row in enumerate(rows[copy * config.weight_ports : (copy + 1) * config.weight_ports]):
                m.d.comb += [weights.addresses[port].eq(row.weight_address), row.weights.eq(weights.weights[port])]
                if config.slots:
                    m.d.comb += [
                        indices.addresses[port].eq(row.weight_address),
                        row.indices.eq(indices.indices[port]),
                        lists.taps[port].eq(row.tap),
                        row.found.eq(lists.lists[port]),
                    ]

        if config.slots:
            m.d.comb += self.list_wrong.eq(Cat(row.list_wrong for row in rows).any() & ~self.old)
        working = [row.multiplies & ~self.old for row in rows]
        for name in ROW_EVENTS:
            m.d.comb += getattr(self, name).eq(Mux(self.old, 0, sum(events[name])))
        m.d.comb += [
            self.multiplying.eq(Cat(working).any()),
            self.macs.eq(
                sum(Mux(works, Mux(row.last_group, layer.last_lanes, config.lanes), 0) for works, row in zip(working, rows, strict=True))
            ),
        ]
        return m

    def _row(self, m: Module, number: int, units: wiring.PureInterface, waits: list[Value], events: dict[str, list[Value]]) -> Row:
        """A row with its fetcher and, where rows are spread, its ways from the walker and to the drain.

        waits, events: what it waits for, and what is counted of it, are appended.
        """
        config = self.config
        clears = emptied_by(m, config, f"cleared{number}", self.clear_rows[number])
        fetcher = (SerialRangeFetcher if config.serial else RangeFetcher)(config)
        row = Row(config)
        m.submodules[f"fetcher{number}"], m.submodules[f"row{number}"] = clears(fetcher), clears(row)
        read, sums, to_drain = self.reads[number], row.sums, self.sums[number]
        if config.spread:
            unit_way, sum_way = UnitWay(config), SumWay(config)
            m.submodules[f"units{number}"], m.submodules[f"sums{number}"] = clears(unit_way), clears(sum_way)
            wiring.connect(m, units, unit_way.source)
            wiring.connect(m, sums, sum_way.source)
            units, sums = unit_way.sink, sum_way.sink
        wiring.connect(m, units, fetcher.units)
        wiring.connect(m, fetcher.ranges, row.ranges)
        wiring.connect(m, fetcher.pointers, wiring.flipped(read.pointers))
        wiring.connect(m, row.entries, wiring.flipped(read.entries))
        wiring.connect(m, sums, wiring.flipped(to_drain))
        if not config.serial:
            m.d["sync" if config.spread else "comb"] += fetcher.rows.eq(self.rows_stored)
            waits.append(fetcher.waits)
        m.d.comb += [
            fetcher.layer.eq(self.layer),
            fetcher.issued.eq(row.taken if config.slots else row.issued),
            row.positive_max.eq(self.layer.positive_max),
        ]
        if config.slots:
            known = [self.layer.lists, self.layer.slots]
            if config.spread:  # a register in each half of the rows, and from there one for each row of a pair
                known = [near(m, near(m, value, number * 2 // config.rows), number % 2) for value in known]
            m.d.comb += [row.lists.eq(known[0]), row.slots.eq(known[1])]
        for name, event in zip(ROW_EVENTS, (row.issued, row.waits, row.idle & fetcher.busy), strict=True):
            events[name].append(event)
        return row
