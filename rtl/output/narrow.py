"""From two results or tokens a cycle to one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Result, Token


class Narrow(wiring.Component):
    """Passes on what stands in arrays one by one, for what takes one a cycle.

    shape: `Result` or `Token`. survivors: how long the arrays are, 1 or 2.

    Members:
        source: arrays. sink: the first of each, and the second if it is not none.

    Throughput: one result or token a cycle. Latency: none.
    """

    def __init__(self, shape: type[Result] | type[Token], survivors: int) -> None:
        self.shape = shape
        self.survivors = survivors
        super().__init__({"source": In(stream.Signature(data.ArrayLayout(shape, survivors))), "sink": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words, sink = self.source.payload, self.sink
        if self.survivors == 1:
            m.d.comb += [sink.payload.eq(words[0]), sink.valid.eq(self.source.valid), self.source.ready.eq(sink.ready)]
            return m
        first, second = words
        holds, held = Signal(), Signal(self.shape, reset_less=True)  # the second one, behind the first
        m.d.comb += [
            sink.valid.eq(holds | self.source.valid),
            sink.payload.eq(Mux(holds, held, first)),
            self.source.ready.eq(sink.ready & ~holds),
        ]
        with m.If(~holds):
            m.d.sync += held.eq(second)
        with m.If(sink.ready):
            m.d.sync += holds.eq(self.source.valid & ~holds & ~second.is_none())
        return m
