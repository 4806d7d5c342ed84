"""Every field at its limit and one over, and layers whose sizes come near to what fields hold."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib import data
from hypothesis import given
from hypothesis import strategies as st

from skipgrid.golden import Layer, requantise
from skipgrid.host.compiler.bounds import bounds
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.fits import DoesNotFit, check_fits
from skipgrid.host.compiler.packets import channel_packet
from skipgrid.host.compiler.packing import modular, most, packed
from skipgrid.host.compiler.placement import Placed, place
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import Descriptor, layer_layout
from skipgrid.rtl.layouts import LoadHeader, LoadTarget

LARGE = Config(
    name="large", rows=2, lanes=4, weights=32768, entries=65536, pixels=65536, features=65536, side=16384, channels=65536, scan=4
)
TINY = Config(
    name="tiny", rows=2, lanes=4, weights=256, entries=256, pixels=64, features=64, side=16, channels=16, layers=2, scan=4, sums=1
)
FIELDS = {
    (layout, name): field
    for layout in (Descriptor, LoadHeader)
    for name, field in data.StructLayout.cast(layout)
    if isinstance(name, str) and not name.startswith("reserved")
}


def convolution(shape: tuple[int, int, int], K: int = 1, R: int = 1, S: int = 1, *, pool: tuple[int, int] = (1, 1), **fields: Any) -> Layer:
    """A layer whose weights are all 1."""
    weights = np.ones((K, shape[0], R, S), np.int8)
    return Layer("conv", weights, np.zeros(K, np.int32), np.ones(K, np.float32), shape, pool=pool, **fields)


def words_of(placed: Placed, config: Config) -> dict[str, int]:
    """The fields of a layer's descriptor, as the hardware reads them."""
    words = descriptor(placed, config, buffer=0, from_stream=True, to_stream=True, final=True)
    bits = int.from_bytes(words.tobytes(), "little")
    read: dict[str, int] = {}
    for (layout, name), field in FIELDS.items():
        shape = Shape.cast(field.shape)
        value = bits >> field.offset & ((1 << shape.width) - 1)
        read |= {name: value - (1 << shape.width) * (shape.signed and value >> shape.width - 1)} if layout is Descriptor else {}
    return read


@pytest.mark.parametrize(("layout", "name"), FIELDS)
def test_a_field_holds_its_limits_and_nothing_beyond(layout: type[data.Struct], name: str) -> None:
    field = FIELDS[layout, name]
    shape = Shape.cast(field.shape)
    low, high = (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)
    for value in (low, high):
        assert packed(layout, {name: value}) == (value & ((1 << shape.width) - 1)) << field.offset
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{name} holds {low:,} to {high:,}, not {value:,}"):
            packed(layout, {name: value})


def test_what_is_no_integer_or_no_field_is_refused() -> None:
    with pytest.raises(TypeError):
        packed(Descriptor, {"K": 2.5})  # type: ignore[dict-item]
    with pytest.raises(KeyError):
        packed(Descriptor, {"k": 2})
    assert packed(LoadHeader, {"address": 3, "target": LoadTarget.PROGRAM.value}) == 2 << 28 | 3


def test_products_of_sizes_are_exact_modulo_every_memory() -> None:
    """What they are added to is an address of a memory that holds a power of two up to 65,536, so nothing is lost."""
    named = [name for layout, name in FIELDS if layout is Descriptor and modular(name, 65536) == 0]
    assert sorted(named) == sorted(
        [
            *("stride_pixels", "unit_stride_pixels", "first_pixel", "filter_row_weights", "group_weights"),
            *("stride_weights", "unit_stride_weights", "first_weight", "expert_weights"),
        ]
    )
    for name in named:
        assert most(name) == 65535
        assert Shape.cast(layer_layout(LARGE.replaced(experts=4, experts_chosen=2))[name].shape).width <= 16
    for pixels, weights in ((LARGE.pixels, LARGE.weights), (TINY.pixels, TINY.weights)):
        assert 65536 % pixels == 65536 % weights == 0
    for name in ("pixels", "weights"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            LARGE.replaced(**{name: 131072})


@given(st.data())
def test_whatever_fits_is_packed_whole(draw: st.DataObject) -> None:
    """And no field is more than the narrower one of the configuration holds, so that the hardware does not refuse it either."""
    config = draw.draw(st.sampled_from((LARGE, TINY)))
    near = (1, 2, 3, 15, 16, 17, 255, 256, 257, 300, 511, 65535, 65536)
    size = st.one_of(st.integers(1, 40), st.sampled_from(near))
    C, H, W = draw.draw(st.tuples(size, size, size))
    R, S = draw.draw(st.integers(1, min(H, 20))), draw.draw(st.integers(1, min(W, 20)))
    K = draw.draw(st.sampled_from((1, 3, 4, 5, 9, 17)))
    if C * max(H * W, K * R * S) > 1 << 18:
        return
    stride = draw.draw(st.tuples(size, size))
    rows, columns = (H - R) // stride[0] + 1, (W - S) // stride[1] + 1
    pool = draw.draw(st.tuples(st.sampled_from((1, 2, rows)), st.sampled_from((1, 2, columns))))
    layer_fields = {"stride": stride, "pool": (min(pool[0], rows), min(pool[1], columns)), "pool_stride": draw.draw(st.tuples(size, size))}
    layer = convolution((C, H, W), K, R, S, threshold=draw.draw(st.sampled_from((0, 1, 255, 256, 1000))), **layer_fields)
    try:
        (placed,) = place([layer], config)
        fields = words_of(placed, config)
    except DoesNotFit:
        return
    assert (fields["C"], fields["H"], fields["W"], fields["K"]) == (C, H, W, K * placed.factor)
    assert (fields["stored_channels"], fields["stored_columns"]) == (layer.out_shape[0], layer.out_shape[2])
    assert (fields["pool_rows"], fields["pool_columns"]) == layer.pool
    held = layer_layout(config)
    for name, value in fields.items():
        if name in held.members and modular(name, 65536):
            shape = Shape.cast(held[name].shape)
            assert -(1 << shape.width - 1) * shape.signed <= value < 1 << shape.width - shape.signed, name


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            convolution((1, 600, 1), pool=(2, 1), stride=(300, 1)),
            "conv: there are 300 rows from one window of a pool to the next, but a descriptor holds 255",
        ),
        (
            convolution((1, 1, 600), pool=(1, 2), stride=(1, 300)),
            "conv: there are 300 columns from one window of a pool to the next, but a descriptor holds 255",
        ),
        (
            convolution((65536, 1, 1)),
            "conv: one group has 65,536 weights a lane, but large holds 32,768; no configuration can hold as much",
        ),
        (convolution((1, 1, 1), 65536), "conv: there are 65,536 output channels, but a descriptor holds 65,535"),
        (convolution((1, 40000, 1)), "conv: there are 40,000 rows of its input with padding, but large holds 32,767; no configuration"),
    ],
)
def test_what_no_field_holds_is_refused(layer: Layer, sentence: str) -> None:
    with pytest.raises(DoesNotFit) as refused:
        check_fits(layer, LARGE)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("layer", "setting"),
    [
        (convolution((20, 5, 3), 1, 5, 3), "weights=512"),
        (convolution((20, 1, 4)), "features=128"),
        (convolution((1, 9, 9)), "pixels=128"),
        (convolution((1, 17, 1)), "side=32"),
        (convolution((1, 1, 2), pads=(0, 0, 0, 30)), "side=32"),
        (convolution((1, 1, 1), 17), "channels=20"),
    ],
)
def test_the_setting_that_is_named_helps(layer: Layer, setting: str) -> None:
    with pytest.raises(DoesNotFit, match=f"; set {setting} in its configuration"):
        place([layer], TINY)
    name, value = setting.split("=")
    place([layer], TINY.replaced(**{name: int(value)}))


def test_a_network_that_does_not_fit_names_the_setting() -> None:
    layer = convolution((60, 1, 1), 8)
    for config, layers, setting in ((TINY, 3, "weights=512"), (TINY.replaced(weights=512), 3, "channels=24"), (LARGE, 17, "layers=32")):
        with pytest.raises(DoesNotFit, match=f"; set {setting} in its configuration"):
            place([layer] * layers, config)


def test_a_way_that_nobody_goes_does_not_count() -> None:
    one = words_of(place([convolution((1, 9, 9), stride=(70000, 70000), pool_stride=(70000, 70000))], LARGE)[0], LARGE)
    assert {one[f"{prefix}stride_{axis}"] for prefix in ("", "unit_") for axis in ("rows", "columns")} == {1}
    several = words_of(place([convolution((1, 1, 600), stride=(1, 299))], LARGE)[0], LARGE)
    assert (several["stride_columns"], several["unit_stride_columns"], several["out_columns"]) == (1, 299, 3)


@pytest.mark.parametrize("threshold", [256, 1000])
def test_a_threshold_that_no_output_reaches_leaves_zeros(threshold: int) -> None:
    layer = convolution((1, 3, 3), threshold=threshold)
    fields = words_of(place([layer], LARGE)[0], LARGE)
    assert (fields["low"], fields["high"], fields["threshold"]) == (0, 0, 0)
    assert bounds(layer)[0].min() > 255


@pytest.mark.parametrize("scale", [1e-45, 1.1e-38])
def test_a_scale_below_all_normal_numbers_is_sent_as_the_smallest(scale: float) -> None:
    """With either, all outputs are the same."""
    smallest = np.finfo(np.float32).tiny
    layer = convolution((1, 1, 1)).replaced(scale=np.array([scale], np.float32))
    (placed,) = place([layer], LARGE)
    assert channel_packet(placed, LARGE)[2:3].view(np.float32) == smallest
    ends = np.array([[-(2**31), -1, 0, 1, 2**31 - 1]], np.int32)
    for tiny in (np.float32(scale), smallest):
        assert (requantise(ends, layer.bias, np.full(1, tiny), 7, 0, 255) == 7).all()
