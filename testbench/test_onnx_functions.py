"""Functions of one value behind a layer: they join it, ONNX Runtime's answers are its table, and zeros stay zeros."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cli_support import CommandLine
from onnx_models import Branches, quantised
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.golden import run_layer
from skipgrid.host.execution import Runner, run_golden
from skipgrid.host.forecast import forecast
from skipgrid.host.onnx.cut import Cut, cut_model
from skipgrid.host.onnx.runtime import Reference
from skipgrid.host.plan import plan_model
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import preset


def one_node(operator: str, *constants: object, **attributes: object) -> Callable[[Branches, str], str]:
    """A function that is one node."""
    return lambda net, x: net.add(operator, x, *constants, **attributes)


def silu(net: Branches, x: str) -> str:
    return net.add("Mul", x, net.add("Sigmoid", x))


def gelu(net: Branches, x: str) -> str:
    """As exporters write it."""
    erf = net.add("Erf", net.add("Div", x, np.float32(np.sqrt(2))))
    return net.add("Mul", net.add("Mul", x, net.add("Add", erf, np.float32(1))), np.float32(0.5))


def hard_swish_of_parts(net: Branches, x: str) -> str:
    clipped = net.add("Clip", net.add("Add", x, np.float32(3)), np.float32(0), np.float32(6))
    return net.add("Mul", x, net.add("Div", clipped, np.float32(6)))


FUNCTIONS: dict[str, Callable[[Branches, str], str]] = {
    "leaky": one_node("LeakyRelu", alpha=0.1),
    "hard swish": one_node("HardSwish"),
    "silu": silu,
    "sigmoid": one_node("Sigmoid"),
    "tanh": one_node("Tanh"),
    "gelu": gelu,
    "hard swish of parts": hard_swish_of_parts,
    "elu": one_node("Elu", alpha=0.7),
    "softplus": one_node("Softplus"),
    "prelu": one_node("PRelu", np.full((1, 1, 1), 0.2, np.float32)),
}
KEEP_ZERO = ("leaky", "tanh", "elu", "prelu")


def network(name: str, folder: Path, quant_format: str = "QDQ", activation: str = "uint8") -> tuple[Branches, Cut]:
    """A convolution, a function, and a convolution."""
    net = Branches(np.random.default_rng(3), x=(1, 3, 8, 8))
    out = net.conv(FUNCTIONS[name](net, net.conv("x", 6, relu=False)), 4, relu=False)
    model = net.save(folder / "model.onnx", out)
    return net, cut_model(quantised(model, net.drawn(4), quant_format, activation, per_channel=quant_format == "QDQ"))


def equal(net: Branches, cut: Cut, count: int = 3) -> None:
    """The golden model gives what ONNX Runtime gives."""
    reference = Reference(cut)
    for tensors in net.drawn(count):
        ours = run_golden(cut, tensors)
        for end, theirs in reference.outputs(tensors).items():
            np.testing.assert_array_equal(ours[end], theirs)


@pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_joins_the_layer_before(name: str, activation: str, quant_format: str, tmp_path: Path) -> None:
    net, cut = network(name, tmp_path, quant_format, activation)
    first, second = cut.layers
    assert not cut.host_nodes
    assert first.layer.function is not None
    assert second.layer.function is None
    assert cut.follows(first, second)
    assert any("looks up what becomes of each of 256 outputs" in each.what for each in cut.rewritten)
    zero = first.layer.rounded.zero_point
    if name in KEEP_ZERO:
        assert first.layer.function(np.array(zero)) == first.layer.y.zero_point
    equal(net, cut)
    equal(net, plan_model(cut, SMALL).cut or cut)


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(preset("1x8"))
    yield made
    made.close()


@pytest.mark.xdist_group("1x8")
@pytest.mark.parametrize(("name", "quant_format"), [(name, "QDQ") for name in FUNCTIONS] + [("leaky", "QOperator"), ("silu", "QOperator")])
def test_on_the_accelerator(name: str, quant_format: str, device: SimulatedDevice, tmp_path: Path) -> None:
    net, cut = network(name, tmp_path, quant_format)
    plan = plan_model(cut, device.config)
    (segment,) = plan.segments
    assert segment.program is not None
    runner = Runner(device, plan)
    for tensors in net.drawn(2):
        (run,) = runner.run(tensors, 1)
        assert run.starts == 1
        assert all(layer.exact for layer in run.layers)
        for end, theirs in Reference(cut).outputs(tensors).items():
            np.testing.assert_array_equal(runner.stored[end], theirs)


@pytest.mark.xdist_group("small")
def test_without_tables_the_function_runs_on_the_host(tmp_path: Path) -> None:
    net, cut = network("silu", tmp_path)
    plan = plan_model(cut, SMALL)
    why = "small holds no tables of functions; set functions=1 in its configuration"
    assert [(node.op, node.why) for node in plan.host_nodes] == [("Sigmoid", why), ("Mul", why)]
    assert [len(segment.layers) for segment in plan.segments] == [1, 1]
    assert not any("looks up" in each.what for each in plan.rewritten)
    runner = Runner(SimulatedDevice(SMALL), plan)
    (tensors,) = net.drawn(1)
    (run,) = runner.run(tensors, 1)
    assert all(layer.exact for layer in run.layers)
    for end, theirs in Reference(cut).outputs(tensors).items():
        np.testing.assert_array_equal(runner.stored[end], theirs)


@pytest.mark.parametrize("name", KEEP_ZERO)
def test_where_zero_stays_zero_a_function_keeps_sparsity(name: str, tmp_path: Path) -> None:
    """Of what a function gives, as much is zero as of what it is given, and more where it is flat."""
    net, cut = network(name, tmp_path)
    first = cut.layers[0]
    assert first.plain is not None
    (tensors,) = net.drawn(1)
    x = first.read(run_golden(cut, tensors)[first.source][0])
    before, behind = run_layer(x, first.plain.layer), run_layer(x, first.layer)
    zeros = before == first.plain.layer.y.zero_point
    assert zeros.any()
    assert (behind[zeros] == first.layer.y.zero_point).all()


def made(*outputs: str, net: Branches, folder: Path) -> Cut:
    return cut_model(quantised(net.save(folder / "model.onnx", *outputs), net.drawn(4), "QDQ", "uint8", per_channel=True))


def test_functions_behind_each_other_are_one_and_pooling_behind_one_that_never_falls_joins(tmp_path: Path) -> None:
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    for name, joins in (("leaky", True), ("silu", False)):
        net = Branches(np.random.default_rng(4), x=(1, 3, 8, 8))
        x = FUNCTIONS[name](net, FUNCTIONS["tanh"](net, net.conv("x", 6, relu=False)))
        cut = made(net.conv(net.add("MaxPool", x, **pool), 4, relu=False), net=net, folder=tmp_path)
        assert cut.layers[0].layer.pool == ((2, 2) if joins else (1, 1))
        assert cut.layers[0].layer.function is not None
        assert len(cut.layers) == (2 if joins else 3)
        assert not cut.host_nodes
        equal(net, cut)
        equal(net, plan_model(cut, SMALL).cut or cut)


def test_what_is_read_elsewhere_or_depends_on_the_place_is_no_function(tmp_path: Path) -> None:
    def read_twice(net: Branches) -> list[str]:
        x = net.conv("x", 6, relu=False)
        return [net.conv(net.add("Sigmoid", x), 4), net.conv(x, 4)]

    def read_inside(net: Branches) -> list[str]:
        sigmoid = net.add("Sigmoid", x := net.conv("x", 6, relu=False))
        return [net.conv(net.add("Mul", x, sigmoid), 4), net.conv(sigmoid, 4)]

    def by_channel(net: Branches) -> list[str]:
        slopes = np.arange(6, dtype=np.float32).reshape(6, 1, 1) / 6
        return [net.conv(net.add("PRelu", net.conv("x", 6, relu=False), slopes), 4)]

    def of_another(net: Branches) -> list[str]:
        return [net.conv(net.add("Mul", net.conv("x", 6, relu=False), net.conv("x", 6)), 4)]

    for build in (read_twice, read_inside, by_channel, of_another):
        net = Branches(np.random.default_rng(5), x=(1, 3, 8, 8))
        cut = made(*build(net), net=net, folder=tmp_path)
        assert all(found.layer.function is None for found in cut.layers[:1]), build.__name__
        assert cut.host_nodes
        equal(net, cut)


def test_few_elements_are_asked_for_in_several_images(tmp_path: Path) -> None:
    net = Branches(np.random.default_rng(6), x=(1, 12))
    cut = made(net.gemm(net.add("Tanh", net.gemm("x", 5)), 3), net=net, folder=tmp_path)
    assert cut.layers[0].layer.function is not None
    assert not cut.host_nodes
    equal(net, cut)


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def saved(name: str, folder: Path) -> Path:
    """The quantised model of a network, in a file."""
    network(name, folder)
    return folder / "model.int8.onnx"


def test_check_tells_where_functions_run_and_what_would_help(skipgrid: CommandLine, tmp_path: Path) -> None:
    model = saved("leaky", tmp_path)
    outcome = skipgrid("check", model, "--json", tmp_path / "check.json")
    assert outcome.code == 0, outcome.errors
    assert "looks up what becomes of each of 256 outputs, by LeakyRelu" in " ".join(outcome.output.split())
    reports = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["accelerators"]
    told = {report["accelerator"]: report["functions_on_host"] for report in reports}
    assert not told["1x8"]
    (board,) = told["icebreaker"]
    assert board["why"] == "icebreaker holds no tables of functions; set functions=1 in its configuration"
    assert all(report["layers"] == 2 and report["device_macs_share"] == 1 and not report["does_not_fit"] for report in reports)
    outcome = skipgrid("check", model, "--board", "icebreaker")
    assert outcome.code == 0, outcome.errors
    assert "icebreaker holds no tables of functions" in outcome.output
    assert skipgrid("check", model, "--board", "icebreaker", "--device-only").code == 1
    assert skipgrid("check", model, "--preset", "1x8", "--device-only").code == 0


def test_a_compiled_model_has_its_tables(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("compile", saved("silu", tmp_path), "--preset", "1x8", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.errors
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    (segment,) = (step for step in manifest["steps"] if step["runs_on"] == "accelerator")
    (table,) = (packet for packet in segment["packets"] if packet["target"] == "FUNCTIONS")
    assert (table["address"], table["words"]) == (0, 65)
    first, second = next(packet["descriptors"] for packet in segment["packets"] if packet["target"] == "PROGRAM")
    assert first["looked_up"] == 1
    assert "looked_up" not in second


def test_a_plan_counts_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a segment those that differ, of a layer in passes its own; where an accelerator holds none, no column is shown."""
    net = Branches(np.random.default_rng(6), x=(1, 3, 8, 8))
    x = FUNCTIONS["sigmoid"](net, net.conv(FUNCTIONS["leaky"](net, net.conv("x", 12, relu=False)), 12, relu=False))
    cut = made(net.conv(x, 4, relu=False), net=net, folder=tmp_path)
    whole = preset("1x8")
    assert [step.functions for step in forecast(plan_model(cut, whole)) if step.on == "accelerator"] == [2]
    few = whole.replaced(channels=8)
    steps = [step for step in forecast(plan_model(cut, few)) if step.on == "accelerator"]
    assert [step.functions for step in steps] == [1, 1, 0]
    assert steps[0].passes > 1
    plan = CommandLine(capsys)
    assert "functions" in plan("plan", cut.model.path, "--preset", "1x8").output
    assert "functions" not in plan("plan", cut.model.path, "--preset", "1x8", "--set", "functions=0").output
