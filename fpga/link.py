"""The link to the host: UART, frames, and what carries out requests."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import AxiLite, AxiStream

from .executor import Executor
from .uart import Receiver, Transmitter, divider


class Link(wiring.Component):
    """Registers and streams over a UART, as docs/link.md describes.

    A break brings link and accelerator back to their first state.

    Parameters:
        clock_hz, baud: of the UART; ValueError if the clock does not make the rate.

    Members:
        rx, tx: the line; `rx` is asynchronous to the clock.
        registers, load, input, output, busy, error: the accelerator's. restart: reset it.

    Throughput: at 4 clocks a bit, the line's. Cost: 3 KiB of block memory.
    """

    def __init__(self, *, clock_hz: int, baud: int) -> None:
        self.clock_hz = clock_hz
        self.baud = baud
        self.clocks = divider(clock_hz, baud)
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1, init=1),
                "registers": Out(AxiLite()),
                "load": Out(AxiStream()),
                "input": Out(AxiStream()),
                "output": In(AxiStream(user=True)),
                "busy": In(1),
                "error": In(1),
                "restart": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(self.clocks)
        m.submodules.transmitter = transmitter = Transmitter(self.clocks)
        executor = Executor(clock_hz=self.clock_hz, baud=self.baud)
        m.submodules.executor = ResetInserter(receiver.broken)(executor)
        wiring.connect(m, executor.bytes, transmitter.bytes)
        for name in ("registers", "load", "input", "output"):
            wiring.connect(m, getattr(executor, name), wiring.flipped(getattr(self, name)))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            executor.valid.eq(receiver.valid),
            executor.data.eq(receiver.data),
            executor.busy.eq(self.busy),
            executor.error.eq(self.error),
            self.restart.eq(receiver.broken | executor.restart),
        ]
        return m
