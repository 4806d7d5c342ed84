"""The sequencer: fetches layer descriptors, checks them, and runs them one after another."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import Config
from ..descriptor import FIELD, SLOT_WORDS, Descriptor, Use, descriptor_words, layer_layout
from ..errors import Error
from ..layouts import Opcode, WinnersOf

DESCRIPTOR_ERRORS = (  # what can be seen from a descriptor alone, the first one first
    Error.DESCRIPTOR_UNKNOWN,
    Error.NOT_BUILT,
    Error.DESCRIPTOR_SIZE,
    Error.FEATURES_TOO_MANY,
    Error.WEIGHTS_TOO_MANY,
    Error.CHANNELS_TOO_MANY,
)


class Sequencer(wiring.Component):
    """Runs a program of layer descriptors from `start` to the one marked `final`.

    The first descriptor is fetched while nothing runs, and again when the program is written, so that a run begins at once; each further
    one takes 24 cycles, 2 more where the pooling unit is built, 4 where winners, and 6 where experts are; with `wide_program`, 10 to 12.
    In the serial and the parallel form it is a cycle less.

    Members:
        program_write, program_address, program_data: store a word of the program, 32 words a layer.
        program: number of the first layer. refetch: it has changed.
        start: begins a run; only while `busy` is 0. clear: forgets how the last one ended; likewise.
        layer, number: the descriptor that runs. kept: a threshold is kept for it. ended: it has ended.
        layer_start: for one cycle, the layer begins. layer_done: it has ended.
        input_ready: the input buffer holds the layer's input, or is to hold it. late: the output of the layer before is still being stored;
            follows: in that buffer. Then a layer that reads it may begin, and no other.
        fault, fault_code: an error of the datapath, or a stop; it counts until the run has ended.
        load_fault: likewise with fault_code, an error of the load port; it counts while nothing runs, and takes the place of `done`.
            With `start`, it ends the run before anything of it begins; with `clear`, it stays.
        layer_stop: for one cycle, everything under way is given up. settled: and nothing of it is left, nor of what a reset drops.
        ready: the first descriptor is fetched, so that a run would begin at once.
        busy, done, failed, error, error_layer: for the status register; done and failed are not both 1.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._choosers = {"of_tensor": WinnersOf.TENSOR} if config.winners else {}
        self._choosers |= {"of_pixel": WinnersOf.PIXEL} if config.pixel_winners else {}
        layer_bits = (config.layers - 1).bit_length()
        super().__init__(
            {
                "program_write": In(1),
                "program_address": In(16),
                "program_data": In(32),
                "program": In(layer_bits),
                "refetch": In(1),
                "start": In(1),
                "clear": In(1),
                "layer": Out(layer_layout(config)),
                "number": Out(layer_bits),
                "layer_start": Out(1),
                "layer_done": In(1),
                **({"kept": In(1), "ended": Out(1)} if config.winners else {}),
                **({"late": In(1), "follows": In(1)} if config.overlaps else {}),
                "input_ready": In(1),
                "fault": In(1),
                "load_fault": In(1),
                "fault_code": In(Error),
                "layer_stop": Out(1),
                "settled": In(1),
                "ready": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "error": Out(Error),
                "error_layer": Out(layer_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        at_once = config.words_fetched
        m.submodules.program = program = Memory(shape=32 * at_once, depth=config.layers * SLOT_WORDS // at_once, init=[])
        write, read = program.write_port(granularity=32 if at_once > 1 else None), program.read_port()
        words = -(-descriptor_words(config) // at_once)  # of the memory
        word = Signal(range(words + 3))
        fetched, lag = read.data, 1  # cycles from an address to its word
        if not config.serial:
            fetched, lag = Signal(32 * at_once, reset_less=True), 2
            m.d.sync += fetched.eq(read.data)
        input_ready = Signal()
        m.d.sync += input_ready.eq(self.input_ready)
        place, address = self.program_address[: exact_log2(at_once)], self.program_address[exact_log2(at_once) :]
        if at_once == 1:
            m.d.comb += [write.en.eq(self.program_write), write.addr.eq(self.program_address), write.data.eq(self.program_data)]
        else:
            m.d.comb += [
                write.en.eq(self.program_write << place),
                write.addr.eq(address),
                write.data.eq(self.program_data.replicate(at_once)),
            ]
        m.d.comb += read.addr.eq(word + self.number * (SLOT_WORDS // at_once))

        checked = Signal(Error)
        # What is wrong with the word taken in this cycle, in the cycle before, and with those before that.
        wrong = {error: Signal(name=f"wrong_{error.name.lower()}") for error in DESCRIPTOR_ERRORS}
        latest = {error: Signal.like(signal, name=f"latest_{signal.name}") for error, signal in wrong.items()}
        faults = {error: Signal.like(signal, name=f"any_{signal.name}") for error, signal in wrong.items()}
        for error in DESCRIPTOR_ERRORS:
            m.d.sync += [latest[error].eq(wrong[error]), faults[error].eq(faults[error] | latest[error])]

        def fail(code: Value | Error) -> None:
            m.d.sync += [self.error.eq(code), self.error_layer.eq(self.number), self.failed.eq(1)]
            m.d.sync += self.layer_stop.eq(1)
            m.next = "SETTLE"

        starts, forgets = Signal(), Signal()
        m.d.comb += [starts.eq(self.start & ~self.load_fault), forgets.eq(self.start | self.clear)]
        with m.If(starts):
            m.d.sync += self.busy.eq(1)
        with m.If(forgets):
            m.d.sync += [self.done.eq(0), self.failed.eq(0), self.error.eq(Error.NONE), self.error_layer.eq(0)]
        with m.If(self.load_fault & ~self.busy & (forgets | ~self.failed)):
            m.d.sync += [self.done.eq(0), self.failed.eq(1), self.error.eq(self.fault_code)]

        changes, stale = Signal(), Signal()  # the descriptor fetched is no longer the program's first
        m.d.comb += changes.eq(self.refetch | self.program_write)
        with m.If(changes):
            m.d.sync += stale.eq(1)

        # Where ways are short a layer starts as soon as it is known to.
        begins = m.d["comb" if config.parallel else "sync"]
        reads, waits = Signal(), Signal()  # its input is held; it has to wait for what is still being stored
        m.d.comb += reads.eq(self.layer.computes & ~self.layer.from_stream)
        if config.overlaps:
            m.d.comb += waits.eq(self.late & ~(reads & self.follows))
        begins += self.layer_start.eq(0)
        m.d.sync += self.layer_stop.eq(0)
        with m.FSM(init="EMPTY" if config.spread else "REWIND"):
            if config.spread:  # a reset gets everywhere in a few cycles, too
                with m.State("EMPTY"), m.If(self.settled):
                    m.next = "REWIND"
            with m.State("REWIND"):
                m.d.sync += [self.number.eq(self.program), word.eq(0), stale.eq(changes)]
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += word.eq(word + 1)
                with m.Switch(word):
                    with m.Case(0):
                        m.d.sync += [fault.eq(0) for fault in faults.values()]
                    for index in range(words):
                        with m.Case(index + lag):
                            self._take(m, range(index * at_once, (index + 1) * at_once), fetched, wrong)
                with m.If(word == words + lag - 1):
                    m.next = "CHECK"
                with m.If(stale):
                    m.next = "REWIND"
            with m.State("CHECK"):
                m.d.sync += checked.eq(self._check(m, {error: faults[error] | latest[error] for error in DESCRIPTOR_ERRORS}))
                if config.winners:
                    m.d.sync += self.layer.kept.eq(self.layer.of_tensor & self.kept)
                if config.overlaps:
                    m.d.sync += self.layer.follows.eq(reads & self.follows)
                m.next = "READY"
            with m.State("READY"):
                m.d.comb += self.ready.eq(~stale & ~self.busy)
                with m.If(stale):
                    m.next = "REWIND"
                with m.Elif(self.busy | starts):
                    with m.If(self.busy & self.fault):
                        fail(self.fault_code)
                    with m.Elif(checked != Error.NONE):
                        fail(checked)
                    with m.Elif(reads & ~input_ready):
                        fail(Error.INPUT_MISSING)
                    with m.Elif(~waits):
                        begins += self.layer_start.eq(1)
                        m.next = "RUN"
            with m.State("RUN"):
                if config.winners:  # what ends in the cycles of a stop is no tensor whose threshold is kept
                    m.d.comb += self.ended.eq(self.layer_done & ~self.fault)
                with m.If(self.fault):
                    fail(self.fault_code)
                with m.Elif(self.layer_done):
                    m.d.sync += [self.number.eq(self.number + 1), word.eq(0)]
                    with m.If(self.layer.final):
                        m.d.sync += [self.busy.eq(0), self.done.eq(1)]
                        m.next = "REWIND"
                    with m.Elif(self.number == config.layers - 1):
                        fail(Error.PROGRAM_NOT_ENDED)
                    with m.Else():
                        m.next = "FETCH"
            with m.State("SETTLE"), m.If(self.settled & ~self.layer_stop):
                m.d.sync += self.busy.eq(0)
                m.next = "REWIND"
        return m

    def _take(self, m: Module, places: range, word: Value, wrong: dict[Error, Signal]) -> None:
        """Store the fields of the descriptor's words at some places, and note those that are zero or too large."""
        config = self.config
        found: dict[Error, list[Value]] = {error: [] for error in DESCRIPTOR_ERRORS}
        computes: Value = self.layer.computes
        for name, place in data.StructLayout.cast(Descriptor):
            if place.offset // 32 not in places:
                continue
            field, value = FIELD[name], word[place.offset - 32 * places[0] :][: place.width]
            if name == "opcode":
                if not self._choosers:
                    value = word[:6]  # winners_of with it, which is 0
                computes, unknown = value == Opcode.LAYER, (value != Opcode.LAYER) & (value != Opcode.LOAD)
                if config.experts:
                    gates, routed = value == Opcode.GATE, value == Opcode.EXPERTS
                    m.d.sync += [self.layer.gates.eq(gates), self.layer.routed.eq(routed)]
                    computes, unknown = computes | gates | routed, unknown & ~gates & ~routed
                m.d.sync += self.layer.computes.eq(computes)
                found[Error.DESCRIPTOR_UNKNOWN].append(unknown)
                continue
            if name == "winners_of":
                if self._choosers:
                    stored = computes & ~gates if config.experts else computes
                    known = (value == WinnersOf.NONE) | (stored & Cat(value == choice for choice in self._choosers.values()).any())
                    found[Error.DESCRIPTOR_UNKNOWN].append(~known)
                    m.d.sync += [self.layer[chosen].eq(value == choice) for chosen, choice in self._choosers.items()]
                continue
            if name in ("merges", "looked_up", "lists"):
                if name in self.layer.shape().members:
                    m.d.sync += self.layer[name].eq(value & computes)
                else:
                    found[Error.NOT_BUILT].append(value & computes)
                continue
            if name == "weights_end":
                found[field.too_large].append(self._counts(field.use, computes) & (value > config.weights))
                continue
            if name not in self.layer.shape().members:
                continue
            if name == "to_stream" and config.experts:
                value = value | gates  # what goes to the router is not stored
            stored = Value.cast(self.layer[name])
            m.d.sync += stored.eq(value)
            over = value[len(stored) :]
            if len(over) and not field.modulo:
                if stored.shape().signed:
                    over = over ^ value[len(stored) - 1].replicate(len(over))
                found[field.too_large].append(self._counts(field.use, computes) & over.any())
            if field.least:
                found[Error.DESCRIPTOR_SIZE].append(self._counts(field.use, computes) & ~value.any())
        for error, conditions in found.items():
            if conditions:
                m.d.comb += wrong[error].eq(Cat(*conditions).any())

    def _counts(self, use: Use, computes: Value) -> Value:
        """Whether a field of this use means anything for the descriptor's opcode, of which `computes` is known already."""
        if use is Use.ALWAYS:
            return Const(1)
        if use is Use.EXPERTS:
            return self.layer.routed
        if use is Use.POOLING:
            return self.layer.merges
        if use is Use.FUNCTIONS:
            return self.layer.looked_up
        if use is Use.LISTS:
            return self.layer.lists
        if use is Use.TENSOR_WINNERS:
            return self.layer.of_tensor
        if use is Use.WINNERS:
            return Cat(self.layer[field] for field in self._choosers).any()
        return computes

    def _check(self, m: Module, faults: dict[Error, Value]) -> Signal:
        """What is wrong with the descriptor, whatever the buffers hold: fields by themselves, and with each other."""
        config, layer = self.config, self.layer
        wrong = Signal(Error)
        channels = layer.groups * config.lanes + layer.last_lanes
        if config.slots:
            channels -= Mux(layer.lists & layer.spare_lane, layer.groups - 1, 0)
        mismatch = (channels != layer.K + config.lanes) | (layer.last_lanes > config.lanes)
        mismatch |= layer.end_lanes > layer.last_lanes
        unaligned = (layer.channels_base & (config.lanes - 1)).any()
        too_long = (config.features < layer.C) | (layer.computes & ~layer.to_stream & (config.features < layer.stored_channels))
        if config.experts:
            whole = (layer.experts * layer.expert_groups == layer.groups) & (layer.last_lanes == config.lanes)
            mismatch |= layer.routed & ~(whole & (layer.experts <= config.experts))
        if config.slots:
            pooled = (layer.pool_rows != 1) | (layer.pool_columns != 1)
            mismatch |= layer.lists & (pooled | (layer.slots > config.slots))
            if config.experts:
                mismatch |= layer.lists & layer.routed
        if config.pool_elements:
            row = layer.row_elements + (config.pool_word - 1) * layer.stored_columns  # the last word of a pixel may be nearly empty
            too_long |= layer.merges & (row >= config.pool_elements)
            too_long |= layer.merges & (layer.stored_channels >= config.pool_channels)
        if config.pixel_winners:
            mismatch |= layer.of_pixel & (layer.winners > config.pixel_winners)
        beyond = layer.channels_base + layer.groups * config.lanes > config.channels
        contradictions = {
            Error.NOT_BUILT: config.serial & layer.computes & layer.from_stream & ~layer.to_stream,
            Error.DESCRIPTOR_SIZE: layer.computes & (mismatch | unaligned),
            Error.FEATURES_TOO_MANY: too_long,
            Error.CHANNELS_TOO_MANY: layer.computes & beyond,
        }
        for error in reversed(DESCRIPTOR_ERRORS):
            with m.If(faults[error] | contradictions.get(error, 0)):
                m.d.comb += wrong.eq(error)
        return wrong
