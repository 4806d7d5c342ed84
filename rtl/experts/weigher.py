"""The expert weigher: what the chosen experts give is multiplied with their weights."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import RUN_BITS, Result
from ..topk.scores import WEIGHT, WEIGHT_FRACTION
from .gate import SCORE_BITS, signed_value


class ExpertWeigher(wiring.Component):
    """Multiplies each output of experts with the weight of its expert, rne(value * weight / 2 ** 15); those of other layers pass.

    Members:
        start: begins the layer of `layer`, which is steady while anything is under way.
        source: the layer's results, in (y, x, c) order. sink: the same, weighed; a value that becomes zero is still a value.
        look, expert, weight: as of `ExpertGate`.

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
        go = self.look
        source, weighed = (stream.Signature(Result).create(path=(name,)) for name in ("unweighed", "weighed"))
        with m.If(layer.routed):
            wiring.connect(m, wiring.flipped(self.source), wiring.flipped(source))
            wiring.connect(m, weighed, wiring.flipped(self.sink))
        with m.Else():
            wiring.connect(m, wiring.flipped(self.source), wiring.flipped(self.sink))
        result = source.payload
        m.d.comb += go.eq(~weighed.valid | weighed.ready)

        # First stage: whose output it is. Zeros lead to it, beyond some experts perhaps.
        channels = Signal(range(config.channels + 1))  # of each expert
        left = Signal.like(channels)  # of the expert's outputs
        crossed, zeros_left = Signal(), Signal(RUN_BITS)  # zeros that end in an expert behind this one; how many they are there
        zeros = Mux(crossed, zeros_left, result.gap)
        crosses, is_last = Signal(), Signal()
        m.d.sync += channels.eq(layer.expert_groups * config.lanes)
        m.d.comb += [
            is_last.eq(self.expert == layer.experts - 1),
            crosses.eq(source.valid & (zeros >= left) & ~(result.null & result.last)),  # behind the last one nothing is weighed
            source.ready.eq(go & ~crosses),
        ]
        with m.If(go & crosses):
            m.d.sync += [crossed.eq(1), zeros_left.eq(zeros - left), left.eq(channels), self.expert.eq(Mux(is_last, 0, self.expert + 1))]
        with m.Elif(go & source.valid):
            m.d.sync += [crossed.eq(0), left.eq(left - zeros - ~result.null)]
        with m.If(self.start):
            m.d.sync += [crossed.eq(0), left.eq(channels), self.expert.eq(0)]

        # Second stage: its weight is there, and their product is made. Third stage: the product's nearest integer.
        stages = [Signal(data.StructLayout({"valid": 1, "result": Result}), name=name) for name in ("found", "multiplied")]
        found, multiplied = stages
        product = Signal(signed(SCORE_BITS + WEIGHT.width), reset_less=True)
        rounded = Signal(signed(SCORE_BITS))
        whole, half, rest = product[WEIGHT_FRACTION:], product[WEIGHT_FRACTION - 1], product[: WEIGHT_FRACTION - 1]
        m.d.comb += rounded.eq(whole + (half & (rest.any() | whole[0])))
        with m.If(go):
            m.d.sync += [
                found.valid.eq(source.valid & source.ready),
                found.result.eq(result),
                multiplied.eq(found),
                product.eq(signed_value(found.result.value, layer) * self.weight),
                weighed.valid.eq(multiplied.valid),
                weighed.payload.eq(multiplied.result),
                weighed.payload.value.eq(rounded[:8]),
            ]
        return m
