"""Fields of any width in 32-bit words: least significant bit first, each word filled before the next is begun."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 32


def pack(values: NDArray[np.integer], widths: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Lay fields one behind the other; the rest of the last word is zero bits.

    values: (n,), each in 0 ... 2**width - 1.
    widths: (n,), each in 0...32.
    """
    ends = np.cumsum(widths, dtype=np.int64)
    starts = ends - widths
    word, shift = starts // WORD_BITS, (starts % WORD_BITS).astype(np.uint64)
    total = int(ends[-1]) if ends.size else 0
    spread = values.astype(np.uint64) << shift
    # No two fields share a bit, so adding them into their words is the same as or-ing them.
    words = np.zeros(total // WORD_BITS + 2, np.uint64)
    np.add.at(words, word, spread & np.uint64(0xFFFFFFFF))
    np.add.at(words, word + 1, spread >> np.uint64(WORD_BITS))
    return words[: ceil(total / WORD_BITS)].astype(np.uint32)


def read(words: NDArray[np.uint32], starts: NDArray[np.integer], widths: NDArray[np.integer] | int) -> NDArray[np.int64]:
    """The fields at the bit positions `starts` (n,), each of 0...32 bits; all must lie within the words."""
    padded = np.append(words, np.zeros(2, np.uint32)).astype(np.uint64)
    word, shift = starts // WORD_BITS, (starts % WORD_BITS).astype(np.uint64)
    pair = padded[word] | padded[word + 1] << np.uint64(WORD_BITS)
    mask = (np.uint64(1) << np.asarray(widths).astype(np.uint64)) - np.uint64(1)
    return np.asarray(pair >> shift & mask, np.int64)


def to_bits(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Every bit as a uint8 0 or 1, in stream order: (32 * words,)."""
    return np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
