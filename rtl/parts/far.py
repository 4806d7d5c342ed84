"""What leads to far places of a large FPGA: registers and addresses of their own, and a reset of their own."""

from collections.abc import Sequence

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, ResetInserter, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory

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


def queued(m: Module, lanes: data.View, *, depth: int, stored: Value, taken: Value, ahead: int = 0) -> Value:
    """Lanes side by side that wait in memories with an asynchronous read port (LUT RAM), two lanes in each; the ones that are first.

    That they are taken goes to the memories' addresses, and not to every bit's register. Each memory has addresses of its own, as those of
    one would have far ways; they begin apart, without which synthesis would make them one.

    depth: of the queue, a power of two. stored: lanes are. taken: the first ones are. ahead: which of those that wait is shown, so that -1
        shows what was taken last.
    """
    firsts = []
    for number, pair in enumerate(lanes.as_value()[bit : bit + 64] for bit in range(0, len(lanes.as_value()), 64)):
        m.submodules[f"queue{number}"] = memory = Memory(shape=len(pair), depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        tail = Signal(range(depth), init=number % depth, name=f"tail{number}")
        head = Signal(range(depth), init=(number + ahead) % depth, name=f"head{number}")
        m.d.comb += [write.addr.eq(tail), write.data.eq(pair), write.en.eq(stored), read.addr.eq(head)]
        m.d.sync += [tail.eq(tail + stored), head.eq(head + taken)]
        firsts.append(read.data)
    return Cat(firsts)


def cleared_by(m: Module, name: str, clear: Value) -> DomainRenamer:
    """What puts a part into a clock domain of its own, which is like `sync` but for its reset: that is `clear` alone."""
    domain = ClockDomain(name, local=True)
    m.domains += domain
    m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(clear)]
    return DomainRenamer(name)


def emptied_by(m: Module, config: Config, name: str, clear: Value) -> DomainRenamer | ResetInserter:
    """What lets the pulse of an error or a stop empty a part: it is another reset, and where rows are spread the only one."""
    return cleared_by(m, name, clear) if config.spread else ResetInserter(clear)
