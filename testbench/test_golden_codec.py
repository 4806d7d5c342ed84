"""The run-length code: round trips, exact tokens, sizes, and each way in which a stream can be wrong."""

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from skipgrid.golden import (
    Activation,
    CodecError,
    best_k,
    coded_bytes,
    decode,
    encode,
    entropy_bits,
    from_coded,
    from_sum_bytes,
    max_run,
    size_bits,
    sum_bytes,
    tokens,
    untokens,
)
from skipgrid.golden.bits import pack
from skipgrid.golden.numerics import INT32

KS = range(8)


def words_of(bits: str) -> NDArray[np.uint32]:
    """Words of a stream written down in stream order; spaces are only for the eye."""
    fields = np.array([int(bit) for bit in bits.replace(" ", "")])
    return pack(fields, np.ones(fields.size, np.int64))


def sparse(size: int, zeros: float, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < zeros, 0, rng.integers(1, 256, size)).astype(np.uint8)


def check_round_trip(elements: NDArray[np.uint8], k: int) -> None:
    words = encode(elements, k)
    assert words.size == -(-size_bits(elements, k) // 32)
    assert size_bits(elements, k) <= (9 + k) * elements.size + 1  # the room for any output, as docs/integrating.md says
    np.testing.assert_array_equal(decode(words, elements.size, k), elements)
    np.testing.assert_array_equal(untokens(tokens(elements, k), elements.size), elements)


@given(
    elements=hnp.arrays(np.uint8, st.integers(0, 300), elements=st.integers(0, 255), fill=st.just(0)),
    k=st.integers(0, 7),
)
def test_round_trip(elements: NDArray[np.uint8], k: int) -> None:
    check_round_trip(elements, k)


@pytest.mark.parametrize("k", KS)
def test_round_trip_of_every_small_tensor(k: int) -> None:
    for size in range(6):
        for elements in product((0, 1, 255), repeat=size):
            check_round_trip(np.array(elements, np.uint8), k)


@pytest.mark.parametrize("k", KS)
def test_round_trip_of_every_run(k: int) -> None:
    """Every run from nothing to over three of the longest, before a value and at the end: so also exactly the longest, and one over."""
    for run in range(3 * max_run(k) + 3):
        check_round_trip(np.array([0] * run + [200], np.uint8), k)
        check_round_trip(np.array([7] + [0] * run, np.uint8), k)


@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("zeros", [0, 0.5, 0.9, 0.99, 1])
def test_round_trip_of_large_tensors(k: int, zeros: float) -> None:
    check_round_trip(sparse(70_000, zeros, seed=k), k)


def test_empty_rows_are_one_run() -> None:
    tensor = np.zeros((2, 4, 3), np.uint8)
    tensor[1, 0, 2], tensor[0, 3, 0] = 9, 8
    assert tokens(coded_bytes(tensor, Activation()), 4).tolist() == [[5, 9], [12, 8], [5, 0]]


@pytest.mark.parametrize(
    ("elements", "k", "expected"),
    [
        ([], 0, []),
        ([5], 0, [[0, 5]]),
        ([0], 0, [[1, 0]]),
        ([0] * 7 + [5], 0, [[7, 5]]),
        ([0] * 8 + [5], 0, [[7, 0], [1, 5]]),
        ([0] * 7, 0, [[7, 0]]),
        ([0] * 8, 0, [[7, 0], [1, 0]]),
        ([0] * 14 + [5], 0, [[7, 0], [7, 5]]),
        ([0] * 15 + [5], 1, [[15, 5]]),
        ([0] * 16 + [5, 6], 1, [[15, 0], [1, 5], [0, 6]]),
        ([0] * 1024, 7, [[1023, 0], [1, 0]]),
    ],
)
def test_canonical_tokens(elements: list[int], k: int, expected: list[list[int]]) -> None:
    assert tokens(np.array(elements, np.uint8), k).tolist() == expected


@pytest.mark.parametrize(
    ("bits", "elements", "k"),
    [
        ("10010000 10 1  10100000 0 1", [0, 0, 0, 9, 0, 5], 1),
        ("11111111 0", [255], 0),
        ("00000000 1111111", [0] * 7, 0),
        ("10000000 1111110", [0] * 6 + [1], 0),
        ("10000000 1111111 11", [0] * 31 + [1], 2),
        ("00000000 1111111 11  10000000 0 00", [0] * 31 + [1], 2),
    ],
)
def test_bits(bits: str, elements: list[int], k: int) -> None:
    np.testing.assert_array_equal(decode(words_of(bits), len(elements), k), elements)


def test_anything_that_covers_the_tensor_is_decoded() -> None:
    nothing, two_zeros = "00000000 0", "00000000 110"
    np.testing.assert_array_equal(decode(words_of(nothing + two_zeros + two_zeros + nothing + "10000000 0"), 5, 0), [0, 0, 0, 0, 1])
    assert decode(np.zeros(0, np.uint32), 0, 3).size == 0


@pytest.mark.parametrize(
    ("bits", "count", "kind"),
    [
        ("", 1, "ended early"),
        ("10000000 0", 2, "ended early"),  # 23 bits of fill hold two tokens that cover nothing
        ("10000000 0" * 3 + "10000", 4, "ended early"),
        ("00000000 1111111" * 2 + "00", 15, "ended early"),
        ("00000000 110", 1, "ran over"),
        ("10000000 110", 2, "ran over"),
        ("10000000 0 10000000 10", 2, "ran over"),
        ("10000000 0" + "0" * 23 + "0", 1, "bits left"),
        ("10000000 0 1", 1, "bits left"),
        ("10000000 0" + "0" * 22 + "1", 1, "bits left"),
        ("10000000 0 10000000 0", 1, "bits left"),
        ("0", 0, "bits left"),
    ],
)
def test_wrong_streams(bits: str, count: int, kind: str) -> None:
    with pytest.raises(CodecError, match=kind) as error:
        decode(words_of(bits), count, 0)
    assert error.value.kind == kind


@given(words=hnp.arrays(np.uint32, st.integers(0, 12)), count=st.integers(0, 100), k=st.integers(0, 7))
def test_any_words_are_a_tensor_or_a_codec_error(words: NDArray[np.uint32], count: int, k: int) -> None:
    """And no other encoding of a tensor is shorter than the canonical one."""
    with suppress(CodecError):
        elements = decode(words, count, k)
        assert elements.shape == (count,)
        assert encode(elements, k).size <= words.size


@given(elements=hnp.arrays(np.uint8, st.integers(1, 200), elements=st.integers(0, 3)), k=st.integers(0, 7))
def test_a_cut_or_a_longer_stream_is_wrong(elements: NDArray[np.uint8], k: int) -> None:
    words = encode(elements, k)
    for wrong, count, kind in (
        (words[:-1], elements.size, "ended early"),
        (np.append(words, np.uint32(0)), elements.size, "bits left"),
    ):
        with pytest.raises(CodecError) as error:
            decode(wrong, count, k)
        assert error.value.kind == kind


@pytest.mark.parametrize("zeros", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
def test_size_is_near_the_entropy_bound(zeros: float) -> None:
    elements = sparse(50_000, zeros, seed=1)
    best = best_k(elements)
    sizes = [size_bits(elements, k) for k in KS]
    assert sizes[best] == min(sizes)
    assert sizes[best] <= 1.02 * entropy_bits(elements) + 64


def test_best_k_of_equals_is_the_smallest() -> None:
    assert best_k(np.zeros(0, np.uint8)) == 0
    assert best_k(np.ones(10, np.uint8)) == 0
    assert best_k(np.zeros(100_000, np.uint8)) == 7


@pytest.mark.parametrize("activation", [Activation("uint8", 0), Activation("uint8", 131), Activation("int8", -128), Activation("int8", 5)])
def test_coded_bytes_give_the_tensor_back(activation: Activation) -> None:
    rng = np.random.default_rng(2)
    tensor = rng.integers(activation.low, activation.high + 1, (3, 20, 30)).astype(activation.dtype)
    elements = coded_bytes(tensor, activation)
    np.testing.assert_array_equal(elements != 0, (tensor != activation.zero_point).transpose(1, 2, 0).ravel())
    assert elements[3 * 30 * 4 + 3 * 7 + 2] == (int(tensor[2, 4, 7]) - activation.zero_point) % 256
    back = from_coded(elements, tensor.shape, activation)
    assert back.dtype == tensor.dtype
    np.testing.assert_array_equal(back, tensor)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"k lies in 0...7, not at 8"):
        encode(np.zeros(1, np.uint8), 8)
    with pytest.raises(TypeError, match="coded bytes are a one-dimensional array of uint8, not int64"):
        encode(np.zeros(1, np.int64), 0)
    with pytest.raises(TypeError, match="uint32 words, not int32"):
        decode(np.zeros(1, np.int32), 1, 0)
    with pytest.raises(ValueError, match="not -1"):
        decode(np.zeros(0, np.uint32), -1, 0)
    with pytest.raises(ValueError, match="has 8 coded bytes"):
        from_coded(np.zeros(7, np.uint8), (2, 2, 2), Activation())
    with pytest.raises(TypeError, match="held as int8, but the array is uint8"):
        coded_bytes(np.zeros((1, 1, 1), np.uint8), Activation("int8"))
    with pytest.raises(CodecError, match="ran over"):
        untokens([(3, 1)], 3)
    with pytest.raises(CodecError, match="ended early"):
        untokens([(3, 1)], 5)


def test_sums_and_their_bytes() -> None:
    sums = np.array([[[-1, 258]], [[INT32.min, INT32.max]]], np.int32)  # two channels, a row of two columns
    found = sum_bytes(sums)
    assert found.tolist() == [255] * 4 + [0, 0, 0, 128] + [2, 1, 0, 0] + [255, 255, 255, 127]
    np.testing.assert_array_equal(from_sum_bytes(found, (2, 1, 2)), sums)
    with pytest.raises(ValueError, match="sums of shape \\(2, 1, 1\\) have 8 bytes"):
        from_sum_bytes(found, (2, 1, 1))
