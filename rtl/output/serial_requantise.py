"""Requantisation for small FPGAs: bit by bit, without a multiplier."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring

from ..config import Config
from .requantise import EXPONENT_BIAS, MANTISSA_BITS, channel_parameters, requantiser_signature

WHOLE_BITS = 8  # of an output's magnitude; from 2 ** 8 up the clamp decides


class SerialRequantiser(wiring.Component):
    """Does what `Requantiser` does, with the same members, one value at a time.

    Everything is a shift to the right: of the sum of bias and accumulator, bits over 24 fall off with rounding; the product
    grows above the register while its multiplier leaves it below; bits over 24 fall off again, and last those behind the
    point. The first rounding is done by the product (with one more multiplicand), the second one by the last one: it can only
    change the output where what falls off is all ones, or exactly one half.

    Throughput: a value in at most 132 cycles, some 60 in most cases, and a gap without a value in three cycles.
    Cost: an adder of 32 and one of 24 bits, channels x 64 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(requantiser_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        candidate, result = self.candidates.payload, self.results.payload
        bias, scale = channel_parameters(m, config, self.store, candidate.channel)
        mantissa, exponent = Cat(scale[: MANTISSA_BITS - 1], Const(1, 1)), scale[MANTISSA_BITS - 1 : -1]

        low = Signal(32)  # the sum; then its magnitude, the multiplier, and the product's lower half
        high = Signal(MANTISSA_BITS)  # the product's upper half
        power = Signal(signed(10))  # the value is low * 2 ** power
        count = Signal(5)
        inverts = Signal()  # a one has been negated
        negative = Signal()
        half, sticky = Signal(), Signal()  # the latest bit that fell off, and whether any before it was a one
        ones = Signal()  # all before it were
        up = Signal()  # the product is rounded up
        aligns = Signal()  # a bit has fallen off behind the point

        total, product = Signal(signed(32)), Signal(MANTISSA_BITS + 1)
        rounds_up = Signal()
        # The output: rounded to an integer, with its sign, and clamped.
        large, whole, increment = Signal(), Signal(WHOLE_BITS + 1), Signal()
        value = Signal(signed(WHOLE_BITS + 2))
        least, most, threshold = self.layer.low, self.layer.high, self.layer.threshold
        m.d.comb += [
            total.eq(candidate.accumulator + bias),  # wraps as ONNX Runtime's int32 does
            product.eq(high + Mux(low[0], mantissa, 0)),
            rounds_up.eq(half & (sticky | low[0])),
        ]

        def drop_bit() -> None:
            """The lowest bit falls off, and the point moves with it."""
            m.d.sync += [low.eq(low[1:]), half.eq(low[0]), sticky.eq(sticky | half), power.eq(power + 1)]

        with m.FSM():
            with m.State("WAIT"):
                m.d.sync += [count.eq(0), inverts.eq(0), half.eq(0), sticky.eq(0)]
                with m.If(self.candidates.valid):
                    m.next = "ADD"
                    with m.If(candidate.null):
                        m.next = "SEND"
            with m.State("ADD"):
                m.d.sync += [low.eq(total), negative.eq(total < 0), power.eq(exponent - (EXPONENT_BIAS + MANTISSA_BITS - 1))]
                m.next = "NEGATE"
            with m.State("NEGATE"):  # copies bits up to the first one, and inverts those behind it
                m.d.sync += [low.eq(Cat(low[1:], low[0] ^ inverts)), inverts.eq(inverts | low[0]), count.eq(count + 1)]
                with m.If(~negative):
                    m.d.sync += [low.eq(low), count.eq(0)]
                with m.If(~negative | (count == 31)):
                    m.next = "CONVERT"
            with m.State("CONVERT"):  # to 24 bits; rounding up is one more multiplicand
                with m.If(low[MANTISSA_BITS:].any()):
                    drop_bit()
                with m.Else():
                    m.d.sync += [high.eq(Mux(rounds_up, mantissa, 0)), half.eq(0), sticky.eq(0)]
                    m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.d.sync += [high.eq(product[1:]), low.eq(Cat(low[1:MANTISSA_BITS], product[0])), count.eq(count + 1)]
                with m.If(count == MANTISSA_BITS - 1):
                    m.next = "ROUND"
            with m.State("ROUND"):  # the product, to 24 bits
                drop_bit()
                m.d.sync += [low.eq(Cat(low[1:MANTISSA_BITS], high[0])), high.eq(high[1:])]
                with m.If(~high.any()):
                    m.d.sync += [low.eq(low), power.eq(power)]
                    m.d.sync += [up.eq(rounds_up), half.eq(0), sticky.eq(0), ones.eq(1), aligns.eq(0)]
                    m.next = "ALIGN"
            with m.State("ALIGN"):
                with m.If((power >= 0) | ~(low.any() | half)):
                    m.next = "INTEGER"
                with m.Else():
                    drop_bit()
                    m.d.sync += [aligns.eq(1), ones.eq(ones & (half | ~aligns))]
            with m.State("INTEGER"):
                m.d.sync += value.eq(Cat(Mux(negative, ~whole, whole), negative).as_signed() + (increment ^ negative))  # -n is ~n + 1
                m.next = "CLAMP"
            with m.State("CLAMP"):
                m.d.sync += value.eq(Mux(value < least, least, Mux(value > most, most, value)))
                m.next = "THRESHOLD"
            with m.State("THRESHOLD"):
                with m.If((value < threshold) & (value + threshold > 0)):
                    m.d.sync += value.eq(0)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.candidates.ready.eq(1)
                m.next = "WAIT"

        with m.If(large):
            m.d.comb += increment.eq(0)
        with m.Elif(up & ones):
            m.d.comb += increment.eq(half | low[0])
        with m.Elif(up):
            m.d.comb += increment.eq(half)
        with m.Else():
            m.d.comb += increment.eq(rounds_up)
        m.d.comb += [
            large.eq(low[WHOLE_BITS:MANTISSA_BITS].any()),
            whole.eq(Mux(large, -1, low[:WHOLE_BITS])),
            result.value.eq(value[:8]),
            result.gap.eq(candidate.gap),
            result.null.eq(candidate.null),
            result.last.eq(candidate.last),
        ]
        return m
