"""Bounds of channels, sums that wrap around, and the layers that are computed in two because of these."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnx_models import Graph, quantised, run_onnxruntime
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.benches.images import measure_images
from skipgrid.benches.random_networks import random_activation, random_input, random_layer
from skipgrid.golden import Activation, Layer, Winners, accumulate, requantise, run_layer, run_network
from skipgrid.golden.numerics import INT32
from skipgrid.host.compiler.bounds import bounds, sums, wraps
from skipgrid.host.compiler.descriptors import descriptors
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.placement import place
from skipgrid.host.compiler.program import compile_network
from skipgrid.host.onnx.importer import import_model
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import Config

NEAR = st.one_of(st.integers(-20000, 20000), st.integers(INT32.max - 40000, INT32.max), st.integers(INT32.min, INT32.min + 40000))


def random_case(seed: int, biases: list[int]) -> tuple[Layer, NDArray[np.integer]]:
    """A layer of the seed with these biases in turn, and an input."""
    rng = np.random.default_rng(seed)
    shape, held = (int(rng.integers(1, 4)), int(rng.integers(1, 9)), int(rng.integers(1, 9))), random_activation(rng)
    layer = random_layer(rng, shape, held, 0)
    bias = np.array([biases[channel % len(biases)] for channel in range(len(layer.bias))], np.int32)
    scale = np.where(np.abs(bias) > 1 << 20, np.float32(rng.choice([3e-8, 1e-7])), layer.scale)
    return layer.replaced(bias=bias, scale=scale), random_input(rng, shape, held)


def test_no_sum_of_a_configuration_leaves_int32() -> None:
    with pytest.raises(ValueError, match="weights must be a power of two from 256 to 32768"):
        Config(weights=65536)
    widest = Layer(
        "widest",
        np.full((2, 32768, 1, 1), -128, np.int8),
        np.zeros(2, np.int32),
        np.ones(2, np.float32),
        (32768, 1, 1),
        Activation("uint8", 255),
    )
    assert sums(widest)[1].max() == 32768 * 128 * 255 < INT32.max


@given(st.integers(0, 2**32), st.lists(NEAR, min_size=1, max_size=5))
def test_a_bound_parts_what_survives_from_what_does_not(seed: int, biases: list[int]) -> None:
    layer, x = random_case(seed, biases)
    accumulators = accumulate(x, layer)
    lowest, highest = (limit.reshape(-1, 1, 1) for limit in sums(layer))
    assert ((accumulators >= lowest) & (accumulators <= highest)).all()
    y = requantise(accumulators, layer.bias, layer.scale, layer.y.zero_point, *layer.clamp)
    survives = np.abs(y - layer.y.zero_point) >= max(1, layer.threshold)
    upper, lower = (bound.reshape(-1, 1, 1) for bound in bounds(layer))
    candidates = (accumulators >= upper) | (accumulators < lower)
    assert (survives == candidates)[~wraps(layer)].all()
    assert candidates[wraps(layer)].all()
    if layer.clamp[0] > layer.y.zero_point - max(1, layer.threshold):
        assert (lower == INT32.min).all()


@given(st.integers(0, 2**32), st.lists(NEAR, min_size=1, max_size=5))
def test_a_layer_in_two_is_the_same(seed: int, biases: list[int]) -> None:
    layer, x = random_case(seed, biases)
    layer = layer.replaced(winners=Winners(share=0.5))
    parts = lowered(layer)
    assert len(parts) == descriptors(layer) == 1 + (layer.pool != (1, 1) and bool(wraps(layer).any()))
    assert np.array_equal(run_network(x, parts)[-1], run_layer(x, layer))
    assert all(lowered(part) == (part,) for part in parts)


def test_a_single_layer_that_would_be_two_is_refused() -> None:
    layer = Layer("conv", np.ones((3, 1, 1, 1), np.int8), np.array([0, INT32.max, 0], np.int32), np.ones(3, np.float32), (1, 2, 2))
    place([layer], SMALL)
    with pytest.raises(DoesNotFit, match="conv: the bias of channel 1, 2,147,483,647, and its sums can leave 32 bits, and pooling follows"):
        place([layer.replaced(pool=(2, 2))], SMALL)


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(SMALL)
    yield made
    made.close()


@pytest.mark.xdist_group("small")
@pytest.mark.parametrize("pool", [False, True], ids=["alone", "pooled"])
@pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
def test_a_dead_channel_with_a_large_bias(device: SimulatedDevice, quant_format: str, pool: bool, tmp_path: Path) -> None:
    """ONNX Runtime's static quantisation writes biases near 2**31 for channels whose weights are tiny."""
    rng = np.random.default_rng(5)
    weights = np.concatenate([rng.normal(0, 0.1, (2, 8, 3, 3)), -rng.uniform(0.5, 1, (2, 8, 3, 3)) * 3e-5]).astype(np.float32)
    weights[2] *= -1
    graph = Graph((8, 6, 6)).add("Conv", "conv", weights, np.array([0.5, -0.5, 5, -5], np.float32), pads=[1] * 4).add("Relu", "relu")
    if pool:
        graph.add("MaxPool", "pool", kernel_shape=[2, 2], strides=[2, 2])
    images = rng.uniform(0, 1, (3, 8, 6, 6)).astype(np.float32)
    model = quantised(graph.save(tmp_path / "float.onnx"), images, quant_format, "uint8", per_channel=True)
    network = import_model(model)
    (layer,) = network.layers
    assert list(np.abs(layer.bias) > 2147200000) == list(wraps(layer)) == [False, False, True, True]
    inputs = network.activations(images)
    results = list(measure_images(device, compile_network(network, device.config), inputs))
    assert all(result.bit_exact_golden and len(result.layer_cycles) == 1 for result in results)
    outputs = network.results(np.stack([result.output for result in results]))
    np.testing.assert_array_equal(outputs, run_onnxruntime(model, images))
    totals = [accumulate(x, layer).astype(np.int64) + layer.bias.reshape(-1, 1, 1) for x in inputs]
    assert max(total.max() for total in totals) > INT32.max
    assert min(total.min() for total in totals) < INT32.min
