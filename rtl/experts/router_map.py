"""The expert router's registers: one table, from which the hardware, the drivers and the documentation are made."""

from typing import TYPE_CHECKING

from ..register_map import VERSION_FIELDS, VERSION_WORD, Access, Register

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

IDENTIFICATION = 0x534B4752  # "SKGR"
COUNT_BITS = 16  # of a period, of a capacity, and of what is counted in a period
COUNT_MAX = (1 << COUNT_BITS) - 1
UNBOUNDED = COUNT_MAX  # the capacity of an expert that is never full
PERIOD = 64  # tokens, after reset
ARRAYS_BASE = 0x400


class Overflow(enum.Enum, shape=1):
    """What a full expert is to a token: DROP lets it be chosen, and leaves the pair out; NEXT lets the next best with room be chosen."""

    DROP = 0
    NEXT = 1


class ExpertArray(enum.Enum, shape=2):
    """What software may see of each expert; the numbers are bits 9 and 8 of the addresses."""

    LOAD = 0
    BIAS = 1
    CAPACITY = 2


_READ, _WRITE, _BOTH = Access.READ, Access.WRITE, Access.READ_WRITE

REGISTERS = {
    register.name: register
    for register in (
        Register("IDENTIFICATION", 0x000, _READ, "the letters SKGR", reset=IDENTIFICATION),
        Register("VERSION", 0x004, _READ, "of the design", VERSION_FIELDS, VERSION_WORD),
        Register(
            "SIZES",
            0x008,
            _READ,
            "what it is built with",
            (
                ("experts", 0, 8, "of which EXPERTS are in use"),
                ("cells", 8, 8, "the most experts a token goes to"),
                ("value_bits", 16, 8, "of a score and of a bias"),
                ("fraction", 24, 8, "of these, the bits behind the point"),
            ),
            reset=None,
        ),
        Register(
            "CONTROL",
            0x00C,
            _BOTH,
            "the rules of balance and overflow",
            (
                ("balance", 0, 1, "after each period, biases are moved by STEP"),
                ("overflow", 1, 1, "0: a pair whose expert is full is left out; 1: the next best expert with room is chosen"),
                ("clear", 2, 1, "written as 1, clears TOKENS, OVERFLOWED, LOAD and STATUS.too_many, and begins a period; read as 0"),
            ),
        ),
        Register(
            "STATUS",
            0x010,
            _READ,
            "what the router is doing",
            (
                ("busy", 0, 1, "a token is in it, a period ends, or what is kept of the experts is cleared after a reset"),
                ("too_many", 1, 1, "a score was taken for which there is no expert in use; cleared by CONTROL.clear"),
            ),
        ),
        Register("EXPERTS", 0x014, _BOTH, "experts in use; after reset as many as are built", reset=None),
        Register("K", 0x018, _BOTH, "experts that are chosen for a token; after reset SIZES.cells", reset=None),
        Register("K_MIN", 0x01C, _BOTH, "of these, so many are kept at least"),
        Register("K_MAX", 0x020, _BOTH, "so many are kept at most, less the pressure; after reset SIZES.cells", reset=None),
        Register("SHARE", 0x024, _BOTH, "experts are kept until their weights reach this sum, in units of 2^−15", reset=COUNT_MAX),
        Register("RELATIVE", 0x028, _BOTH, "experts are kept whose weight is this part of the largest, in units of 2^−15"),
        Register("PERIOD", 0x02C, _BOTH, "tokens, up to 65,535, after which capacities are renewed; 0 for never", reset=PERIOD),
        Register(
            "STEP",
            0x030,
            _BOTH,
            "by which a bias is moved, in units of the scores; after reset 1/8, or the nearest that can be",
            reset=None,
        ),
        Register("TOKENS", 0x034, _READ, "tokens that have been routed"),
        Register("OVERFLOWED", 0x038, _READ, "pairs that were left out because their expert was full"),
    )
}

ARRAYS = {
    array: Register(array.name, ARRAYS_BASE + (array.value << 8), access, meaning, reset=reset)
    for array, access, meaning, reset in (
        (ExpertArray.LOAD, _READ, "tokens that expert n got", 0),
        (ExpertArray.BIAS, _BOTH, "what is added to the score of expert n where experts are chosen, signed", 0),
        (ExpertArray.CAPACITY, _BOTH, "tokens that expert n takes in a period; 65,535 for any number; 0 for none", UNBOUNDED),
    )
}
"""Registers of expert n at + 4 n."""
