"""AXI4, as far as the DMA needs it: 32 bits, one ID, incrementing bursts."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OKAY, SLVERR, DECERR = 0, 2, 3
INCR = 1  # AxBURST: each beat has the next address
WORD = 2  # AxSIZE: four bytes a beat


class Axi4(wiring.Signature):
    """AXI4 with 32-bit addresses and data and one ID, seen from the manager; reads=False or writes=False leaves these channels out.

    Signals that are not here (LOCK, CACHE, PROT, QOS, REGION, USER) have the values that AXI4 gives them where they are missing.
    """

    def __init__(self, *, reads: bool = True, writes: bool = True) -> None:
        members: dict[str, wiring.Member] = {}
        if writes:
            members |= _address("aw") | {
                "wdata": Out(32),
                "wstrb": Out(4),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
        if reads:
            members |= _address("ar") | {
                "rid": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        super().__init__(members)


def _address(channel: str) -> dict[str, wiring.Member]:
    """The signals of a channel of addresses."""
    fields = {"id": 1, "addr": 32, "len": 8, "size": 3, "burst": 2}
    return {f"{channel}{name}": Out(width) for name, width in fields.items()} | {f"{channel}valid": Out(1), f"{channel}ready": In(1)}
