"""Clocks: the dividers of each family's PLL from the oscillator's frequency and the wanted one, and the PLL itself.

Every PLL is a component with `source` (the oscillator's pin: a port of the platform), `clock` and `locked`. The limits are those of the
data sheets: iCE40 (Lattice FPGA-TN-02052), ECP5 (Lattice FPGA-DS-02012), GW1NR-9C, speed C6/I5 (Gowin DS117).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Instance, Module, Signal
from amaranth.lib import io

MHZ = 1_000_000
NEAR_ENOUGH = 1e-4  # relative; a UART alone would take a hundred times as much


@dataclass(frozen=True)
class Range:
    """Frequencies from `low` to `high`, in Hz."""

    low: float
    high: float

    def __contains__(self, frequency: float) -> bool:
        return self.low <= frequency <= self.high


@dataclass(frozen=True)
class Setting:
    """Dividers: the input by `reference`, the output's feedback by `feedback`, the oscillator by `post`; and what they make, in Hz."""

    reference: int
    feedback: int
    post: int
    comparison_hz: float
    vco_hz: float
    output_hz: float


class Pll(Elaboratable, ABC):
    """A PLL that makes `output_hz` of `input_hz`; ValueError if no setting of its dividers does, within 0.01 %.

    source: the oscillator's pin, as `platform.request(..., dir="-")` gives it; set before elaboration.
    clock, locked: signals.
    """

    comparison: Range  # at the phase detector
    vco: Range
    family: str

    def __init__(self, *, input_hz: int, output_hz: int) -> None:
        self.input_hz = input_hz
        self.output_hz = output_hz
        self.setting = find_setting(type(self), input_hz, output_hz)
        self.source: Any = None
        self.clock = Signal(name="system_clock")
        self.locked = Signal()

    @staticmethod
    @abstractmethod
    def settings(input_hz: int) -> Iterable[Setting]:
        """All settings of the dividers, legal or not."""


def find_setting(kind: type[Pll], input_hz: int, output_hz: int) -> Setting:
    """The legal setting that comes nearest; ValueError if it is more than 0.01 % off."""
    legal = [each for each in kind.settings(input_hz) if each.comparison_hz in kind.comparison and each.vco_hz in kind.vco]
    near = [each for each in legal if abs(each.output_hz - output_hz) <= NEAR_ENOUGH * output_hz]
    if not near:
        nearest = min(legal, key=lambda each: abs(each.output_hz - output_hz), default=None)
        hint = f"; the nearest is {nearest.output_hz / MHZ:.4f} MHz" if nearest else ""
        raise ValueError(f"the PLL of {kind.family} cannot make {output_hz / MHZ:g} MHz of {input_hz / MHZ:g} MHz{hint}")
    middle = (kind.vco.low + kind.vco.high) / 2
    # A fast phase detector follows its input closest; the VCO likes the middle of its range.
    return min(near, key=lambda each: (abs(each.output_hz - output_hz), each.reference, abs(each.vco_hz - middle)))


class Ice40Pll(Pll):
    """iCE40's PLL, whose input is a pin."""

    family = "iCE40"
    comparison = Range(10 * MHZ, 133 * MHZ)
    vco = Range(533 * MHZ, 1066 * MHZ)
    filters = (
        17,
        26,
        44,
        66,
        101,
    )  # of the phase detector: FILTER_RANGE is 1 below the first of these frequencies (MHz), 2 below the next…

    @staticmethod
    def settings(input_hz: int) -> Iterable[Setting]:
        for reference in range(1, 17):
            compared = input_hz / reference
            for feedback in range(1, 129):
                for power in range(1, 7):
                    yield Setting(reference, feedback, power, compared, compared * feedback, compared * feedback / 2**power)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        setting = self.setting
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_PLLOUT_SELECT="GENCLK",
            p_DIVR=setting.reference - 1,
            p_DIVF=setting.feedback - 1,
            p_DIVQ=setting.post,
            p_FILTER_RANGE=1 + sum(setting.comparison_hz >= limit * MHZ for limit in self.filters),
            io_PACKAGEPIN=self.source.io,
            i_RESETB=1,
            i_BYPASS=0,
            o_PLLOUTGLOBAL=self.clock,
            o_LOCK=self.locked,
        )
        return m


class Ecp5Pll(Pll):
    """ECP5's PLL; its primary output is also its feedback."""

    family = "ECP5"
    comparison = Range(3.125 * MHZ, 400 * MHZ)
    vco = Range(400 * MHZ, 800 * MHZ)

    @staticmethod
    def settings(input_hz: int) -> Iterable[Setting]:
        for reference in range(1, 129):
            compared = input_hz / reference
            for feedback in range(1, 81):
                output = compared * feedback
                for post in range(1, 129):
                    yield Setting(reference, feedback, post, compared, output * post, output)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = io.Buffer("i", self.source)
        setting = self.setting
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.input_hz / MHZ:g}",
            a_FREQUENCY_PIN_CLKOP=f"{setting.output_hz / MHZ:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            p_CLKI_DIV=setting.reference,
            p_CLKFB_DIV=setting.feedback,
            p_FEEDBK_PATH="CLKOP",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=setting.post,
            p_CLKOP_CPHASE=setting.post - 1,  # no delay against the input
            p_CLKOP_FPHASE=0,
            p_OUTDIVIDER_MUXA="DIVA",
            p_PLLRST_ENA="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=buffer.i,
            i_CLKFB=self.clock,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=0,
            i_PHASESTEP=0,
            i_PHASELOADREG=0,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            o_CLKOP=self.clock,
            o_LOCK=self.locked,
        )
        return m


class GowinPll(Pll):
    """The rPLL of GW1NR-9C."""

    family = "GW1NR-9C"
    comparison = Range(3 * MHZ, 400 * MHZ)
    vco = Range(400 * MHZ, 1200 * MHZ)

    @staticmethod
    def settings(input_hz: int) -> Iterable[Setting]:
        for reference in range(1, 65):
            compared = input_hz / reference
            for feedback in range(1, 65):
                output = compared * feedback
                for post in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                    yield Setting(reference, feedback, post, compared, output * post, output)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = io.Buffer("i", self.source)
        setting = self.setting
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE="GW1NR-9C",
            p_FCLKIN=f"{self.input_hz / MHZ:g}",
            p_IDIV_SEL=setting.reference - 1,
            p_FBDIV_SEL=setting.feedback - 1,
            p_ODIV_SEL=setting.post,
            p_DYN_IDIV_SEL="false",
            p_DYN_FBDIV_SEL="false",
            p_DYN_ODIV_SEL="false",
            p_DYN_DA_EN="false",
            p_PSDA_SEL="0000",
            p_DUTYDA_SEL="1000",
            p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false",
            p_CLKOUTP_BYPASS="false",
            p_CLKOUTD_BYPASS="false",
            i_CLKIN=buffer.i,
            i_CLKFB=0,
            i_RESET=0,
            i_RESET_P=0,
            i_FBDSEL=0,
            i_IDSEL=0,
            i_ODSEL=0,
            i_PSDA=0,
            i_DUTYDA=0,
            i_FDLY=0,
            o_CLKOUT=self.clock,
            o_LOCK=self.locked,
        )
        return m
