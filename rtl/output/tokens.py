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

    Throughput: `survivors` results a cycle, and one cycle more for each longest run. Latency: 1 cycle, and one more where
    it is registered; two more if there are two.
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
        zeros, tail = Signal(RUN_BITS + self.survivors), Signal(RUN_BITS + 1)
        value, tail_value = Signal(8), Signal(8)
        last, tail_last = Signal(), Signal()
        ends, tail_ends = Signal(), Signal()  # a token tells of them, even if they are few
        longest = Signal.like(zeros)  # a power of two less one
        too_long, tail_too_long = Signal(), Signal()
        go, moves = Signal(), Signal()
        m.d.sync += longest.eq((Const(MAX_QUOTIENT + 1, RUN_BITS + 1) << self.k) - 1)
        m.d.comb += [
            too_long.eq((zeros & ~longest).any()),
            tail_too_long.eq(tail_ends & (tail & ~longest).any()),
            go.eq(~self.tokens.valid | self.tokens.ready),
            moves.eq(go & ~too_long & ~tail_too_long),
            self.results.ready.eq(moves),
        ]

        # What the results bring; of a pair it is put together in a stage of its own where tokens are registered.
        first = self.results.payload[0]
        second = self.results.payload[1] if pair else Result(Result.const({"null": 1}).as_value())
        some, first_zeros, first_value = self._parts(first)
        some_second, second_zeros, second_value = self._parts(second)
        brings = {
            "arrives": self.results.valid,
            "zeros": first_zeros + Mux(some, 0, second_zeros),
            "value": Mux(some, first_value, second_value),
            "last": first.last | (second.last & ~some),
            "ends": some | some_second | first.last | second.last,
            "tail": Mux(some, second_zeros, 0),
            "tail_value": second_value,
            "tail_last": second.last,
            "tail_ends": some & (some_second | second.last),
        }
        if pair and self.registered:
            joined = {name: Signal.like(Value.cast(item), name=f"joined_{name}") for name, item in brings.items()}
            with m.If(moves):
                m.d.sync += [joined[name].eq(item) for name, item in brings.items()]
            brings = joined

        # First stage: add up zeros. Those behind the latest value wait for the next one, if they do not end the tensor.
        with m.If(go & too_long):
            m.d.sync += zeros.eq(zeros - longest)
        with m.Elif(go & tail_too_long):
            m.d.sync += [zeros.eq(tail - longest), value.eq(tail_value), last.eq(tail_last), tail.eq(0), tail_ends.eq(0)]
        with m.Elif(go):
            m.d.sync += [
                zeros.eq(Mux(ends, Mux(tail_ends, 0, tail), zeros) + Mux(brings["arrives"], brings["zeros"], 0)),
                value.eq(brings["value"]),
                last.eq(brings["last"]),
                ends.eq(brings["arrives"] & brings["ends"]),
                tail.eq(brings["tail"]),
                tail_value.eq(brings["tail_value"]),
                tail_last.eq(brings["tail_last"]),
                tail_ends.eq(brings["arrives"] & brings["tail_ends"]),
            ]

        # Second stage: the tokens.
        told = [
            self.tokens.valid.eq(too_long | ends),
            tokens[0].run.eq(Mux(too_long, longest, zeros)),
            tokens[0].value.eq(Mux(too_long, 0, value)),
            tokens[0].last.eq(last & ~too_long),
        ]
        if pair:
            told += [
                tokens[1].run.eq(Mux(tail_ends & ~too_long, Mux(tail_too_long, longest, tail), 0)),
                tokens[1].value.eq(Mux(tail_ends & ~too_long & ~tail_too_long, tail_value, 0)),
                tokens[1].last.eq(tail_last & tail_ends & ~too_long & ~tail_too_long),
            ]
        if self.registered:
            with m.If(go):
                m.d.sync += told
        else:
            m.d.comb += told
        return m

    @staticmethod
    def _parts(result: data.View) -> tuple[Value, Value, Value]:
        """Whether a result has a value that is not zero, its zeros, and its value."""
        some = result.value.any() & ~result.null
        return some, result.gap + ~(some | result.null), Mux(some, result.value, 0)
