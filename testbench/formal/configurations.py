"""Configurations for proofs: as small as can be, so that much happens in few cycles."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.topk import histogram_topk
from skipgrid.rtl.winners import rising_threshold

SMALL = Config(rows=2, lanes=4, weights=256, entries=256, pixels=64, features=64, side=16, channels=8, layers=2, scan=1, sums=1)
SEVERAL = SMALL.replaced(scan=2, survivors=2, pointers=4)
POOLING = SEVERAL.replaced(pool_elements=64)
SPREAD = SMALL.replaced(form=Form.SPREAD)
SERIAL = SMALL.replaced(rows=1, form=Form.SERIAL)
WINNERS = SMALL.replaced(winners=64, pixel_winners=2, channels=4)
FUNCTIONS = SEVERAL.replaced(functions=1)
EXPERTS = SMALL.replaced(experts=3, experts_chosen=2)
LISTS = SMALL.replaced(scan=2, slots=8)


@contextmanager
def few_bins() -> Iterator[None]:
    """While it lasts, histograms have 4 bins, of values of 2 bits: it takes 4 cycles to go through them, and not 256."""
    with patch.multiple(histogram_topk, VALUE_BITS=2, BINS=4), patch.multiple(rising_threshold, RANK_BITS=2, BINS=4):
        yield
