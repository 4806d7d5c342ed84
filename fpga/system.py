"""What every board holds: the accelerator and its link to the host."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config

from .link import Link


class System(wiring.Component):
    """An accelerator behind a UART, in one clock domain.

    Parameters:
        config: the accelerator's. clock_hz: of the domain `sync`. baud: of the UART.

    Members:
        rx, tx: the line; `rx` is asynchronous to the clock, and synchronised here.
        ready, busy, error: for LEDs: a run can begin, a run is under way, the last run failed.
    """

    def __init__(self, config: Config, *, clock_hz: int, baud: int) -> None:
        self.config = config
        self.link = Link(clock_hz=clock_hz, baud=baud)
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "ready": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = self.link
        accelerator = Accelerator(self.config)
        restart = Signal()  # a register, as it goes everywhere
        m.d.sync += restart.eq(link.restart)
        m.submodules.accelerator = ResetInserter(restart)(accelerator)
        wiring.connect(m, link.registers, accelerator.s_axil)
        wiring.connect(m, link.load, accelerator.s_axis_load)
        wiring.connect(m, link.input, accelerator.s_axis_in)
        wiring.connect(m, accelerator.m_axis_out, link.output)
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            link.busy.eq(accelerator.busy),
            link.error.eq(accelerator.error),
        ]
        # From registers, as reset leaves them dark.
        m.d.sync += [
            self.ready.eq(~accelerator.busy & ~accelerator.error),
            self.busy.eq(accelerator.busy),
            self.error.eq(accelerator.error),
        ]
        return m
