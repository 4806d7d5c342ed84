"""The skid buffer: cuts the path of `ready` through a stream."""

from amaranth.hdl import Module, Mux, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Passes a stream on at once, and keeps the one word that comes before its source sees that the sink is not ready.

    Members:
        source, sink: the stream before and behind it. `source.ready` comes from a register.
        held: a word is kept.

    Throughput: one word a cycle. Latency: none.
    """

    def __init__(self, shape: ShapeLike) -> None:
        self.shape = shape
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape)), "held": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = stream.Signature(self.shape).create().payload
        m.d.comb += [
            self.source.ready.eq(~self.held),
            self.sink.valid.eq(self.held | self.source.valid),
            self.sink.payload.eq(Mux(self.held, kept, self.source.payload)),
        ]
        m.d.sync += self.held.eq(self.sink.valid & ~self.sink.ready)
        with m.If(~self.held):
            m.d.sync += kept.eq(self.source.payload)
        return m
