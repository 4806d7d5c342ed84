"""Elements that were kept, told by their positions, become results again: what lies between them are zeros."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_RUN
from ..layouts import RUN_BITS, Result


def kept_layout(position_bits: int) -> data.StructLayout:
    """An element's coded byte and its position in its tensor, in (y, x, c) order.

    null: all elements before this position have passed, and so many as a tensor has where it ends with the word. last: ends the tensor.
    """
    return data.StructLayout({"value": 8, "position": position_bits, "null": 1, "last": 1})


class KeptResults(wiring.Component):
    """Sends each element that was kept as a result, with the zeros before it.

    position_bits: width of a position, which is counted modulo 2 ** position_bits: the next word must be less than that behind the one
        before, and behind a null word 1,023 less.

    Members:
        words: elements of one tensor after another, lower positions first. results: the same tensors.

    Throughput: one element a cycle, and one cycle more for each 1,023 zeros before an element. Latency: 1 cycle.
    """

    def __init__(self, position_bits: int) -> None:
        self.position_bits = position_bits
        super().__init__({"words": In(stream.Signature(kept_layout(position_bits))), "results": Out(stream.Signature(Result))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words, word, results, result = self.words, self.words.payload, self.results, self.results.payload
        told = Signal(self.position_bits)  # elements that results have told of
        passed, tells = Signal(self.position_bits), Signal()  # elements since then; a result tells of them now
        gap, many = Signal(self.position_bits), Signal()
        value, null, last = Signal(8), Signal(), Signal()
        m.d.comb += [
            passed.eq(word.position - told),
            tells.eq(words.valid & (~word.null | word.last | passed[RUN_BITS:].any())),
            many.eq(gap[RUN_BITS:].any()),  # more than a result has room for: these go ahead
            words.ready.eq(~results.valid | (results.ready & ~many)),
            result.gap.eq(Mux(many, MAX_RUN, gap)),
            result.value.eq(value),
            result.null.eq(null | many),
            result.last.eq(last & ~many),
        ]
        with m.If(words.ready):
            m.d.sync += [results.valid.eq(tells), gap.eq(passed), value.eq(word.value), null.eq(word.null), last.eq(word.last)]
            with m.If(tells):
                m.d.sync += told.eq(Mux(word.last, 0, word.position + ~word.null))
        with m.Elif(results.ready):
            m.d.sync += gap.eq(gap - MAX_RUN)
        return m
