"""ULX3S with LFE5U-85F for networks with sparse weights: half as many weights a lane, and lists of those that are not zero."""

from dataclasses import replace

from skipgrid.fpga.floorplan import grid_of_128

from . import ulx3s_85f

BOARD = replace(
    ulx3s_85f.BOARD,
    name="ulx3s-85f-lists",
    title="ULX3S 85F, weight lists",
    config=ulx3s_85f.BOARD.config.replaced(name="ulx3s-85f-lists", weights=2048, slots=8),
    floorplan=grid_of_128(lists=True),
)
