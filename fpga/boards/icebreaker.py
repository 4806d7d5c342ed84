"""iCEBreaker: iCE40UP5K, 1 x 8 PEs on its 8 DSPs, weights in its 4 SPRAMs."""

from typing import Any

from skipgrid.fpga.board import Board
from skipgrid.rtl.config import Config


def platform() -> Any:
    """The platform of amaranth-boards."""
    from amaranth_boards.icebreaker import ICEBreakerPlatform

    return ICEBreakerPlatform()


def top() -> Any:
    """PLL, pins and the system."""
    raise NotImplementedError


BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    device="iCE40UP5K-SG48",
    family="ice40",
    config=Config(
        name="icebreaker",
        rows=1,
        lanes=8,
        weights=16384,
        entries=1024,
        pixels=1024,
        features=512,
        channels=256,
        layers=8,
        scan=1,
        results=1,
        serial=True,
    ),
    clock_hz=24_000_000,
    baud=3_000_000,
    platform=platform,
    top=top,
)
