"""From requantised outputs to tokens: zeros that the drain left out and zeros that requantisation made become one run."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT
from ..layouts import RUN_BITS, Result, Token


class TokenBuilder(wiring.Component):
    """Adds up zeros and sends a token for each nonzero value, for each longest run, and for the zeros at the tensor's end.

    survivors: results that it takes, and tokens that it sends, in a cycle: 1 or 2. Those that are none are the last of them.
    registered: tokens come from registers.

    Members:
        k: parameter of the code that the tokens are for, 0...7; its longest run is 8 * 2 ** k - 1. Steady while a tensor passes.
        results: of one tensor after another; its last one carries `last`.
        tokens: the same tensor; its last one carries `last`.

    Throughput: `survivors` results a cycle, and one cycle more for each longest run. Latency: 1 cycle, 2 where it is registered.
    """

    def __init__(self, survivors: int = 1, *, registered: bool = True) -> None:
        self.survivors = survivors
        self.registered = registered
        super().__init__(
            {
                "k": In(3),
                "results": In(stream.Signature(data.ArrayLayout(Result, survivors))),
                "tokens": Out(stream.Signature(data.ArrayLayout(Token, survivors))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pair = self.survivors == 2
        tokens = self.tokens.payload
        # Zeros that no token has told of, and the value behind them; with a pair, those behind that value.
        zeros, tail = Signal(RUN_BITS + (2 if pair else 1)), Signal(RUN_BITS + 1)
        value, tail_value = Signal(8), Signal(8)
        last, tail_last = Signal(), Signal()
        ends, tail_ends = Signal(), Signal()  # a token tells of them, even if they are few
        longest = Signal.like(zeros)  # a power of two less one
        too_long, tail_too_long = Signal(), Signal()
        go = ~self.tokens.valid | self.tokens.ready
        m.d.sync += longest.eq((Const(MAX_QUOTIENT + 1, RUN_BITS + 1) << self.k) - 1)
        m.d.comb += [
            too_long.eq((zeros & ~longest).any()),
            tail_too_long.eq(tail_ends & (tail & ~longest).any()),
            self.results.ready.eq(go & ~too_long & ~tail_too_long),
        ]

        # First stage: add up zeros. Those behind the latest value wait for the next one, if they do not end the tensor.
        arrives, first = self.results.valid, self.results.payload[0]
        some = first.value.any() & ~first.null  # a value that is not zero
        new_zeros: Value = first.gap + ~(some | first.null)
        new_value, new_ends, new_last = Mux(some, first.value, 0), some | first.last, first.last
        if pair:
            second = self.results.payload[1]
            some_second = second.value.any() & ~second.null
            zeros_second, value_second = second.gap + ~(some_second | second.null), Mux(some_second, second.value, 0)
            new_zeros += Mux(some, 0, zeros_second)
            new_value = Mux(some, first.value, value_second)
            new_ends, new_last = new_ends | some_second | second.last, first.last | (second.last & ~some)
        with m.If(go & too_long):
            m.d.sync += zeros.eq(zeros - longest)
        with m.Elif(go & tail_too_long):
            m.d.sync += [zeros.eq(tail - longest), value.eq(tail_value), last.eq(tail_last), tail.eq(0), tail_ends.eq(0)]
        with m.Elif(go):
            before = Mux(ends, Mux(tail_ends, 0, tail), zeros)
            m.d.sync += [
                zeros.eq(before + Mux(arrives, new_zeros, 0)),
                value.eq(new_value),
                last.eq(new_last),
                ends.eq(arrives & new_ends),
            ]
            if pair:
                m.d.sync += [
                    tail.eq(Mux(some, zeros_second, 0)),
                    tail_value.eq(value_second),
                    tail_last.eq(second.last),
                    tail_ends.eq(arrives & some & (some_second | second.last)),
                ]

        # Second stage: the tokens.
        told = [
            self.tokens.valid.eq(too_long | ends),
            tokens[0].run.eq(Mux(too_long, longest, zeros)),
            tokens[0].value.eq(Mux(too_long, 0, value)),
            tokens[0].last.eq(last & ~too_long),
        ]
        if pair:
            tail_told = tail_ends & ~too_long
            told += [
                tokens[1].run.eq(Mux(tail_told, Mux(tail_too_long, longest, tail), 0)),
                tokens[1].value.eq(Mux(tail_told & ~tail_too_long, tail_value, 0)),
                tokens[1].last.eq(tail_last & tail_told & ~tail_too_long),
            ]
        if self.registered:
            with m.If(go):
                m.d.sync += told
        else:
            m.d.comb += told
        return m
