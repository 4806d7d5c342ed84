"""Requantisation and thresholds at their edges, by scalar arithmetic written down a second time."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipgrid.golden import Activation, apply_threshold, coded, requantise, requantise_scale, uncoded

int32s = st.integers(-(2**31), 2**31 - 1)


def nearest(value: Fraction, bits: int) -> Fraction:
    """The value rounded to `bits` significant bits, ties to even: float32 has 24."""
    if not value:
        return value
    unit = Fraction(2) ** -bits
    while abs(value) >= unit * 2**bits:
        unit *= 2
    while abs(value) < unit * 2 ** (bits - 1):
        unit /= 2
    return round(value / unit) * unit


def one(acc: int, bias: int, scale: float, zero_point: int = 0, low: int = 0, high: int = 255) -> int:
    return int(requantise(np.array([acc], np.int32), np.array([bias], np.int32), np.array([scale], np.float32), zero_point, low, high)[0])


@given(acc=int32s, bias=int32s, scale=st.floats(2**-30, 2, width=32), zero_point=st.integers(-128, 255))
def test_requantise_is_the_formula(acc: int, bias: int, scale: float, zero_point: int) -> None:
    wrapped = (acc + bias + 2**31) % 2**32 - 2**31
    product = nearest(nearest(Fraction(wrapped), 24) * Fraction(scale), 24)
    expected = min(max(round(product) + zero_point, -100), 200)
    assert one(acc, bias, scale, zero_point, -100, 200) == expected


@pytest.mark.parametrize(
    ("acc", "bias", "scale", "expected"),
    [
        (0, 7, 1.0, 7),  # the bias counts also where nothing was accumulated
        (-7, 7, 1.0, 0),
        (1, 0, 0.5, 0),  # ties go to the even integer
        (3, 0, 0.5, 2),
        (5, 0, 0.5, 2),
        (7, 0, 0.5, 4),
        (2**24 + 1, 0, 2.0**-25, 0),  # the conversion to float32 rounds first: down to the tie
        (2**24 + 3, 0, 2.0**-25, 1),
        (3, 0, 1 / 6, 0),  # the product rounds to the tie too: float32(1 / 6) * 3 lies a little above it
        (2**31 - 1, 1, 1.0, 0),  # 32 bits wrap around
        (2**31 - 1, 0, 1e38, 255),  # a product beyond float32 is clamped
        (-(2**31), 0, 1e38, 0),
    ],
)
def test_requantise_at_its_edges(acc: int, bias: int, scale: float, expected: int) -> None:
    assert one(acc, bias, scale) == expected


def test_requantise_works_on_channels() -> None:
    acc = np.arange(12, dtype=np.int32).reshape(2, 2, 3)
    y = requantise(acc, np.array([0, 100], np.int32), np.array([1, 2], np.float32), 3, 0, 255)
    np.testing.assert_array_equal(y, [acc[0] + 3, (acc[1] + 100) * 2 + 3])


def test_scale_is_made_in_float32_from_left_to_right() -> None:
    x, w, y = np.float32(0.1), np.array([0.2, 0.3], np.float32), np.float32(0.7)
    np.testing.assert_array_equal(requantise_scale(x, w, y), (x * w) / y)
    assert requantise_scale(0.1, 0.2, 0.7).dtype == np.float32


@pytest.mark.parametrize(
    "activation",
    [Activation("uint8", z) for z in (0, 1, 127, 128, 255)] + [Activation("int8", z) for z in (-128, -1, 0, 1, 100, 127)],
)
def test_coding_of_every_value(activation: Activation) -> None:
    values = np.arange(activation.low, activation.high + 1).astype(activation.dtype)
    codes = coded(values, activation)
    assert np.unique(codes).size == 256
    np.testing.assert_array_equal(codes, [(int(a) - activation.zero_point) % 256 for a in values])
    np.testing.assert_array_equal(codes == 0, values == activation.zero_point)
    np.testing.assert_array_equal(uncoded(codes, activation), values)
    assert uncoded(codes, activation).dtype == values.dtype


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 0), ("uint8", 130), ("int8", 0), ("int8", -128), ("int8", 50)])
@pytest.mark.parametrize("threshold", [0, 1, 2, 9, 300])
def test_threshold(dtype: str, zero_point: int, threshold: int) -> None:
    limits = np.iinfo(dtype)
    values = np.arange(limits.min, limits.max + 1).astype(dtype)
    y = apply_threshold(values, zero_point, threshold)
    assert y.dtype == values.dtype
    np.testing.assert_array_equal(y, [zero_point if abs(int(a) - zero_point) < threshold else a for a in values])


def test_wrong_arguments() -> None:
    acc, bias, scale = np.zeros((2, 3), np.int32), np.zeros(2, np.int32), np.ones(2, np.float32)
    with pytest.raises(TypeError, match="accumulators are int32, not int64"):
        requantise(acc.astype(np.int64), bias, scale, 0, 0, 255)
    with pytest.raises(TypeError, match="scales are float32, not float64"):
        requantise(acc, bias, scale.astype(np.float64), 0, 0, 255)
    with pytest.raises(ValueError, match="2 channels want a bias and a scale each"):
        requantise(acc, bias[:1], scale, 0, 0, 255)
    with pytest.raises(ValueError, match="threshold is 0 or more, not -1"):
        apply_threshold(bias, 0, -1)
    with pytest.raises(TypeError, match="coded bytes are uint8, not int8"):
        uncoded(np.zeros(1, np.int8), Activation())
    with pytest.raises(TypeError, match="uint8 or int8, not int16"):
        Activation("int16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"lies in -128...127, not at 128"):
        Activation("int8", 128)
