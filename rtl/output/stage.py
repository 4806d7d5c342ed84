"""The output: the rows' sums become results, results become tokens, and tokens become words or the next layer's input."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..config import MAX_REMAINDER, Config
from ..descriptor import layer_layout
from ..experts.gate import ExpertGate
from ..experts.weigher import ExpertWeigher
from ..layouts import Result, Token, Word, order_layout, store_layout, sums_signature
from ..parts.axi import AxiLite
from ..parts.far import emptied_by
from ..parts.skid import SkidBuffer, buffered
from ..pooling.pooling_unit import PoolingUnit
from ..winners.pixel_winners import PixelWinners
from ..winners.tensor_winners import THRESHOLD_BITS, TensorWinners
from .drain import Drain
from .encoder import RunLengthEncoder
from .functions import FunctionTable
from .groups import GroupOrder
from .narrow import Narrow
from .requantise import Requantiser
from .serial_drain import SerialDrain
from .serial_encoder import SerialEncoder
from .serial_requantise import SerialRequantiser
from .sums import SumBytes
from .tokens import TokenBuilder

UNITS_UNDER_WAY = 3  # in a row besides those whose sums it holds: fetched, read, and in the grid's registers
UNITS_UNDER_WAY_SPREAD = 5  # also between walker and fetcher, and between row and drain
UNITS_UNDER_WAY_SERIAL = 1  # read: a serial fetcher's unit counts when it is read, and the sums of one in the grid have their place


LINKED = ("gates", "routed", "of_pixel")  # fields of a layer that is weighed, or chosen from in its pixels


class OutputStage(wiring.Component):
    """From sums to words: what may survive is requantised, and zeros are told by the tokens behind them.

        sums → drain → requantisers or sums' bytes → function → pooling → (gate → weigher → pixels' winners) → tensor's winners → builder
                ↑ order

        builder → encoder → words, or outputs

    What is between results and builder is there where it is built, and lets pass what is not for it. Gate, weigher and pixels' winners
    take one result a cycle; a layer for which none of them is goes around them.

    Members:
        layer: steady while anything is under way. start: it begins. stop: what is under way is given up, and a packet that has begun
            is ended. clear: likewise what stands in queues. old: what is under way is of the time before a reset.
        order: of the units. sums: of each row. store: the channels' parameters.
        words: of the output stream. outputs: tokens of an output that is stored, `survivors` a cycle.
        sent: the output stream's last word is taken. busy: something is under way that a stop does not end at once.
        Where experts are built, router: its registers. pressure: as of `ExpertRouter`. chosen: the experts. routed: for one cycle, all are
            known.
        Where winners are built, threshold, decided, smallest, full: as of `TensorWinners`. waits: a result waits for winners. Where layers
            overlap, late: winners of the layer before are still being stored.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        members = {
            "layer": In(layer_layout(config)),
            "start": In(1),
            "stop": In(1),
            "clear": In(1),
            "old": In(1),
            "order": In(stream.Signature(order_layout(config))),
            "sums": In(sums_signature(config)).array(config.rows),
            "store": In(store_layout(config)),
            "words": Out(stream.Signature(Word)),
            "outputs": Out(stream.Signature(data.ArrayLayout(Token, config.survivors))),
            "sent": Out(1),
            "busy": Out(1),
        }
        if config.experts:
            members |= {
                "router": In(AxiLite()),
                "pressure": In(range(config.experts_chosen + 1)),
                "chosen": Out(config.experts),
                "routed": Out(1),
            }
        if config.winners:
            members |= {
                "threshold": In(THRESHOLD_BITS),
                "decided": Out(1),
                "smallest": Out(THRESHOLD_BITS),
                "full": Out(1),
            }
        if config.overlaps:
            members["late"] = In(1)
        if config.some_winners:
            members["waits"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        late = self.late if config.overlaps else Const(0)
        streams = layer.to_stream & ~late  # what leaves goes to the stream
        drain = (SerialDrain if config.serial else Drain)(config)
        requantisers = [(SerialRequantiser if config.serial else Requantiser)(config) for _ in range(config.survivors)]
        builder = TokenBuilder(config.survivors, registered=not config.parallel)
        encoder = SerialEncoder() if config.serial else RunLengthEncoder(config.survivors, registered=not config.parallel)
        m = Module()
        clears = emptied_by(m, config, "cleared", self.clear)
        m.submodules.drain, m.submodules.builder, m.submodules.encoder = clears(drain), clears(builder), encoder
        for number, requantiser in enumerate(requantisers):
            m.submodules[f"requantiser{number}"] = clears(requantiser)

        # The rows are drained in the order of their units; what may survive is requantised.
        under_way = UNITS_UNDER_WAY_SERIAL if config.serial else UNITS_UNDER_WAY_SPREAD if config.spread else UNITS_UNDER_WAY
        order_shape = order_layout(config)
        m.submodules.order = clears(order := SyncFIFO(width=order_shape.size, depth=config.rows * (config.sums + under_way)))
        ordered = stream.Signature(order_shape).create(path=("ordered",))
        buffered(m, config, clears, wiring.flipped(self.order), wiring.flipped(ordered), "order")
        to_drain = drain.order
        if config.slots:
            m.submodules.groups = clears(groups := GroupOrder(config))
            wiring.connect(m, groups.groups, drain.order)
            to_drain = groups.units
        drain_start = self.start & layer.computes
        if config.spread:  # it gets there before a unit ends
            drain_starts = Signal()
            m.d.sync += drain_starts.eq(drain_start)
            drain_start = drain_starts
        m.d.comb += [
            order.w_data.eq(ordered.payload),
            order.w_en.eq(ordered.valid),
            ordered.ready.eq(order.w_rdy),
            to_drain.payload.eq(order.r_data),
            to_drain.valid.eq(order.r_rdy),
            order.r_en.eq(to_drain.ready),
            drain.start.eq(drain_start),
            drain.layer.eq(layer),
            drain.store.eq(self.store),
        ]
        for sums, row in zip(self.sums, drain.sums, strict=True):
            wiring.connect(m, wiring.flipped(sums), row)

        # Requantisers side by side do the same in the same cycles, each for its own candidate.
        several = stream.Signature(data.ArrayLayout(Result, config.survivors))
        results = several.create(path=("requantised",))
        for candidate, requantiser, result in zip(drain.candidates.payload, requantisers, results.payload, strict=True):
            m.d.comb += [
                requantiser.layer.eq(layer),
                requantiser.store.eq(self.store),
                requantiser.candidates.payload.eq(candidate),
                requantiser.candidates.valid.eq(drain.candidates.valid & ~layer.sums),
                requantiser.results.ready.eq(results.ready),
                result.eq(requantiser.results.payload),
            ]
        m.d.comb += [drain.candidates.ready.eq(requantisers[0].candidates.ready), results.valid.eq(requantisers[0].results.valid)]
        m.submodules.sums = sums = clears(SumBytes(config))
        m.d.comb += [
            sums.candidates.payload.eq(drain.candidates.payload),
            sums.candidates.valid.eq(drain.candidates.valid & layer.sums),
            sums.results.ready.eq(results.ready),
        ]
        with m.If(layer.sums):  # nothing is made of them
            m.d.comb += [
                drain.candidates.ready.eq(sums.candidates.ready),
                results.valid.eq(sums.results.valid),
                results.payload.eq(sums.results.payload),
            ]

        # A function is looked up. Results are pooled, and pass all that chooses among or weighs them, one by one.
        if config.functions:
            m.submodules.functions = functions = clears(FunctionTable(config))
            m.d.comb += [functions.layer.eq(layer), functions.store.eq(self.store)]
            wiring.connect(m, results, functions.source)
            results = functions.sink
        if config.pool_elements:
            m.submodules.pooling = pooling = clears(PoolingUnit(config))
            m.d.comb += pooling.layer.eq(layer)
            wiring.connect(m, results, pooling.source)
            results = pooling.sink
        links = self._links(m, clears)
        if links:
            m.submodules.narrow = narrow = clears(Narrow(Result, config.survivors))
            m.d.comb += [narrow.source.payload.eq(results.payload), narrow.source.valid.eq(results.valid)]
            all_results, one = results, narrow.sink
            for link in links.values():
                m.d.comb += link.layer.eq(layer)
                wiring.connect(m, one, link.source)
                one = link.sink
            results = several.create(path=("linked",))
            none = Result.const({"null": 1})
            m.d.comb += [
                Value.cast(results.payload).eq(Cat(one.payload, none.as_value().replicate(config.survivors - 1))),
                results.valid.eq(one.valid),
                one.ready.eq(results.ready),
                all_results.ready.eq(narrow.source.ready),
            ]
            if config.survivors > 1:  # those of a layer for which none of them is go around
                with m.If(~Cat(layer[name] for name in LINKED if name in layer.shape().members).any()):
                    m.d.comb += [
                        results.payload.eq(all_results.payload),
                        results.valid.eq(all_results.valid),
                        all_results.ready.eq(results.ready),
                        narrow.source.valid.eq(0),
                        one.ready.eq(0),
                    ]

        waits: Value = Const(0)
        if config.pixel_winners:
            waits |= links["pixel_winners"].waits
        if config.winners:
            m.submodules.winners = winners = clears(TensorWinners(config))
            m.d.comb += [
                winners.layer.eq(layer),
                winners.late.eq(late),
                winners.threshold.eq(self.threshold),
                *(getattr(self, name).eq(getattr(winners, name)) for name in ("decided", "smallest", "full")),
            ]
            wiring.connect(m, results, winners.source)
            results, waits = winners.sink, waits | winners.waits
        if config.some_winners:
            m.d.comb += self.waits.eq(waits)

        # They become tokens, and tokens become words, or entries of the other buffer.
        buffered(m, config, clears, results, builder.results, "results")
        tokens = stream.Signature(data.ArrayLayout(Token, config.survivors)).create(path=("tokens",))
        buffered(m, config, clears, builder.tokens, wiring.flipped(tokens), "tokens")
        words, held = encoder.words, Const(0)
        if not config.serial:
            m.submodules.skid = skid = SkidBuffer(Word, registered=config.spread)
            wiring.connect(m, words, skid.source)
            words, held = skid.sink, skid.held
        wiring.connect(m, words, wiring.flipped(self.words))
        m.d.comb += [
            builder.k.eq(Mux(streams, layer.k_out, MAX_REMAINDER)),
            encoder.k.eq(layer.k_out),
            encoder.stop.eq(self.stop),
            encoder.tokens.payload.eq(tokens.payload),
            self.outputs.payload.eq(tokens.payload),
            self.sent.eq(self.words.valid & self.words.ready & self.words.payload.last),
        ]
        with m.If(streams):
            m.d.comb += [encoder.tokens.valid.eq(tokens.valid & ~self.old), tokens.ready.eq(encoder.tokens.ready)]
        with m.Else():
            m.d.comb += [self.outputs.valid.eq(tokens.valid & ~self.old), tokens.ready.eq(self.outputs.ready)]
        gate_busy = links["gate"].busy if config.experts else Const(0)
        m.d.comb += self.busy.eq(encoder.busy | held | gate_busy)
        return m

    def _links(self, m: Module, clears: Callable[[wiring.Component], wiring.Component]) -> dict[str, Any]:
        """What takes results one by one, in the data's order; each has `layer`, `source` and `sink`."""
        config = self.config
        links: dict[str, Any] = {}
        if config.experts:
            links["gate"], links["weigher"] = gate, weigher = ExpertGate(config), ExpertWeigher(config)
            m.submodules.gate, m.submodules.weigher = gate, clears(weigher)
            wiring.connect(m, wiring.flipped(self.router), gate.bus)
            m.d.comb += [
                gate.pressure.eq(self.pressure),
                gate.start.eq(self.start),
                gate.stop.eq(self.stop),
                gate.look.eq(weigher.look),
                gate.expert.eq(weigher.expert),
                weigher.start.eq(self.start),
                weigher.weight.eq(gate.weight),
                self.chosen.eq(gate.chosen),
                self.routed.eq(gate.routed),
            ]
        if config.pixel_winners:
            links["pixel_winners"] = pixel_winners = PixelWinners(config)
            m.submodules.pixel_winners = clears(pixel_winners)
        return links
