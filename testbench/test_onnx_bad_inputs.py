"""Models that are damaged, or cannot be: each is told in a sentence, and never with another exception."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnx_models import Branches, Graph, quantised
from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.runtime import Reference
from test_onnx_import_graphs import INPUTS, X_SCALE, conv, image, relu, rounded, vector

MODEL = rounded(relu(conv(image()))).model("uint8")


def changed(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """The model in a file, after a change."""
    model = onnx.ModelProto()
    model.CopyFrom(MODEL)
    change(model)
    onnx.save(model, path / "model.onnx")
    return path / "model.onnx"


def test_truncated_files(tmp_path: Path) -> None:
    path, content = tmp_path / "model.onnx", MODEL.SerializeToString()
    for length in range(1, len(content) - 20, 40):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"model\.onnx is not a valid ONNX model"):
            cut_model(path)


@given(st.lists(st.tuples(st.integers(0, len(MODEL.SerializeToString()) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_bytes(tmp_path_factory: pytest.TempPathFactory, bytes_at: list[tuple[int, int]]) -> None:
    """The file may still be a model, and if not it is refused."""
    content = bytearray(MODEL.SerializeToString())
    for place, value in bytes_at:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        cut_model(path, host_only=True)


def _size(axis: int, size: int) -> Callable[[onnx.ModelProto], object]:
    return lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[axis], "dim_value", size)


def _external(model: onnx.ModelProto) -> None:
    tensor = next(each for each in model.graph.initializer if len(each.dims) == 4)
    onnx.external_data_helper.set_external_data(tensor, "missing.bin")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL


def _read(node: int, tensor: str) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.node[node].input.__setitem__(0, tensor)


def _given(node: int, tensor: str) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.node[node].output.__setitem__(0, tensor)


def _straight(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    model.graph.output[0].CopyFrom(model.graph.input[0])


def _scaled(values: dict[int, float]) -> Callable[[onnx.ModelProto], None]:
    """Other scales of some nodes, by their numbers."""

    def change(model: onnx.ModelProto) -> None:
        for number, value in values.items():
            node = model.graph.node[number]
            scale = numpy_helper.to_array(next(each for each in MODEL.graph.initializer if each.name == node.input[1]))
            node.input[1] = f"scale of {node.name}"
            model.graph.initializer.append(numpy_helper.from_array(np.full_like(scale, value), node.input[1]))

    return change


def _without_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def _of_another_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 109


def _turned(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _several(model: onnx.ModelProto) -> None:
    model.graph.node[4].domain = "other"
    _read(3, "nowhere")(model)
    _read(5, "no_other")(model)


OLD = r"opset 9 of ONNX has no DequantizeLinear \(nodes 'x_float', .*\), QuantizeLinear \(node 'y'\): write the model with another opset"

REFUSED: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "external data": (_external, r"is not a valid ONNX model: Data of TensorProto .*missing\.bin"),
    "a cycle": (_read(0, "y_out"), "cannot be run: a circle of nodes, .* has nodes 'x_float', 'conv', 'relu', 'y': break it"),
    "a node that reads what it gives": (_read(4, "relu_out"), "each waits for another one, has node 'relu': break it"),
    "a tensor that nobody gives": (_read(3, "nowhere"), "nothing gives 'nowhere', which is read by node 'conv': mend the name"),
    "a tensor that two give": (_given(3, "x_float_out"), "'x_float_out' is given by nodes 'x_float', 'conv': .*nothing gives 'conv_out'"),
    "an output that nobody gives": (
        lambda model: setattr(model.graph.output[0], "name", "nowhere"),
        "cannot be run: nothing gives the output 'nowhere': mend the name",
    ),
    "nodes in another order": (_turned, "is not a valid ONNX model: Nodes in a graph must be topologically sorted.*; export it anew"),
    "an input without a shape": (
        lambda model: model.graph.input[0].type.tensor_type.ClearField("shape"),
        "cannot be run: the input 'x' has no shape: give it one",
    ),
    "several faults": (
        _several,
        "ONNX Runtime has no other::Relu .*nothing gives 'nowhere', .*; nothing gives 'no_other', ",
    ),
    "an initializer's type": (_of_another_type, r"is not a valid ONNX model"),
    "no output": (_without_output, "has no output; supported are models that say what they compute"),
    "no node": (_straight, "nothing of .* would run on the accelerator: it has no Conv, Gemm or MatMul; run it with ONNX Runtime"),
    "an open size": (
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[2], "dim_param", "H"),
        r"input 'x' is \(\?, 3, \?, 8\); only the batch may be left open: fix the other sizes with",
    ),
    "a size below zero": (_size(3, -1), r"input 'x' is \(\?, 3, 9, \?\); only the batch may be left open"),
    "no image": (_size(0, 0), "input 'x' holds 0 images; supported is a batch of 1 or more"),
    "a wrong size": (_size(1, 5), "cannot run .*: Non-zero status code returned while running Conv node"),
    "an old opset": (lambda model: setattr(model.opset_import[0], "version", 9), OLD),
    "an operator that is none": (
        lambda model: setattr(model.graph.node[4], "op_type", "Bend"),
        r"ONNX Runtime has no Bend \(node 'relu'\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    change, sentence = REFUSED[case]
    with pytest.raises(ModelError, match=sentence) as refused:
        cut_model(changed(tmp_path, change))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
@pytest.mark.parametrize("number", [0, 2, 5])
def test_scales_that_are_none(number: int, value: float, tmp_path: Path) -> None:
    """Of the input, of the weights, of the output."""
    with pytest.raises(
        ModelError, match=rf"a scale is {value:.6g} in nodes? .*'{MODEL.graph.node[number].name}'.*; supported are positive"
    ):
        cut_model(changed(tmp_path, _scaled({number: value})))


def test_all_scales_that_are_none_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a scale is nan in node 'x_float'; a scale is 0 in nodes 'constant5_dequantize', 'y'; supported"):
        cut_model(changed(tmp_path, _scaled({0: np.nan, 2: 0, 5: 0})))


def test_two_inputs_whose_sizes_are_open(tmp_path: Path) -> None:
    """Both are named at once."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", "L"]))
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"

    with pytest.raises(ModelError, match=r"input 'x' is \(\?, 3, \?, 8\) and 'z' is \(\?, \?\); only the batch .* --input_name x"):
        cut_model(changed(tmp_path, change))


def test_inputs_and_constants_that_are_outputs(tmp_path: Path) -> None:
    """Straight from the input, and from an initializer."""

    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        model.graph.output.append(helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 3, 9, 8]))
        model.graph.output.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))

    cut = cut_model(changed(tmp_path, change))
    ours = run_golden(cut, {"x": INPUTS[:1]})
    for end, theirs in Reference(cut).outputs({"x": INPUTS[:1]}).items():
        np.testing.assert_array_equal(ours[end], theirs)


def test_a_model_without_nodes_on_the_host(tmp_path: Path) -> None:
    cut = cut_model(changed(tmp_path, _straight), host_only=True)
    assert (cut.steps, cut.layers) == ((), [])
    np.testing.assert_array_equal(run_golden(cut, {"x": INPUTS[:1]})["x"], INPUTS[:1])


def test_sums_that_32_bits_do_not_hold(tmp_path: Path) -> None:
    """Such a layer runs on the host."""
    graph = Graph((70000,), "uint8").add("DequantizeLinear", "x_float", np.float32(0.01), np.uint8(0))
    weights = graph.dequantised(np.full((2, 70000), 127, np.int8), np.float32(0.01), np.int8(0))
    model = rounded(graph.add("Gemm", "gemm", weights, transB=1), scale=np.float32(2000)).save(tmp_path / "model.onnx", "uint8")
    with pytest.raises(ModelError, match=r"its sums can reach 2,266,950,000, which 32 bits do not hold"):
        cut_model(model)
    cut = cut_model(model, host_only=True)
    tensors = {"x": np.full((1, 70000), 255, np.uint8)}
    np.testing.assert_array_equal(run_golden(cut, tensors)["y_out"], Reference(cut).outputs(tensors)["y_out"])


def test_inputs_of_one_axis(tmp_path: Path) -> None:
    """A MatMul of a vector has no channels; it is no crash."""
    graph = Graph((), "uint8").add("DequantizeLinear", "x_float", np.float32(0.01), np.uint8(0))
    graph.input = helper.make_tensor_value_info("x", TensorProto.UINT8, [40])
    weights = graph.dequantised(np.ones((40, 3), np.int8), np.float32(0.01), np.int8(0))
    model = rounded(graph.add("MatMul", "matmul", weights)).save(tmp_path / "model.onnx", "uint8", ())
    with pytest.raises(ModelError, match=r"its input has one axis, the batch; supported are \(N, C\) and more"):
        cut_model(model)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_bias_of_one_number(shape: tuple[int, ...], tmp_path: Path) -> None:
    graph, bias = vector(), np.full(shape, 4000 * X_SCALE * np.float32(0.01), np.float32)
    weights = graph.dequantised(np.ones((3, 40), np.int8), np.float32(0.01), np.int8(0))
    cut = cut_model(rounded(graph.add("Gemm", "gemm", weights, bias, transB=1)).save(tmp_path / "model.onnx", "uint8"))
    assert len(cut.layers) == 1
    tensors = {"x": INPUTS.reshape(-1, 40)[:1]}
    np.testing.assert_array_equal(run_golden(cut, tensors)["y_out"], Reference(cut).outputs(tensors)["y_out"])


def test_scales_whose_product_is_infinite(tmp_path: Path) -> None:
    """Such a layer runs on the host, with nothing else said."""
    net = Branches(np.random.default_rng(0), x=(1, 2, 5, 5))
    path = quantised(net.save(tmp_path / "model.onnx", net.conv("x", 3)), net.drawn(1), "QOperator", "uint8", per_channel=False)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(tensor), 3e38), tensor.name))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"x_scale \* weight_scale / y_scale of channel 0 is 3e\+38 \* 3e\+38 / 3e\+38 = inf; supported"):
        cut_model(path)


def test_a_model_without_a_batch_axis(tmp_path: Path) -> None:
    net = Branches(np.random.default_rng(0), x=(2, 5, 5))
    out = net.add("Squeeze", net.conv(net.add("Unsqueeze", "x", np.array([0])), 3), np.array([0]))
    path = quantised(net.save(tmp_path / "model.onnx", out), net.drawn(1), "QDQ", "uint8", per_channel=False)
    with pytest.raises(ModelError, match=r"is \(1, 2, 5, 5\), but the model's input 'x' has 2 images; .* first axis is the batch: export"):
        cut_model(path)
