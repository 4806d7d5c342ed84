"""Values in the fields of the accelerator's words, of which none is ever cut."""

from collections.abc import Mapping
from operator import index

from amaranth.hdl import Shape
from amaranth.lib import data

from skipgrid.rtl.layouts import Descriptor

MODULAR = ("_pixels", "_weights", "first_pixel", "first_weight")
"""Endings of a descriptor's fields that are taken modulo 65,536: they are added to addresses of memories that hold as much or less."""


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
    """The value that a descriptor's field takes: what is left of it modulo 65,536, where the field is one that only adds to addresses."""
    return value & 0xFFFF if name.endswith(MODULAR) else value


def most(name: str) -> int:
    """The largest value that a descriptor's field can hold."""
    return _range(Shape.cast(data.StructLayout.cast(Descriptor)[name].shape))[1]


def _range(shape: Shape) -> tuple[int, int]:
    """The smallest and the largest value of a shape."""
    if shape.signed:
        return -(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1
    return 0, (1 << shape.width) - 1
