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
    left, the product has 22 to 24 digits, and is rounded to 24 with the three behind them as it moves on. Of a negative sum, the digits
    are its magnitude's. Where the point is one digit further, that one falls off last.

    A candidate is taken in the cycle after it was offered, so that the next one is looked for meanwhile.

    Throughput: a value in 5 cycles and one more for each two digits, 20 in most cases and 79 at most; a gap without a value in three.
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

        # The sum's magnitude: the digits that are left, the lowest two, and carries into them. A negative one is the complement and one.
        total, left = Signal(signed(32)), Signal(signed(32), reset_less=True)
        negative = left[-1]
        magnitude = left.as_unsigned() ^ negative.replicate(len(left))
        over, over_by_one = magnitude[MANTISSA_BITS + 1 :].any(), magnitude[MANTISSA_BITS]
        carry = Signal(reset_less=True)
        low_carry, high_carry, next_carry = Signal(), Signal(), Signal()
        digits = Cat(magnitude[0] ^ low_carry, magnitude[1] ^ high_carry)
        factors = Signal(2)  # the digits, where they are multiplied
        exhausted = Signal(reset_less=True)  # none are left; not known of the first ones

        # The product; the latest digits that fell off, the lowest first, and whether any before them was a one.
        product = Signal(MANTISSA_BITS, reset_less=True)
        fallen, sticky = Signal(3, reset_less=True), Signal(reset_less=True)
        first_sum, second_sum = Signal(MANTISSA_BITS + 1), Signal(MANTISSA_BITS + 1)
        first, rounded = Signal(reset_less=True), Signal(reset_less=True)  # nothing has been multiplied yet; the product is rounded
        up, increment = Signal(), Signal()  # what falls off rounds the sum, or the product, up; one is added to what stays of the product
        below = fallen[:2].any() | sticky
        m.d.comb += [
            total.eq(candidate.accumulator + bias),  # wraps as ONNX Runtime's int32 does
            low_carry.eq(carry),
            high_carry.eq(magnitude[0] & low_carry),
            next_carry.eq(magnitude[1] & high_carry),
            factors.eq(digits),
            first_sum.eq(product + (Mux(factors[0], mantissa, 0) | increment)),
            second_sum.eq(first_sum[1:] + Mux(factors[1], mantissa, 0)),
        ]
        m.d.sync += [
            left.eq(left >> 2),
            carry.eq(next_carry),
            exhausted.eq(~(magnitude[2:].any() | next_carry)),
            product.eq(second_sum[1:]),
            fallen.eq(Cat(fallen[2], first_sum[0], second_sum[0])),
            sticky.eq(below),
            first.eq(first & over),
            rounded.eq(rounded | (exhausted & ~first)),
        ]
        with m.If(first & over):
            m.d.comb += factors.eq(0)
            m.d.sync += fallen[1:].eq(digits)
        with m.Elif(first):
            m.d.sync += [fallen[0].eq(0), sticky.eq(0)]
            with m.If(over_by_one):  # the lower digit falls off by itself
                m.d.comb += [
                    up.eq((magnitude[0] ^ carry) & (fallen.any() | sticky | magnitude[1])),
                    high_carry.eq((magnitude[0] & carry) | up),
                    factors[0].eq(0),
                ]
            with m.Else():
                m.d.comb += [up.eq(fallen[2] & (below | magnitude[0])), low_carry.eq(carry | up)]
        with m.Elif(exhausted & ~rounded):
            m.d.sync += fallen[0].eq(0)
            with m.If(product[-1]):
                m.d.comb += [up.eq(fallen[2] & (below | product[0])), increment.eq(up)]
                m.d.sync += sticky.eq(0)
            with m.Elif(product[-2]):
                m.d.comb += [up.eq(fallen[1] & (fallen[0] | sticky | fallen[2])), increment.eq(fallen[2] & up)]
                m.d.sync += sticky.eq(fallen[2] ^ up)
            with m.Else():
                m.d.comb += [up.eq(fallen[0] & (sticky | fallen[1])), increment.eq(fallen[1:].all() & up)]
                m.d.sync += sticky.eq((fallen[1:] + up)[:2].any())

        # The output: rounded to an integer, with its sign, and clamped.
        pairs = Signal(8, reset_less=True)  # that have fallen off, and half the exponent
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
        m.d.sync += pairs.eq(pairs + 1)
        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += looks_up.eq(1)
                with m.If(self.candidates.valid):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.candidates.ready.eq(1)
                m.d.sync += [left.eq(total), carry.eq(total < 0), product.eq(0), fallen.eq(0), sticky.eq(0), first.eq(1), rounded.eq(0)]
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
