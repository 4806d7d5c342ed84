"""ULX3S with LFE5U-25F for networks with sparse weights: half as many weights a lane, and lists of those that are not zero."""

from dataclasses import replace

from . import ulx3s_25f

BOARD = replace(
    ulx3s_25f.BOARD,
    name="ulx3s-25f-lists",
    title="ULX3S 25F, weight lists",
    config=ulx3s_25f.BOARD.config.replaced(name="ulx3s-25f-lists", weights=2048, slots=8),
)
