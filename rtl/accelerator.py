"""The whole accelerator: run-length words in, run-length words out."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .config import MAX_REMAINDER, Config
from .control.clear_way import ClearWay
from .control.loader import Loader
from .control.registers import Registers
from .control.sequencer import Sequencer
from .errors import Error
from .experts.gate import ExpertGate
from .experts.weigher import ExpertWeigher
from .grid.fetcher import RangeFetcher
from .grid.row import Row
from .grid.serial_fetcher import SerialRangeFetcher
from .grid.walker import WindowWalker
from .grid.ways import ResultWay, UnitWay
from .grid.weights import WeightMemory
from .input.buffers import ActivationBuffers, SerialActivationBuffers
from .input.decoder import RunLengthDecoder
from .input.memory import ActivationMemory
from .input.serial_decoder import SerialDecoder
from .layouts import Result, Token, Word, makes_output, order_layout
from .output.drain import Drain
from .output.encoder import RunLengthEncoder
from .output.requantise import Requantiser
from .output.serial_drain import SerialDrain
from .output.serial_encoder import SerialEncoder
from .output.serial_requantise import SerialRequantiser
from .output.tokens import TokenBuilder
from .parts.axi import AxiLite, AxiLiteSplit, AxiStream
from .parts.far import cleared_by, near
from .parts.skid import SkidBuffer
from .winners.pixel_winners import PixelWinners
from .winners.tensor_winners import TensorWinners
from .winners.thresholds import KeptThresholds

UNITS_UNDER_WAY = 3  # in a row besides the results: fetched, read, and in the grid's registers
UNITS_UNDER_WAY_SPREAD = 5  # also between walker and fetcher, and between row and drain
UNITS_UNDER_WAY_SERIAL = 1  # read: a serial fetcher's unit counts when it is read, and one in the grid has its result's place


def ports(config: Config) -> wiring.Signature:
    """The accelerator's ports."""
    members = {
        "s_axil": In(AxiLite()),
        "s_axis_load": In(AxiStream()),
        "s_axis_in": In(AxiStream()),
        "m_axis_out": Out(AxiStream(user=True)),
        "irq": Out(1),
        "busy": Out(1),
        "error": Out(1),
    }
    if config.experts:
        members["pressure"] = In(range(config.experts_chosen + 1))
    return wiring.Signature(members)


class Accelerator(wiring.Component):
    """A sparse-activation accelerator for convolutions and fully connected layers.

        s_axis_in → decoder → activation buffer → window walker → PE rows → drain → requantiser → tokens → encoder → m_axis_out
                                     ↑                    s_axis_load → weights ↗                     │
                                     └──────────────────── the next layer's input ────────────────────┘

    Members:
        s_axil: registers (see `REGISTERS`).
        s_axis_load: weights, channels' parameters and the program (see `Loader`); taken while no run is under way.
        s_axis_in: run-length coded tensors, one packet each; taken when the program asks for one.
        m_axis_out: run-length coded tensors, one packet each; TUSER in the last word marks one cut short by an error.
        irq: 1 from the end of a run (STATUS.busy is 0), or an error of the load port, until the next start or clear, where the register
            INTERRUPT_ENABLE lets it.
        busy, error: as in STATUS.
        pressure: lowers how many experts the router chooses (see `ExpertRouter`), where experts are built.

    Throughput: rows x lanes multiplications a cycle, all of nonzero activations. Reset is synchronous and works at any moment.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(ports(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.registers = registers = Registers(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.sequencer = sequencer = Sequencer(config)
        layer, begin, abort = sequencer.layer, sequencer.begin, sequencer.abort
        computes, loads = Signal(), Signal()
        m.d.comb += [computes.eq(layer.computes), loads.eq(~computes | layer.from_stream)]
        outputs = computes
        if config.winners:
            outputs = makes_output(layer, config)
            with m.If(layer.chooses):
                m.d.comb += loads.eq(0)
        if config.experts:
            m.submodules.bus_split = bus_split = AxiLiteSplit()
        # What an error in a run empties: what all rows share, and each row.
        clears, *clears_row = [ResetInserter(abort)] * (1 + config.rows)
        clearing: list[Value] = []  # what of it is under way
        if config.spread:
            m.submodules.clear_way = clear_way = ClearWay(1 + config.rows)
            m.d.comb += clear_way.clear.eq(abort)
            abort = clear_way.cleared
            clearing.append(clear_way.under_way)
            clears, *clears_row = (cleared_by(m, f"cleared{number}", clear) for number, clear in enumerate(clear_way.clears))

        def buffered(source: wiring.PureInterface, sink: wiring.PureInterface, name: str) -> None:
            """Connect streams of tokens or results by way of a skid buffer; where parts work serially no path is that long."""
            if config.serial:
                wiring.connect(m, source, sink)
                return
            m.submodules[f"skid_{name}"] = clears(skid := SkidBuffer(source.signature.members["payload"].shape))
            wiring.connect(m, source, skid.source)
            wiring.connect(m, skid.sink, sink)

        # Words become tokens, and tokens become entries of the input's buffer.
        m.submodules.decoder = decoder = (SerialDecoder if config.serial else RunLengthDecoder)(config.element_bits)
        m.submodules.buffers = buffers = (SerialActivationBuffers if config.serial else ActivationBuffers)(config)
        m.submodules.memory = memory = ActivationMemory(config)
        buffered(decoder.tokens, buffers.loaded_tokens, "loaded")
        m.d.comb += [
            decoder.words.payload.data.eq(self.s_axis_in.tdata),
            decoder.words.payload.last.eq(self.s_axis_in.tlast),
            decoder.words.valid.eq(self.s_axis_in.tvalid),
            self.s_axis_in.tready.eq(decoder.words.ready),
            decoder.start.eq(begin & loads),
            decoder.elements.eq(layer.elements),
            decoder.k.eq(layer.k_in),
            decoder.stop.eq(abort),
            buffers.layer.eq(layer),
            buffers.begin.eq(begin),
            buffers.loads.eq(loads),
            buffers.abort.eq(abort),
            memory.read_buffer.eq(layer.buffer),
            sequencer.input_ready.eq(buffers.input_ready),
        ]

        # To memories everywhere: on a large FPGA, registers halve the way.
        far = m.d["comb" if config.serial else "sync"]
        far += [
            memory.write.eq(buffers.write),
            memory.write_enable.eq(buffers.write_enable),
            memory.write_buffer.eq(buffers.write_buffer),
        ]

        # Units of work go to the rows, which find their ranges of entries, and multiply them with their weights.
        m.submodules.walker = clears(walker := WindowWalker(config))
        m.d.comb += [
            walker.start.eq(begin & computes),
            walker.layer.eq(layer),
            walker.rows.eq(buffers.rows),
        ]
        rows = []
        for number in range(config.rows):
            m.submodules[f"fetcher{number}"] = clears_row[number](
                fetcher := (SerialRangeFetcher if config.serial else RangeFetcher)(config)
            )
            m.submodules[f"row{number}"] = clears_row[number](row := Row(config))
            read = memory.reads[number]
            if config.spread:
                m.submodules[f"units{number}"] = clears_row[number](unit_way := UnitWay(config))
                wiring.connect(m, walker.units[number], unit_way.source)
                wiring.connect(m, unit_way.sink, fetcher.units)
            else:
                wiring.connect(m, walker.units[number], fetcher.units)
            wiring.connect(m, fetcher.ranges, row.ranges)
            m.d.comb += [
                fetcher.layer.eq(layer),
                fetcher.issued.eq(row.issued),
                read.lookup.eq(fetcher.lookup),
                read.first_pixel.eq(fetcher.first_pixel),
                fetcher.first.eq(read.first),
                read.behind_pixel.eq(fetcher.behind_pixel),
                fetcher.behind.eq(read.behind),
                row.positive_max.eq(layer.positive_max),
                read.address.eq(row.address),
                row.entry.eq(read.entry),
            ]
            rows.append(row)
        to_store = Signal(
            data.StructLayout({"weights": 1, "write_weights": len(loader.index), "write_channels": 3, "address": 16, "data": 32})
        )
        far += [
            to_store.weights.eq(loader.loading & ~sequencer.busy),
            to_store.write_weights.eq(loader.index & loader.write_weights.replicate(len(loader.index))),
            to_store.write_channels.eq(loader.index & loader.write_channels.replicate(len(loader.index))),
            to_store.address.eq(loader.address),
            to_store.data.eq(loader.data),
        ]
        for copy in range(config.weight_copies):
            m.submodules[f"weights{copy}"] = weights = WeightMemory(config)
            to_copy = to_store
            if config.spread:  # copies are far from each other
                to_copy = data.View(to_store.shape(), near(m, to_store.as_value(), copy % 2))
            m.d.comb += [
                weights.loading.eq(to_copy.weights),
                weights.write_enable.eq(to_copy.write_weights),
                weights.write_address.eq(to_copy.address),
                weights.write_data.eq(to_copy.data),
            ]
            for port in range(config.weight_ports):
                row = rows[copy * config.weight_ports + port]
                m.d.comb += [weights.addresses[port].eq(row.weight_address), row.weights.eq(weights.weights[port])]

        # The rows are drained in the order of their units; what may survive is requantised and becomes tokens again.
        order_shape = order_layout(config)
        under_way = UNITS_UNDER_WAY_SERIAL if config.serial else UNITS_UNDER_WAY_SPREAD if config.spread else UNITS_UNDER_WAY
        m.submodules.order = clears(order := SyncFIFO(width=order_shape.size, depth=config.rows * (config.results + under_way)))
        m.submodules.drain = clears(drain := (SerialDrain if config.serial else Drain)(config))
        m.submodules.requantiser = clears(requantiser := (SerialRequantiser if config.serial else Requantiser)(config))
        m.submodules.builder = clears(builder := TokenBuilder())
        wiring.connect(m, drain.candidates, requantiser.candidates)
        results = requantiser.results
        if config.experts:
            # A gate's results are the router's scores; those of the experts that it chooses are weighed.
            m.submodules.choice = choice = ExpertGate(config)
            m.submodules.weigher = weigher = clears(ExpertWeigher(config))
            requantised, results = results, stream.Signature(Result).create(path=("weighed",))
            wiring.connect(m, bus_split.upper, choice.bus)
            m.d.comb += [
                choice.pressure.eq(self.pressure),
                choice.layer.eq(layer),
                choice.start.eq(begin & layer.gates),
                choice.abort.eq(abort),
                choice.look.eq(weigher.look),
                choice.expert.eq(weigher.expert),
                weigher.start.eq(begin),
                weigher.layer.eq(layer),
                weigher.weight.eq(choice.weight),
                walker.chosen.eq(choice.chosen),
            ]
            clearing.append(choice.busy)
            with m.If(layer.gates):
                wiring.connect(m, requantised, choice.results)
            with m.Elif(layer.routed):
                wiring.connect(m, requantised, weigher.source)
                wiring.connect(m, weigher.sink, wiring.flipped(results))
            with m.Else():
                wiring.connect(m, requantised, wiring.flipped(results))
        waits = Const(0)  # for winners
        if config.pixel_winners:
            m.submodules.pixel_winners = pixel_winners = clears(PixelWinners(config))
            m.d.comb += pixel_winners.layer.eq(layer)
            wiring.connect(m, results, pixel_winners.source)
            results = pixel_winners.sink
            waits |= pixel_winners.waits
        if config.winners:
            m.submodules.winners = winners = clears(TensorWinners(config))
            m.submodules.thresholds = thresholds = KeptThresholds(config)
            wiring.connect(m, results, winners.source)
            results = winners.sink
            m.d.comb += [
                thresholds.number.eq(sequencer.number),
                thresholds.period.eq(layer.period),
                thresholds.smallest.eq(winners.smallest),
                thresholds.ended.eq(sequencer.ended & layer.of_tensor),
                thresholds.forget.eq(loader.write_program | abort),
                sequencer.kept.eq(thresholds.kept),
                winners.begin.eq(begin),
                winners.layer.eq(layer),
                winners.threshold.eq(thresholds.threshold),
            ]
            with m.If(layer.chooses):
                wiring.connect(m, winners.read, memory.reads[0])  # row 0 has nothing to read
            waits |= winners.waits | layer.chooses
        buffered(results, builder.results, "results")
        tokens = stream.Signature(Token).create(path=("tokens",))  # of the output
        buffered(builder.tokens, wiring.flipped(tokens), "tokens")
        tokens_valid, working, waiting = tokens.valid, [row.multiplies for row in rows], walker.waiting
        if config.spread:  # nothing of what was before a reset comes out or counts
            tokens_valid, *working, waiting = (value & ~clear_way.old for value in (tokens_valid, *working, waiting))
        ordered = stream.Signature(order_shape).create(path=("ordered",))
        buffered(walker.order, wiring.flipped(ordered), "order")
        drain_start = begin & computes
        if config.spread:  # it gets there before a unit ends
            drain_starts = Signal()
            m.d.sync += drain_starts.eq(drain_start)
            drain_start = drain_starts
        m.d.comb += [
            order.w_data.eq(ordered.payload),
            order.w_en.eq(ordered.valid),
            ordered.ready.eq(order.w_rdy),
            drain.order.payload.eq(order.r_data),
            drain.order.valid.eq(order.r_rdy),
            order.r_en.eq(drain.order.ready),
            drain.start.eq(drain_start),
            drain.layer.eq(layer),
            drain.bound_enable.eq(to_store.write_channels[2]),
            drain.bound_address.eq(to_store.address),
            drain.bound.eq(to_store.data),
            requantiser.layer.eq(layer),
            requantiser.bias_enable.eq(to_store.write_channels[0]),
            requantiser.scale_enable.eq(to_store.write_channels[1]),
            requantiser.channel_address.eq(to_store.address),
            requantiser.channel_word.eq(to_store.data),
        ]
        for number, row in enumerate(rows):
            finished = row
            if config.spread:
                m.submodules[f"results{number}"] = clears_row[number](finished := ResultWay(config))
                m.d.comb += [
                    finished.row_results.eq(row.results),
                    finished.row_finished.eq(row.finished),
                    row.advance.eq(finished.row_advance),
                    row.drained.eq(finished.row_drained),
                ]
            m.d.comb += [
                drain.results[number].eq(finished.results),
                drain.finished[number].eq(finished.finished),
                finished.advance.eq(drain.advance[number]),
                finished.drained.eq(drain.drained[number]),
            ]

        # Tokens become words, or entries of the other buffer.
        m.submodules.encoder = encoder = (SerialEncoder if config.serial else RunLengthEncoder)()
        words_out, word_kept = encoder.words, Const(0)
        if not config.serial:
            m.submodules.skid = skid = SkidBuffer(Word)
            words_out, word_kept = skid.sink, skid.held
            wiring.connect(m, encoder.words, skid.source)
        m.d.comb += [
            encoder.k.eq(layer.k_out),
            builder.k.eq(Mux(layer.to_stream, layer.k_out, MAX_REMAINDER)),
            encoder.stop.eq(abort),
            self.m_axis_out.tdata.eq(words_out.payload.data),
            self.m_axis_out.tlast.eq(words_out.payload.last),
            self.m_axis_out.tuser.eq(words_out.payload.damaged),
            self.m_axis_out.tvalid.eq(words_out.valid),
            words_out.ready.eq(self.m_axis_out.tready),
            encoder.tokens.payload.eq(tokens.payload),
            buffers.computed_tokens.payload.eq(tokens.payload),
        ]
        with m.If(layer.to_stream):
            m.d.comb += [encoder.tokens.valid.eq(tokens_valid), tokens.ready.eq(encoder.tokens.ready)]
        with m.Else():
            m.d.comb += [buffers.computed_tokens.valid.eq(tokens_valid), tokens.ready.eq(buffers.computed_tokens.ready)]

        # The layer ends when its input is stored and its output stored or sent.
        sent = Signal()
        loaded = buffers.loaded & ~decoder.busy
        last_word = words_out.valid & words_out.ready & words_out.payload.last
        running, ended = Signal(), Signal()
        m.d.comb += ended.eq(running & (~loads | loaded) & (~outputs | Mux(layer.to_stream, sent | last_word, buffers.stored)))
        if config.winners:  # even where a descriptor contradicts itself, nothing of it is left when the next one begins
            with m.If(layer.chooses & winners.busy):
                m.d.comb += ended.eq(0)
        m.d.sync += sequencer.layer_done.eq(ended)
        with m.If(last_word | choice.routed if config.experts else last_word):
            m.d.sync += sent.eq(1)
        with m.If(begin):
            m.d.sync += [running.eq(1), sent.eq(0)]
        with m.If(ended | abort):
            m.d.sync += running.eq(0)

        # Control: registers start and stop runs, the load port fills the memories between them.
        if config.experts:
            wiring.connect(m, wiring.flipped(self.s_axil), bus_split.bus)
            wiring.connect(m, bus_split.lower, registers.bus)
        else:
            wiring.connect(m, wiring.flipped(self.s_axil), registers.bus)
        stopping = Signal()
        with m.If(registers.stop & sequencer.busy):
            m.d.sync += stopping.eq(1)
        with m.If(abort | ~sequencer.busy):
            m.d.sync += stopping.eq(0)
        settled = ~decoder.busy & ~encoder.busy & ~word_kept
        for part in clearing:
            settled &= ~part
        for failed, error in ((stopping, Error.STOPPED), *((part.failed, part.error) for part in (loader, buffers, decoder))):
            with m.If(failed):  # the last one of these counts
                m.d.sync += sequencer.fault_code.eq(error)
        m.d.sync += [sequencer.fault.eq(decoder.failed | buffers.failed | stopping), sequencer.load_fault.eq(loader.failed)]
        m.d.comb += [
            loader.words.payload.data.eq(self.s_axis_load.tdata),
            loader.words.payload.last.eq(self.s_axis_load.tlast),
            loader.words.valid.eq(self.s_axis_load.tvalid),
            self.s_axis_load.tready.eq(loader.words.ready),
            loader.enable.eq(~sequencer.busy & ~registers.start),
            sequencer.program_write.eq(loader.write_program),
            sequencer.program_address.eq(loader.address),
            sequencer.program_data.eq(loader.data),
            sequencer.program.eq(registers.program),
            sequencer.refetch.eq(registers.program_written),
            sequencer.start.eq(registers.start),
            sequencer.clear.eq(registers.clear),
            sequencer.settled.eq(settled),
            # Not while an error's packets are cleared away, nor in the cycle between a write and its effect.
            self.irq.eq(
                ((sequencer.done & registers.irq_done) | (sequencer.failed & registers.irq_error))
                & ~sequencer.busy
                & ~registers.start
                & ~registers.clear
            ),
            self.busy.eq(sequencer.busy),
            self.error.eq(sequencer.failed),
            registers.ready.eq(sequencer.ready),
            registers.busy.eq(sequencer.busy),
            registers.done.eq(sequencer.done),
            registers.failed.eq(sequencer.failed),
            registers.error.eq(sequencer.error),
            registers.error_layer.eq(sequencer.error_layer),
        ]

        # Counters.
        m.d.comb += [
            registers.multiplying.eq(Cat(working).any()),
            registers.input_stall.eq(waiting | (decoder.words.ready & ~decoder.words.valid)),
            registers.output_stall.eq(words_out.valid & ~words_out.ready),
            registers.word_in.eq(decoder.words.valid & decoder.words.ready),
            registers.word_out.eq(words_out.valid & words_out.ready),
            registers.macs.eq(
                sum(Mux(works, Mux(row.last_group, layer.last_lanes, config.lanes), 0) for works, row in zip(working, rows, strict=True))
            ),
            registers.zeros.eq(buffers.zeros),
            registers.layer_done.eq(sequencer.ended if config.winners else sequencer.layer_done),
            registers.layer.eq(sequencer.number),
        ]
        if config.some_winners:
            m.d.comb += registers.winners.eq(waits & sequencer.busy)
        return m
