"""The control: registers start and stop runs, the load port fills the memories between them, the sequencer runs the program."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..errors import Error
from ..layouts import Word, store_layout
from ..parts.axi import AxiLite
from ..winners.tensor_winners import THRESHOLD_BITS
from ..winners.thresholds import KeptThresholds
from .clear_way import ClearWay
from .counters import event_members
from .loader import CHANNEL_WORDS, Loader
from .registers import Registers
from .sequencer import Sequencer


class ControlStage(wiring.Component):
    """Runs programs: tells the other stages which layer begins, waits until it has ended, and empties them after an error or a stop.

    Members:
        bus: the registers. load: packets of the load port; taken while no run is under way.
        layer: steady while it runs. start: it begins. loads: its input comes from the stream.
        stop: what is under way is given up. clear, clear_rows: likewise what stands in the queues of all rows, and in each row.
        old: what is under way is of the time before a reset. store: for the memories of weights and channels.
        input_ready, loaded, stored, leaves, late, follows, failed, error: as of `InputStage`. sent, routed, decided, full: as of
            `OutputStage`.
        list_wrong: as of `GridStage`, where lists are built.
        others_busy: something is under way in the other stages that a stop does not end at once.
        threshold, smallest: of the layer's winners; kept, and what is to be kept.
        irq, busy, failed_run: as the accelerator's ports `irq`, `busy` and `error`.
        Each event of `COUNTERS` but busy: is counted.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        events = event_members(config)
        del events["busy"]
        members = {
            "bus": In(AxiLite()),
            "load": In(stream.Signature(Word)),
            "layer": Out(layer_layout(config)),
            "start": Out(1),
            "loads": Out(1),
            "stop": Out(1),
            "clear": Out(1),
            "clear_rows": Out(config.rows),
            "old": Out(1),
            "store": Out(store_layout(config)),
            "input_ready": In(1),
            "loaded": In(1),
            "stored": In(1),
            "sent": In(1),
            "others_busy": In(1),
            "failed": In(1),
            "error": In(Error),
            **({"list_wrong": In(1)} if config.slots else {}),
            "irq": Out(1),
            "busy": Out(1),
            "failed_run": Out(1),
            **events,
        }
        if config.experts:
            members["routed"] = In(1)
        if config.winners:
            members |= {"decided": In(1), "full": In(1), "threshold": Out(THRESHOLD_BITS), "smallest": In(THRESHOLD_BITS)}
        if config.overlaps:
            members |= {"leaves": Out(1), "late": In(1), "follows": In(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.registers = registers = Registers(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.sequencer = sequencer = Sequencer(config)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        wiring.connect(m, wiring.flipped(self.load), loader.words)

        # A stop, or an error, empties the other stages; where rows are spread it takes a while to get there.
        under_way = Signal()
        if config.spread:
            m.submodules.clear_way = clear_way = ClearWay(1 + config.rows)
            m.d.comb += [
                clear_way.clear.eq(sequencer.layer_stop),
                self.stop.eq(clear_way.cleared),
                self.clear.eq(clear_way.clears[0]),
                self.clear_rows.eq(clear_way.clears[1:]),
                self.old.eq(clear_way.old),
                under_way.eq(clear_way.under_way),
            ]
        else:
            m.d.comb += [
                self.stop.eq(sequencer.layer_stop),
                self.clear.eq(sequencer.layer_stop),
                self.clear_rows.eq(sequencer.layer_stop.replicate(config.rows)),
            ]

        layer = sequencer.layer
        m.d.comb += [
            self.layer.eq(layer),
            self.start.eq(sequencer.layer_start),
            self.loads.eq(~layer.computes | layer.from_stream),
            self.busy.eq(sequencer.busy),
            self.failed_run.eq(sequencer.failed),
            sequencer.input_ready.eq(self.input_ready),
            sequencer.settled.eq(~self.others_busy & ~under_way),
            sequencer.program_write.eq(loader.write_program),
            sequencer.program_address.eq(loader.address),
            sequencer.program_data.eq(loader.data),
            sequencer.program.eq(registers.program),
            sequencer.refetch.eq(registers.program_written),
            sequencer.start.eq(registers.start),
            sequencer.clear.eq(registers.clear),
            # Not while an error's packets are cleared away, nor in the cycle between a write and its effect.
            self.irq.eq(
                ((sequencer.done & registers.irq_done) | (sequencer.failed & registers.irq_error))
                & ~sequencer.busy
                & ~registers.start
                & ~registers.clear
            ),
            *(
                getattr(registers, name).eq(getattr(sequencer, name))
                for name in ("ready", "busy", "done", "failed", "error", "error_layer")
            ),
            *(getattr(registers, event).eq(getattr(self, event)) for event in event_members(config) if event != "busy"),
            registers.layer_done.eq(sequencer.ended if config.winners else sequencer.layer_done),
            registers.layer.eq(sequencer.number),
            loader.enable.eq(~sequencer.busy & ~registers.start),
        ]
        self._ends(m, sequencer)
        self._store(m, loader, sequencer.busy)
        self._faults(m, registers, loader, sequencer)
        if config.winners:
            self._thresholds(m, loader, sequencer)
        if config.overlaps:
            m.d.comb += [sequencer.late.eq(self.late), sequencer.follows.eq(self.follows)]
        return m

    def _ends(self, m: Module, sequencer: Sequencer) -> None:
        """The layer ends when its input is stored and its output stored or sent.

        Where layers overlap, one that is not the last ends as soon as its winners, of which some are, are known.
        """
        config, layer = self.config, self.layer
        running, ended, sent = Signal(), Signal(), Signal()
        loads, stored = self.loads, self.stored
        if config.overlaps:
            decided = Signal()
            with m.If(self.decided):
                m.d.sync += decided.eq(1)
            with m.If(self.start):
                m.d.sync += decided.eq(0)
            loads |= layer.follows
            stored |= decided & ~layer.final
            m.d["comb" if config.parallel else "sync"] += self.leaves.eq(
                ended & ~self.stop & ~layer.to_stream & ~self.stored & layer.computes
            )
        output_done = ~layer.computes | Mux(layer.to_stream, sent | self.sent, stored)
        m.d.comb += ended.eq(running & (~loads | self.loaded) & output_done)
        m.d["comb" if config.parallel else "sync"] += sequencer.layer_done.eq(ended)
        with m.If(self.sent | self.routed if config.experts else self.sent):
            m.d.sync += sent.eq(1)
        with m.If(self.start):
            m.d.sync += [running.eq(1), sent.eq(0)]
        with m.If(ended | self.stop):
            m.d.sync += running.eq(0)

    def _store(self, m: Module, loader: Loader, busy: Value) -> None:
        """What is loaded goes to memories everywhere: on a large FPGA, registers halve the way."""
        far = m.d["comb" if self.config.serial else "sync"]
        far += [
            self.store.loading.eq(loader.loading & ~busy),
            self.store.weights.eq(loader.index & loader.write_weights.replicate(len(loader.index))),
            *(self.store[name].eq(loader.index[word] & loader.write_channels) for word, name in enumerate(CHANNEL_WORDS)),
            *([self.store.function.eq(loader.write_functions)] if self.config.functions else []),
            self.store.address.eq(loader.address),
            self.store.data.eq(loader.data),
        ]
        if self.config.slots:
            words = loader.index[: len(self.store.indices)]
            far += [
                self.store["list"].eq(loader.write_lists),
                self.store.indices.eq(words & loader.write_indices.replicate(len(words))),
            ]

    def _faults(self, m: Module, registers: Registers, loader: Loader, sequencer: Sequencer) -> None:
        """What ends a run, or keeps it from beginning, and its error; of several in a cycle the last one here counts."""
        stopping, failing = Signal(), Signal()
        with m.If(registers.stop & sequencer.busy):
            m.d.sync += stopping.eq(1)
        faults = [(stopping, Error.STOPPED), (loader.failed, loader.error), (self.failed, self.error)]
        if self.config.slots:
            faults.append((self.list_wrong & ~self.failed & ~failing, Error.LIST_WRONG))
        if self.config.winners:
            faults.append((self.full & ~self.failed & ~failing, Error.ENTRIES_FULL))
        failed = Cat(fault for fault, _ in faults[2:]).any()
        with m.If(failed & sequencer.busy):  # it waits, where no layer runs
            m.d.sync += failing.eq(1)
        with m.If(self.stop | ~sequencer.busy):
            m.d.sync += [stopping.eq(0), failing.eq(0)]
        for fault, error in faults:
            with m.If(fault):
                m.d.sync += sequencer.fault_code.eq(error)
        m.d.sync += [sequencer.fault.eq(failed | failing | stopping), sequencer.load_fault.eq(loader.failed)]

    def _thresholds(self, m: Module, loader: Loader, sequencer: Sequencer) -> None:
        """Each descriptor's, kept from one run to the next."""
        m.submodules.thresholds = thresholds = KeptThresholds(self.config)
        m.d.comb += [
            thresholds.number.eq(sequencer.number),
            thresholds.period.eq(self.layer.period),
            thresholds.smallest.eq(self.smallest),
            thresholds.ended.eq(sequencer.ended & self.layer.of_tensor),
            thresholds.forget.eq(loader.write_program | self.stop),
            sequencer.kept.eq(thresholds.kept),
            self.threshold.eq(thresholds.threshold),
        ]
