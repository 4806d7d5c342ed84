"""Configurations for proofs: as small as can be, so that much happens in few cycles."""

from skipgrid.rtl.config import Config

SMALL = Config(rows=2, lanes=4, weights=256, entries=256, pixels=64, features=64, side=16, channels=8, layers=2, scan=1, results=1)
SPREAD = SMALL.replaced(spread=True)
SERIAL = SMALL.replaced(rows=1, serial=True)
WINNERS = SMALL.replaced(winners=True, pixel_winners=2, channels=4)
EXPERTS = SMALL.replaced(experts=3, experts_chosen=2)
