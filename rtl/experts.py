"""Experts of a layer: a gate's results become scores, a router chooses, and what the chosen experts give is weighed."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .axi import AxiLite
from .config import Config
from .layouts import RUN_BITS, Result, last_positive, layer_layout
from .router import ExpertRouter
from .scores import WEIGHT, WEIGHT_FRACTION

SCORE_BITS = 9  # of y - zero_point
SCORE_FRACTION = 4  # of these, the bits behind the point


def _signed(byte: Value, layer: data.View) -> Value:
    """y - zero_point of an output's coded byte."""
    return Cat(byte, byte > last_positive(layer)).as_signed()


class ExpertChoice(wiring.Component):
    """Sends a gate's results to the router, and keeps which experts it chose, and their weights.

    Members:
        bus: the router's registers. pressure: as of `ExpertRouter`.
        layer: the gate, steady while its results come. start: it begins; until its scores are routed, no expert is chosen.
        abort: it ends early; so do its scores.
        results: of the gate.
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
                "abort": In(1),
                "results": In(stream.Signature(Result)),
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
        result, score = self.results.payload, router.scores.payload
        passed = Signal(RUN_BITS)  # zeros of the result
        begun, ends_early = Signal(), Signal()  # a token's scores have been taken, but not its last; it ends without
        ends_result, taken = Signal(), Signal()
        zeros = Mux(result.null & result.gap.any(), result.gap - 1, result.gap)  # that are not the result's last score
        m.d.comb += [
            ends_result.eq(passed == zeros),
            score.value.eq(Mux(passed == result.gap, _signed(result.value, self.layer), 0)),
            score.null.eq(result.null & ~result.gap.any()),
            score.last.eq(result.last & ends_result),
            router.scores.valid.eq(self.results.valid),
            self.results.ready.eq(router.scores.ready & ends_result & ~ends_early),
            taken.eq(router.scores.valid & router.scores.ready),
        ]
        with m.If(ends_early):
            m.d.comb += [router.scores.valid.eq(1), score.null.eq(1), score.last.eq(1)]
        with m.If(taken):
            m.d.sync += [begun.eq(~score.last), passed.eq(Mux(ends_result | ends_early, 0, passed + 1)), ends_early.eq(0)]
        with m.If(self.abort):
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
        with m.If(self.start):
            m.d.sync += self.chosen.eq(0)
        with m.Elif(write.en):
            m.d.sync += self.chosen.eq(self.chosen | (Const(1) << pair.index))
        return m


class Weigher(wiring.Component):
    """Multiplies each output of a layer with the weight of its expert: rne(value * weight / 2 ** 15).

    Members:
        start: begins the layer of `layer`, which is steady while anything is under way.
        source: the layer's results, in (y, x, c) order. sink: the same, weighed; a value that becomes zero is still a value.
        look, expert, weight: as of `ExpertChoice`.

    Throughput: one result a cycle, and a cycle more for each expert that a run of zeros goes beyond. Latency: 3 cycles.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "layer": In(layer_layout(config)),
                "source": In(stream.Signature(Result)),
                "sink": Out(stream.Signature(Result)),
                "look": Out(1),
                "expert": Out((config.experts - 1).bit_length()),
                "weight": In(WEIGHT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        m = Module()
        result, go = self.source.payload, self.look
        m.d.comb += go.eq(~self.sink.valid | self.sink.ready)

        # First stage: whose output it is. Zeros lead to it, beyond some experts perhaps.
        channels = Signal(range(config.channels + 1))  # of each expert
        left = Signal.like(channels)  # of the expert's outputs
        crossed, zeros_left = Signal(), Signal(RUN_BITS)  # zeros that end in an expert behind this one; how many they are there
        zeros = Mux(crossed, zeros_left, result.gap)
        crosses, is_last = Signal(), Signal()
        m.d.sync += channels.eq(layer.expert_groups * config.lanes)
        m.d.comb += [
            is_last.eq(self.expert == layer.experts - 1),
            crosses.eq(self.source.valid & (zeros >= left) & ~(result.null & result.last)),  # behind the last one nothing is weighed
            self.source.ready.eq(go & ~crosses),
        ]
        behind = left - zeros - ~result.null  # it, and the zeros
        with m.If(go & crosses):
            m.d.sync += [crossed.eq(1), zeros_left.eq(zeros - left), left.eq(channels), self.expert.eq(Mux(is_last, 0, self.expert + 1))]
        with m.Elif(go & self.source.valid):
            m.d.sync += [crossed.eq(0), left.eq(behind)]
        with m.If(self.start):
            m.d.sync += [crossed.eq(0), left.eq(channels), self.expert.eq(0)]

        # Second stage: its weight is there, and their product is made. Third stage: the product's nearest integer.
        stages = [Signal(data.StructLayout({"valid": 1, "result": Result}), name=name) for name in ("found", "multiplied")]
        found, multiplied = stages
        product = Signal(signed(SCORE_BITS + WEIGHT.width), reset_less=True)
        weighed = Signal(signed(SCORE_BITS))
        whole, half, rest = product[WEIGHT_FRACTION:], product[WEIGHT_FRACTION - 1], product[: WEIGHT_FRACTION - 1]
        m.d.comb += weighed.eq(whole + (half & (rest.any() | whole[0])))
        with m.If(go):
            m.d.sync += [
                found.valid.eq(self.source.valid & self.source.ready),
                found.result.eq(result),
                multiplied.eq(found),
                product.eq(_signed(found.result.value, layer) * self.weight),
                self.sink.valid.eq(multiplied.valid),
                self.sink.payload.eq(multiplied.result),
                self.sink.payload.value.eq(weighed[:8]),
            ]
        return m
