"""ULX3S with LFE5U-25F: 2 x 16 PEs, 24 on its multipliers and 8 made of look-up tables; the other 4 multipliers requantise."""

from typing import Any

from skipgrid.fpga.board import Board
from skipgrid.fpga.pll import Ecp5Pll
from skipgrid.fpga.top import Top
from skipgrid.rtl.config import Config, Form


def platform() -> Any:
    """The platform of amaranth-boards."""
    from amaranth_boards.ulx3s import ULX3S_25F_Platform

    return ULX3S_25F_Platform()


def top(system: Any) -> Any:
    """PLL and pins; lights D0: ready, D1: busy, D2: error; the button FIRE1 resets."""
    return Top(
        system,
        pll=Ecp5Pll(input_hz=25_000_000, output_hz=BOARD.clock_hz),
        oscillator=("clk25", 0),
        reset=("button_fire", 0),
        ready=("led", 0),
        busy=("led", 1),
        error=("led", 2),
        uart=("uart", 0),
    )


BOARD = Board(
    name="ulx3s-25f",
    title="ULX3S 25F",
    device="LFE5U-25F-6BG381C",
    family="ecp5",
    loader="ulx3s",
    config=Config(
        name="ulx3s-25f",
        rows=2,
        lanes=16,
        weights=4096,
        entries=4096,
        pixels=1024,
        features=8192,
        channels=512,
        layers=16,
        scan=2,
        sums=4,
        ranges_ahead=0,
        form=Form.SPREAD,
        soft_lanes=4,
    ),
    clock_hz=80_000_000,
    baud=3_000_000,  # the FT231X makes 3 MHz / n; 80 MHz is 26.67 cycles a bit, which 27 miss by 1.3 %
    platform=platform,
    top=top,
)
