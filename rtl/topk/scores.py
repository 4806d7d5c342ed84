"""The words of Top-K and of the gates: what an element, a winner and a weight hold.

In each, `last` ends a tensor, and `null` says that the word holds nothing but that: so a tensor without elements is one word with both,
and so is a result without winners.
"""

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

WEIGHT_FRACTION = 15  # fractional bits of a weight, so that 1 has a place
WEIGHT_ONE = 1 << WEIGHT_FRACTION
WEIGHT = unsigned(WEIGHT_FRACTION + 1)


def element_layout(value: Shape) -> data.StructLayout:
    """A value; its index is the number of elements before it, null ones not counted."""
    return data.StructLayout({"value": value, "null": 1, "last": 1})


def winner_layout(value: Shape, index_bits: int) -> data.StructLayout:
    """A value that was chosen, and its index."""
    return data.StructLayout({"value": value, "index": index_bits, "null": 1, "last": 1})


def weight_layout(index_bits: int) -> data.StructLayout:
    """What the element of that index counts, in units of 2 ** -15."""
    return data.StructLayout({"weight": WEIGHT, "index": index_bits, "null": 1, "last": 1})


def value_shape(value_bits: int, *, signed: bool) -> Shape:
    """The shape of values; TypeError or ValueError unless they have 2 to 32 bits."""
    return Shape(check_size("value_bits", value_bits, 2, 32), signed)


def check_size(name: str, size: int, least: int, most: int) -> int:
    """The size itself; TypeError unless it is an integer, ValueError unless it lies in least...most."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"{name} must be an integer, not {size!r}")
    if not least <= size <= most:
        raise ValueError(f"{name} must lie in {least}...{most}, not at {size}")
    return size
