"""Passes: every output in one of them, all within the memories, and together the same as the whole layer."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulation import CUTS
from skipgrid.benches.layers import make_layer, measure_layer, read_table
from skipgrid.benches.random_networks import random_activation, random_input, random_layer, with_function
from skipgrid.fpga.board import all_boards, find_board
from skipgrid.golden import Layer, accumulate, coded_bytes, decode, encode, finish, from_coded, from_sum_bytes, run_layer
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.fits import DoesNotFit, group_weights, groups
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.passes import Pass, plan
from skipgrid.host.compiler.placement import place
from skipgrid.host.execution import Runner
from skipgrid.host.onnx.layers import Found
from skipgrid.host.plan import Plan, Segment, folded
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.host.starts import pass_starts
from skipgrid.rtl.config import PRESETS, Config

LOOSE = Config(name="loose", rows=1, lanes=4, weights=32768, entries=256, pixels=64, features=65536, channels=8, scan=4, functions=1)
ULX3S = find_board("ulx3s-85f").config
WORKLOADS = {workload.layer: workload for workload in read_table()}


def check(layer: Layer, x: NDArray[np.integer], config: Config) -> list[Pass]:
    """The passes of a layer, after all that is promised of them was compared."""
    passes = plan(layer, x, config)
    in_parts = passes[0].sums
    times = np.zeros(layer.conv_shape if in_parts else layer.out_shape, int)
    joined = np.zeros(times.shape, np.int32 if in_parts else layer.y.dtype)
    for item in passes:
        band = item.read(x)
        assert item.layer.shape == band.shape
        assert np.count_nonzero(band != layer.x.zero_point) <= config.entries
        assert band[0].size <= config.pixels
        assert group_weights(item.layer) * groups(item.layer, config) <= config.weights
        assert groups(item.layer, config) * config.lanes <= config.channels
        assert item.sums == in_parts
        times[item.block] += 1
        joined[item.block] += accumulate(band, item.layer) if in_parts else run_layer(band, item.layer)
    assert (times >= 1).all() if in_parts else (times == 1).all()
    assert np.array_equal(finish(joined, layer) if in_parts else joined, run_layer(x, layer))
    return passes


@given(st.integers(0, 2**32))
@example(28279)  # its last columns see only padding
def test_passes_make_the_whole_layer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 7)), int(rng.integers(1, 40)), int(rng.integers(1, 20)))
    held = random_activation(rng)
    layer, x = random_layer(rng, shape, held, 0), random_input(rng, shape, held)
    if seed % 3 == 0:
        layer = with_function(rng, layer)
    try:
        check(layer, x, LOOSE)
    except DoesNotFit:
        # Then one window alone sees more than fits, even of one channel.
        _, rows, columns = layer.conv_shape
        whole = layer.replaced(pool=(1, 1), pool_stride=(1, 1))
        alone = [_seen(whole, x, row, column) for row in range(rows) for column in range(columns)]
        assert any((part != held.zero_point).sum(axis=(1, 2)).max() > LOOSE.entries or part[0].size > LOOSE.pixels for part in alone)


def _seen(layer: Layer, x: NDArray[np.integer], row: int, column: int) -> NDArray[np.integer]:
    """The input under a pixel of the stored output: that of its pool's windows."""
    under = []
    for axis, at in enumerate((row, column)):
        windows = range(at * layer.pool_stride[axis], at * layer.pool_stride[axis] + layer.pool[axis])
        first = windows[0] * layer.stride[axis] - layer.pads[axis]
        behind = windows[-1] * layer.stride[axis] - layer.pads[axis] + layer.weights.shape[2 + axis]
        under.append(slice(max(first, 0), max(behind, 0)))
    return x[:, under[0], under[1]]


def test_a_row_that_is_too_long_is_cut() -> None:
    layer, x = layer_of(9, 40)  # three rows of forty are more than 64 pixels
    passes = check(layer, x, LOOSE)
    assert {item.block[2].start for item in passes} == {0, 20}
    assert passes[0].under[2] == slice(0, 21)
    narrow = LOOSE.replaced(features=64)
    layer, x = layer_of(6, 10)
    assert {
        item.layer.shape[2]
        for item in check(layer.replaced(weights=layer.weights.repeat(16, axis=1), shape=(16, 6, 10)), x.repeat(16, axis=0), narrow)
    }


def test_groups_that_read_other_channels_are_apart() -> None:
    rng = np.random.default_rng(0)
    apart = np.zeros((16, 16, 3, 3), np.int8)
    apart[range(16), range(16)] = rng.integers(1, 64, (16, 3, 3))
    layer = layer_of(12, 12)[0].replaced(
        weights=apart, bias=np.zeros(16, np.int32), scale=np.full(16, 0.01, np.float32), shape=(16, 12, 12)
    )
    x = rng.integers(0, 3, (16, 12, 12)).astype(np.uint8)
    wide = LOOSE.replaced(channels=64, pixels=1024, entries=4096)
    assert [(item.block[0], item.under[0]) for item in check(layer, x, wide)] == [(slice(n, n + 4),) * 2 for n in (0, 4, 8, 12)]
    tiny = np.ascontiguousarray(x[:, :1, :1])
    assert len(check(layer.replaced(shape=(16, 1, 1)), tiny, wide)) == 1  # where a pass costs more than it saves


@pytest.mark.parametrize("config", [*PRESETS.values(), ULX3S], ids=lambda config: config.name)
@pytest.mark.parametrize("number", range(13))
def test_passes_of_the_published_layers(number: int, config: Config) -> None:
    layer, x = make_layer(read_table()[number], number)
    check(layer, x, config)


def layer_of(
    H: int, W: int, *, K: int = 4, R: int = 3, stride: int = 1, top: int = 1, bottom: int = 1, pool: int = 1
) -> tuple[Layer, NDArray[np.uint8]]:
    """A layer of one input channel over a dense input."""
    rng = np.random.default_rng(0)
    layer = Layer(
        name="conv",
        weights=rng.integers(-64, 65, (K, 1, R, 3)).astype(np.int8),
        bias=np.zeros(K, np.int32),
        scale=np.full(K, 0.01, np.float32),
        shape=(1, H, W),
        stride=(stride, stride),
        pads=(top, 1, bottom, 1),
        pool=(pool, pool),
        pool_stride=(pool, pool),
    )
    return layer, rng.integers(1, 256, (1, H, W)).astype(np.uint8)


def bands_of(passes: list[Pass]) -> list[tuple[int, int, int, int]]:
    """Of each pass the first output row and the one behind the last, and the same of the input."""
    return [(item.block[1].start, item.block[1].stop, item.under[1].start, item.under[1].stop) for item in passes]


def test_a_layer_that_fits_is_one_pass() -> None:
    layer, x = layer_of(6, 10)
    (only,) = check(layer, x, LOOSE)
    assert (only.layer.name, only.layer.shape, only.layer.pads) == ("conv", layer.shape, layer.pads)


def test_bands_overlap_by_their_halo_and_are_as_high_as_fits() -> None:
    layer, x = layer_of(12, 10)  # 64 pixel pointers hold six rows of ten
    assert bands_of(check(layer, x, LOOSE)) == [(0, 5, 0, 6), (5, 9, 4, 10), (9, 12, 8, 12)]


def test_bands_begin_where_the_windows_of_a_pool_begin() -> None:
    layer, x = layer_of(12, 10, pool=2)
    assert bands_of(check(layer, x, LOOSE)) == [(0, 2, 0, 5), (2, 4, 3, 9), (4, 6, 7, 12)]


def test_rows_that_see_only_padding_are_in_a_band_with_others() -> None:
    layer, x = layer_of(7, 30, R=1, top=5, bottom=4)  # two rows of thirty at a time
    assert bands_of(check(layer, x, LOOSE)) == [(0, 7, 0, 2), (7, 9, 2, 4), (9, 11, 4, 6), (11, 16, 6, 7)]


def test_a_stride_over_the_whole_input() -> None:
    layer, x = layer_of(3, 3, R=1, stride=100, top=5)
    (only,) = check(layer, x, LOOSE)
    assert only.block[1] == slice(0, 1)


@pytest.mark.parametrize(
    ("R", "order"),
    [
        (3, [(0, 0), (0, 5), (0, 9), (8, 0), (8, 5), (8, 9)]),  # 36 words of weights and some 45 of activations, with halos
        (1, [(0, 0), (8, 0), (0, 6), (8, 6)]),  # 12 and 34
    ],
)
def test_what_takes_more_words_is_loaded_once(R: int, order: list[tuple[int, int]]) -> None:
    layer, x = layer_of(12, 10, K=16, R=R, top=R // 2, bottom=R // 2)
    assert [(item.block[0].start, item.block[1].start) for item in check(layer, x, LOOSE)] == order


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layer_of(30, 10, R=30, top=0, bottom=0), "conv: one pixel of its output needs 90 pixels of its input, but loose holds 64"),
    ],
)
def test_what_does_not_fit_is_said_of_the_smallest_band(layer: tuple[Layer, NDArray[np.uint8]], message: str) -> None:
    with pytest.raises(DoesNotFit, match=message):
        plan(*layer, LOOSE)


def test_the_channels_of_the_input_are_divided_where_a_window_is_too_large() -> None:
    passes = check(*make_layer(WORKLOADS["AlexNetI Conv3"], 0), LOOSE)
    assert len({(item.under[0].start, item.under[0].stop) for item in passes}) > 1
    rng = np.random.default_rng(3)
    dense = Layer(
        "dense",
        rng.integers(-9, 10, (20, 3000, 1, 1)).astype(np.int8),
        np.arange(20, dtype=np.int32),
        np.full(20, 0.01, np.float32),
        (3000, 1, 1),
    )
    x = np.where(rng.random(dense.shape) < 0.2, rng.integers(0, 256, dense.shape), 0).astype(np.uint8)
    for config, parts in ((CUTS.replaced(features=4096, entries=4096), 3), (CUTS, 12)):
        passes = check(dense, x, config)
        assert len({(item.under[0].start, item.under[0].stop) for item in passes}) == parts


CONFIGS = [*PRESETS.values(), *(board.config for board in all_boards().values())]
BY_CONFIG = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)


def first_dense(config: Config) -> tuple[Found, NDArray[np.uint8]]:
    """The first dense layer of a network like AlexNet, with 9,216 inputs of which one in four is not zero, as a configuration runs it."""
    rng = np.random.default_rng(9)
    layer = Layer(
        "fc6",
        rng.integers(-99, 100, (40, 9216, 1, 1)).astype(np.int8),
        rng.integers(-9999, 10000, 40).astype(np.int32),
        np.full(40, 0.0001, np.float32),
        (9216, 1, 1),
    )
    x = np.where(rng.random(layer.shape) < 0.25, rng.integers(0, 256, layer.shape), 0).astype(np.uint8)
    everything = np.arange(9216)
    found = Found(
        layer, (), "x", everything.reshape(layer.shape), "y", everything[:40].reshape(40, 1, 1), np.zeros((40, 1, 1), np.uint8), None, False
    )
    return folded(found, config, config.features), x


@BY_CONFIG
def test_a_dense_layer_of_9216_inputs_is_cut_on_every_configuration(config: Config) -> None:
    found, x = first_dense(config)
    check(found.layer, found.read(x), config)


def test_a_layer_of_more_rows_than_a_side_is_cut() -> None:
    long = LOOSE.replaced(side=16, pixels=1024, entries=1024)
    assert all(item.layer.shape[1] <= 16 for item in check(*layer_of(40, 5), long))


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (layer_of(3, 17)[0], "17 columns of its input, but loose holds 16"),
        (layer_of(16, 3, R=20, top=8, bottom=8)[0], "32 rows of its input with padding, but loose holds 31"),
        (layer_of(16, 3, top=4, bottom=4, R=3)[0], "22 output rows, but loose holds 16"),
    ],
)
def test_a_side_that_is_too_long_is_refused(layer: Layer, what: str) -> None:
    with pytest.raises(DoesNotFit, match=f"conv: there are {what}; set side=32 in its configuration"):
        place([layer], LOOSE.replaced(side=16))


ONE_WORKER = pytest.mark.xdist_group("cuts")  # builds the device


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(CUTS)
    yield made
    made.close()


@ONE_WORKER
@pytest.mark.parametrize("clustered", [False, True])
def test_a_published_layer_in_bands_on_the_device(device: SimulatedDevice, clustered: bool) -> None:
    result = measure_layer(device, WORKLOADS["LeNet Conv2"], 0, clustered=clustered)
    assert result.bit_exact
    assert (result.passes, result.bands) == (10, 5)


@pytest.mark.slow
def test_every_published_layer_on_the_device_of_a_board() -> None:
    device = SimulatedDevice(ULX3S)
    results = [measure_layer(device, workload, number) for number, workload in enumerate(read_table())]
    device.close()
    assert all(result.bit_exact for result in results)
    assert {result.layer: result.bands for result in results if result.bands > 1} == {
        "AlexNetI Conv2": 6,
        "GoogLeNet Inception4a.1": 2,
    }


@pytest.mark.slow
@BY_CONFIG
def test_a_dense_layer_of_9216_inputs_on_every_device(config: Config) -> None:
    found, x = first_dense(config)
    device = SimulatedDevice(config)
    runner = Runner(device, Plan("dense", config, (Segment((found,), None),)))
    (run,) = runner.run({"x": x[np.newaxis]}, 1)
    device.close()
    assert run.layers[0].exact and run.layers[0].passes > 1
    assert np.array_equal(runner.stored["y"][0], run_layer(found.read(x), found.layer))


def run_pass(device: SimulatedDevice, item: Pass, band: NDArray[np.integer]) -> NDArray[np.integer]:
    """The block that the device makes of a band of the input, or its sums."""
    (placed,) = place([item.layer], device.config)
    for packet in load_packets([placed], device.config, sums=item.sums):
        device.load(packet)
    words = descriptor(placed, device.config, buffer=0, from_stream=True, to_stream=True, final=True, sums=item.sums)
    device.load(program_packet([words]))
    (sent,) = device.run([encode(coded_bytes(band, item.layer.x), 0)]).packets
    shape = item.layer.out_shape
    if item.sums:
        return from_sum_bytes(decode(sent, 4 * int(np.prod(shape)), 0), shape)
    return from_coded(decode(sent, int(np.prod(shape)), 0), shape, item.layer.y)


@ONE_WORKER
@pytest.mark.parametrize(
    ("case", "layer"),
    [
        ("no output reaches the threshold", layer_of(7, 9)[0].replaced(threshold=256)),
        ("a stride over the whole input", layer_of(7, 9, R=1, stride=300)[0].replaced(pool_stride=(300, 300))),
        ("a pool of 180 windows", layer_of(7, 9)[0].replaced(pads=(20,) * 4, pool=(15, 12), pool_stride=(3, 4))),
        ("a pool over a whole signal", layer_of(1, 60, R=1)[0].replaced(pads=(0, 200, 0, 200), pool=(1, 458))),
    ],
)
def test_sizes_at_the_edges_of_a_descriptor_on_the_device(device: SimulatedDevice, case: str, layer: Layer) -> None:
    x = np.random.default_rng(1).integers(0, 256, layer.shape).astype(np.uint8)
    (only,) = plan(layer, x, device.config)
    assert np.array_equal(run_pass(device, only, only.read(x)), run_layer(x, layer)), case


@ONE_WORKER
def test_bands_that_are_unrolled_otherwise_have_their_own_weights(device: SimulatedDevice) -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-9, 10, (3, 8, 3, 1)).astype(np.int8)
    layer = Layer("conv", weights, np.zeros(3, np.int32), np.full(3, 0.01, np.float32), (8, 11, 11), pads=(1, 0, 1, 0))
    x = np.where(rng.random(layer.shape) < 0.5, rng.integers(1, 256, layer.shape), 0).astype(np.uint8)
    assert len({place([item.layer], device.config)[0].factor for item in plan(layer, x, device.config)}) > 1
    y = run_layer(x, layer)
    for start in pass_starts(layer, x, y, device.config):
        for packet in start.packets:
            device.load(packet)
        assert np.array_equal(device.run([start.sent]).packets[0], start.expected)


@ONE_WORKER
def test_random_layers_in_bands_on_the_device(device: SimulatedDevice) -> None:
    banded = summed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        shape = (int(rng.integers(1, 7)), int(rng.integers(8, 30)), int(rng.integers(4, 10)))
        held = random_activation(rng)
        # Where sums wrap and are pooled, the first of the two layers that they are computed in.
        layer, x = lowered(random_layer(rng, shape, held, 0))[0], random_input(rng, shape, held)
        if seed % 2:
            layer = lowered(with_function(rng, layer))[0]
        try:
            passes = plan(layer, x, device.config)
        except DoesNotFit:
            continue
        in_parts = passes[0].sums
        joined = np.zeros(layer.conv_shape if in_parts else layer.out_shape, np.int32 if in_parts else layer.y.dtype)
        for item in passes:
            joined[item.block] += run_pass(device, item, item.read(x))
        assert np.array_equal(finish(joined, layer) if in_parts else joined, run_layer(x, layer)), f"seed {seed}"
        banded += passes[0].block[1] != passes[-1].block[1]
        summed += in_parts
    assert banded > 30
    assert summed > 1
