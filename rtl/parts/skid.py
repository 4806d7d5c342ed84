"""The skid buffer: cuts all paths through a stream."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config


class SkidBuffer(wiring.Component):
    """A queue between a stream's sides: that one side is not ready gets to the other in a later cycle.

    registered: all that it drives comes from registers, and it holds two words. Otherwise a word passes while it is empty, and it holds
        one, which the sink has not taken.

    Members:
        source, sink: the stream before and behind it.
        held: a word is in it.

    Throughput: one word a cycle. Latency: 1 cycle where it is registered, otherwise none.
    """

    def __init__(self, shape: ShapeLike, *, registered: bool = True) -> None:
        self.shape = shape
        self.registered = registered
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape)), "held": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self.registered:
            kept = Signal(self.shape, reset_less=True)
            m.d.comb += [
                self.source.ready.eq(~self.held),
                self.sink.valid.eq(self.held | self.source.valid),
                self.sink.payload.eq(Mux(self.held, kept, self.source.payload)),
            ]
            m.d.sync += self.held.eq(self.sink.valid & ~self.sink.ready)
            with m.If(~self.held):
                m.d.sync += kept.eq(self.source.payload)
            return m
        first, second = Signal(self.shape, reset_less=True), Signal(self.shape, reset_less=True)
        waits = Signal()  # the second word, behind the one that the sink is offered
        m.d.comb += [self.source.ready.eq(~waits), self.held.eq(self.sink.valid), self.sink.payload.eq(first)]
        with m.If(~waits):
            m.d.sync += second.eq(self.source.payload)
        moves = ~self.sink.valid | self.sink.ready
        m.d.sync += waits.eq(~moves & (waits | self.source.valid))
        with m.If(moves):
            m.d.sync += [self.sink.valid.eq(waits | self.source.valid), first.eq(Mux(waits, second, self.source.payload))]
        return m


def buffered(
    m: Module, config: Config, clears: Callable[..., object], source: wiring.PureInterface, sink: wiring.PureInterface, name: str
) -> None:
    """Connect streams by way of a skid buffer, which is emptied as `clears` says; where parts work serially no path is that long.

    It is registered where rows are spread.
    """
    if config.serial:
        wiring.connect(m, source, sink)
        return
    m.submodules[f"skid_{name}"] = clears(skid := SkidBuffer(source.signature.members["payload"].shape, registered=config.spread))
    wiring.connect(m, source, skid.source)
    wiring.connect(m, skid.sink, sink)
