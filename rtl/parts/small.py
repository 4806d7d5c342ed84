"""Arithmetic on a few bits in look-up tables: a carry chain takes logic cells of its own at both ends."""

from amaranth.hdl import Cat, Value


def counted_up(count: Value) -> Value:
    """count + 1, modulo its width."""
    return Cat(bit ^ count[:index].all() for index, bit in enumerate(count))
