"""The processing element: a lane's multiplier, accumulator and shadow."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .multiply import Multiplier, MultiplyAccumulate


class Step(data.Struct):
    """What all lanes of a row do with the product of one cycle.

    valid: there is one. first: it begins a window, so the accumulator begins with it. end: it ends the window, whose
    accumulator then goes to the shadow; first_window: as its first value, otherwise only if it is larger.
    """

    valid: 1
    first: 1
    end: 1
    first_window: 1


class ProcessingElement(wiring.Component):
    """Multiplies, accumulates, and keeps the largest accumulator of a pool's windows in its shadow until it is shifted out.

    serial: windows are a cycle apart, in which the accumulator is emptied, so that one DSP can be all of the arithmetic.
    soft: the multiplier is made of look-up tables; not where serial. short: the product has no register; not where serial.

    Members:
        activation: a - zero_point. weight: its weight.
        accumulate: what to do with their product, two cycles later, or one where it has no register. commit: the same step, one cycle
            later still.
        empty: where serial, the accumulator becomes 0, in the cycle of the commit that ends a window, and after a reset.
        shadow: the largest accumulator. shift: it becomes `next_shadow`, that of a lane further on; a commit comes first.

    Throughput: one product a cycle. Latency: 4 cycles from the last product's factors to the shadow, 3 where short.
    Cost: a `Multiplier` and 64 registers; where serial, a `MultiplyAccumulate` and 32 registers.
    """

    def __init__(self, *, serial: bool = False, soft: bool = False, short: bool = False) -> None:
        self.serial = serial
        self.short = short
        self.soft = soft
        super().__init__(
            {
                "activation": In(signed(9)),
                "weight": In(signed(8)),
                "accumulate": In(Step),
                "commit": In(Step),
                **({"empty": In(1)} if serial else {}),
                "shift": In(1),
                "next_shadow": In(signed(32)),
                "shadow": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        accumulator = Signal(signed(32), reset_less=True)
        if self.serial:
            m.submodules.multiply = multiply = MultiplyAccumulate()
            m.d.comb += [
                multiply.activation.eq(self.activation),
                multiply.weight.eq(self.weight),
                multiply.accumulate.eq(self.accumulate.valid),
                multiply.empty.eq(self.empty),
                accumulator.eq(multiply.accumulator),
            ]
        else:
            m.submodules.multiplier = multiplier = Multiplier(soft=self.soft, registered=not self.short)
            m.d.comb += [multiplier.activation.eq(self.activation), multiplier.weight.eq(self.weight)]
            with m.If(self.accumulate.valid):
                m.d.sync += accumulator.eq(Mux(self.accumulate.first, 0, accumulator) + multiplier.product)
        # Its complement is kept: then the comparison is an addition, without an inverter for each bit.
        complement = Signal(32, reset_less=True)
        carry = Signal(33)
        larger = Signal()
        sign = 1 << 31  # inverted, signed numbers compare as unsigned ones
        m.d.comb += [
            self.shadow.eq(~complement),
            carry.eq((accumulator.as_unsigned() ^ sign) + (complement ^ sign)),
            larger.eq(carry[32]),
        ]
        with m.If(self.commit.valid & self.commit.end & (self.commit.first_window | larger)):
            m.d.sync += complement.eq(~accumulator)
        with m.Elif(self.shift):
            m.d.sync += complement.eq(~self.next_shadow)
        return m
