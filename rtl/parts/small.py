"""Arithmetic on a few bits in look-up tables: a carry chain takes logic cells of its own at both ends."""

from itertools import combinations

from amaranth.hdl import Cat, Value


def counted_up(count: Value) -> Value:
    """count + 1, modulo its width."""
    return Cat(bit ^ count[:index].all() for index, bit in enumerate(count))


def _added(some: list[Value], others: list[Value]) -> list[Value]:
    """The sum of two counts; each is a list: whether it is at least 1, at least 2, and so on."""
    return [Cat(some[top], others[top], *(some[low] & others[top - 1 - low] for low in range(top))).any() for top in range(len(some))]


def counts(bits: Value, most: int) -> list[list[Value]]:
    """Of none of the bits, of the first, of the first two, and so on up to all: whether at least 1, 2, … `most` of them are set."""
    if len(bits) <= 4:  # what one look-up table sees
        subsets = [[combinations(bits[:end], number) for number in range(1, most + 1)] for end in range(len(bits) + 1)]
        return [[Cat(Cat(subset).all() for subset in each).any() for each in of_end] for of_end in subsets]
    half = len(bits) // 2
    low, high = counts(bits[:half], most), counts(bits[half:], most)
    return [*low[:-1], *(_added(low[-1], count) for count in high)]
