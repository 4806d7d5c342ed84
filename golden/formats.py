"""Other ways to store sparse tensors, to compare the run-length code with: bitmap, CSR, COO and Eyeriss's run-length format.

Each is given coded bytes as a matrix (rows, columns) of uint8, 0 = zero: rows of the feature map, or pixels, as one likes to
compare. `encode` gives 32-bit words, fields least significant bit first and the rest of the last word zero; `decode` wants the
matrix's shape back, as our own code wants the count, and raises CodecError for words that are not that matrix's code.
`size_bits` counts the fields without the fill of the last word.
"""

from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .bits import WORD_BITS, pack, read, to_bits
from .codec import VALUE_BITS, CodecError, check_end

Matrix = NDArray[np.uint8]
Words = NDArray[np.uint32]
Shape = tuple[int, int]


class Format(Protocol):
    """What every format here offers."""

    name: str

    def encode(self, matrix: Matrix) -> Words: ...
    def decode(self, words: Words, shape: Shape) -> Matrix: ...
    def size_bits(self, matrix: Matrix) -> int: ...


class Bitmap:
    """A bit for each element, in order, one where it is nonzero; then the nonzeros, 8 bits each.

    Source: zero-value compression, M. Rhu and others, "Compressing DMA Engine", HPCA 2018.
    """

    name = "bitmap"

    def encode(self, matrix: Matrix) -> Words:
        flat = matrix.ravel()
        nonzeros = flat[flat != 0]
        return pack(np.concatenate([flat != 0, nonzeros]), _widths((flat.size, 1), (nonzeros.size, VALUE_BITS)))

    def decode(self, words: Words, shape: Shape) -> Matrix:
        size = shape[0] * shape[1]
        check_end(words, size, "the bitmap", last=False)
        mask = to_bits(words)[:size].astype(bool)
        count = int(mask.sum())
        check_end(words, size + count * VALUE_BITS, f"the {count} nonzeros")
        flat = np.zeros(size, np.uint8)
        flat[mask] = _row(words, size, count, VALUE_BITS)
        return flat.reshape(shape)

    def size_bits(self, matrix: Matrix) -> int:
        return matrix.size + int(np.count_nonzero(matrix)) * VALUE_BITS


class CSR:
    """Compressed sparse row: rows + 1 pointers, the column of each nonzero, the nonzeros.

    Pointer i counts the nonzeros before row i. A pointer has as many bits as the number of elements needs, a column as many as
    the largest column needs, a value 8. Source: Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd edition, 3.4.
    """

    name = "CSR"

    def encode(self, matrix: Matrix) -> Words:
        row, column = np.nonzero(matrix)
        pointers = np.searchsorted(row, np.arange(matrix.shape[0] + 1))
        fields = np.concatenate([pointers, column, matrix[row, column]])
        pointer_bits, column_bits = self._bits(matrix.shape)
        return pack(fields, _widths((pointers.size, pointer_bits), (column.size, column_bits), (column.size, VALUE_BITS)))

    def decode(self, words: Words, shape: Shape) -> Matrix:
        pointer_bits, column_bits = self._bits(shape)
        head = (shape[0] + 1) * pointer_bits
        check_end(words, head, "the row pointers", last=False)
        pointers = _row(words, 0, shape[0] + 1, pointer_bits)
        count = int(pointers[-1])
        if pointers[0] or (np.diff(pointers) < 0).any() or count > shape[0] * shape[1]:
            raise CodecError("ran over", f"the row pointers do not rise from 0 to the number of nonzeros of a {shape} matrix")
        check_end(words, head + count * (column_bits + VALUE_BITS), f"the {count} nonzeros")
        row = np.repeat(np.arange(shape[0]), np.diff(pointers))
        column = _row(words, head, count, column_bits)
        return _placed(shape, row, column, _row(words, head + count * column_bits, count, VALUE_BITS))

    def size_bits(self, matrix: Matrix) -> int:
        pointer_bits, column_bits = self._bits(matrix.shape)
        return int(matrix.shape[0] + 1) * pointer_bits + int(np.count_nonzero(matrix)) * (column_bits + VALUE_BITS)

    @staticmethod
    def _bits(shape: tuple[int, ...]) -> Shape:
        return (shape[0] * shape[1]).bit_length(), _index_bits(shape[1])


class COO:
    """Coordinates: the number of nonzeros, then (row, column, value) of each, in order.

    The number has as many bits as the number of elements needs, an index as many as the largest needs, a value 8.
    Source: Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd edition, 3.4; the number in front is ours.
    """

    name = "COO"

    def encode(self, matrix: Matrix) -> Words:
        row, column = np.nonzero(matrix)
        triples = np.stack([row, column, matrix[row, column]], axis=1)
        widths = np.tile(self._bits(matrix.shape), row.size)
        return pack(np.append(row.size, triples), np.append(matrix.size.bit_length(), widths))

    def decode(self, words: Words, shape: Shape) -> Matrix:
        bits, head = self._bits(shape), (shape[0] * shape[1]).bit_length()
        check_end(words, head, "the number of nonzeros", last=False)
        count = int(_row(words, 0, 1, head)[0])
        check_end(words, head + count * sum(bits), f"the {count} nonzeros")
        starts = head + sum(bits) * np.arange(count)
        row, column, value = (read(words, starts + sum(bits[:field]), bits[field]) for field in range(3))
        return _placed(shape, row, column, value)

    def size_bits(self, matrix: Matrix) -> int:
        return matrix.size.bit_length() + int(np.count_nonzero(matrix)) * sum(self._bits(matrix.shape))

    @staticmethod
    def _bits(shape: tuple[int, ...]) -> tuple[int, int, int]:
        return _index_bits(shape[0]), _index_bits(shape[1]), VALUE_BITS


class EyerissRLC:
    """Eyeriss's run-length format: in 64 bits three pairs of a 5-bit run and a 16-bit level, and a flag on the last 64 bits.

    A pair is `run` zeros, then the level, which may be a zero itself: so 31 zeros and a level 0 stand for 32 zeros. Pairs lie
    from bit 0 on, run before level, the flag is bit 63 (the paper gives the fields, not their order); unused pairs are 0. A level
    holds 16 bits because Eyeriss computes with 16; our bytes use half of it. A tensor with no element still takes one flagged word.
    Source: Y.-H. Chen and others, "Eyeriss", IEEE J. Solid-State Circuits 52 (2017), section V-A.
    """

    name = "Eyeriss RLC"
    RUN_BITS, LEVEL_BITS, PAIRS, BITS = 5, 16, 3, 64

    def encode(self, matrix: Matrix) -> Words:
        pairs = self._pairs(matrix.ravel())
        filled = max(ceil(len(pairs) / self.PAIRS), 1)
        table = np.zeros((filled * self.PAIRS, 2), np.int64)
        table[: len(pairs)] = pairs
        flags = np.arange(filled) == filled - 1
        fields = np.column_stack([table.reshape(filled, -1), flags])
        return pack(fields.ravel(), np.tile([self.RUN_BITS, self.LEVEL_BITS] * self.PAIRS + [1], filled))

    def decode(self, words: Words, shape: Shape) -> Matrix:
        size = shape[0] * shape[1]
        flags = words[1::2] >> np.uint32(WORD_BITS - 1)
        if words.size % 2 or not flags.any():
            raise CodecError("ended early", f"the stream's {words.size} words end without a 64-bit word flagged as the last")
        if flags[:-1].any():
            raise CodecError("bits left", f"words follow the 64-bit word {int(flags.argmax())}, which is flagged as the last")
        within = np.arange(self.PAIRS) * (self.RUN_BITS + self.LEVEL_BITS)
        starts = (np.arange(flags.size)[:, None] * self.BITS + within).ravel()
        runs, levels = read(words, starts, self.RUN_BITS), read(words, starts + self.RUN_BITS, self.LEVEL_BITS)
        covered = np.cumsum(runs + 1)
        used = int(np.searchsorted(covered, size)) + 1 if size else 0
        if used > covered.size:
            raise CodecError("ended early", f"the pairs cover {covered[-1]} of {size} elements")
        if (used and covered[used - 1] > size) or (levels[:used] > 0xFF).any():
            raise CodecError("ran over", f"a pair goes past the tensor of {size} elements, or its level past 8 bits")
        if runs[used:].any() or levels[used:].any() or flags.size > max(ceil(used / self.PAIRS), 1):
            raise CodecError("bits left", f"pairs follow the one that completes the tensor of {size} elements")
        flat = np.zeros(size, np.uint8)
        flat[covered[:used] - 1] = levels[:used]
        return flat.reshape(shape)

    def size_bits(self, matrix: Matrix) -> int:
        return max(ceil(len(self._pairs(matrix.ravel())) / self.PAIRS), 1) * self.BITS

    def _pairs(self, flat: Matrix) -> NDArray[np.int64]:
        """(n, 2) of (run, level). The last element always is a level, zero or not, so that no pair goes past the end."""
        most = (1 << self.RUN_BITS) - 1
        ends = np.union1d(np.flatnonzero(flat), np.arange(flat.size)[-1:])
        gaps = np.diff(ends, prepend=-1) - 1
        full = gaps // (most + 1)
        table = np.empty((ends.size + int(full.sum()), 2), np.int64)
        table[:] = most, 0
        table[np.cumsum(full + 1) - 1] = np.stack([gaps % (most + 1), flat[ends]], axis=1)
        return table


FORMATS: tuple[Format, ...] = (Bitmap(), CSR(), COO(), EyerissRLC())
"""Every format, in the order of the module's docstring."""


def _index_bits(size: int) -> int:
    """Bits of an index into `size` places."""
    return max(size - 1, 0).bit_length()


def _widths(*fields: tuple[int, int]) -> NDArray[np.int64]:
    """(count, width) of equal fields, one after another, as a width for each."""
    return np.repeat([width for _, width in fields], [count for count, _ in fields])


def _row(words: Words, start: int, count: int, width: int) -> NDArray[np.int64]:
    """`count` fields of equal width from bit `start` on."""
    return read(words, start + width * np.arange(count), width)


def _placed(shape: Shape, row: NDArray[np.integer], column: NDArray[np.integer], value: NDArray[np.integer]) -> Matrix:
    if (row >= shape[0]).any() or (column >= shape[1]).any():
        raise CodecError("ran over", f"an index lies outside of the {shape[0]} x {shape[1]} matrix")
    matrix = np.zeros(shape, np.uint8)
    matrix[row, column] = value
    return matrix
