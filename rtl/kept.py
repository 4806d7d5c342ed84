"""Elements that were kept, told by their positions, become results again: what lies between them are zeros."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import MAX_RUN, Config
from .layouts import RUN_BITS, Result


def kept_layout(config: Config) -> data.StructLayout:
    """An element's coded byte and its position in its tensor, in (y, x, c) order.

    null: it has lost; a null word that ends a tensor has the number of all elements as its position. last: ends the tensor.
    """
    return data.StructLayout({"value": 8, "position": config.element_bits, "null": 1, "last": 1})


class KeptResults(wiring.Component):
    """Sends each element that was kept as a result, with the zeros before it.

    Members:
        words: elements of one tensor after another, lower positions first. results: the same tensors.

    Throughput: one element a cycle, and one cycle more for each 1,023 zeros before an element. Latency: 1 cycle.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"words": In(stream.Signature(kept_layout(config))), "results": Out(stream.Signature(Result))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words, word, results, result = self.words, self.words.payload, self.results, self.results.payload
        told = Signal(self.config.element_bits)  # elements that results have told of
        gap, many = Signal(self.config.element_bits), Signal()
        value, null, last = Signal(8), Signal(), Signal()
        m.d.comb += [
            many.eq(gap[RUN_BITS:].any()),  # more than a result has room for: these go ahead
            words.ready.eq(~results.valid | (results.ready & ~many)),
            result.gap.eq(Mux(many, MAX_RUN, gap)),
            result.value.eq(value),
            result.null.eq(null | many),
            result.last.eq(last & ~many),
        ]
        with m.If(words.ready):
            m.d.sync += [
                results.valid.eq(words.valid & (~word.null | word.last)),
                gap.eq(word.position - told),
                value.eq(word.value),
                null.eq(word.null),
                last.eq(word.last),
            ]
            with m.If(words.valid & (~word.null | word.last)):
                m.d.sync += told.eq(Mux(word.last, 0, word.position + 1))
        with m.Elif(results.ready):
            m.d.sync += gap.eq(gap - MAX_RUN)
        return m
