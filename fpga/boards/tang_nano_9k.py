"""Tang Nano 9K: GW1NR-9C, 1 x 8 PEs."""

from typing import Any

from skipgrid.fpga.board import Board
from skipgrid.fpga.pll import GowinPll
from skipgrid.fpga.top import Top
from skipgrid.rtl.config import Config, Form


def platform() -> Any:
    """The platform of amaranth-boards."""
    from amaranth_boards.tang_nano_9k import TangNano9kPlatform

    return TangNano9kPlatform()


def top(system: Any) -> Any:
    """PLL and pins; the first three lights: ready, busy, error; the button S2 resets."""
    return Top(
        system,
        pll=GowinPll(input_hz=27_000_000, output_hz=BOARD.clock_hz),
        oscillator=("clk27", 0),
        reset=("button", 0),
        ready=("led", 0),
        busy=("led", 1),
        error=("led", 2),
        uart=("uart", 0),
    )


BOARD = Board(
    name="tang-nano-9k",
    title="Tang Nano 9K",
    device="GW1NR-LV9QN88PC6/I5",
    family="gowin",
    loader="tangnano9k",
    config=Config(
        name="tang-nano-9k",
        rows=1,
        lanes=16,
        weights=2048,
        entries=1024,
        pixels=1024,
        features=128,
        side=64,
        channels=256,
        layers=8,
        scan=1,
        sums=2,
        ranges_ahead=0,
        form=Form.SERIAL,
    ),
    clock_hz=72_000_000,
    baud=3_000_000,  # the most that the BL702 is known to carry; 72 MHz is 24 cycles a bit
    platform=platform,
    top=top,
)
