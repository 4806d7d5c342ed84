"""Requantisation for small FPGAs: with one adder, and no multiplier."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from .config import Config
from .requantise import EXPONENT_BIAS, MANTISSA_BITS, requantiser_signature

WHOLE_BITS = 10  # of an output before the clamp


class SerialRequantiser(wiring.Component):
    """Does what `Requantiser` does, with the same members, one value at a time.

    Everything is a shift to the right: bias and accumulator are added bit by bit into a register; bits over 24 fall off with
    rounding; the product grows above the register while its multiplier leaves it below; bits over 24 fall off again, and last
    those behind the point. The first rounding is done by the product (with one more multiplicand), the second one by the last one:
    it can only change the output where what falls off is all ones, or exactly one half.

    Throughput: a value in at most 160 cycles, some 90 in most cases, and a gap without a value in one cycle.
    Cost: one adder of 24 bits, channels x 64 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(requantiser_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        parameters = {}
        for name, enable in (("bias", self.bias_enable), ("scale", self.scale_enable)):
            m.submodules[name] = memory = Memory(shape=32, depth=config.channels, init=[])
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.en.eq(enable),
                write.addr.eq(self.channel_address),
                write.data.eq(self.channel_word),
                read.addr.eq(self.candidates.payload.channel),
            ]
            parameters[name] = read.data
        candidate, result = self.candidates.payload, self.results.payload
        bias, scale = parameters["bias"], parameters["scale"]
        mantissa, exponent = Cat(scale[: MANTISSA_BITS - 1], Const(1, 1)), scale[MANTISSA_BITS - 1 : -1]

        low = Signal(32)  # the sum; then its magnitude, the multiplier, and the product's lower half
        high = Signal(MANTISSA_BITS)  # the product's upper half
        power = Signal(signed(10))  # the value is low * 2 ** power
        count = Signal(5)
        carry = Signal()  # of the sum; then: a one has been negated
        negative = Signal()
        half, sticky = Signal(), Signal()  # the latest bit that fell off, and whether any before it was a one
        ones = Signal()  # all before it were
        up = Signal()  # the product is rounded up
        aligns = Signal()  # a bit has fallen off behind the point

        total, product = Signal(2), Signal(MANTISSA_BITS + 1)
        rounds_up = Signal()
        m.d.comb += [
            total.eq(candidate.accumulator.as_unsigned().bit_select(count, 1) + bias.bit_select(count, 1) + carry),
            product.eq(high + Mux(low[0], mantissa, 0)),
            rounds_up.eq(half & (sticky | low[0])),
        ]

        def drop_bit() -> None:
            """The lowest bit falls off, and the point moves with it."""
            m.d.sync += [low.eq(low[1:]), half.eq(low[0]), sticky.eq(sticky | half), power.eq(power + 1)]

        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += [
                    self.results.valid.eq(self.candidates.valid & candidate.null),
                    self.candidates.ready.eq(candidate.null & self.results.ready),
                ]
                m.d.sync += [count.eq(0), carry.eq(0)]
                with m.If(self.candidates.valid & ~candidate.null):
                    m.next = "ADD"
            with m.State("ADD"):  # accumulator + bias, which wraps as ONNX Runtime's int32 does
                m.d.sync += [low.eq(Cat(low[1:], total[0])), carry.eq(total[1]), count.eq(count + 1)]
                m.d.sync += [negative.eq(total[0]), power.eq(exponent - (EXPONENT_BIAS + MANTISSA_BITS - 1))]
                with m.If(count == 31):
                    m.d.sync += carry.eq(0)
                    m.next = "NEGATE"
            with m.State("NEGATE"):  # copies ones up to the first one, and inverts those behind it
                m.d.sync += [low.eq(Cat(low[1:], low[0] ^ carry)), carry.eq(carry | low[0]), count.eq(count + 1)]
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
                    m.next = "SEND"
                with m.Else():
                    drop_bit()
                    m.d.sync += [aligns.eq(1), ones.eq(ones & (half | ~aligns))]
            with m.State("SEND"):
                m.d.comb += [self.results.valid.eq(1), self.candidates.ready.eq(self.results.ready)]
                with m.If(self.results.ready):
                    m.d.sync += [half.eq(0), sticky.eq(0)]
                    m.next = "WAIT"

        # Round to an integer, then sign, clamp and threshold.
        increment = Signal()
        magnitude = Signal(WHOLE_BITS + 1)
        value = Signal(signed(WHOLE_BITS + 2))
        clamped = Signal(signed(10))
        with m.If(up & ones):
            m.d.comb += increment.eq(half | low[0])
        with m.Elif(up):
            m.d.comb += increment.eq(half)
        with m.Else():
            m.d.comb += increment.eq(rounds_up)
        least, most, threshold = self.layer.low, self.layer.high, self.layer.threshold
        m.d.comb += [
            magnitude.eq(Mux(low[WHOLE_BITS:MANTISSA_BITS].any(), (1 << WHOLE_BITS) - 1, low[:WHOLE_BITS] + increment)),
            value.eq(Mux(negative, -magnitude, magnitude)),
            clamped.eq(Mux(value < least, least, Mux(value > most, most, value))),
            result.value.eq(Mux((clamped < threshold) & (clamped > -threshold), 0, clamped[:8])),
            result.gap.eq(candidate.gap),
            result.null.eq(candidate.null),
            result.last.eq(candidate.last),
        ]
        return m
