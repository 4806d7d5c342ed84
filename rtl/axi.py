"""The bus interfaces: AXI4-Lite for registers, AXI4-Stream for data."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .register_map import ADDRESS_BITS


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
