"""Sparsemax: weights that sum to 1, of which the lower ones are exactly 0."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream

from .ratio import Holder, Normaliser, Ratio


class Sparsemax(Normaliser):
    """Sparsemax over each tensor's scores, which come in falling order, as from `StreamingTopK`.

    A score belongs to the support while count times its distance to the largest one is less than 1 + the sum of the distances before
    it. At the first that does not the search ends, and the rest is passed over. Then a score's weight is 1 + the sum of all distances
    in the support - count times its own, over count.

    Parameters:
        cells: 1 to 64, the largest support; scores behind them have no weight. value_bits, signed, index_bits: as of `StreamingTopK`.
        fraction: 0 to 24 fractional bits of a score.
    Members:
        scores: of each tensor. weights: of the support, in the same order, in units of 2 ** -15; of none, one null word tells.

    Error: none, but for rounding to the nearest weight.
    Throughput: one score a cycle; then a weight comes every 20 cycles.
    Cost: one multiplier of (fraction + 1) bits and the bits of cells, cells words of memory.
    Source: A. Martins and R. Astudillo, "From softmax to sparsemax", ICML 2016, algorithm 1.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        one = 1 << self.fraction
        held = data.StructLayout({"distance": max(1, self.fraction), "index": self.index_bits})
        m.submodules.holder = holder = Holder(held, self.cells)
        bits = (self.cells * one).bit_length()  # of one + the sum of distances, each of which is less than one
        m.submodules.ratio = ratio = Ratio(bits, self.index_bits)
        score, count = self.scores.payload, holder.count

        # First, how far a score is from the largest; in the cycle after that, whether it belongs to the support.
        begun = Signal()  # the largest is known
        largest = Signal(self.value)
        taken = Signal()
        came = stream.Signature(score.shape()).create()
        distance = Signal(self.value.width)
        m.d.comb += [
            self.scores.ready.eq(~holder.sending & ~(came.valid & came.payload.last)),
            taken.eq(self.scores.valid & self.scores.ready),
        ]
        m.d.sync += [
            came.valid.eq(taken),
            came.payload.eq(score),
            distance.eq(Mux(begun, largest - score.value, 0)),
        ]
        with m.If(taken):
            m.d.sync += begun.eq(~score.last & (begun | ~score.null))
            with m.If(~begun):
                m.d.sync += largest.eq(score.value)

        ended = Signal()  # a score does not belong to it
        reach = Signal(bits, init=one)  # one + the sum of distances
        words = holder.words
        product = Signal(bits)
        m.d.comb += [
            product.eq(count * Mux(holder.sending, words.payload.word.distance, distance[: max(1, self.fraction)])),
            holder.word.distance.eq(distance),
            holder.word.index.eq(came.payload.index),
            holder.send.eq(came.valid & came.payload.last),
        ]
        with m.If(came.valid):
            m.d.sync += ended.eq(~came.payload.last & (ended | (~came.payload.null & ~holder.store)))
            with m.If(~came.payload.null & ~ended & (count < self.cells) & (distance < one) & (product < reach)):
                m.d.comb += holder.store.eq(1)
                m.d.sync += reach.eq(reach + distance)
        with m.If(words.valid & words.ready & words.payload.last):
            m.d.sync += reach.eq(one)

        self._weigh(m, holder, ratio, reach - product, count << self.fraction)
        return m
