"""Multiply and accumulate, in one DSP block where there is one that does."""

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .vendors import is_ultraplus

PRODUCT_BITS = 17  # of a 9-bit activation and an 8-bit weight


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
        activation = Signal(signed(9), reset_less=True)
        weight = Signal(signed(8), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        accumulator = Signal(signed(32), reset_less=True)
        m.d.sync += [activation.eq(self.activation), weight.eq(self.weight), product.eq(activation * weight)]
        with m.If(self.accumulate | self.empty):
            m.d.sync += accumulator.eq(Mux(self.empty, 0, accumulator + product))
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
            **{f"i_{name}": 0 for name in ("C", "D", "AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")},
            **{f"i_{name}": 0 for name in ("ADDSUBTOP", "ADDSUBBOT", "CI", "ACCUMCI", "SIGNEXTIN")},
        )
        return m
