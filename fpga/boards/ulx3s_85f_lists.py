"""ULX3S with LFE5U-85F, whose grid skips zero weights, too: half as many weights, as their slots' numbers take the memory of the rest."""

from dataclasses import replace

from skipgrid.fpga.floorplan import grid_of_128

from .ulx3s_85f import BOARD as DENSE

NAME = "ulx3s-85f-lists"
BOARD = replace(
    DENSE,
    name=NAME,
    title="ULX3S 85F, weight lists",
    config=DENSE.config.replaced(name=NAME, weights=2048, slots=8),
    floorplan=grid_of_128(lists=True),
)
