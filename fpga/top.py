"""The top of every board: oscillator, PLL, reset and pins around one `System`."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from .pll import Pll

RESET_CYCLES = 1024  # iCE40's block RAMs cannot be read in the first microseconds after configuration

Pin = tuple[str, int]  # name and number of one of the platform's resources


class Top(Elaboratable):
    """A board's top component.

    system: a `System`, or another component with its ports.
    pll: makes the board's clock of `oscillator`.
    reset: a button. ready, busy, error: light-emitting diodes. uart: with `rx` and `tx`, as the FPGA sees them.
    All resources are asked of the platform by name, which knows their pins and polarity.
    """

    def __init__(self, system: Any, *, pll: Pll, oscillator: Pin, reset: Pin, ready: Pin, busy: Pin, error: Pin, uart: Pin) -> None:
        self.system = system
        self.pll = pll
        self.oscillator = oscillator
        self.reset = reset
        self.leds = {"ready": ready, "busy": busy, "error": error}
        self.uart = uart

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.pll = pll = self.pll
        pll.source = platform.request(*self.oscillator, dir="-")
        m.d.comb += ClockSignal().eq(pll.clock)

        m.submodules.reset_pin = reset = io.Buffer("i", platform.request(*self.reset, dir="-"))
        settled = Signal()
        m.submodules.settled = FFSynchronizer(pll.locked & ~reset.i, settled)
        cycles = Signal(range(RESET_CYCLES + 1), reset_less=True)
        started = Signal(reset_less=True)
        m.d.sync += started.eq(cycles == RESET_CYCLES)
        with m.If(~settled):
            m.d.sync += cycles.eq(0)
        with m.Elif(cycles != RESET_CYCLES):
            m.d.sync += cycles.eq(cycles + 1)
        m.d.comb += ResetSignal().eq(~started)

        m.submodules.system = system = self.system
        uart = platform.request(*self.uart, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for name, pin in self.leds.items():
            m.submodules[name] = led = io.Buffer("o", platform.request(*pin, dir="-"))
            m.d.comb += led.o.eq(getattr(system, name))
        return m
