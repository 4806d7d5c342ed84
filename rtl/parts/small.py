"""Arithmetic on a few bits in look-up tables: a carry chain takes logic cells of its own at both ends."""

from amaranth.hdl import Cat, Const, Mux, Value


def counted_up(count: Value) -> Value:
    """count + 1, modulo its width."""
    return Cat(bit ^ count[:index].all() for index, bit in enumerate(count))


def is_less(left: Value, right: Value) -> Value:
    """left < right, of the same width."""
    less: Value = Const(0, 1)
    for one, other in zip(left, right, strict=True):  # the highest bit that differs counts
        less = Mux(one ^ other, other, less)
    return less
