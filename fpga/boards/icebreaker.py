"""iCEBreaker: iCE40UP5K, 1 x 8 PEs on its 8 DSPs, weights in its 4 SPRAMs."""

from typing import Any

from skipgrid.fpga.board import Board
from skipgrid.fpga.pll import Ice40Pll
from skipgrid.fpga.top import Top
from skipgrid.rtl.config import Config, Form


def platform() -> Any:
    """The platform of amaranth-boards, with the part that can be broken off, for its lights."""
    from amaranth_boards.icebreaker import ICEBreakerPlatform

    made = ICEBreakerPlatform()
    made.add_resources(made.break_off_pmod)
    return made


def top(system: Any) -> Any:
    """PLL and pins; green: ready, red: error, green on the part that can be broken off: busy."""
    return Top(
        system,
        pll=Ice40Pll(input_hz=12_000_000, output_hz=BOARD.clock_hz),
        oscillator=("clk12", 0),
        reset=("button", 0),
        ready=("led_g", 0),
        busy=("led_g", 1),
        error=("led_r", 0),
        uart=("uart", 0),
    )


BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    device="iCE40UP5K-SG48",
    family="ice40",
    loader="ice40_generic",
    config=Config(
        name="icebreaker",
        rows=1,
        lanes=8,
        weights=16384,
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
    clock_hz=24_000_000,
    baud=3_000_000,  # the FT2232H makes 12 MHz / n, and 24 MHz is 8 cycles a bit; at 4 cycles a bit, sampling would be coarse
    platform=platform,
    top=top,
)
