"""The run-length code that activations travel in: Golomb's run-length code with Rice's parameter k, 0...7.

A tensor is one stream of bits, least significant first, in 32-bit words; zero bits fill the last word. Zeros are counted across
pixels and rows, in (y, x, c) order. A token is

    value (8 bits) | quotient in unary (ones, ended by a zero; seven ones are not ended) | remainder (k bits)

and means (quotient << k) + remainder zeros, then the value. Value 0 means "these zeros only". The encoding is canonical: of a run
longer than a token holds, tokens of the longest run and value 0 come first, then one with the rest and the value; zeros at the
tensor's end are the same with value 0, and no token at all where there are none.

Example, k = 1, the elements 0 0 0 9 0 5: the tokens (3, 9) and (1, 5), in stream order

    10010000 10 1   10100000 0 1

Sources: S. W. Golomb, "Run-length encodings", IEEE Trans. Inf. Theory 12 (1966); R. F. Rice, JPL Publication 79-22 (1979).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bits import WORD_BITS, pack, read, to_bits
from .layer import Activation
from .numerics import coded, uncoded

VALUE_BITS = 8
MAX_QUOTIENT = 7
MAX_K = 7

Kind = Literal["ended early", "ran over", "bits left"]


class CodecError(ValueError):
    """A stream that is not the code of its tensor.

    kind: "ended early": the words end inside a token or before the last element;
        "ran over": a token's zeros or value go past the last element;
        "bits left": further words, or a one in the rest of the last word, after the last element.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def check_end(words: NDArray[np.uint32], end: int, what: str, last: bool = True) -> None:
    """CodecError unless the words reach bit `end`, where `what` is complete, and, if it is the last, hold nothing behind it."""
    need = -(-end // WORD_BITS)
    if words.size < need:
        raise CodecError("ended early", f"{what} takes {end} bits, the stream has {words.size} words")
    if last and words.size > need:
        raise CodecError("bits left", f"{what} is complete after {need} words, the stream has {words.size}")
    if last and end % WORD_BITS and int(words[-1]) >> end % WORD_BITS:
        raise CodecError("bits left", f"{what} is complete after {end} bits, but a one follows in the last word")


def max_run(k: int) -> int:
    """The most zeros that one token holds."""
    return (MAX_QUOTIENT << k) + (1 << k) - 1


def tokens(coded: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    """The canonical tokens of coded bytes (count,): (n, 2), each a row (run, value)."""
    runs, values = _runs(coded)
    most = max_run(_checked_k(k))
    extra = _full_tokens(runs, most)
    last = np.cumsum(extra + 1) - 1
    table = np.empty((runs.size + int(extra.sum()), 2), np.int64)
    table[:] = most, 0
    table[last, 0] = runs - extra * most
    table[last, 1] = values
    return table


def untokens(tokens: NDArray[np.integer] | list[tuple[int, int]], count: int) -> NDArray[np.uint8]:
    """The coded bytes (count,) that tokens (n, 2) stand for. CodecError if they cover fewer or more."""
    table = np.asarray(tokens, np.int64).reshape(-1, 2)
    elements = np.zeros(count, np.uint8)
    runs, values = table[:, 0], table[:, 1]
    covered = np.cumsum(runs + (values != 0))
    total = int(covered[-1]) if covered.size else 0
    if total > count:
        raise CodecError("ran over", f"the tokens cover {total} elements, the tensor has {count}")
    if total < count:
        raise CodecError("ended early", f"the tokens cover {total} elements, the tensor has {count}")
    elements[covered[values != 0] - 1] = values[values != 0]
    return elements


def encode(coded: NDArray[np.uint8], k: int) -> NDArray[np.uint32]:
    """The words of coded bytes (count,) in the canonical encoding; none for an empty tensor."""
    table = tokens(coded, k)
    quotient, remainder = table[:, 0] >> k, table[:, 0] & ((1 << k) - 1)
    unary_bits = _unary_bits(quotient)
    ones = (1 << quotient) - 1
    field = table[:, 1] | ones << VALUE_BITS | remainder << (VALUE_BITS + unary_bits)
    return pack(field, VALUE_BITS + unary_bits + k)


def decode(words: NDArray[np.uint32], count: int, k: int) -> NDArray[np.uint8]:
    """The coded bytes (count,) of a tensor's words.

    Any tokens are taken, canonical or not, until `count` elements are there; (0 zeros, value 0) covers nothing and is legal.
    Raises CodecError, whose `kind` says what is wrong with the stream.
    """
    _checked_k(k)
    if count < 0:
        raise ValueError(f"a tensor has 0 elements or more, not {count}")
    if words.dtype != np.uint32 or words.ndim != 1:
        raise TypeError(f"a stream is a one-dimensional array of uint32 words, not {words.dtype} of shape {words.shape}")
    bits = to_bits(words)
    starts, quotient = _parse(bits, k)
    unary_bits = _unary_bits(quotient)
    runs = (quotient << k) + read(words, starts + VALUE_BITS + unary_bits, k)
    values = read(words, starts, VALUE_BITS)
    covered = np.cumsum(runs + (values != 0))
    # `used` tokens make the tensor: up to the first that reaches its last element.
    used = int(np.searchsorted(covered, count)) + 1 if count else 0
    if used > starts.size:
        have = int(covered[-1]) if covered.size else 0
        raise CodecError("ended early", f"the stream's {words.size} words end after {have} of {count} elements")
    end = int(starts[used - 1] + VALUE_BITS + unary_bits[used - 1] + k) if used else 0
    if used and covered[used - 1] > count:
        raise CodecError("ran over", f"the token that ends at bit {end} covers elements up to {covered[used - 1]} of {count}")
    check_end(words, end, f"the tensor of {count} elements")
    return untokens(np.stack([runs[:used], values[:used]], axis=1), count)


def size_bits(coded: NDArray[np.uint8], k: int) -> int:
    """Bits of the canonical encoding, without the zero bits that fill the last word."""
    runs, _ = _runs(coded)
    return _size_bits(runs, _checked_k(k))


def best_k(coded: NDArray[np.uint8]) -> int:
    """The k whose encoding is the shortest; of equals the smallest."""
    runs, _ = _runs(coded)
    return min(range(MAX_K + 1), key=lambda k: _size_bits(runs, k))


def coded_bytes(tensor: NDArray[np.integer], activation: Activation) -> NDArray[np.uint8]:
    """The coded bytes (H*W*C,), in (y, x, c) order, of a tensor (C, H, W) held as `activation` says."""
    if tensor.ndim != 3:
        raise ValueError(f"a tensor of activations is (C, H, W), not of shape {tensor.shape}")
    return coded(tensor, activation).transpose(1, 2, 0).ravel()


def from_coded(coded: NDArray[np.uint8], shape: tuple[int, int, int], activation: Activation) -> NDArray[np.integer]:
    """The tensor of `shape` (C, H, W) and the activation's type whose coded bytes these are."""
    C, H, W = shape
    if coded.shape != (C * H * W,):
        raise ValueError(f"a tensor of shape {shape} has {C * H * W} coded bytes, not an array of shape {coded.shape}")
    return np.ascontiguousarray(uncoded(coded, activation).reshape(H, W, C).transpose(2, 0, 1))


def sum_bytes(sums: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The bytes (4*K*H*W,) of sums (K, H, W): these in (y, x, c) order, the four of each from the least significant one up."""
    return np.ascontiguousarray(sums.transpose(1, 2, 0)).astype("<i4").reshape(-1).view(np.uint8)


def from_sum_bytes(found: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.int32]:
    """The sums of `shape` (K, H, W) whose bytes these are."""
    K, H, W = shape
    if found.shape != (4 * K * H * W,):
        raise ValueError(f"sums of shape {shape} have {4 * K * H * W} bytes, not an array of shape {found.shape}")
    return found.view("<i4").reshape(H, W, K).transpose(2, 0, 1).astype(np.int32)


def _checked_k(k: int) -> int:
    if not 0 <= k <= MAX_K:
        raise ValueError(f"the code's parameter k lies in 0...{MAX_K}, not at {k}")
    return k


def _runs(coded: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs of zeros of any length, and the value behind each: 0 behind the zeros at the end, if there are any."""
    if coded.dtype != np.uint8 or coded.ndim != 1:
        raise TypeError(f"coded bytes are a one-dimensional array of uint8, not {coded.dtype} of shape {coded.shape}")
    where = np.flatnonzero(coded)
    ends = np.append(where, coded.size) if coded.size and not coded[-1] else where
    runs = np.diff(ends, prepend=-1) - 1
    values = np.append(coded[where], np.zeros(ends.size - where.size, np.uint8))
    return runs, values.astype(np.int64)


def _full_tokens(runs: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many tokens of the longest run come before the one that ends each run."""
    return np.maximum(runs - 1, 0) // most


def _unary_bits(quotient: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(quotient + 1, MAX_QUOTIENT)


def _size_bits(runs: NDArray[np.int64], k: int) -> int:
    most = max_run(k)
    full = _full_tokens(runs, most)
    last = _unary_bits(runs - full * most >> k)
    return int(full.sum() * (VALUE_BITS + MAX_QUOTIENT + k) + last.sum() + last.size * (VALUE_BITS + k))


def _parse(bits: NDArray[np.uint8], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each whole token of the stream starts, and its quotient.

    Where a token starts is known only when the one before it has been read. So the quotient is counted at every bit at once,
    as if a token started there, and only the steps from token to token are taken one by one.
    """
    quotient = np.zeros(bits.size, np.uint8)
    unary = np.append(bits[VALUE_BITS:], np.zeros(VALUE_BITS + MAX_QUOTIENT, np.uint8))
    all_ones = np.ones(bits.size, np.uint8)
    for place in range(MAX_QUOTIENT):
        all_ones &= unary[place : place + bits.size]
        quotient += all_ones
    step = (VALUE_BITS + k + np.minimum(quotient + 1, MAX_QUOTIENT)).astype(np.uint8).tobytes()
    starts, position = [], 0
    while position < bits.size and position + step[position] <= bits.size:
        starts.append(position)
        position += step[position]
    at = np.array(starts, np.int64)
    return at, quotient[at].astype(np.int64)
