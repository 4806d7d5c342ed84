"""Multiplication, in one DSP block with its registers or its accumulator where there is one."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..parts.vendors import is_ecp5, is_ultraplus

PRODUCT_BITS = 17  # of a 9-bit activation and an 8-bit weight
MULT18X18D_BITS = 18  # of each factor


def soft_product(activation: Value, weight: Value) -> Value:
    """activation * weight, both signed, in look-up tables: for each bit of the weight a summand, added in pairs."""
    sums = [Mux(bit, activation, 0).as_signed() << place for place, bit in enumerate(weight)]
    sums[-1] = -sums[-1]  # the sign bit
    while len(sums) > 1:
        sums = [a + b for a, b in zip(sums[::2], sums[1::2], strict=True)]
    return sums[0]


class Multiplier(wiring.Component):
    """A multiplier behind registers, so that its factors may come from far away.

    soft: made of look-up tables. registered: so is the product, so that it may go far.

    Members:
        activation: a - zero_point. weight: its weight. product: of the factors of a cycle before, of two where it is registered.

    Throughput: one product a cycle. Latency: 1 cycle, 2 where the product is registered.
    Cost: on ECP5, a MULT18X18D with its registers; elsewhere, a multiplier of 9 x 8 bits and 17 registers, or 34.
    Source: Lattice FPGA-TN-02205 (sysDSP).
    """

    activation: In(signed(9))
    weight: In(signed(8))
    product: Out(signed(PRODUCT_BITS))

    def __init__(self, *, soft: bool = False, registered: bool = True) -> None:
        self.soft = soft
        self.registered = registered
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_ecp5(platform) and not self.soft:
            self._mult18x18d(m)
            return m
        activation = Signal(signed(9), reset_less=True)
        weight = Signal(signed(8), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        m.d.sync += [activation.eq(self.activation), weight.eq(self.weight)]
        m.d["sync" if self.registered else "comb"] += product.eq(soft_product(activation, weight) if self.soft else activation * weight)
        m.d.comb += self.product.eq(product)
        return m

    def _mult18x18d(self, m: Module) -> None:
        product = Signal(2 * MULT18X18D_BITS)
        factors = {"A": Signal(signed(MULT18X18D_BITS)), "B": Signal(signed(MULT18X18D_BITS))}
        m.d.comb += [factors["A"].eq(self.activation), factors["B"].eq(self.weight), self.product.eq(product)]
        connections: dict[str, object] = {f"i_{name}{bit}": value[bit] for name, value in factors.items() for bit in range(len(value))}
        connections |= {f"o_P{bit}": product[bit] for bit in range(len(product))}
        connections |= {f"i_{name}": 0 for name in ("SOURCEA", "SOURCEB", "RST0")}
        m.submodules.mult = Instance(
            "MULT18X18D",
            p_REG_INPUTA_CLK="CLK0",
            p_REG_INPUTB_CLK="CLK0",
            p_REG_OUTPUT_CLK="CLK0" if self.registered else "NONE",
            i_CLK0=ClockSignal(),
            i_CE0=1,
            i_SIGNEDA=1,
            i_SIGNEDB=1,
            **connections,
        )


class MultiplyAccumulate(wiring.Component):
    """A multiplier with registered factors, and an accumulator that is emptied between windows.

    Emptying takes a cycle of its own, in which no product is added: a DSP's accumulator adds, holds or is loaded, but does not begin
    with a product.

    Members:
        activation: a - zero_point. weight: its weight.
        accumulate: the product of the factors of two cycles before is added. empty: the accumulator becomes 0 instead.
        accumulator: the sum, of what came until the cycle before.

    Throughput: one product a cycle. Latency: 3 cycles from the factors to the accumulator.
    Cost: an SB_MAC16 on iCE40 UltraPlus; elsewhere, one multiplier of 9 x 8 bits and 66 registers.
    Source: Lattice FPGA-TN-02007, the 16 x 16 multiplier with registered inputs and product under a 32-bit accumulator.
    """

    activation: In(signed(9))
    weight: In(signed(8))
    accumulate: In(1)
    empty: In(1)
    accumulator: Out(signed(32))

    def elaborate(self, platform: object) -> Module:
        return self._sb_mac16() if is_ultraplus(platform) else self._generic()

    def _generic(self) -> Module:
        m = Module()
        m.submodules.multiplier = multiplier = Multiplier()
        accumulator = Signal(signed(32), reset_less=True)
        m.d.comb += [multiplier.activation.eq(self.activation), multiplier.weight.eq(self.weight)]
        with m.If(self.accumulate | self.empty):
            m.d.sync += accumulator.eq(Mux(self.empty, 0, accumulator + multiplier.product))
        m.d.comb += self.accumulator.eq(accumulator)
        return m

    def _sb_mac16(self) -> Module:
        m = Module()
        activation, weight = Signal(signed(16)), Signal(signed(16))
        hold = Signal()
        m.d.comb += [activation.eq(self.activation), weight.eq(self.weight), hold.eq(~(self.accumulate | self.empty))]
        m.submodules.mac = Instance(
            "SB_MAC16",
            p_A_REG=1,
            p_B_REG=1,
            p_A_SIGNED=1,
            p_B_SIGNED=1,
            p_MODE_8x8=0,
            p_PIPELINE_16x16_MULT_REG2=1,
            # Both halves of the accumulator: itself and the product, with a carry from the lower half to the upper one.
            p_TOPOUTPUT_SELECT=1,
            p_TOPADDSUB_LOWERINPUT=2,
            p_TOPADDSUB_CARRYSELECT=3,
            p_BOTOUTPUT_SELECT=1,
            p_BOTADDSUB_LOWERINPUT=2,
            i_CLK=ClockSignal(),
            i_CE=1,
            i_A=activation,
            i_B=weight,
            i_OHOLDTOP=hold,
            i_OHOLDBOT=hold,
            i_OLOADTOP=self.empty,
            i_OLOADBOT=self.empty,
            o_O=self.accumulator,
            i_C=Const(0, 16),
            i_D=Const(0, 16),
            **{f"i_{name}": 0 for name in ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")},
            **{f"i_{name}": 0 for name in ("ADDSUBTOP", "ADDSUBBOT", "CI", "ACCUMCI", "SIGNEXTIN")},
        )
        return m
