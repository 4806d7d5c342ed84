"""Values in the fields of the accelerator's words, of which none is ever cut."""

from collections.abc import Mapping
from operator import index

from amaranth.hdl import Shape
from amaranth.lib import data

from skipgrid.rtl.descriptor import FIELD, Descriptor


def packed(layout: type[data.Struct], values: Mapping[str, int]) -> int:
    """The bits of a word or of several, from the values of its fields; those that are not named are 0.

    KeyError for a field that there is not, TypeError for a value that is no integer, ValueError for one that its field cannot hold.
    """
    members = data.StructLayout.cast(layout)
    bits = 0
    for name, given in values.items():
        field, value = members[name], index(given)
        shape = Shape.cast(field.shape)
        low, high = _range(shape)
        if not low <= value <= high:
            raise ValueError(f"{layout.__name__}.{name} holds {low:,} to {high:,}, not {value:,}")
        bits |= (value & ((1 << shape.width) - 1)) << field.offset
    return bits


def modular(name: str, value: int) -> int:
    """The value that a descriptor's field takes: of a field that is only added to addresses, the lowest bits."""
    return value & most(name) if FIELD[name].modulo else value


def most(name: str) -> int:
    """The largest value that a descriptor's field can hold."""
    return _range(Shape.cast(data.StructLayout.cast(Descriptor)[name].shape))[1]


def _range(shape: Shape) -> tuple[int, int]:
    """The smallest and the largest value of a shape."""
    if shape.signed:
        return -(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1
    return 0, (1 << shape.width) - 1
