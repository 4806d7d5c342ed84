"""Requantisation for small FPGAs: two binary digits a cycle, without a multiplier."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring

from ..config import Config
from ..layouts import Result
from .requantise import EXPONENT_BIAS, MANTISSA_BITS, channel_parameters, requantiser_signature

WHOLE_BITS = 8  # of an output's magnitude; from 2 ** 8 up the clamp decides
PAIRS = (EXPONENT_BIAS + MANTISSA_BITS - 1) // 2  # half the exponent of a scale that is an integer


class SerialRequantiser(wiring.Component):
    """Does what `Requantiser` does, with the same members, one value at a time.

    Everything moves to the right by two binary digits a cycle, until the point is reached. While the sum of bias and accumulator has
    digits over 24, its lowest two fall off, with rounding. Then they are multiplied, and two of the product fall off. When none are
    left, the product has 22 to 24 digits, and is rounded to 24 with the three behind them before it moves on. Of a negative sum, the digits
    are its magnitude's. Where the point is one digit further, that one falls off last.

    A candidate is taken in the cycle after it was offered, so that the next one is looked for meanwhile.

    Throughput: a value in 7 cycles and one more for each two digits, 22 in most cases and 81 at most; a gap without a value in three.
    Cost: an adder of 32 and two of 24 bits, channels x 64 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(requantiser_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        candidate, result = self.candidates.payload, self.results.payload
        bias, scale = channel_parameters(m, config, self.store, candidate.channel, looks_up := Signal())
        mantissa, exponent = Cat(scale[: MANTISSA_BITS - 1], Const(1, 1)), scale[MANTISSA_BITS - 1 : -1]
        odd = exponent[0]  # the point is one digit further

        # The sum's magnitude: the digits that are left, of which the lowest two are taken. A negative one is the complement and one more.
        total, left = Signal(signed(32)), Signal(signed(32), reset_less=True)
        negative = left[-1]
        magnitude = left.as_unsigned() ^ negative.replicate(len(left))
        over, over_by_one = magnitude[MANTISSA_BITS + 1 :].any(), magnitude[MANTISSA_BITS]
        first = Signal(reset_less=True)  # the sum is rounded to 24 digits; nothing is multiplied
        by_one, up = Signal(reset_less=True), Signal(reset_less=True)  # the lower digit falls off by itself, and rounds the upper one up
        carry, high_carry, next_carry = Signal(reset_less=True), Signal(), Signal()
        digits = Cat(magnitude[0] ^ carry, magnitude[1] ^ high_carry)
        exhausted = Signal(reset_less=True)  # no digits are left

        # The product; the latest digits that fell off, the lowest first, and whether any before them was a one.
        product = Signal(MANTISSA_BITS, reset_less=True)
        fallen, sticky = Signal(3, reset_less=True), Signal(reset_less=True)
        first_sum, second_sum = Signal(MANTISSA_BITS + 1), Signal(MANTISSA_BITS + 1)
        rounded = Signal(reset_less=True)
        rounds_up = Signal()  # what has fallen off rounds the product up
        increment = Signal(reset_less=True)  # one is added to what stays of it
        below = fallen[:2].any() | sticky
        m.d.comb += [
            total.eq(candidate.accumulator + bias),  # wraps as ONNX Runtime's int32 does
            high_carry.eq((magnitude[0] & carry) | up),
            next_carry.eq(magnitude[1] & high_carry),
            first_sum.eq(product + (Mux(digits[0] & ~by_one, mantissa, 0) | increment)),
            second_sum.eq(first_sum[1:] + Mux(digits[1], mantissa, 0)),
        ]
        pairs = Signal(8, reset_less=True)  # that have fallen off, and half the exponent
        with m.If(~first | over):
            m.d.sync += [left.eq(left >> 2), carry.eq(next_carry), pairs.eq(pairs + 1)]
        m.d.sync += [
            exhausted.eq(~(magnitude[2:].any() | Mux(first, magnitude[:2].any() | carry, next_carry))),
            product.eq(second_sum[1:]),
            fallen.eq(Cat(fallen[2], first_sum[0], second_sum[0])),
            sticky.eq(below),
            rounded.eq(exhausted),
            by_one.eq(0),
            up.eq(0),
            increment.eq(0),
        ]
        with m.If(first):
            m.d.sync += [product.eq(0), fallen.eq(Cat(fallen[2], digits)), first.eq(over), rounded.eq(0)]
            with m.If(~over):
                m.d.sync += [fallen.eq(0), sticky.eq(0), by_one.eq(over_by_one)]
                with m.If(over_by_one):
                    m.d.sync += up.eq(digits[0] & (fallen.any() | sticky | magnitude[1]))
                with m.Else():
                    m.d.sync += carry.eq(carry | (fallen[2] & (below | magnitude[0])))
        with m.Elif(exhausted & ~rounded):
            m.d.sync += [product.eq(product), fallen.eq(0), pairs.eq(pairs)]
            with m.If(product[-1]):
                m.d.comb += rounds_up.eq(fallen[2] & (below | product[0]))
                m.d.sync += [sticky.eq(0), increment.eq(rounds_up)]
            with m.Elif(product[-2]):
                m.d.comb += rounds_up.eq(fallen[1] & (fallen[0] | sticky | fallen[2]))
                m.d.sync += [sticky.eq(fallen[2] ^ rounds_up), increment.eq(fallen[2] & rounds_up)]
            with m.Else():
                m.d.comb += rounds_up.eq(fallen[0] & (sticky | fallen[1]))
                m.d.sync += [sticky.eq((fallen[1:] + rounds_up)[:2].any()), increment.eq(fallen[1:].all() & rounds_up)]

        # The output: rounded to an integer, with its sign, and clamped.
        at_point, large, whole, round_up = Signal(), Signal(), Signal(WHOLE_BITS), Signal()
        integer, value = Signal(signed(WHOLE_BITS + 2)), Signal(signed(WHOLE_BITS + 2), reset_less=True)
        least, most, threshold = self.layer.low, self.layer.high, self.layer.threshold
        taken = Signal(Result, reset_less=True)
        m.d.comb += [
            at_point.eq(~first & ((pairs >= PAIRS) | (odd & (pairs == PAIRS - 1)))),
            large.eq(~exhausted | product[WHOLE_BITS + 1 :].any() | (product[WHOLE_BITS] & ~odd)),
            whole.eq(Mux(large, -1, Mux(odd, product[1:], product))),
            round_up.eq(~large & Mux(odd, product[0] & (fallen[2] | below | whole[0]), fallen[2] & (below | whole[0]))),
            integer.eq(Cat(whole ^ negative.replicate(WHOLE_BITS), negative).as_signed() + (round_up ^ negative)),  # -n is ~n + 1
        ]
        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += looks_up.eq(1)
                with m.If(self.candidates.valid):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.candidates.ready.eq(1)
                m.d.sync += [left.eq(total), carry.eq(total < 0), fallen.eq(0), sticky.eq(0), first.eq(1)]
                m.d.sync += [pairs.eq(exponent[1:]), *(taken[name].eq(candidate[name]) for name in ("gap", "null", "last"))]
                m.next = "MOVE"
                with m.If(candidate.null):
                    m.next = "SEND"
            with m.State("MOVE"):
                m.d.sync += value.eq(integer)
                with m.If(at_point):
                    m.next = "CLAMP"
            with m.State("CLAMP"):
                m.d.sync += value.eq(Mux(value < least, least, Mux(value > most, most, value)))
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.next = "WAIT"
        m.d.comb += [
            result.eq(taken),
            result.value.eq(Mux((value < threshold) & (value + threshold > 0), 0, value[:8])),
        ]
        return m
