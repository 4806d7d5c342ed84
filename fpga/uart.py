"""The UART: eight data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

FEWEST_CLOCKS = 4  # of a bit: below that, a bit is not found in its middle
TOLERANCE = 0.02  # of the baud rate; half a bit in ten is 5 %, for both sides together
BREAK_BITS = 16  # that the line stays low after a stop bit that was missing


def divider(clock_hz: int, baud: int) -> int:
    """Clocks a bit; ValueError if they are too few, or the rate is too far off."""
    clocks = round(clock_hz / baud)
    if clocks < FEWEST_CLOCKS:
        raise ValueError(f"a clock of {clock_hz:,} Hz makes at most {clock_hz // FEWEST_CLOCKS:,} baud, not {baud:,}")
    if abs(clock_hz / clocks / baud - 1) > TOLERANCE:
        raise ValueError(f"a clock of {clock_hz:,} Hz makes {clock_hz // clocks:,} baud, more than 2 % from the {baud:,} that are wanted")
    return clocks


class Receiver(wiring.Component):
    """Turns a line into bytes.

    Members:
        rx: the line, asynchronous to the clock.
        valid: for one cycle, `data` is a byte. A byte without a stop bit is dropped.
        broken: for one cycle, a break was seen: the line is low for 26 bits. Again every 16 bits while it stays low.

    Latency: from the middle of the stop bit, 3 cycles.
    """

    def __init__(self, clocks: int) -> None:
        self.clocks = clocks
        super().__init__({"rx": In(1), "valid": Out(1), "data": Out(8), "broken": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        count = Signal(range(self.clocks), init=self.clocks // 2 - 1)
        bits = Signal(range(BREAK_BITS))
        sample = Signal()
        m.d.comb += sample.eq(count == 0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [count.eq(self.clocks // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += count.eq(count - 1)
                with m.If(sample):
                    m.d.sync += [count.eq(self.clocks - 1), bits.eq(bits + 1)]
                    with m.If(bits == 9):
                        m.d.comb += self.valid.eq(line)
                        m.d.sync += bits.eq(0)
                        m.next = "LOW"
                    with m.Elif((bits == 0) & line):
                        m.next = "IDLE"  # too short for a start bit
                    with m.Else():
                        m.d.sync += self.data.eq(Cat(self.data[1:], line))
            with m.State("LOW"):  # unless there was a stop bit
                m.d.sync += count.eq(count - 1)
                with m.If(line):
                    m.next = "IDLE"
                with m.Elif(sample):
                    m.d.sync += [count.eq(self.clocks - 1), bits.eq(bits + 1)]
                    m.d.comb += self.broken.eq(bits == BREAK_BITS - 1)
        return m


class Transmitter(wiring.Component):
    """Turns bytes into a line; a byte takes 10 bits and one cycle."""

    def __init__(self, clocks: int) -> None:
        self.clocks = clocks
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(range(self.clocks))
        bits = Signal(range(10))
        shift = Signal(9, init=0x1FF)
        m.d.comb += [self.tx.eq(shift[0]), self.bytes.ready.eq((bits == 0) & (count == 0))]
        with m.If(count != 0):
            m.d.sync += count.eq(count - 1)
        with m.Elif(bits != 0):
            m.d.sync += [count.eq(self.clocks - 1), bits.eq(bits - 1), shift.eq(Cat(shift[1:], 1))]
        with m.Elif(self.bytes.valid):
            m.d.sync += [count.eq(self.clocks - 1), bits.eq(9), shift.eq(Cat(0, self.bytes.payload))]
        return m
