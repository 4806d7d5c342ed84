"""What leads to far places of a large FPGA: registers of their own, and a reset of their own."""

from collections.abc import Sequence

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetInserter, Signal, Value

from ..config import Config


def near(m: Module, value: Value, place: int) -> Signal:
    """A register of a value that goes to two far places, 0 and 1: each has one of its own.

    They begin with different bits, without which synthesis would find them equal, and make them one. A reset does not change them.
    """
    register = Signal(len(value), reset_less=True, init=-place & ((1 << len(value)) - 1), name=f"near{place}")
    m.d.sync += register.eq(value)
    return register


def doubled(m: Module, values: Sequence[Value]) -> list[Signal]:
    """Registers of several values, two of each: for twice as many far places, in the values' order."""
    return [near(m, value, place) for value in values for place in range(2)]


def cleared_by(m: Module, name: str, clear: Value) -> DomainRenamer:
    """What puts a part into a clock domain of its own, which is like `sync` but for its reset: that is `clear` alone."""
    domain = ClockDomain(name, local=True)
    m.domains += domain
    m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(clear)]
    return DomainRenamer(name)


def emptied_by(m: Module, config: Config, name: str, clear: Value) -> DomainRenamer | ResetInserter:
    """What lets the pulse of an error or a stop empty a part: it is another reset, and where rows are spread the only one."""
    return cleared_by(m, name, clear) if config.spread else ResetInserter(clear)
