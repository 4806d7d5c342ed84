"""What is promised in cycles: of the kept figures and a few measured again in every run, of all of them in the long one."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnx_models import run_onnxruntime
from skipgrid.benches.images import measure_images, summarise
from skipgrid.benches.layers import Workload, bench_layers, geomean_utilisation, make_layer, measure_layer, read_table
from skipgrid.golden import Activation, Layer, coded_bytes, dense_cycles, encode, run_layer
from skipgrid.host.compiler.codes import shortest_codes
from skipgrid.host.compiler.descriptors import descriptor, load_descriptor
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.placement import place
from skipgrid.host.compiler.program import CODE_PARAMETER, compile_network
from skipgrid.host.network import Network, Port
from skipgrid.host.onnx.importer import import_model
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import preset
from skipgrid.scripts.figures import kept

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"
PRESETS = ("1x8", "2x16", "4x32", "2x64")
GEOMEAN = {"1x8": 0.99, "2x16": 0.99, "4x32": 0.975, "2x64": 0.945}
LOWEST = {"1x8": 0.98, "2x16": 0.95, "4x32": 0.88, "2x64": 0.70}
SPEEDUP = 10.5  # over a dense grid, mean of the 13 layers


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(preset(request.param))
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test on the presets of these names; but for the smallest one, which builds in a moment, in `make test-all` alone."""
    marks = {name: [pytest.mark.xdist_group(name), *([] if name == "1x8" else [pytest.mark.slow])] for name in names}
    return pytest.mark.parametrize("device", [pytest.param(name, marks=marks[name]) for name in names], indirect=True)


def report(name: str) -> dict[str, Any]:
    """What was measured for a kept record."""
    found: dict[str, Any] = kept(ROOT)[name]["report"]
    return found


def streamed_limit(result: Mapping[str, Any]) -> float:
    """1.10 times the slowest of computing, decoding and sending, and the time in which R feature-map rows arrive, and 100."""
    workload = next(row for row in read_table() if row.layer == result["layer"])
    inputs = workload.C * workload.H * workload.W
    decoding = 2.0 * (inputs - round(workload.sparsity * inputs))
    rows, columns = (
        (size + 2 * workload.pad - window) // workload.stride + 1 for size, window in ((workload.H, workload.R), (workload.W, workload.S))
    )
    outputs = workload.K * rows * columns * (1 - workload.sparsity)
    return 1.10 * max(float(result["limit_cycles"]), decoding, outputs) + workload.R * decoding / workload.H + 100


def assert_layers_keep_their_promises(name: str, layers: list[dict[str, Any]]) -> None:
    assert len(layers) == 13
    for result in layers:
        assert result["bit_exact"], result["layer"]
        assert result["utilisation"] >= LOWEST[name], result["layer"]
        assert result["stream_bits"] <= 1.02 * result["entropy_bits"] + 64, result["layer"]
        assert result["streamed_cycles"] <= streamed_limit(result), result["layer"]
    assert np.exp(np.mean(np.log([result["utilisation"] for result in layers]))) >= GEOMEAN[name]
    assert np.mean([result["speedup"] for result in layers]) >= SPEEDUP


@pytest.mark.parametrize("name", PRESETS)
def test_the_kept_layers_keep_their_promises(name: str) -> None:
    assert_layers_keep_their_promises(name, report(f"layers-{name}")["layers"])


def test_the_kept_clustered_layers_keep_their_promise() -> None:
    layers = report("layers-4x32-clustered")["layers"]
    assert all(result["bit_exact"] for result in layers)
    assert np.exp(np.mean(np.log([result["utilisation"] for result in layers]))) >= 0.965


def test_the_kept_cycles_follow_the_nonzeros() -> None:
    for point in report("density-4x32")["points"]:
        assert point["bit_exact"]
        assert point["cycles"] <= 1.06 * point["limit_cycles"] + 100, point["density"]


@pytest.mark.parametrize(("name", "cycles"), [("1x8", 11_000), ("2x16", 4_000), ("4x32", 1_700), ("2x64", 2_000)])
def test_the_kept_digits_keep_their_promises(name: str, cycles: float) -> None:
    summary = report(f"digits-{name}")
    assert (summary["images"], summary["bit_exact_golden"], summary["bit_exact_onnxruntime"]) == (1000, True, True)
    assert summary["correct"] >= 970
    assert summary["cycles_per_image"] <= cycles


@pytest.mark.parametrize("name", ["1x8", "4x32"])
def test_the_kept_winners_keep_their_promises(name: str) -> None:
    """Where 30 % of each convolution's outputs win, a run takes 15 % less, and hardly a digit is lost."""
    found = report(f"winners-{name}")
    plain, chosen = found["plain"], next(each for each in found["shares"] if each["share"] == 0.3)
    assert plain["bit_exact"]
    assert chosen["bit_exact"]
    assert plain["accuracy"] >= 0.98
    assert chosen["accuracy"] >= plain["accuracy"] - 0.01
    assert chosen["cycles_per_image"] <= 0.85 * plain["cycles_per_image"]


@pytest.mark.parametrize("name", ["1x8", "4x32"])
def test_choosing_winners_adds_a_twentieth_at_most(name: str) -> None:
    """Where 30 % of each convolution's outputs win."""
    chosen = next(each for each in report(f"winners-{name}")["shares"] if each["share"] == 0.3)
    assert chosen["choosing_cycles_per_image"] <= 0.05 * chosen["cycles_per_image"]


@on("1x8")
def test_the_kept_layers_are_measured_like_this(device: SimulatedDevice) -> None:
    """The three layers with the fewest cycles, again: nothing differs from the record."""
    table, known = read_table(), {result["layer"]: result for result in report("layers-1x8")["layers"]}
    for name in sorted(known, key=lambda layer: known[layer]["cycles"])[:3]:
        number = next(number for number, row in enumerate(table) if row.layer == name)
        measured = asdict(measure_layer(device, table[number], number))
        assert measured.pop("held_by") == pytest.approx(known[name].pop("held_by"))
        assert measured == pytest.approx(known[name])


@on("1x8")
def test_zeros_among_outputs_of_both_signs_are_left_out(device: SimulatedDevice) -> None:
    """Of 4,096 outputs 192 are not zero: the drain looks at as many lanes a cycle as where there is no sign."""
    rng = np.random.default_rng(0)
    weights = np.ones((64, 1, 1, 1), np.int8)
    weights[[5, 6, 40]] = 40
    held = Activation("int8", 0)
    layer = Layer("signed", weights, np.zeros(64, np.int32), np.full(64, 0.01, np.float32), (1, 8, 8), x=held, y=held)
    ends = (Port("x", layer.shape, held), Port("y", layer.out_shape, held))
    program = compile_network(Network("signed", (layer,), *ends), device.config)
    (result,) = measure_images(device, program, rng.choice([-9, 9], (1, *layer.shape)).astype(np.int8))
    assert result.bit_exact_golden
    assert np.count_nonzero(result.output) == 192
    assert result.layer_cycles[0] <= 4096 / device.config.scan + 192 + 200


@on("1x8")
def test_forty_held_out_digits(device: SimulatedDevice) -> None:
    assert_digits_are_right(device, 40)


@on("1x8", "4x32")
@pytest.mark.parametrize("zeros", [0.5, 0.8])
@pytest.mark.parametrize(("C", "R"), [(64, 3), (64, 1), (96, 1)], ids=["64, 3 x 3", "64, 1 x 1", "96, 1 x 1"])
def test_overlapping_pools_cost_little(device: SimulatedDevice, C: int, R: int, zeros: float) -> None:
    """A convolution that is pooled by 3 x 3 with stride 2 takes 1.15 times as long as without, and 300 cycles, at most.

    Of those of 1 x 1, two outputs leave in a cycle. With a stride of 1, more elements leave than without pooling.
    """
    layer, x = make_layer(Workload("conv", C=C, H=28, W=24, K=C, R=R, S=R, pad=R // 2, stride=1, sparsity=zeros), 0)
    plain = measure(device, layer, x)
    assert measure(device, layer.replaced(pool=(3, 3), pool_stride=(2, 2)), x) <= 1.15 * plain + 300
    if R == 1 and C == 64:
        every = layer.replaced(pool=(3, 3), pool_stride=(1, 1))
        outputs = int(np.count_nonzero(coded_bytes(run_layer(x, every), every.y)))
        assert measure(device, every, x) <= 1.15 * max(plain, outputs / 2) + 300


def measure(device: SimulatedDevice, layer: Layer, x: NDArray[np.integer]) -> int:
    """The cycles of a layer from its input in the buffer to the output stream, which is right."""
    placed = place([layer], device.config)
    loading = load_descriptor(layer.shape, buffer=0, k_in=CODE_PARAMETER, final=True)
    computing = descriptor(placed[0], device.config, buffer=0, from_stream=False, to_stream=True, final=True, k_out=CODE_PARAMETER)
    for packet in (*load_packets(placed, device.config), program_packet([loading, computing])):
        device.load(packet)
    device.run([encode(coded_bytes(x, layer.x), CODE_PARAMETER)])
    run = device.run([], program=1)
    assert run.packets[0].tolist() == encode(coded_bytes(run_layer(x, layer), layer.y), CODE_PARAMETER).tolist()
    return run.counters["total_cycles"]


@pytest.mark.slow
@on(*PRESETS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_published_layers(device: SimulatedDevice, seed: int) -> None:
    results = [asdict(result) for result in bench_layers(device, read_table(), seed)]
    assert_layers_keep_their_promises(device.config.name, results)


@pytest.mark.slow
@on("4x32")
@pytest.mark.parametrize("seed", [0, 1000])
def test_clustered_layers(device: SimulatedDevice, seed: int) -> None:
    results = list(bench_layers(device, read_table(), seed, clustered=True))
    assert all(result.bit_exact for result in results)
    assert geomean_utilisation(results) >= 0.965


@pytest.mark.slow
@on(*PRESETS)
def test_cycles_follow_the_nonzeros(device: SimulatedDevice) -> None:
    for number, workload in enumerate(read_table()):
        sparse = replace(workload, sparsity=0.99)
        result = measure_layer(device, sparse, number)
        layer, _ = make_layer(sparse, number)
        dense = dense_cycles(layer, device.config.rows, device.config.lanes)
        assert result.bit_exact
        assert result.cycles <= 0.015 * dense + np.prod(layer.out_shape) / 8 + 200, workload.layer


@pytest.mark.slow
@on("1x8", "4x32")
def test_all_held_out_digits(device: SimulatedDevice) -> None:
    assert_digits_are_right(device, 1000)


def assert_digits_are_right(device: SimulatedDevice, count: int) -> None:
    network = import_model(MODELS / "lenet5.onnx")
    with np.load(MODELS / "digits.npz") as data:
        images, labels = data["images"][:count], data["labels"][:count]
    inputs = network.activations(images)
    results = list(measure_images(device, compile_network(network, device.config, *shortest_codes(network, inputs)), inputs))
    summary = summarise(network, device.config, results, labels, run_onnxruntime(MODELS / "lenet5.onnx", images))
    assert summary.images == count
    assert summary.bit_exact_golden
    assert summary.bit_exact_onnxruntime
    assert summary.correct >= 0.97 * count
    assert max(result.cycles for result in results) <= {"1x8": 25_000, "4x32": 4_000}[device.config.name]
