"""ULX3S with LFE5U-25F, whose grid skips zero weights, too: half as many weights, as their slots' numbers take the memory of the rest."""

from dataclasses import replace

from .ulx3s_25f import BOARD as DENSE

NAME = "ulx3s-25f-lists"
BOARD = replace(DENSE, name=NAME, title="ULX3S 25F, weight lists", config=DENSE.config.replaced(name=NAME, weights=2048, slots=8))
