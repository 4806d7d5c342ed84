"""The gate: a layer's results become scores, and the router chooses experts by them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import RUN_BITS, Result, last_positive
from ..parts.axi import AxiLite
from ..topk.scores import WEIGHT
from .router import ExpertRouter

SCORE_BITS = 9  # of y - zero_point
SCORE_FRACTION = 4  # of these, the bits behind the point


def signed_value(byte: Value, layer: data.View) -> Value:
    """y - zero_point of an output's coded byte."""
    return Cat(byte, byte > last_positive(layer)).as_signed()


class ExpertGate(wiring.Component):
    """Sends a gate's results to the router, and keeps which experts it chose, and their weights; those of other layers pass.

    Members:
        bus: the router's registers. pressure: as of `ExpertRouter`.
        layer: steady while its results come. start: it begins; from a gate's on until its scores are routed, no expert is chosen.
        stop: it ends early; so do its scores.
        source: results. sink: the same, but for a gate's.
        routed: for one cycle, all experts are known. busy: scores, or weights, are under way.
        chosen: a bit for each expert.
        look, expert, weight: while look is 1, the weight of an expert that is chosen is looked up; it follows by one cycle.

    Throughput: a score a cycle. Latency: that of `ExpertRouter` and 2 cycles.
    Cost: that of `ExpertRouter`, and a memory of a word for each expert.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.expert_bits = (config.experts - 1).bit_length()
        super().__init__(
            {
                "bus": In(AxiLite()),
                "pressure": In(range(config.experts_chosen + 1)),
                "layer": In(layer_layout(config)),
                "start": In(1),
                "stop": In(1),
                "source": In(stream.Signature(Result)),
                "sink": Out(stream.Signature(Result)),
                "routed": Out(1),
                "busy": Out(1),
                "chosen": Out(config.experts),
                "look": In(1),
                "expert": In(self.expert_bits),
                "weight": Out(WEIGHT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.router = router = ExpertRouter(
            experts=config.experts, cells=config.experts_chosen, value_bits=SCORE_BITS, fraction=SCORE_FRACTION
        )
        wiring.connect(m, wiring.flipped(self.bus), router.s_axil)
        m.d.comb += router.pressure.eq(self.pressure)

        # A result is so many zeros, and a value behind them unless it is null; each is a score.
        result, score = self.source.payload, router.scores.payload
        passed = Signal(RUN_BITS)  # zeros of the result
        begun, ends_early = Signal(), Signal()  # a token's scores have been taken, but not its last; it ends without
        ends_result, taken = Signal(), Signal()
        zeros = Mux(result.null & result.gap.any(), result.gap - 1, result.gap)  # that are not the result's last score
        m.d.comb += [
            ends_result.eq(passed == zeros),
            score.value.eq(Mux(passed == result.gap, signed_value(result.value, self.layer), 0)),
            score.null.eq(result.null & ~result.gap.any()),
            score.last.eq(result.last & ends_result),
            taken.eq(router.scores.valid & router.scores.ready),
        ]
        with m.If(self.layer.gates):
            m.d.comb += [
                router.scores.valid.eq(self.source.valid),
                self.source.ready.eq(router.scores.ready & ends_result & ~ends_early),
            ]
        with m.Else():
            wiring.connect(m, wiring.flipped(self.source), wiring.flipped(self.sink))
        with m.If(ends_early):
            m.d.comb += [router.scores.valid.eq(1), score.null.eq(1), score.last.eq(1)]
        with m.If(taken):
            m.d.sync += [begun.eq(~score.last), passed.eq(Mux(ends_result | ends_early, 0, passed + 1)), ends_early.eq(0)]
        with m.If(self.stop):
            m.d.sync += [passed.eq(0), ends_early.eq(Mux(taken, ~score.last, begun))]

        # The pairs that come back.
        pair = router.pairs.payload
        weighing = Signal()
        m.submodules.weights = weights = Memory(shape=WEIGHT, depth=config.experts, init=[])
        write, read = weights.write_port(), weights.read_port()
        m.d.comb += [
            router.pairs.ready.eq(1),
            write.addr.eq(pair.index),
            write.data.eq(pair.weight),
            write.en.eq(router.pairs.valid & ~pair.null),
            read.addr.eq(self.expert),
            read.en.eq(self.look),
            self.weight.eq(read.data),
            self.busy.eq(begun | ends_early | weighing),
        ]
        with m.If(taken & score.last):
            m.d.sync += weighing.eq(1)
        with m.If(router.pairs.valid & pair.last):
            m.d.sync += weighing.eq(0)
        m.d.sync += self.routed.eq(router.pairs.valid & pair.last)
        with m.If(self.start & self.layer.gates):
            m.d.sync += self.chosen.eq(0)
        with m.Elif(write.en):
            m.d.sync += self.chosen.eq(self.chosen | (Const(1) << pair.index))
        return m
