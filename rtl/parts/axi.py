"""The bus interfaces: AXI4-Lite for registers, AXI4-Stream for data."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..register_map import ADDRESS_BITS, ROUTER_BASE, Register

OKAY, SLVERR = 0, 2


def packed(register: Register, values: Mapping[str, Value | int]) -> Value:
    """A register's word, of the values of its fields; a field without one is 0."""
    word: Value = Const(0, 0)
    for name, low, width, _ in register.fields:
        if name in values:
            word = Cat(word, Const(0, low - len(word)), Value.cast(values[name])[:width])
    return word


class AxiLite(wiring.Signature):
    """AXI4-Lite with 32-bit data, seen from the manager."""

    def __init__(self) -> None:
        super().__init__(
            {
                "awaddr": Out(ADDRESS_BITS),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(ADDRESS_BITS),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiStream(wiring.Signature):
    """AXI4-Stream with 32-bit data, seen from the source; user=True adds TUSER (1 bit)."""

    def __init__(self, *, user: bool = False) -> None:
        super().__init__(
            {"tdata": Out(32), "tlast": Out(1), "tvalid": Out(1), "tready": In(1)} | ({"tuser": Out(1)} if user else {}),
        )


def from_stream(m: Module, port: wiring.PureInterface, words: wiring.PureInterface) -> None:
    """Connect an AXI4-Stream that comes in to a stream of `Word`."""
    m.d.comb += [
        words.payload.data.eq(port.tdata),
        words.payload.last.eq(port.tlast),
        words.valid.eq(port.tvalid),
        port.tready.eq(words.ready),
    ]


def to_stream(m: Module, words: wiring.PureInterface, port: wiring.PureInterface) -> None:
    """Connect a stream of `Word` to an AXI4-Stream that goes out, with TUSER."""
    m.d.comb += [
        port.tdata.eq(words.payload.data),
        port.tlast.eq(words.payload.last),
        port.tuser.eq(words.payload.damaged),
        port.tvalid.eq(words.valid),
        words.ready.eq(port.tready),
    ]


class AxiLiteSplit(wiring.Component):
    """One AXI4-Lite port for two: addresses from ROUTER_BASE on go to `upper`, counted from there, all others to `lower`.

    One access at a time for each direction; both take a write's address and data together, when both are offered.
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(AxiLite()), "lower": Out(AxiLite()), "upper": Out(AxiLite())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, parts = self.bus, (self.lower, self.upper)
        for part in parts:
            m.d.comb += [getattr(part, name).eq(getattr(bus, name)) for name in ("awprot", "wdata", "wstrb", "arprot")]
            m.d.comb += [getattr(part, name).eq(getattr(bus, name)[:-1]) for name in ("awaddr", "araddr")]
        for asks, answers, offered, ready, answer in (
            (("awvalid", "wvalid"), "bvalid", ("awready", "wready"), "bready", ("bresp",)),
            (("arvalid",), "rvalid", ("arready",), "rready", ("rdata", "rresp")),
        ):
            address = bus.awaddr if "awvalid" in asks else bus.araddr
            waits = Signal(name=f"waits_{answers}")  # for an answer
            asked = Signal(name=f"asked_{answers}")  # who gives it
            whole = Signal(name=f"whole_{answers}")
            m.d.comb += whole.eq(getattr(bus, asks[0]) & getattr(bus, asks[-1]) & ~waits)
            with m.If(getattr(bus, answers) & getattr(bus, ready)):
                m.d.sync += waits.eq(0)
            for number, part in enumerate(parts):
                m.d.comb += [getattr(part, name).eq(whole & (address[-1] == number)) for name in asks]
                m.d.comb += getattr(part, ready).eq(getattr(bus, ready) & waits & (asked == number))
                with m.If(whole & (address[-1] == number)):
                    m.d.comb += [getattr(bus, name).eq(getattr(part, name)) for name in offered]
                    with m.If(getattr(part, offered[0])):
                        m.d.sync += [waits.eq(1), asked.eq(number)]
                with m.If(asked == number):
                    m.d.comb += [getattr(bus, name).eq(getattr(part, name)) for name in answer]
                    m.d.comb += getattr(bus, answers).eq(getattr(part, answers) & waits)
        return m


assert ROUTER_BASE == 1 << (ADDRESS_BITS - 1)
