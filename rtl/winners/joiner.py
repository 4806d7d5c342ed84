"""Winners leave, and losers between them: as zeros, which are joined with what is behind them."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_RUN
from ..layouts import Result


class Chosen(data.Struct):
    """A result, and whether it is a winner; if not, its value is a zero."""

    result: Result
    wins: 1


class Joiner(wiring.Component):
    """Sends arrays of results as arrays half as long.

    A loser is a zero, and is told of with the result behind it. Where so few are left that the sink takes them at once, an array leaves in
    one cycle, else in two, half by half. It takes two as well where a gap is so large that sums could find no room in one.

    survivors: how long the arrays of `sink` are, 1 or 2; those of `source` are twice as long.

    Members:
        source: those of one tensor after another; what is none is behind its end. sink: the same tensors, with zeros for losers.

    Throughput: an array of `source` a cycle, if of its results but the last fewer than `survivors` win or end the tensor, else half of
        one. Latency: none.
    """

    def __init__(self, survivors: int) -> None:
        self.survivors = survivors
        source, sink = data.ArrayLayout(Chosen, 2 * survivors), data.ArrayLayout(Result, survivors)
        super().__init__({"source": In(stream.Signature(source)), "sink": Out(stream.Signature(sink))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink, survivors = self.source, self.sink, self.survivors
        results = [item.result for item in source.payload]
        end = len(results) - 1
        alone = Cat(item.wins | item.result.last for item in source.payload)  # no result behind it can tell of it
        large = Cat(result.gap > MAX_RUN // len(results) for result in results).any()
        whole, second = Signal(), Signal()  # nothing of the array stays behind; its second half leaves
        m.d.comb += [sink.valid.eq(source.valid), source.ready.eq(sink.ready & whole)]
        with m.If(sink.valid & sink.ready):
            m.d.sync += second.eq(~whole)

        def send(*groups: tuple[int, int]) -> None:
            """Results from a place to another become one, for each of the sink."""
            for sent, (first, last) in zip(sink.payload, groups, strict=True):
                joined = sum((result.gap + ~result.null for result in results[first:last]), Const(0))
                m.d.comb += [sent.eq(results[last]), sent.gap.eq(joined + results[last].gap)]
                with m.If(~source.payload[last].wins):
                    m.d.comb += sent.value.eq(0)

        with m.If(second):
            m.d.comb += whole.eq(1)
            send(*((place, place) for place in range(survivors, end + 1)))
        if survivors == 1:
            with m.Elif(~large & ~alone[0]):
                m.d.comb += whole.eq(1)
                send((0, 1))
        else:
            for place in range(end):
                with m.Elif(~large & ~Cat(alone[other] for other in range(end) if other != place).any()):
                    m.d.comb += whole.eq(1)
                    send((0, place), (place + 1, end))
        with m.Else():
            m.d.comb += whole.eq(Cat(result.last for result in results[:survivors]).any())
            send(*((place, place) for place in range(survivors)))
        return m
