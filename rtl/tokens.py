"""From requantised outputs to tokens: zeros that the drain left out and zeros that requantisation made become one run."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import MAX_QUOTIENT
from .layouts import RUN_BITS, Result, Token


class TokenBuilder(wiring.Component):
    """Adds up zeros and sends a token for each nonzero value, for each longest run, and for the zeros at the tensor's end.

    Members:
        k: parameter of the code that the tokens are for, 0...7; its longest run is 8 * 2 ** k - 1. Steady while a tensor passes.
        results: of one tensor after another; its last one carries `last`.
        tokens: the same tensor; its last one carries `last`.

    Throughput: one result a cycle, and one cycle more for each longest run. Latency: 1 cycle.
    """

    k: In(3)
    results: In(stream.Signature(Result))
    tokens: Out(stream.Signature(Token))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = self.results.payload
        token = self.tokens.payload
        before = Signal(RUN_BITS + 1)  # zeros that no token has told of
        counted = Signal()  # the zeros of the result at the port are among them
        zeros = Signal(RUN_BITS + 1)
        longest = Signal(RUN_BITS)
        some, too_long = Signal(), Signal()
        go = ~self.tokens.valid | self.tokens.ready
        m.d.comb += [
            some.eq(result.value.any() & ~result.null),
            zeros.eq(before + Mux(counted, 0, result.gap + ~(some | result.null))),
            longest.eq((Const(MAX_QUOTIENT + 1, RUN_BITS + 1) << self.k) - 1),
            too_long.eq(zeros > longest),
            self.results.ready.eq(go & ~too_long),
        ]
        with m.If(go):
            m.d.sync += [
                self.tokens.valid.eq(self.results.valid & (too_long | some | result.last)),
                token.run.eq(Mux(too_long, longest, zeros)),
                token.value.eq(Mux(some & ~too_long, result.value, 0)),
                token.last.eq(result.last & ~too_long),
            ]
            with m.If(self.results.valid):
                m.d.sync += [
                    counted.eq(too_long),
                    before.eq(Mux(too_long, zeros - longest, Mux(some | result.last, 0, zeros))),
                ]
        return m
