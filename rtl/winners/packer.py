"""Results that come one or two a cycle, packed two by two, and into words of twice as many."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Result
from .rising_threshold import RANK_BITS


class RankedResult(data.Struct):
    """A result, and the rank of its value among those that win."""

    result: Result
    rank: RANK_BITS


class Packer(wiring.Component):
    """Joins results to arrays of which each is full, but for the one that ends the tensor.

    survivors: how long the arrays are, 1 or 2.

    Members:
        source: arrays whose second result, or both, may be none. sink: the same results.

    Throughput: an array a cycle; one more for the last result of a tensor, where it finds no place beside others. Latency: none, but that
        the second of two may come first, and wait.
    """

    def __init__(self, survivors: int) -> None:
        self.survivors = survivors
        results = stream.Signature(data.ArrayLayout(RankedResult, survivors))
        super().__init__({"source": In(results), "sink": Out(results)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        if self.survivors == 1:
            wiring.connect(m, wiring.flipped(source), wiring.flipped(sink))
            return m
        first, second = source.payload
        waits, waiting = Signal(), Signal(RankedResult, reset_less=True)  # the first one of an array
        some, two, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            some.eq(source.valid & ~first.result.is_none()),
            two.eq(source.valid & ~second.result.is_none()),
            ends.eq(waits & waiting.result.last),
            sink.valid.eq(ends | Mux(waits, some, two | (some & first.result.last))),
            sink.payload[0].eq(Mux(waits, waiting, first)),
            sink.payload[1].eq(Mux(waits, first, second)),
            source.ready.eq(~ends & (sink.ready | ~sink.valid)),
        ]
        with m.If(ends):
            m.d.comb += sink.payload[1].eq(RankedResult.const({"result": {"null": 1}}))
        with m.If(ends):
            m.d.sync += waits.eq(~sink.ready)
        with m.Elif(source.valid & source.ready):
            m.d.sync += waits.eq(Mux(waits, two | ~some, some & ~two & ~first.result.last))
            with m.If(~waits | two):
                m.d.sync += waiting.eq(Mux(waits, second, first))
        return m


class Doubler(wiring.Component):
    """Joins two arrays of results to one; the array that ends a tensor is filled up with none where there is no second one.

    survivors: how long the arrays of `source` are; those of `sink` are twice as long.

    Throughput: an array of `source` a cycle. Latency: none, but that the first of two waits for the second.
    """

    def __init__(self, survivors: int) -> None:
        self.survivors = survivors
        arrays = {name: data.ArrayLayout(RankedResult, length) for name, length in (("source", survivors), ("sink", 2 * survivors))}
        super().__init__({"source": In(stream.Signature(arrays["source"])), "sink": Out(stream.Signature(arrays["sink"]))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        waits, waiting = Signal(), Signal(source.payload.shape(), reset_less=True)  # the first of two arrays
        ends = Signal()  # what comes fills an array of the sink, or ends the tensor
        none = RankedResult.const({"result": {"null": 1}})
        m.d.comb += [
            ends.eq(waits | Cat(item.result.last for item in source.payload).any()),
            sink.valid.eq(source.valid & ends),
            source.ready.eq(sink.ready | ~ends),
        ]
        for place, item in enumerate(source.payload):
            m.d.comb += [
                sink.payload[place].eq(Mux(waits, waiting[place], item)),
                sink.payload[self.survivors + place].eq(Mux(waits, item, none)),
            ]
        with m.If(source.valid & source.ready):
            m.d.sync += waits.eq(~ends)
            with m.If(~waits):
                m.d.sync += waiting.eq(source.payload)
        return m
