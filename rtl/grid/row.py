"""A row of the PE grid: it reads one nonzero a cycle, which all its lanes multiply."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..input.memory import entries_signature
from ..layouts import range_layout, sums_signature
from ..parts.far import doubled
from .element import ProcessingElement, step_layout
from .lists import ListReader, list_layout, tap_layout
from .weights import latency

DOUBLINGS = 3  # where rows are spread, of the registers that say what the lanes do: an eighth of the lanes has one of its own


class EntryReader(wiring.Component):
    """Reads the entries of a row's ranges, one a cycle without a gap between ranges, and finds their weights, or their lists' taps.

    Members:
        positive_max: coded bytes above it stand for byte - 256.
        ranges: what to read.
        entries: the row's reads of them.
        place_free: 0 holds the last entry of a unit's first window back; not where the layer has lists.
        issued: an entry (or a window without any) is read in this cycle. waits: one waits for a place. idle: there is no range.
        takes_place: it ends a unit's first window, so a place for the unit's sums is taken. ends_unit: it ends the unit's last window.
        Where lists are built, and the layer has lists (lists is 1): tap: of each entry, and of a window without any, as long as there is
            room; what their lists say comes back as next_address, next_byte, next_step, next_last and next_multiplies.
        weight_address: of all lanes. activation, step, last: what goes with the weights found there, one cycle later;
            last: the unit ends. multiplies, last_group: an entry, not a window without any.

    Throughput: one entry a cycle; where parts work serially, a cycle is left out between windows.
    Latency: 2 cycles from a range to its first weight address, 3 where serial, 4 where rows are spread.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "positive_max": In(8),
                "ranges": In(stream.Signature(range_layout(config))),
                "entries": Out(entries_signature(config)),
                "place_free": In(1),
                "issued": Out(1),
                "waits": Out(1),
                "idle": Out(1),
                "takes_place": Out(1),
                "ends_unit": Out(1),
                "weight_address": Out(config.weight_bits),
                "activation": Out(signed(9)),
                "step": Out(step_layout(config)),
                "last": Out(1),
                "multiplies": Out(1),
                "last_group": Out(1),
                **(self._list_members(config) if config.slots else {}),
            }
        )

    @staticmethod
    def _list_members(config: Config) -> dict[str, wiring.Member]:
        return {
            "lists": In(1),
            "room": In(1),
            "tap": Out(tap_layout(config)),
            "next_address": In(config.weight_bits),
            "next_byte": In(8),
            "next_step": In(step_layout(config)),
            "next_last": In(1),
            "next_multiplies": In(1),
        }

    def elaborate(self, platform: object) -> Module:
        config = self.config
        step = step_layout(config)
        m = Module()
        current, current_valid = Signal(range_layout(config), reset_less=True), Signal()
        first = Signal(init=1)  # of the window
        ends_range, ends_window = Signal(), Signal()
        pauses = Signal()  # for a cycle between windows, in which serial PEs empty their accumulators
        needs_place = Signal()  # the current entry ends a unit's first window
        ready = current_valid & ~pauses
        if config.serial:
            m.d.sync += pauses.eq(self.issued & ends_window)
        m.d.comb += [
            ends_window.eq(ends_range & current.end),
            self.takes_place.eq(self.issued & ends_window & current.first_window),
            self.waits.eq(needs_place & ~self.place_free),
            self.idle.eq(~current_valid),
            self.issued.eq(ready & ~self.waits & self.room if config.slots else ready & ~self.waits),
            self.ends_unit.eq(self.issued & ends_window & current.last_window),
            self.ranges.ready.eq(~current_valid | (self.issued & ends_range)),
        ]
        coming, ends, coming_ends = self.ranges.payload, current.count <= 2, self.ranges.payload.count <= 1
        of_units = ~self.lists if config.slots else Const(1)  # with lists, the list reader asks for places, of slots
        with m.If(self.issued):
            m.d.sync += [current.start.eq(current.start + 1), current.count.eq(current.count - 1), first.eq(ends_window)]
            m.d.sync += [ends_range.eq(ends), needs_place.eq(ends & current.end & current.first_window & of_units)]
        with m.If(self.ranges.ready):
            m.d.sync += [current.eq(coming), current_valid.eq(self.ranges.valid), ends_range.eq(coming_ends)]
            m.d.sync += needs_place.eq(self.ranges.valid & coming_ends & coming.end & coming.first_window & of_units)

        # The memory looks the entry up; where ways are short it has the address as soon as `current` has it.
        address, looks_up = current.start, m.d.sync
        if config.parallel:
            address, looks_up = Mux(self.ranges.ready, self.ranges.payload.start, current.start + self.issued), m.d.comb
        m.d.comb += self.entries.address.eq(address)
        looked_up, looked_up_last, looked_up_group, some = Signal(step), Signal(), Signal(), Signal()
        offset = Signal(config.weight_bits, reset_less=True)
        looks_up += [
            looked_up.valid.eq(self.issued),
            looked_up.first.eq(first),
            looked_up.end.eq(ends_window),
            looked_up.first_window.eq(current.first_window),
            looked_up_last.eq(self.ends_unit),
            looked_up_group.eq(current.last_group),
            some.eq(self.issued & current.count.any()),
            offset.eq(current.weight),
        ]
        if config.slots:
            looked_up_slots = Signal(config.count_bits)
            looks_up += looked_up_slots.eq(current.slots)

        entry = self.entries.entry
        if config.spread:  # the memory's blocks take half a cycle, and lie far
            entry = Signal.like(self.entries.entry, reset_less=True)
            m.d.sync += entry.eq(self.entries.entry)
            later = [Signal.like(known, name=f"{known.name}_later") for known in (looked_up_last, looked_up_group, some)]
            arrived, arrived_offset = Signal(step), Signal.like(offset, reset_less=True)
            m.d.sync += [arrived.eq(looked_up), arrived_offset.eq(offset)]
            m.d.sync += [after.eq(known) for after, known in zip(later, (looked_up_last, looked_up_group, some), strict=True)]
            looked_up, offset = arrived, arrived_offset
            looked_up_last, looked_up_group, some = later
            if config.slots:
                arrived_slots = Signal.like(looked_up_slots)
                m.d.sync += arrived_slots.eq(looked_up_slots)
                looked_up_slots = arrived_slots

        # Its place in the row gives the weights' address, and its byte, a cycle later, the activation.
        address, byte = entry.f + offset, Signal(8, reset_less=True)
        found, found_last = Signal(step), Signal()
        m.d.sync += [
            self.weight_address.eq(address),
            byte.eq(entry.value),
            found.eq(looked_up),
            found_last.eq(looked_up_last),
            self.multiplies.eq(some),
            self.last_group.eq(looked_up_group),
            # The memory looks the weights up.
            self.activation.eq(Mux(self.multiplies, byte - Mux(byte > self.positive_max, 256, 0), 0)),
            self.step.eq(found),
            self.last.eq(found_last),
        ]
        if config.slots:
            m.d.comb += [
                self.tap.valid.eq(looked_up.valid & self.lists),
                self.tap.some.eq(some),
                self.tap.address.eq(address),
                self.tap.byte.eq(entry.value),
                self.tap.end.eq(looked_up.end),
                self.tap.slots.eq(looked_up_slots),
            ]
            with m.If(self.lists):
                m.d.sync += [
                    self.weight_address.eq(self.next_address),
                    byte.eq(self.next_byte),
                    found.eq(self.next_step),
                    found_last.eq(self.next_last),
                    self.multiplies.eq(self.next_multiplies),
                    self.last_group.eq(0),
                ]
        return m


class SumBuffer(wiring.Component):
    """Keeps the sums of a row's finished units, in slices of `scan` lanes, until their turn to be drained comes.

    Members:
        push: the unit's sums stand in the lanes' shadows from the coming cycle on. shift: the shadows move on by a slice.
        slice: the first lanes' shadows.
        sums: the slice whose turn it is. When a unit is drained, its place is free.

    Where one unit's are held, they stay in the shadows, and `drained` has to come before the next push; otherwise pushes are at
    least `slices` cycles apart. Latency: none from a slice in the shadows to its turn, 1 cycle where rows are spread, 2 where serial.
    Cost: sums x lanes x 32 bits with an asynchronous read port (LUT RAM), in block memory where serial, or nothing for one unit's.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {"push": In(1), "shift": Out(1), "slice": In(data.ArrayLayout(signed(32), config.scan)), "sums": Out(sums_signature(config))}
        )

    def elaborate(self, platform: object) -> Module:
        config, sums = self.config, self.sums
        m = Module()
        if config.sums == 1:
            m.d.sync += sums.valid.eq(self.push | (sums.valid & ~sums.drained))
            m.d.comb += [sums.values.eq(self.slice), self.shift.eq(sums.advance)]
            return m
        slice_bits = (config.slices - 1).bit_length()
        m.submodules.memory = memory = Memory(shape=32 * config.scan, depth=config.sums * config.slices, init=[])
        write, read = memory.write_port(), memory.read_port(domain="sync" if config.serial else "comb")
        head, tail = Signal(range(config.sums)), Signal(range(config.sums))
        taken, pushed = Signal(slice_bits), Signal(slice_bits)  # slices of the unit at the head, and of the one at the tail
        next_head, next_taken = Signal.like(head), Signal.like(taken)
        pushing = Signal()
        level = Signal(range(config.sums + 1))
        last = pushed == config.slices - 1
        m.d.comb += [
            write.en.eq(pushing),
            write.addr.eq(Cat(pushed, tail)),
            write.data.eq(self.slice),
            self.shift.eq(pushing),
            next_head.eq(head + sums.drained),
            next_taken.eq(Mux(sums.drained, 0, taken + sums.advance)),
            sums.values.as_value().eq(read.data),
        ]
        if config.serial:  # looked up a cycle before
            m.d.comb += read.addr.eq(Cat(next_taken, next_head))
            m.d.sync += sums.valid.eq(level > sums.drained)
        else:
            m.d.comb += [read.addr.eq(Cat(taken, head)), sums.valid.eq(level.any())]
        if config.parallel:  # while nothing else waits, a slice goes by the memory
            with m.If(pushing & (write.addr == read.addr)):
                m.d.comb += [sums.values.eq(self.slice), sums.valid.eq(1)]
        # A unit counts from its first slice on: the others are stored as fast as they can be taken.
        begins = pushing & (pushed == 0)
        m.d.sync += [head.eq(next_head), taken.eq(next_taken), level.eq(level + begins - sums.drained)]
        with m.If(pushing):
            m.d.sync += [pushed.eq(pushed + 1), pushing.eq(~last)]
            with m.If(last):
                m.d.sync += [pushed.eq(0), tail.eq(tail + 1)]
        with m.If(self.push):
            m.d.sync += pushing.eq(1)
        return m


class Row(wiring.Component):
    """One PE row: an entry reader whose activation goes to all lanes.

    Members:
        ranges, positive_max, entries, issued, waits, idle, multiplies, last_group: as of `EntryReader`.
        weight_address, weights: of all lanes; the weights follow as those of `WeightMemory` do.
        Where lists are built: lists, slots: as in the layer. tap, found: as of `ListMemory`. indices: of the weights' slots, with these.
            list_wrong: as of `ListReader`, or an index is no slot's. taken: as of `ListReader`; of a layer without lists, as issued.
        sums: of the oldest unit that is finished.

    Throughput: one entry a cycle for all lanes, one unit's sums in `slices` cycles. Latency: 6 cycles from a range of one entry to its
    sums, 13 where rows are spread, 10 where serial; where one unit's are held, one less where spread, and two where serial.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "positive_max": In(8),
                "ranges": In(stream.Signature(range_layout(config))),
                "entries": Out(entries_signature(config)),
                "weight_address": Out(config.weight_bits),
                "weights": In(8 * config.lanes),
                "issued": Out(1),
                "waits": Out(1),
                "idle": Out(1),
                "multiplies": Out(1),
                "last_group": Out(1),
                "sums": Out(sums_signature(config)),
                **(self._list_members(config) if config.slots else {}),
            }
        )

    @staticmethod
    def _list_members(config: Config) -> dict[str, wiring.Member]:
        return {
            "lists": In(1),
            "slots": In(config.count_bits),
            "tap": Out(config.weight_bits),
            "found": In(list_layout(config)),
            "indices": In(data.ArrayLayout(4, config.lanes)),
            "list_wrong": Out(1),
            "taken": Out(2),
        }

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.reader = reader = EntryReader(config)
        m.submodules.buffer = buffer = SumBuffer(config)
        places_taken = Signal(range(config.sums + 1))
        # While sums are moved out of the shadows, the next ones may not get there.
        moving = Signal(range(config.slices if config.sums > 1 else 1))
        place_free = Signal(init=1)  # in a register: whether there is one, and no sums are being moved
        takes_place, ends_unit, waits = reader.takes_place, reader.ends_unit, reader.waits
        if config.slots:
            lists = self._lists(m, reader, place_free)
            takes_place, ends_unit = (Mux(self.lists, lists.drains, of_reader) for of_reader in (takes_place, ends_unit))
            waits = Mux(self.lists, lists.waits, waits)
            m.d.comb += self.taken.eq(Mux(self.lists, lists.taken, reader.issued))
        with m.If(ends_unit):
            m.d.sync += moving.eq(config.slices - 1)
        with m.Elif(moving.any()):
            m.d.sync += moving.eq(moving - 1)
        m.d.comb += [
            reader.positive_max.eq(self.positive_max),
            reader.place_free.eq((place_free | self.lists) if config.slots else place_free),
            self.issued.eq(reader.issued),
            self.waits.eq(waits),
            self.idle.eq(reader.idle),
            self.multiplies.eq(reader.multiplies),
            self.last_group.eq(reader.last_group),
            self.weight_address.eq(reader.weight_address),
        ]
        wiring.connect(m, wiring.flipped(self.ranges), reader.ranges)
        wiring.connect(m, reader.entries, wiring.flipped(self.entries))

        # The activation waits for the weights; the lanes register both, and where ways are not short their product.
        activation = reader.activation
        stages = ["accumulate", "commit"] if config.parallel else ["registered", "accumulate", "commit"]
        for _ in range(latency(config) - 1):
            waiting, activation = activation, Signal(signed(9), reset_less=True, name="activation")
            m.d.sync += activation.eq(waiting)
            stages.insert(0, "arrived")
        accumulates: list[data.View] = []
        steps, last = [reader.step], reader.last
        for number, stage in enumerate(stages, start=1):
            looks_up, accumulates, before = accumulates, steps, last
            if config.spread and len(stages) - DOUBLINGS <= number < len(stages):  # each has two behind it
                steps = [data.View(step_layout(config), register) for register in doubled(m, [step.as_value() for step in accumulates])]
            else:
                steps = [Signal(step_layout(config), name=stage) for _ in accumulates]
                m.d.sync += [step.eq(known) for step, known in zip(steps, accumulates, strict=True)]
            last = Signal(name=f"{stage}_last")
            m.d.sync += last.eq(before)
        weights = data.View(data.ArrayLayout(signed(8), config.lanes), self.weights)
        empty = Signal(init=1)  # after a reset, too
        if config.serial:
            m.d.sync += empty.eq(accumulates[0].valid & accumulates[0].end)
        of_lists = [self.lists] if config.slots else []
        if config.spread:
            of_lists = doubled(m, of_lists)
        elements = []
        for lane in range(config.lanes):
            m.submodules[f"lane{lane}"] = element = ProcessingElement(config, soft=lane >= config.lanes - config.soft_lanes)
            m.d.comb += [
                element.activation.eq(activation),
                element.weight.eq(weights[lane]),
                element.accumulate.eq(_nearest(accumulates, lane, config)),
                element.commit.eq(_nearest(steps, lane, config)),
                element.shift.eq(buffer.shift),
            ]
            if config.serial:
                m.d.comb += element.empty.eq(empty)
            if config.slots:
                m.d.comb += [
                    element.lists.eq(_nearest(of_lists, lane, config)),
                    element.look_up.eq(_nearest(looks_up, lane, config)),
                    element.index.eq(self.indices[lane]),
                ]
            elements.append(element)
        for element, further in zip(elements, elements[config.scan :], strict=False):
            m.d.comb += element.next_shadow.eq(further.shadow)
        for lane in range(config.scan):
            m.d.comb += buffer.slice[lane].eq(elements[lane].shadow)

        if config.slots:
            # A padded list's weights are 0, and so is the activation of a window without any entry.
            slots = doubled(m, [self.slots]) if config.spread else [self.slots]
            no_slot = Cat(index >= _nearest(slots, lane, config) for lane, index in enumerate(self.indices))
            multiplied = activation.any()
            if config.spread:  # lanes are far from each other
                arrived, known = Signal(), Signal(config.lanes)
                m.d.sync += [arrived.eq(multiplied), known.eq(no_slot)]
                multiplied, no_slot = arrived, known
            m.d.sync += self.list_wrong.eq(self.lists & (lists.wrong | (no_slot.any() & multiplied)))
        drained = self.sums.drained
        remain, fill = ((places_taken == places) & ~drained for places in (config.sums, config.sums - 1))
        will_move = moving[1:].any() | (ends_unit if len(moving) else Const(0))
        m.d.sync += [
            places_taken.eq(places_taken + takes_place - drained),
            place_free.eq(~Mux(takes_place, fill, remain) & ~will_move),  # a place is taken of those that are free
        ]
        m.d.comb += buffer.push.eq(last)
        wiring.connect(m, buffer.sums, wiring.flipped(self.sums))
        return m

    def _lists(self, m: Module, reader: EntryReader, place_free: Value) -> ListReader:
        """The list reader, between the entry reader's taps and what is multiplied next."""
        m.submodules.lists = lists = ListReader(self.config)
        m.d.comb += [
            lists.slots.eq(self.slots),
            lists.tap.eq(reader.tap),
            lists.found.eq(self.found),
            lists.place_free.eq(place_free),
            self.tap.eq(lists.memory),
            reader.lists.eq(self.lists),
            reader.room.eq(lists.room),
            reader.next_address.eq(lists.address),
            reader.next_byte.eq(lists.byte),
            reader.next_step.eq(lists.step),
            reader.next_last.eq(lists.drains),
            reader.next_multiplies.eq(lists.multiplies),
        ]
        return lists


def _nearest(steps: list[Any], lane: int, config: Config) -> Any:
    """Of the registers of a stage, that of the part of the row in which a lane is."""
    return steps[lane * len(steps) // config.lanes]
