"""Requantisation: from an accumulator to a coded byte, with ONNX Runtime's rounding."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import Result, candidate_layout, store_layout

MANTISSA_BITS = 24  # of IEEE 754 single precision, with the leading one
EXPONENT_BIAS = 127


def _round_to_even(kept: Value, half: Value, sticky: Value) -> Value:
    """1 if a value whose bits above the point are `kept`, with the bit behind it and whether anything follows, is rounded up."""
    return half & (sticky | kept[0])


def requantiser_signature(config: Config) -> wiring.Signature:
    """The members of every form of the requantiser."""
    return wiring.Signature(
        {
            "layer": In(layer_layout(config)),
            "store": In(store_layout(config)),
            "candidates": In(stream.Signature(candidate_layout(config))),
            "results": Out(stream.Signature(Result)),
        }
    )


def channel_parameters(m: Module, config: Config, store: data.View, channel: Value, advance: Value | None = None) -> tuple[Value, Value]:
    """Bias and scale of a channel, a cycle after it is asked for, in which `advance` is 1 if there is such a thing."""
    found = []
    for name in ("bias", "scale"):
        m.submodules[name] = memory = Memory(shape=32, depth=config.channels, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(store[name]),
            write.addr.eq(store.address),
            write.data.eq(store.data),
            read.addr.eq(channel),
        ]
        if advance is not None:
            m.d.comb += read.en.eq(advance)
        found.append(read.data)
    return found[0], found[1]


class Requantiser(wiring.Component):
    """y - zero_point = clamp(rne(float32(accumulator + bias) * scale), low, high), then 0 if its magnitude is below the threshold.

    The conversion and the product are rounded to float32, to nearest even, as ONNX Runtime's CPU provider does for QLinearConv.

    Members:
        layer: steady while anything is under way.
        store: stores channels' biases (int32) and scales (float32, positive, normal).
        candidates, results: in the same order.

    Throughput: one a cycle. Latency: 6 cycles, 13 where rows are spread. Cost: one multiplier of 24 x 24 bits, channels x 64 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(requantiser_signature(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        advance = Signal()
        stage = 0
        carried = {"valid": self.candidates.valid}
        carried |= {name: self.candidates.payload[name] for name in ("gap", "null", "last")}

        def carry(*, joined: bool = False, **more: object) -> None:
            """Move on by one stage: what goes along, and what this stage has computed.

            joined: it is one stage with the next where ways are short.
            """
            nonlocal stage
            if joined and config.parallel:
                carried.update(more)
                return
            stage += 1
            for name, value in (carried | more).items():
                register = Signal.like(value, name=f"{name}{stage}", reset_less=name != "valid")
                with m.If(advance):
                    m.d.sync += register.eq(value)
                carried[name] = register

        bias, scale = channel_parameters(m, config, self.store, self.candidates.payload.channel, advance)
        carry(accumulator=self.candidates.payload.accumulator)

        # accumulator + bias, which wraps as ONNX Runtime's int32 does.
        total = Signal(signed(32))
        m.d.comb += total.eq(carried["accumulator"] + bias)
        carried.pop("accumulator")
        carry(joined=True, total=total, mantissa=Cat(scale[:23], Const(1, 1)), exponent=scale[23:31])

        # Sign and magnitude.
        magnitude = Signal(32)
        total = carried.pop("total")
        m.d.comb += magnitude.eq(Mux(total < 0, -total, total))
        carry(negative=total[31], magnitude=magnitude)

        # Shift the leading one to bit 31, in two steps.
        shifted = carried.pop("magnitude")
        half_zero, byte_zero = Signal(), Signal()
        m.d.comb += [
            half_zero.eq(~shifted[16:].any()),
            byte_zero.eq(Mux(half_zero, ~shifted[8:16].any(), ~shifted[24:].any())),
        ]
        carry(joined=True, shifted=(shifted << (Cat(byte_zero, half_zero) << 3))[:32], zeros=Cat(byte_zero, half_zero))
        shifted, zeros = carried["shifted"], carried["zeros"]
        for power in (4, 2, 1):
            step, low = Signal(32, name=f"shifted_{power}"), Signal(name=f"zeros_{power}")
            m.d.comb += [low.eq(~shifted[32 - power :].any()), step.eq(Mux(low, shifted << power, shifted))]
            shifted, zeros = step, Cat(low, zeros)
        carry(joined=True, shifted=shifted, zeros=zeros)

        # Round to 24 bits. The value is then rounded * 2 ** (8 - zeros); 25 bits, for a carry.
        shifted = carried.pop("shifted")
        rounded = Signal(MANTISSA_BITS + 1)
        m.d.comb += rounded.eq(shifted[8:] + _round_to_even(shifted[8:], shifted[7], shifted[:7].any()))
        down = Signal(signed(10))  # the product's least significant bit stands for 2 ** -down
        m.d.comb += down.eq(carried.pop("zeros") + (EXPONENT_BIAS + MANTISSA_BITS - 1 - 8) - carried.pop("exponent"))
        carry(rounded=rounded, down=down)

        # The product, in two stages: of halves, and their sum.
        half = MANTISSA_BITS // 2
        multiplicand, multiplier = carried.pop("rounded"), carried.pop("mantissa")
        halves = {
            f"product_{name}_{other}": part * other_part
            for name, part in (("low", multiplicand[:half]), ("high", multiplicand[half:]))
            for other, other_part in (("low", multiplier[:half]), ("high", multiplier[half:]))
        }
        carry(joined=True, **halves)
        product = Signal(2 * MANTISSA_BITS)
        parts = {name: carried.pop(name) for name in halves}
        middle = parts["product_low_high"] + parts["product_high_low"]
        m.d.comb += product.eq(Cat(parts["product_low_low"], parts["product_high_high"]) + (middle << half))
        carry(product=product)

        # Round the product to 24 bits: its leading one is at bit 47 or 46, unless it is zero.
        product = carried.pop("product")
        down = carried.pop("down")
        kept = Signal(MANTISSA_BITS)
        half, sticky = Signal(), Signal()
        next_down = Signal(signed(10))
        with m.If(product[47]):
            m.d.comb += [kept.eq(product[24:]), half.eq(product[23]), sticky.eq(product[:23].any()), next_down.eq(down - 24)]
        with m.Else():
            m.d.comb += [kept.eq(product[23:]), half.eq(product[22]), sticky.eq(product[:22].any()), next_down.eq(down - 23)]
        significant = Signal(MANTISSA_BITS + 1)
        m.d.comb += significant.eq(kept + _round_to_even(kept, half, sticky))
        carry(joined=True, significant=significant, down=next_down)

        # Shift the point: |value| = significant * 2 ** -down. From 2 ** 9 up the clamp decides; below one half it is zero.
        significant = carried.pop("significant")
        down = carried.pop("down")
        whole_bits = 10
        point = MANTISSA_BITS
        carry(
            joined=True,
            fixed=((significant << point) >> down[:6])[: whole_bits + point],
            large=(down <= point - whole_bits) & significant[-2:].any(),  # only zero has no leading one
            small=down > point + 1,
        )

        # Round to an integer.
        fixed, large, small = (carried.pop(name) for name in ("fixed", "large", "small"))
        whole, rounded_whole = Signal(whole_bits), Signal(whole_bits + 1)
        m.d.comb += [
            whole.eq(Mux(large, -1, Mux(small, 0, fixed[point:]))),
            rounded_whole.eq(whole + _round_to_even(whole, ~large & ~small & fixed[point - 1], fixed[: point - 1].any())),
        ]
        carry(joined=True, rounded_whole=rounded_whole)

        # Sign and clamp, then threshold.
        rounded_whole = carried.pop("rounded_whole")
        value, clamped = Signal(signed(whole_bits + 2)), Signal(signed(10))
        low, high, threshold = self.layer.low, self.layer.high, self.layer.threshold
        m.d.comb += value.eq(Mux(carried.pop("negative"), -rounded_whole, rounded_whole))
        if config.parallel:
            carry(value=value)
            value = carried["value"]
        m.d.comb += clamped.eq(Mux(value < low, low, Mux(value > high, high, value)))
        carry(joined=True, clamped=clamped)
        clamped = carried.pop("clamped")
        carry(value=Mux((clamped < threshold) & (clamped > -threshold), 0, clamped[:8]))

        m.d.comb += [
            advance.eq(~carried["valid"] | self.results.ready),
            self.candidates.ready.eq(advance),
            self.results.valid.eq(carried["valid"]),
            *(self.results.payload[name].eq(carried[name]) for name in ("gap", "value", "null", "last")),
        ]
        return m
