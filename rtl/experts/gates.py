"""Gates that only leave words out: scores above a threshold, and the first few weights."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..topk.scores import WEIGHT, WEIGHT_FRACTION, WEIGHT_ONE, check_size, element_layout, value_shape, weight_layout, winner_layout


class ThresholdRelu(wiring.Component):
    """The scores above a threshold, with their indices; all others count as 0 and are left out.

    Parameters: value_bits, signed, index_bits: as of `StreamingTopK`.
    Members:
        threshold: as it is when an element is taken.
        scores: tensors. winners: of each; the last word comes with its last element, and is null if that is left out.
        too_long: an element is taken that has no index; it is left out.

    Throughput: one score a cycle. Latency: 1 cycle. Cost: a comparator and a counter.
    Source: K. Konda and others, "Zero-bias autoencoders and the benefits of co-adapting features", 2014; ONNX's ThresholdedRelu.
    """

    def __init__(self, *, value_bits: int = 8, signed: bool = True, index_bits: int = 8) -> None:
        self.value = value_shape(value_bits, signed=signed)
        self.index_bits = check_size("index_bits", index_bits, 1, 32)
        super().__init__(
            {
                "threshold": In(self.value),
                "scores": In(stream.Signature(element_layout(self.value))),
                "winners": Out(stream.Signature(winner_layout(self.value, self.index_bits))),
                "too_long": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        score, winner = self.scores.payload, self.winners.payload
        index = Signal(self.index_bits + 1)
        taken, keep = Signal(), Signal()
        m.d.comb += [
            self.scores.ready.eq(~self.winners.valid | self.winners.ready),
            taken.eq(self.scores.valid & self.scores.ready),
            keep.eq(~score.null & ~index[-1] & (score.value > self.threshold)),
            self.too_long.eq(taken & ~score.null & index[-1]),
        ]
        with m.If(self.winners.ready):
            m.d.sync += self.winners.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.winners.valid.eq(keep | score.last),
                winner.value.eq(score.value),
                winner.index.eq(index),
                winner.null.eq(~keep),
                winner.last.eq(score.last),
                index.eq(Mux(score.last, 0, index + (~score.null & ~index[-1]))),
            ]
        return m


class AdaptiveK(wiring.Component):
    """The first weights of each tensor, which come in falling order: as few as reach a share, of those near enough to the largest.

    Weights are kept while those before them sum to less than `share`, and while they are at least `relative` times the first one. At
    the first that is not kept the tensor ends, but for k_min.

    Parameters: cells: 1 to 64, the most that k_min and k_max can be. index_bits: as of `StreamingTopK`.
    Members, of which the first four are steady while a tensor comes:
        share, relative: in units of 2 ** -15. A share over the sum of all, or a relative of 0, leaves the choice to the other rule;
            a relative over 1 counts as 1.
        k_min: so many are kept at least, if there are as many. k_max: at most, also where k_min is more.
        weights: of each tensor. kept: the same words; the last one comes with the tensor's last, and is null if that is not kept.

    Throughput: one weight a cycle. Latency: 1 cycle. Cost: one multiplier of 16 x 16 bits.
    Source: Q. Huang and others, "Harder tasks need more experts", ACL 2024 (share); M. Nguyen and others, "Turning up the heat: min-p
        sampling", 2024 (relative).
    """

    def __init__(self, *, cells: int = 8, index_bits: int = 8) -> None:
        self.cells = check_size("cells", cells, 1, 64)
        weights = stream.Signature(weight_layout(check_size("index_bits", index_bits, 1, 32)))
        super().__init__(
            {
                "share": In(WEIGHT),
                "relative": In(WEIGHT),
                "k_min": In(range(self.cells + 1)),
                "k_max": In(range(self.cells + 1)),
                "weights": In(weights),
                "kept": Out(weights),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weight, kept = self.weights.payload, self.kept.payload
        count = Signal.like(self.k_max)
        total = Signal(WEIGHT.width + len(count))
        bound = Signal(2 * WEIGHT.width)  # relative times the largest
        ended = Signal()  # a weight has not been kept
        taken, near, keep = Signal(), Signal(), Signal()
        m.d.comb += [
            self.weights.ready.eq(~self.kept.valid | self.kept.ready),
            taken.eq(self.weights.valid & self.weights.ready),
            near.eq(~count.any() | ((weight.weight << WEIGHT_FRACTION) >= bound)),
            keep.eq(~weight.null & ~ended & (count < self.k_max) & ((count < self.k_min) | ((total < self.share) & near))),
        ]
        with m.If(self.kept.ready):
            m.d.sync += self.kept.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.kept.valid.eq(keep | weight.last),
                kept.eq(weight),
                kept.null.eq(~keep),
                ended.eq(ended | (~weight.null & ~keep)),
            ]
            with m.If(keep):
                m.d.sync += [count.eq(count + 1), total.eq(total + weight.weight)]
                with m.If(~count.any()):
                    m.d.sync += bound.eq(weight.weight * Mux(self.relative > WEIGHT_ONE, WEIGHT_ONE, self.relative))
            with m.If(weight.last):
                m.d.sync += [count.eq(0), total.eq(0), ended.eq(0)]
        return m
