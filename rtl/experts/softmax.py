"""Softmax over the scores that Top-K has chosen, in fixed point, without a multiplier."""

from math import log1p

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data

from .ratio import MAX_FRACTION, Holder, Normaliser, Ratio

EXP_FRACTION = MAX_FRACTION  # of exponentials and of their arguments
EXP_FACTORS = 20  # (1 - 2 ** -i) for i = 1 ... 20
EXP_END = 16  # from here on, exponentials are 0
STEPS = [round(-log1p(-(2.0**-i)) * 2**EXP_FRACTION) for i in range(1, EXP_FACTORS + 1)]


class Softmax(Normaliser):
    """Softmax over each tensor's scores, which come in falling order, as from `StreamingTopK`.

    exp(score - largest) is a product of factors (1 - 2 ** -i): while the distance to the largest is at least -log of such a factor, it
    is lowered by that, and the exponential by its 2 ** i-th part. Then each exponential is divided by their sum.

    Parameters:
        cells: 1 to 64 scores at most; those behind them have no weight. value_bits, signed, index_bits: as of `StreamingTopK`.
        fraction: 0 to 24 fractional bits of a score.
    Members:
        scores: of each tensor. weights: of each score, in the same order, in units of 2 ** -15; of none, one null word tells.

    Error: at most 2 ** -15 against real numbers, for up to 16 scores.
    Throughput: scores are taken in at most 62 cycles each, the largest in 2; then a weight comes every 20 cycles.
    Cost: two subtractors of 28 bits and one of some 30, cells words of memory.
    Source: T. C. Chen, "Automatic computation of exponentials, logarithms, ratios and square roots", IBM J. Res. Dev. 16, 1972.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = data.StructLayout({"exponential": EXP_FRACTION + 1, "index": self.index_bits})
        m.submodules.holder = holder = Holder(held, self.cells)
        total = Signal(EXP_FRACTION + 1 + self.cells.bit_length())
        m.submodules.ratio = ratio = Ratio(len(total), self.index_bits)
        score = self.scores.payload

        largest = Signal(self.value)
        distance = Signal(self.value.width)
        remaining = Signal(EXP_FRACTION + (EXP_END - 1).bit_length())
        exponential = Signal(EXP_FRACTION + 1)
        factor = Signal(range(EXP_FACTORS))
        step = Signal(EXP_FRACTION)
        index = Signal(self.index_bits)
        ends = Signal()  # the tensor, with this score
        m.d.comb += [
            distance.eq(Mux(holder.count.any(), largest - score.value, 0)),
            step.eq(Array(STEPS)[factor]),
            holder.word.exponential.eq(exponential),
            holder.word.index.eq(index),
        ]
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.scores.ready.eq(~holder.sending)
                m.d.sync += [
                    index.eq(score.index),
                    ends.eq(score.last),
                    remaining.eq(distance << (EXP_FRACTION - self.fraction)),
                    exponential.eq(1 << EXP_FRACTION),
                    factor.eq(0),
                ]
                with m.If((distance >> self.fraction) >= EXP_END):
                    m.d.sync += [remaining.eq(0), exponential.eq(0)]
                with m.If(~holder.count.any()):
                    m.d.sync += [largest.eq(score.value), total.eq(0)]
                with m.If(self.scores.valid & self.scores.ready):
                    with m.If(~score.null & (holder.count < self.cells)):
                        m.next = "EXPONENTIAL"
                    with m.Else():
                        m.d.comb += holder.send.eq(score.last)
            with m.State("EXPONENTIAL"):
                with m.If(remaining >= step):
                    m.d.sync += [remaining.eq(remaining - step), exponential.eq(exponential - (exponential >> (factor + 1)))]
                with m.Elif(remaining.any() & (factor != EXP_FACTORS - 1)):
                    m.d.sync += factor.eq(factor + 1)
                with m.Else():
                    m.d.comb += [holder.store.eq(1), holder.send.eq(ends)]
                    m.d.sync += total.eq(total + exponential)
                    m.next = "TAKE"

        self._weigh(m, holder, ratio, holder.words.payload.word.exponential, total)
        return m
