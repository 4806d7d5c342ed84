"""The pooling unit and its parts, and which layers pool there."""

from collections.abc import Callable

import numpy as np
import pytest
from amaranth.lib import data
from amaranth.utils import exact_log2

from simulation import SMALL, shapes
from skipgrid.golden import Layer, Winners
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.config import Config, preset
from skipgrid.rtl.descriptor import Descriptor
from skipgrid.rtl.pooling.pool_merger import PoolMerger
from skipgrid.rtl.pooling.pooling_unit import PoolingUnit

ONE = SMALL.replaced(pool_elements=64)
FORMS = {"one": ONE, "two": ONE.replaced(pool_elements=256, survivors=2)}


@shapes(FORMS, "two")
def test_pool_merger(simulate: Callable[..., None], config: Config) -> None:
    positions = 16 * config.pool_word
    simulate(PoolMerger(16, exact_log2(positions), 6, config.pool_word), "bench_pool_merger", config)


@shapes(FORMS, "one", "two")
def test_pooling_unit(simulate: Callable[..., None], config: Config) -> None:
    simulate(PoolingUnit(config), "bench_pooling_unit", config)


OVERLAP = {"pool": (3, 3), "pool_stride": (2, 2)}
GRID = preset("2x16").replaced(name="some", pool_elements=512)


def layer_of(K: int, shape: tuple[int, int, int] = (16, 15, 15), R: int = 3, **fields: object) -> Layer:
    """A convolution whose output is as large as its input, pooled by 3 x 3 with stride 2."""
    pads = (R // 2,) * 4
    weights, bias = np.ones((K, shape[0], R, R), np.int8), np.zeros(K, np.int32)
    return Layer("conv", weights, bias, np.full(K, 0.05, np.float32), shape, pads=pads).replaced(**(OVERLAP | fields))


def test_a_row_of_single_channels() -> None:
    """Where results come one by one, a row has fewer elements than fit."""
    for K, there in ((73, True), (74, False)):
        (placed,) = place([layer_of(K)], GRID.replaced(survivors=1))
        assert placed.merges == there


@pytest.mark.parametrize(
    ("layer", "there"),
    [
        (layer_of(16), True),
        (layer_of(16, pool=(2, 2), pool_stride=(1, 1)), True),
        (layer_of(16, pool=(3, 3), pool_stride=(1, 1)), True),
        (layer_of(16, pool=(1, 3), pool_stride=(1, 2)), True),
        (layer_of(16, winners=Winners(9, per_pixel=True)), True),
        (layer_of(16, pool=(2, 2)), False),  # no window is in two pools
        (layer_of(16, (16, 3, 3)), True),  # the windows of one pool are computed by several rows
        (layer_of(16, pool=(1, 1), pool_stride=(1, 1)), False),
        (layer_of(16, pool=(4, 4)), False),
        (layer_of(16, pool=(3, 1), pool_stride=(1, 32)), False),  # a descriptor holds strides up to 31
        (layer_of(16, pool=(1, 3)), False),  # every other row is not computed
        (layer_of(66), True),  # a row counts for 7 x (66 + 7) elements, and 511 fit
        (layer_of(67), False),
        (layer_of(127, (64, 5, 5), 1), True),  # a pixel has fewer than 128
        (layer_of(128, (64, 5, 5), 1), False),
    ],
)
def test_where_a_layer_is_pooled(layer: Layer, there: bool) -> None:
    (placed,) = place([layer], GRID.replaced(pixel_winners=16))
    assert placed.merges == there
    (placed,) = place([layer], GRID.replaced(pixel_winners=16, pool_elements=0))
    assert not placed.merges


def test_few_channels_leave_one_by_one() -> None:
    """What the grid computes in fewer cycles than it has outputs is pooled there."""
    (placed,) = place([layer_of(16, (1, 15, 15), 1)], preset("4x32"))
    assert not placed.merges


def test_sums_that_wrap_are_pooled_by_a_layer_of_their_own() -> None:
    layer = layer_of(32, (32, 15, 15))
    first, second = place(lowered(layer.replaced(bias=np.full(32, (1 << 31) - 1, np.int32))), GRID)
    assert (first.merges, second.merges) == (False, True)


def test_what_a_descriptor_says() -> None:
    """The grid computes the convolution, four outputs of a row at a time; what is stored has the pools' shape."""
    config = GRID.replaced(lanes=64, channels=1024, slots=0)
    (placed,) = place([layer_of(16, (16, 20, 16))], config)
    words = descriptor(placed, config, buffer=0, from_stream=True, to_stream=True, final=True)
    found: data.Const = Descriptor.from_bits(int.from_bytes(words.tobytes(), "little"))
    wanted = {"merges": 1, "K": 64, "out_rows": 20, "out_columns": 4, "pool_rows": 1, "pool_columns": 1, "unit_stride_columns": 4}
    wanted |= {"stored_channels": 16, "stored_rows": 9, "stored_columns": 7, "conv_columns": 16, "row_elements": 112}
    wanted |= {"merge_rows": 3, "merge_columns": 3, "merge_stride_rows": 2, "merge_stride_columns": 2}
    assert {name: found[name] for name in wanted} == wanted
