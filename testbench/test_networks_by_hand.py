"""Small networks of the kinds that people build, quantised: what the golden model and ONNX Runtime give is the same, bit for bit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_models import Branches, quantised
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.host.execution import Runner, run_golden
from skipgrid.host.onnx.cut import Cut, cut_model
from skipgrid.host.onnx.runtime import Reference
from skipgrid.host.plan import plan_model
from skipgrid.host.simulation.device import SimulatedDevice

Made = tuple[Branches, list[str]]


def inception() -> Made:
    """Filters of three sizes and a pooling, side by side."""
    net = Branches(np.random.default_rng(0), x=(1, 3, 8, 8))
    x = net.conv("x", 6)
    pooled = net.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    sides = [net.conv(x, 4, 1), net.conv(net.conv(x, 3, 1), 4), net.conv(net.conv(x, 2, 1), 4, 5), net.conv(pooled, 4, 1)]
    return net, [net.conv(net.add("Concat", *sides, axis=1), 5, 1)]


def residual() -> Made:
    """Two blocks with a way around each, of which one has a convolution and a stride."""
    net = Branches(np.random.default_rng(1), x=(1, 3, 8, 8))
    x = net.conv("x", 6)
    x = net.add("Relu", net.add("Add", net.conv(net.conv(x, 6), 6, relu=False), x))
    around = net.conv(x, 8, 1, relu=False, strides=[2, 2])
    x = net.add("Relu", net.add("Add", net.conv(net.conv(x, 8, strides=[2, 2]), 8, relu=False), around))
    return net, [net.gemm(net.add("Flatten", net.add("GlobalAveragePool", x)), 10)]


def squeeze_and_excite() -> Made:
    """Channels are weighed by what a small network says of their means."""
    net = Branches(np.random.default_rng(2), x=(1, 3, 8, 8))
    x = net.conv("x", 8)
    gate = net.conv(net.conv(net.add("GlobalAveragePool", x), 2, 1), 8, 1, relu=False)
    return net, [net.conv(net.add("Mul", x, net.add("Sigmoid", gate)), 4)]


def u_shape() -> Made:
    """Down and up again, with what was on the way down put beside."""
    net = Branches(np.random.default_rng(3), x=(1, 2, 8, 8))
    top = net.conv("x", 4)
    middle = net.conv(net.add("MaxPool", top, kernel_shape=[2, 2], strides=[2, 2]), 6)
    low = net.conv(net.add("MaxPool", middle, kernel_shape=[2, 2], strides=[2, 2]), 8)
    x = net.add("ConvTranspose", low, net.weights(8, 6, 2, 2), strides=[2, 2])
    x = net.conv(net.add("Concat", x, middle, axis=1), 6)
    x = net.add("ConvTranspose", x, net.weights(6, 4, 2, 2), strides=[2, 2])
    return net, [net.conv(net.add("Concat", x, top, axis=1), 2, 1, relu=False)]


def signal() -> Made:
    """One dimension: a filter with dilations, poolings, and a classifier."""
    net = Branches(np.random.default_rng(4), x=(1, 2, 40))
    x = net.add("MaxPool", net.conv("x", 6, 5), kernel_shape=[2], strides=[2])
    x = net.conv(x, 8, dilations=[2], pads=[2, 2])
    return net, [net.gemm(net.add("Flatten", net.add("MaxPool", x, kernel_shape=[2], strides=[2])), 5)]


def autoencoder() -> Made:
    """Fully connected, narrow in the middle."""
    net = Branches(np.random.default_rng(5), x=(1, 30))
    x = "x"
    for features in (16, 4, 16):
        x = net.add("Relu", net.gemm(x, features))
    return net, [net.add("Sigmoid", net.gemm(x, 30))]


def two_inputs() -> Made:
    """An image and a vector."""
    net = Branches(np.random.default_rng(6), x=(1, 2, 6, 6), features=(1, 10))
    seen = net.add("Flatten", net.add("GlobalMaxPool", net.conv("x", 6)))
    joined = net.add("Concat", seen, net.add("Relu", net.gemm("features", 6)), axis=1)
    return net, [net.gemm(joined, 4)]


def two_outputs() -> Made:
    """A class, and an image of what was seen."""
    net = Branches(np.random.default_rng(7), x=(1, 2, 8, 8))
    x = net.conv("x", 6, strides=[2, 2])
    larger = net.add("Resize", x, "", np.array([1, 1, 2, 2], np.float32), mode="nearest")
    return net, [net.gemm(net.add("Flatten", x), 4), net.conv(larger, 2, relu=False)]


def shuffle() -> Made:
    """Grouped convolutions, between which the groups' channels change places."""
    net = Branches(np.random.default_rng(8), x=(1, 4, 6, 6))
    x = net.conv("x", 8, 1, group=2)
    x = net.add("Reshape", x, np.array([1, 2, 4, 6, 6], np.int64))
    x = net.add("Reshape", net.add("Transpose", x, perm=[0, 2, 1, 3, 4]), np.array([1, 8, 6, 6], np.int64))
    return net, [net.conv(net.conv(x, 8, group=8, relu=False), 6, 1, group=2)]


NETWORKS: dict[str, Callable[[], Made]] = {
    made.__name__: made
    for made in (inception, residual, squeeze_and_excite, u_shape, signal, autoencoder, two_inputs, two_outputs, shuffle)
}


def cut_of(made: Callable[[], Made], folder: Path, *, quant_format: str = "QDQ", per_channel: bool = True) -> tuple[Branches, Cut]:
    """A network, quantised and cut."""
    net, outputs = made()
    model = net.save(folder / f"{made.__name__}.onnx", *outputs)
    return net, cut_model(quantised(model, net.drawn(4), quant_format, "uint8", per_channel))


@pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_onnxruntime(name: str, quant_format: str, tmp_path: Path) -> None:
    net, cut = cut_of(NETWORKS[name], tmp_path, quant_format=quant_format, per_channel=quant_format == "QDQ")
    reference = Reference(cut)
    for tensors in net.drawn(3):
        ours = run_golden(cut, tensors)
        for end, theirs in reference.outputs(tensors).items():
            np.testing.assert_array_equal(ours[end], theirs)
    weighing = [node for node in cut.host_nodes if node.op in ("Conv", "Gemm", "QLinearConv", "QGemm")]
    assert not weighing, "what has weights runs on the accelerator"


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(SMALL)
    yield made
    made.close()


@pytest.mark.xdist_group("small")
@pytest.mark.parametrize("name", ["residual", "shuffle"])
def test_on_the_accelerator(name: str, device: SimulatedDevice, tmp_path: Path) -> None:
    net, cut = cut_of(NETWORKS[name], tmp_path)
    runner = Runner(device, plan_model(cut, SMALL))
    for tensors in net.drawn(2):
        (run,) = runner.run(tensors, 1)
        assert run.cycles > 0
        assert all(layer.exact for layer in run.layers)
        for end, theirs in Reference(cut).outputs(tensors).items():
            np.testing.assert_array_equal(runner.stored[end], theirs)


def deep() -> Made:
    """Three convolutions one behind the other."""
    net = Branches(np.random.default_rng(9), x=(1, 2, 8, 8))
    return net, [net.conv(net.conv(net.conv("x", 16), 16), 4)]


def without_half_of_its_channels(source: Path) -> Path:
    """The same network with all weights and biases of every other channel zero, but for the last layer's."""
    model = onnx.load(source)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for node in convolutions[:-1]:
        for tensor in model.graph.initializer:
            if tensor.name in node.input[1:]:
                values = numpy_helper.to_array(tensor).copy()
                values[::2] = 0
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    target = source.with_name("half.onnx")
    onnx.save(model, target)
    return target


@pytest.mark.xdist_group("small")
@pytest.mark.parametrize(("quant_format", "per_channel"), [("QDQ", False), ("QDQ", True), ("QOperator", True)])
def test_dead_channels_cost_nothing(quant_format: str, per_channel: bool, device: SimulatedDevice, tmp_path: Path) -> None:
    """Where half of the channels are dead, a network takes at most 0.55 of the cycles, and gives what ONNX Runtime gives."""
    net, outputs = deep()
    whole = net.save(tmp_path / "whole.onnx", *outputs)
    cycles = []
    batches, (tensors,) = net.drawn(4), net.drawn(1)
    for source in (whole, without_half_of_its_channels(whole)):
        cut = cut_model(quantised(source, batches, quant_format, "uint8", per_channel))
        runner = Runner(device, plan_model(cut, SMALL))
        (run,) = runner.run(tensors, 1)
        cycles.append(run.cycles)
        for end, theirs in Reference(cut).outputs(tensors).items():
            np.testing.assert_array_equal(runner.stored[end], theirs)
    assert cycles[1] <= 0.55 * cycles[0]
