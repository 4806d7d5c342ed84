"""What is promised in cycles, measured on the simulated device; every output is compared bit for bit as well."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skipgrid.golden import dense_cycles
from skipgrid.host.layer_bench import LayerResult, bench_layers, geomean_utilisation, make_layer, mean_speedup, measure_layer, read_table
from skipgrid.host.onnx_import import import_model
from skipgrid.host.runner import compile_network, run_images, run_onnxruntime, summarise
from skipgrid.host.simulated import SimulatedDevice
from skipgrid.rtl.config import preset

MODELS = Path(__file__).parent.parent / "models"
PRESETS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("1x8", "2x16", "4x32", "2x64")]


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(preset(request.param))
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test on the presets of these names."""
    return pytest.mark.parametrize("device", [param for param in PRESETS if param.values[0] in names], indirect=True)


def streamed_limit(result: LayerResult) -> float:
    """1.10 times the slowest of computing, decoding and sending, and the time in which R feature-map rows arrive, and 100."""
    workload = next(row for row in read_table() if row.layer == result.layer)
    layer, x = make_layer(workload, seed=read_table().index(workload))
    decoding = 2.0 * np.count_nonzero(x)
    outputs = float(np.prod(layer.out_shape)) * (1 - workload.sparsity)
    return 1.10 * max(result.limit_cycles, decoding, outputs) + workload.R * decoding / workload.H + 100


@on("1x8", "4x32", "2x64")
def test_published_layers(device: SimulatedDevice) -> None:
    results = list(bench_layers(device, read_table()))
    assert all(result.bit_exact for result in results)
    assert geomean_utilisation(results) >= {"1x8": 0.98, "4x32": 0.96, "2x64": 0.92}[device.config.name]
    assert mean_speedup(results) >= 10.5
    for result in results:
        assert result.stream_bits <= 1.02 * result.entropy_bits + 64, result.layer
        assert result.streamed_cycles <= streamed_limit(result), result.layer
        assert device.config.name == "2x64" or result.utilisation >= 0.82, result.layer


@on("4x32")
@pytest.mark.parametrize("seed", [0, 1000])
def test_clustered_layers(device: SimulatedDevice, seed: int) -> None:
    results = list(bench_layers(device, read_table(), seed, clustered=True))
    assert all(result.bit_exact for result in results)
    assert geomean_utilisation(results) >= 0.95


@on("1x8", "2x16", "4x32", "2x64")
def test_cycles_follow_the_nonzeros(device: SimulatedDevice) -> None:
    for number, workload in enumerate(read_table()):
        sparse = replace(workload, sparsity=0.99)
        result = measure_layer(device, sparse, number)
        layer, _ = make_layer(sparse, number)
        dense = dense_cycles(layer, device.config.rows, device.config.lanes)
        assert result.bit_exact
        assert result.cycles <= 0.015 * dense + np.prod(layer.out_shape) / 8 + 200, workload.layer


@on("1x8", "4x32")
def test_all_held_out_digits(device: SimulatedDevice) -> None:
    network = import_model(MODELS / "lenet5.onnx")
    with np.load(MODELS / "digits.npz") as data:
        images, labels = data["images"], data["labels"]
    inputs = network.activations(images)
    results = list(run_images(device, compile_network(network, device.config, inputs), inputs))
    summary = summarise(network, device.config, results, labels, run_onnxruntime(MODELS / "lenet5.onnx", images))
    assert summary.images == 1000
    assert summary.bit_exact_golden
    assert summary.bit_exact_onnxruntime
    assert summary.correct >= 970
    assert max(result.cycles for result in results) <= {"1x8": 25_000, "4x32": 4_000}[device.config.name]
