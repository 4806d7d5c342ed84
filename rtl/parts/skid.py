"""The skid buffer: cuts all paths through a stream."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config


class SkidBuffer(wiring.Component):
    """A queue of two words between registers: of what one side sees, nothing depends on the other side within a cycle.

    Members:
        source, sink: the stream before and behind it. All that it drives comes from registers.
        held: a word is in it.

    Throughput: one word a cycle. Latency: 1 cycle.
    """

    def __init__(self, shape: ShapeLike) -> None:
        self.shape = shape
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape)), "held": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
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
    """Connect streams by way of a skid buffer, which is emptied as `clears` says; where parts work serially no path is that long."""
    if config.serial:
        wiring.connect(m, source, sink)
        return
    m.submodules[f"skid_{name}"] = clears(skid := SkidBuffer(source.signature.members["payload"].shape))
    wiring.connect(m, source, skid.source)
    wiring.connect(m, skid.sink, sink)
