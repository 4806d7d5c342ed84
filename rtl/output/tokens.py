"""From requantised outputs to tokens: zeros that the drain left out and zeros that requantisation made become one run."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT
from ..layouts import RUN_BITS, Result, Token


class TokenBuilder(wiring.Component):
    """Adds up zeros and sends a token for each nonzero value, for each longest run, and for the zeros at the tensor's end.

    Members:
        k: parameter of the code that the tokens are for, 0...7; its longest run is 8 * 2 ** k - 1. Steady while a tensor passes.
        results: of one tensor after another; its last one carries `last`.
        tokens: the same tensor; its last one carries `last`.

    registered: tokens come from registers.

    Throughput: one result a cycle, and one cycle more for each longest run. Latency: 1 cycle, 2 where it is registered.
    """

    k: In(3)
    results: In(stream.Signature(Result))
    tokens: Out(stream.Signature(Token))

    def __init__(self, *, registered: bool = True) -> None:
        self.registered = registered
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = self.results.payload
        token = self.tokens.payload
        some = Signal()  # a value that is not zero is at the port
        longest = Signal(RUN_BITS + 1)  # a power of two less one
        too_long = Signal()
        go = ~self.tokens.valid | self.tokens.ready
        m.d.sync += longest.eq((Const(MAX_QUOTIENT + 1, RUN_BITS + 1) << self.k) - 1)
        m.d.comb += [
            some.eq(result.value.any() & ~result.null),
            self.results.ready.eq(go & ~too_long),
        ]

        # First stage: add up zeros that no token has told of, with those of the latest result.
        zeros = Signal(RUN_BITS + 1)
        value = Signal(8)  # of that result, behind the zeros
        last = Signal()
        ends = Signal()  # a token tells of them, even if they are few
        with m.If(go & too_long):
            m.d.sync += zeros.eq(zeros - longest)
        with m.Elif(go):
            before = Mux(ends, 0, zeros)
            m.d.sync += [
                zeros.eq(before + Mux(self.results.valid, result.gap + ~(some | result.null), 0)),
                value.eq(Mux(some, result.value, 0)),
                last.eq(result.last),
                ends.eq(self.results.valid & (some | result.last)),
            ]

        # Second stage: the token.
        m.d.comb += too_long.eq((zeros & ~longest).any())
        told = [
            self.tokens.valid.eq(too_long | ends),
            token.run.eq(Mux(too_long, longest, zeros)),
            token.value.eq(Mux(too_long, 0, value)),
            token.last.eq(last & ~too_long),
        ]
        if self.registered:
            with m.If(go):
                m.d.sync += told
        else:
            m.d.comb += told
        return m
