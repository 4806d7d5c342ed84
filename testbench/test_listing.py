"""Layers whose weights are lists: how they are stored, that there is room for them, and when they are chosen."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.benches.fuzz.trials import SMALL, run_trial
from skipgrid.benches.random_networks import random_case
from skipgrid.golden import Layer, WeightLists, coded_bytes, decode_lists, encode, run_layer
from skipgrid.host.compiler.descriptors import descriptor, load_descriptor
from skipgrid.host.compiler.listing import listings, wide
from skipgrid.host.compiler.packets import load_packets, program_packet, weight_packets
from skipgrid.host.compiler.placement import Placed, place, taken_by
from skipgrid.host.compiler.ways import ways
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import Config, preset
from skipgrid.rtl.layouts import LoadTarget

LISTED = SMALL.replaced(slots=8)
ONE_WORKER = pytest.mark.xdist_group("small, lists")


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(LISTED)
    yield made
    made.close()


def layer_of(K: int, shape: tuple[int, int, int], filter_: tuple[int, int], zeros: float, **geometry: object) -> Layer:
    """A layer of which the share of weights is zero, anywhere."""
    rng = np.random.default_rng(K)
    weights = rng.integers(1, 100, (K, shape[0], *filter_)) * (rng.random((K, shape[0], *filter_)) >= zeros)
    bias = rng.integers(-99, 100, K).astype(np.int32)
    return Layer("conv", weights.astype(np.int8), bias, np.full(K, 0.005, np.float32), shape).replaced(**geometry)


def depthwise(C: int, H: int, W: int) -> Layer:
    """A depthwise layer, 3 x 3, padded, written as a convolution most of whose weights are zero."""
    dense = layer_of(C, (C, H, W), (3, 3), 0, pads=(1, 1, 1, 1), low=0)
    return dense.replaced(weights=dense.weights * np.eye(C, dtype=np.int8).reshape(C, C, 1, 1))


def unpacked(placed: Placed, config: Config) -> WeightLists:
    """The lists that a layer's load packets store."""
    packets = {int(packet[0]) >> 28: packet for packet in weight_packets(placed, config)}
    lists = packets[LoadTarget.LISTS.value]
    assert int(lists[0]) & 0xFFFFFFF == placed.lists_base
    starts, counts = lists[1:] & 0xFFFF, lists[1:] >> 16
    layer, lanes = placed.walked(config), placed.lanes_used(config)
    rows = int(counts.sum())
    weights, indices = np.zeros((rows, config.lanes), np.int8), np.zeros((rows, config.lanes), np.uint8)
    if rows:
        of_weights, of_indices = packets[LoadTarget.WEIGHTS.value], packets[LoadTarget.INDICES.value]
        assert {int(packet[0]) & 0xFFFFFFF for packet in (of_weights, of_indices)} == {placed.weights_base}
        weights = of_weights[1:].view(np.int8).reshape(rows, config.lanes)
        nibbles = np.stack([of_indices[1:] >> 4 * place & 15 for place in range(8)], axis=1).reshape(rows, -1)
        indices = nibbles[:, : config.lanes].astype(np.uint8)
        assert not nibbles[:, lanes:].any()
        assert not weights[:, lanes:].any()
    else:
        assert len(packets) == 1
    units = -(-placed.groups(config) // placed.slots)
    found = WeightLists(
        shape=(layer.weights.shape[0], layer.weights.shape[1], layer.weights.shape[2], layer.weights.shape[3]),
        lanes=lanes,
        slots=placed.slots,
        counts=counts.astype(np.int64).reshape(units, -1),
        weights=weights[:, :lanes],
        indices=indices[:, :lanes],
    )
    np.testing.assert_array_equal(starts, found.starts.reshape(-1) + placed.weights_base)
    return found


def test_load_packets_hold_the_weights() -> None:
    bases, empty, spare = set(), 0, 0
    for config in (LISTED, SMALL.replaced(lanes=32, slots=16, channels=256, weights=8192)):
        for seed in range(60):
            for placed in random_case(np.random.default_rng(seed), config).placed:
                if placed.slots:
                    np.testing.assert_array_equal(decode_lists(unpacked(placed, config)), placed.walked(config).weights)
                    bases.add((placed.weights_base > 0, placed.lists_base > 0))
                    empty += not placed.layer.weights.any()
                    spare += placed.way.spare_lane
    assert (True, True) in bases
    assert empty > 0
    assert spare > 0


@pytest.mark.parametrize("config", [LISTED, LISTED.replaced(weights=256, channels=16), preset("4x32")], ids=["small", "smallest", "4x32"])
def test_all_that_is_found_has_room(config: Config) -> None:
    layers = [layer_of(K, (4, 6, 9), (3, 2), zeros) for K in (1, 5, 30) for zeros in (0, 0.5, 0.9)]
    found = [(layer, way) for layer in layers for way in listings(layer, config)]
    assert len(found) > 3
    for layer, way in found:
        assert way.weights <= config.weights
        assert way.lists <= config.weights
        assert way.groups * config.lanes <= config.channels
        assert 1 <= way.slots <= config.slots
        lanes = config.lanes - way.spare_lane
        assert way.groups == -(-way.factor * len(layer.bias) // lanes)
        assert way.lists == -(-way.groups // way.slots) * wide(layer, way.factor).weights[0].size
    weights, lists, channels = taken_by(place(layers[3:5], config), config)
    assert max(weights, lists) <= config.weights
    assert channels <= config.channels


def test_layers_that_have_no_lists() -> None:
    layer = layer_of(30, (4, 6, 9), (3, 2), 0.9)
    assert listings(layer, LISTED)
    assert not listings(layer, LISTED.replaced(slots=0))
    assert not listings(layer.replaced(pool=(2, 2), pool_stride=(2, 2)), LISTED)


def test_lists_are_taken_where_they_are_faster() -> None:
    config = preset("4x32")
    slots = []
    for zeros in (0, 0.9):
        layer = layer_of(128, (32, 12, 12), (3, 3), zeros, pads=(1, 1, 1, 1))
        found = ways(layer, config)
        plain, best = (min(way.cycles for way in found if bool(way.slots) == lists) for lists in (False, True))
        (placed,) = place([layer], config)
        assert (placed.slots > 0) == (best < plain)
        slots.append(placed.slots)
    assert slots[0] == 0
    assert slots[1] > 1


def test_lists_are_taken_where_all_weights_would_be_too_many() -> None:
    layer = layer_of(64, (16, 5, 5), (3, 3), 0.95)
    (placed,) = place([layer], LISTED.replaced(weights=512))
    assert 16 * 9 * 64 // LISTED.lanes > 512 >= placed.weights(LISTED)
    np.testing.assert_array_equal(decode_lists(unpacked(placed, LISTED)), placed.walked(LISTED).weights)


def run(device: SimulatedDevice, layer: Layer, x: NDArray[np.integer]) -> tuple[Placed, int]:
    """How a layer is placed, and its cycles from a stored input, after its output was compared."""
    placed = place([layer], device.config)
    for packet in load_packets(placed, device.config):
        device.load(packet)
    stored = load_descriptor(layer.shape, buffer=0, k_in=2, final=False)
    computed = descriptor(placed[0], device.config, buffer=0, from_stream=False, to_stream=True, final=True, k_out=2)
    device.load(program_packet([stored, computed]))
    done = device.run([encode(coded_bytes(x, layer.x), 2)], layers=2)
    (words,) = done.packets
    np.testing.assert_array_equal(words, encode(coded_bytes(run_layer(x, layer), layer.y), 2))
    return placed[0], done.layer_cycles[1]


def half_zero(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    rng = np.random.default_rng(2)
    return np.where(rng.random(shape) < 0.5, rng.integers(1, 256, shape), 0).astype(np.uint8)


@ONE_WORKER
def test_networks_with_lists_run_right(device: SimulatedDevice) -> None:
    trials = [run_trial(device, 4, number) for number in range(12)]
    assert [(trial.number, trial.wrong) for trial in trials if trial.wrong] == []
    assert sum(trial.happened["lists"] for trial in trials) > 12


@ONE_WORKER
def test_a_sparse_layer_takes_fewer_cycles(device: SimulatedDevice) -> None:
    layer = layer_of(32, (4, 8, 8), (3, 3), 0.9, pads=(1, 1, 1, 1))
    x = half_zero(layer.shape)
    placed, cycles = run(device, layer, x)
    assert placed.slots
    dense, dense_cycles = run(device, layer.replaced(weights=np.where(layer.weights, layer.weights, 1).astype(np.int8)), x)
    assert not dense.slots
    assert 2 * cycles < dense_cycles


def test_a_depthwise_layer_has_lists() -> None:
    (placed,) = place([depthwise(64, 25, 5)], preset("4x32"))
    assert placed.slots
    assert placed.factor > 1
    assert placed.way.cycles <= 5500


@pytest.mark.slow
@pytest.mark.xdist_group("4x32")
def test_cycles_of_a_depthwise_layer() -> None:
    layer = depthwise(64, 25, 5)
    made = SimulatedDevice(preset("4x32"))
    _, cycles = run(made, layer, half_zero(layer.shape))
    made.close()
    assert cycles <= 5500
