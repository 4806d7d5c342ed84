"""The formats to compare with: round trips, sizes worked out by hand, and wrong words."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from skipgrid.golden import CodecError
from skipgrid.golden.formats import COO, CSR, FORMATS, Bitmap, EyerissRLC, Format

each_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)


@each_format
@given(matrix=hnp.arrays(np.uint8, st.tuples(st.integers(0, 9), st.integers(0, 70)), elements=st.integers(0, 255), fill=st.just(0)))
def test_round_trip(form: Format, matrix: NDArray[np.uint8]) -> None:
    words = form.encode(matrix)
    assert words.dtype == np.uint32
    assert words.size == -(-form.size_bits(matrix) // 32)
    np.testing.assert_array_equal(form.decode(words, matrix.shape), matrix)


@each_format
@pytest.mark.parametrize("zeros", [0, 0.5, 0.99, 1])
def test_round_trip_of_a_large_tensor(form: Format, zeros: float) -> None:
    rng = np.random.default_rng(0)
    matrix = np.where(rng.random((300, 400)) < zeros, 0, rng.integers(1, 256, (300, 400))).astype(np.uint8)
    np.testing.assert_array_equal(form.decode(form.encode(matrix), matrix.shape), matrix)


def test_sizes() -> None:
    matrix = np.zeros((4, 100), np.uint8)
    matrix[0, 40], matrix[2, 99], matrix[3, 50] = 1, 2, 3
    assert Bitmap().size_bits(matrix) == 400 + 3 * 8
    assert CSR().size_bits(matrix) == 5 * 9 + 3 * (7 + 8)
    assert COO().size_bits(matrix) == 9 + 3 * (2 + 7 + 8)
    # Zeros before, between and behind the nonzeros: 40, 258, 50, 49, each 32 of them a pair more.
    assert EyerissRLC().size_bits(matrix) == -(-(2 + 9 + 2 + 2) // 3) * 64


def test_fields_of_eyeriss_lie_from_bit_0_on() -> None:
    words = EyerissRLC().encode(np.array([[0, 0, 12, 0, 0, 0, 0, 53, 0, 0, 22]], np.uint8))
    assert int(words[1]) << 32 | int(words[0]) == 2 | 12 << 5 | 4 << 21 | 53 << 26 | 2 << 42 | 22 << 47 | 1 << 63


@each_format
@pytest.mark.parametrize("shape", [(3, 33), (1, 1)])
def test_cut_and_longer_words_are_wrong(form: Format, shape: tuple[int, int]) -> None:
    words = form.encode(np.full(shape, 77, np.uint8))
    for wrong, kind in ((words[:-1], "ended early"), (np.append(words, np.zeros(2, np.uint32)), ("bits left", "ended early"))):
        with pytest.raises(CodecError) as error:
            form.decode(wrong, shape)
        assert error.value.kind in kind


@each_format
@given(words=hnp.arrays(np.uint32, st.integers(0, 8)), shape=st.tuples(st.integers(0, 5), st.integers(0, 9)))
def test_any_words_are_a_matrix_or_a_codec_error(form: Format, words: NDArray[np.uint32], shape: tuple[int, int]) -> None:
    with suppress(CodecError):
        assert form.decode(words, shape).shape == shape
