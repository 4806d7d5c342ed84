"""Sums as they are, for the host to add: each as four bytes, in place of the byte that is made of it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import Result, candidate_layout


class SumBytes(wiring.Component):
    """Makes four results of each candidate: its accumulator's bytes, the least significant one first, without a bias.

    Members:
        candidates: as of the drain; where the bounds are such that every accumulator is one, no gap stands before any.
        results: the bytes, one a cycle, in the first place; the last one of the tensor carries `last`.

    Throughput: a candidate in four cycles. Latency: none; 1 cycle where serial, as candidates come a long way there.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "candidates": In(stream.Signature(data.ArrayLayout(candidate_layout(config), config.survivors))),
                "results": Out(stream.Signature(data.ArrayLayout(Result, config.survivors))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        candidates, results = self.candidates, self.results
        m = Module()
        place, byte = Signal(range(self.config.survivors)), Signal(2)
        candidate, result = candidates.payload[place], results.payload[0]
        last_byte, last_place = Signal(), Signal()
        takes = Signal()
        told = [
            results.valid.eq(candidates.valid),
            result.gap.eq(candidate.gap),
            result.value.eq(candidate.accumulator.as_unsigned().word_select(byte, 8)),
            result.null.eq(candidate.null),
            result.last.eq(candidate.last & last_byte),
        ]
        if self.config.serial:
            m.d.comb += takes.eq(~results.valid | results.ready)
            with m.If(takes):
                m.d.sync += told
        else:
            m.d.comb += [takes.eq(results.ready), *told]
        m.d.comb += [
            last_byte.eq((byte == 3) | candidate.null),
            last_place.eq(place == self.config.survivors - 1),
            *(none.null.eq(1) for none in list(results.payload)[1:]),
            candidates.ready.eq(takes & last_byte & last_place),
        ]
        with m.If(candidates.valid & takes):
            m.d.sync += byte.eq(byte + 1)
            with m.If(last_byte):
                m.d.sync += [byte.eq(0), place.eq(place + ~last_place)]
                with m.If(last_place):
                    m.d.sync += place.eq(0)
        return m
