"""The sequencer: fetches layer descriptors, checks them, and runs them one after another."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import DESCRIPTOR_WORDS, SLOT_WORDS, Descriptor, Error, Opcode


class Sequencer(wiring.Component):
    """Runs a program of layer descriptors from `start` to the one marked `final`.

    The first descriptor is fetched while nothing runs, so that a run begins at once; each further one takes 20 cycles.

    Members:
        program_write, program_address, program_data: store a word of the program, 32 words a layer.
        program: number of the first layer. refetch: it, or the program, has changed.
        start: begins a run; only while `busy` is 0. clear: forgets how the last one ended; likewise.
        layer, number: the descriptor that runs.
        begin: for one cycle, the layer begins. layer_done: it has ended. input_ready: the input buffer holds the layer's input.
        fault, fault_code: an error of the datapath, a stop or, while nothing runs, an error of the load port.
        abort: for one cycle, everything under way is dropped. settled: and nothing of it is left.
        ready: the first descriptor is fetched, so that a run would begin at once.
        busy, done, failed, error, error_layer: for the status register.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
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
                "layer": Out(Descriptor),
                "number": Out(layer_bits),
                "begin": Out(1),
                "layer_done": In(1),
                "input_ready": In(1),
                "fault": In(1),
                "fault_code": In(Error),
                "abort": Out(1),
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
        m.submodules.program = program = Memory(shape=32, depth=config.layers * SLOT_WORDS, init=[])
        write, read = program.write_port(), program.read_port()
        word = Signal(range(DESCRIPTOR_WORDS + 2))
        m.d.comb += [
            write.en.eq(self.program_write),
            write.addr.eq(self.program_address),
            write.data.eq(self.program_data),
            read.addr.eq(word + self.number * SLOT_WORDS),
        ]

        checked = Signal(Error)
        wrong = self._check(m)

        def fail(code: Value | Error) -> None:
            m.d.sync += [self.error.eq(code), self.error_layer.eq(self.number), self.failed.eq(1)]
            m.d.comb += self.abort.eq(1)
            m.next = "SETTLE"

        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.If(self.start | self.clear):
            m.d.sync += [self.done.eq(0), self.failed.eq(0), self.error.eq(Error.NONE), self.error_layer.eq(0)]
        with m.Elif(self.fault & ~self.busy & ~self.failed):
            m.d.sync += [self.failed.eq(1), self.error.eq(self.fault_code)]

        stale = Signal()  # the descriptor fetched is no longer the program's first
        with m.If(self.refetch):
            m.d.sync += stale.eq(1)

        with m.FSM():
            with m.State("REWIND"):
                m.d.sync += [self.number.eq(self.program), word.eq(0), stale.eq(self.refetch)]
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += word.eq(word + 1)
                for index in range(DESCRIPTOR_WORDS):
                    with m.If(word == index + 1):
                        m.d.sync += self.layer.as_value().word_select(index, 32).eq(read.data)
                with m.If(word == DESCRIPTOR_WORDS):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += checked.eq(wrong)
                m.next = "READY"
            with m.State("READY"):
                m.d.comb += self.ready.eq(~stale & ~self.busy)
                with m.If(stale):
                    m.next = "REWIND"
                with m.Elif(self.busy | self.start):
                    with m.If(checked != Error.NONE):
                        fail(checked)
                    with m.Elif((self.layer.opcode == Opcode.LAYER) & ~self.layer.from_stream & ~self.input_ready):
                        fail(Error.INPUT_MISSING)
                    with m.Else():
                        m.d.comb += self.begin.eq(1)
                        m.next = "RUN"
            with m.State("RUN"):
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
            with m.State("SETTLE"), m.If(self.settled):
                m.d.sync += self.busy.eq(0)
                m.next = "REWIND"
        return m

    def _check(self, m: Module) -> Signal:
        """What is wrong with the descriptor, whatever the buffers hold."""
        config, layer = self.config, self.layer
        wrong = Signal(Error)
        computes = layer.opcode == Opcode.LAYER
        stored = [layer.elements, layer.C, layer.H, layer.W]
        computed = [layer.K, layer.out_rows, layer.out_columns, layer.R, layer.S, layer.pool_rows, layer.pool_columns, layer.groups]
        limit = 1 << config.coordinate_bits
        coordinates = [layer.H, layer.W, layer.R, layer.S, layer.pad_top, layer.pad_left, layer.out_rows, layer.out_columns]
        sizes = Signal()
        m.d.comb += sizes.eq(
            Cat(size == 0 for size in stored).any()
            | Cat(size >= limit for size in coordinates).any()
            | (
                computes
                & (
                    Cat(size == 0 for size in (*computed, layer.last_lanes)).any()
                    | (layer.last_lanes > config.lanes)
                    | (layer.groups * config.lanes + layer.last_lanes - config.lanes != layer.K)
                    | (layer.channels_base & (config.lanes - 1)).any()
                )
            )
        )
        with m.If((layer.opcode != Opcode.LOAD) & (layer.opcode != Opcode.LAYER)):
            m.d.comb += wrong.eq(Error.DESCRIPTOR_UNKNOWN)
        with m.Elif(sizes):
            m.d.comb += wrong.eq(Error.DESCRIPTOR_SIZE)
        with m.Elif((config.features < layer.C) | (computes & ~layer.to_stream & (config.features < layer.K))):
            m.d.comb += wrong.eq(Error.FEATURES_TOO_MANY)
        with m.Elif(computes & (layer.channels_base + layer.groups * config.lanes > config.channels)):
            m.d.comb += wrong.eq(Error.CHANNELS_TOO_MANY)
        return wrong
