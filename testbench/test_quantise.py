"""Models in float that become int8 ones: what the accelerator computes of them is what ONNX Runtime does, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cli_support import CommandLine
from onnx_models import Graph, run_onnxruntime
from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.quantise import quantise, read_float_model, saturates
from skipgrid.host.onnx.runtime import Reference

C, H, W, CLASSES = 3, 8, 8, 10
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, C, H, W)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, len(IMAGES))


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def drawn(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def network() -> Graph:
    """A small network in float, with what converters leave for others to fold: a batch normalisation, and a MatMul with its Add."""
    graph = Graph((C, H, W)).add("Conv", "conv", drawn(8, C, 3, 3), drawn(8), pads=[1, 1, 1, 1])
    graph.add("BatchNormalization", "norm", *(np.abs(drawn(8)) + np.float32(0.5) for _ in range(4)))
    graph.add("Relu", "relu").add("MaxPool", "pool", kernel_shape=[2, 2], strides=[2, 2])
    graph.add("Conv", "depthwise", drawn(8, 1, 3, 3), group=8).add("Clip", "relu6", np.float32(0), np.float32(6)).add("Flatten", "flat")
    return graph.add("MatMul", "connect", drawn(32, CLASSES)).add("Add", "bias", drawn(CLASSES))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return network().save(tmp_path / "float.onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS)
    return tmp_path / "data.npz"


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("options", [{}, {"activations": "int8"}, {"per_channel": False}, {"reduce_range": True}], ids=str)
def test_what_the_accelerator_computes_is_what_onnxruntime_does(options: dict[str, Any], opset: int, tmp_path: Path) -> None:
    options = {"reduce_range": saturates(), **options}
    made = quantise(read_float_model(network().save(tmp_path / "float.onnx", opset=opset)), {"x": IMAGES}, **options)
    onnx.save(made, tmp_path / "int8.onnx")
    cut = cut_model(tmp_path / "int8.onnx")
    assert [len(found.layer.bias) for found in cut.layers] == [8, 8, CLASSES]
    assert cut.host_nodes == ()
    assert {found.layer.x.dtype for found in cut.layers[1:]} == {options.get("activations", "uint8")}
    assert cut.layers[1].layer.x.zero_point == cut.layers[1].layer.x.low  # behind the ReLU
    scales = {len(np.unique(found.layer.scale)) for found in cut.layers}
    assert scales == ({1} if options.get("per_channel") is False else {8, CLASSES})
    if options["reduce_range"]:
        assert max(np.abs(found.layer.weights.astype(int)).max() for found in cut.layers) <= 64
    reference, end = Reference(cut), cut.model.outputs[0].name
    for number in range(len(IMAGES)):
        given = {"x": IMAGES[number : number + 1]}
        np.testing.assert_array_equal(run_golden(cut, given)[end], reference.outputs(given)[end])


def test_a_batch_that_is_fixed_and_two_inputs(tmp_path: Path) -> None:
    model = network().add("Add", "sum", "more").model(shape=[CLASSES])
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["N", CLASSES]))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 5
    onnx.save(model, tmp_path / "float.onnx")
    read = read_float_model(tmp_path / "float.onnx")
    assert (read.batch, [end.name for end in read.inputs]) == (5, ["x", "more"])
    onnx.save(quantise(read, {"x": IMAGES, "more": drawn(len(IMAGES), CLASSES)}), tmp_path / "int8.onnx")  # the last batch is filled up
    assert len(cut_model(tmp_path / "int8.onnx").layers) == 3


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    onnx.save(network().model(), tmp_path / "float.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    onnx.save(quantise(read_float_model(tmp_path / "float.onnx"), {"x": IMAGES}), tmp_path / "int8.onnx")
    assert len(cut_model(tmp_path / "int8.onnx").layers) == 3


def test_the_command(skipgrid: CommandLine, model: Path, data: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "new" / "int8.onnx", tmp_path / "report.json"
    outcome = skipgrid("quantise", model, "--calibrate", data, "-o", out, "--limit", 20, "--json", report)
    assert outcome.code == 0, outcome.errors
    assert f"next: skipgrid check {out}, then skipgrid run {out} {data}" in outcome.output
    assert f"wrote {out}" in outcome.errors
    kept = json.loads(report.read_text(encoding="utf-8"))
    assert (kept["calibrated"], kept["images"], kept["activations"], kept["per_channel"]) == (20, 24, "uint8", True)
    assert f"{kept['int8_correct']} of 24" in outcome.output
    assert [layer["name"] for layer in kept["layers"]] == [found.layer.name for found in cut_model(out).layers]
    assert 0 < kept["layers"][0]["zeros"] < kept["layers"][1]["zeros"] < 1
    assert kept["float_correct"] == int((run_onnxruntime(model, IMAGES).argmax(axis=1) == LABELS).sum())


def test_a_model_without_labels_or_layers(skipgrid: CommandLine, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=IMAGES)
    model = Graph((C, H, W)).add("Sigmoid", "sigmoid").save(tmp_path / "float.onnx")
    command = ("quantise", model, "--calibrate", tmp_path / "data.npz", "-o", tmp_path / "int8.onnx", "--json", tmp_path / "report.json")
    outcome = skipgrid(*command)
    assert outcome.code == 0, outcome.errors
    assert "would run on the accelerator" in outcome.errors
    kept = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (kept["float_correct"], kept["int8_correct"], kept["zeros"], kept["layers"]) == (None, None, None, [])


def test_a_processor_on_which_sums_saturate(
    skipgrid: CommandLine, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skipgrid.host.onnx.quantise.saturates", lambda: True)
    command = ("quantise", model, "--calibrate", data, "-o", tmp_path / "int8.onnx", "--json", tmp_path / "report.json")
    assert "saturate on this processor" in skipgrid(*command).errors
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["reduce_range"] is True
    assert "saturate" not in skipgrid(*command, "--full-range").errors
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["reduce_range"] is False


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": IMAGES}, "has no array 'x'; it has 'pictures'"),
        ({"images": IMAGES.astype(np.float64)}, "the images are float64, but the model's input 'x' is float32"),
        ({"images": IMAGES[:, :2]}, "the images' shape is (24, 2, 8, 8), but the model's input 'x' is (N, 3, 8, 8)"),
        ({"images": np.where(np.arange(24).reshape(24, 1, 1, 1) == 7, np.nan, IMAGES).astype(np.float32)}, "image 7 holds nan"),
        ({"images": IMAGES[:0]}, "holds no images"),
        ({"images": IMAGES, "labels": LABELS + 1000}, "but the model tells 10 classes apart"),
        ({"images": IMAGES, "labels": LABELS[:3]}, "one label for each image"),
    ],
    ids=["name", "type", "shape", "nan", "none", "labels", "too few labels"],
)
def test_data_that_is_refused(skipgrid: CommandLine, model: Path, tmp_path: Path, arrays: dict[str, NDArray[Any]], sentence: str) -> None:
    np.savez(tmp_path / "data.npz", allow_pickle=False, **arrays)
    assert sentence in skipgrid.refuses("quantise", model, "--calibrate", tmp_path / "data.npz", "-o", tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()


def test_files_that_are_refused(skipgrid: CommandLine, model: Path, data: Path, tmp_path: Path) -> None:
    def refuses(out: Path, model: Path = model, data: Path = data) -> str:
        return skipgrid.refuses("quantise", model, "--calibrate", data, "-o", out)

    assert "models are written to a file that ends in .onnx, not to" in refuses(tmp_path / "int8.bin")
    (tmp_path / "folder.onnx").mkdir()
    assert "is a folder; name a file in it" in refuses(tmp_path / "folder.onnx")
    assert "is no folder" in refuses(model / "int8.onnx")
    assert "name another file" in refuses(model)
    assert "No such file" in refuses(tmp_path / "int8.onnx", model=tmp_path / "none.onnx")
    assert "No such file" in refuses(tmp_path / "int8.onnx", data=tmp_path / "none.npz")
    (tmp_path / "damaged.onnx").write_bytes(model.read_bytes()[:500])
    assert "is not a valid ONNX model" in refuses(tmp_path / "int8.onnx", model=tmp_path / "damaged.onnx")


def test_models_that_are_refused(tmp_path: Path) -> None:
    quantised = tmp_path / "int8.onnx"
    onnx.save(quantise(read_float_model(network().save(tmp_path / "float.onnx")), {"x": IMAGES}), quantised)
    with pytest.raises(
        ModelError, match=r"int8\.onnx is already quantised, as node '.*' \(DequantizeLinear\) shows; `skipgrid run` takes it"
    ):
        read_float_model(quantised)
    open_sizes = network().model(shape=[CLASSES])
    open_sizes.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    onnx.save(open_sizes, tmp_path / "open.onnx")
    with pytest.raises(ModelError, match=r"input 'x' is \(\?, 3, \?, 8\); only the batch may be left open"):
        read_float_model(tmp_path / "open.onnx")
    new = network().model()
    new.opset_import[0].version = 99
    onnx.save(new, tmp_path / "new.onnx")
    with pytest.raises(ModelError, match=r"cannot run .*new\.onnx: .*; write the model with an opset"):
        read_float_model(tmp_path / "new.onnx")
    onnx.save(Graph((C,)).add("Identity", "same").model(), tmp_path / "same.onnx")
    with pytest.raises(ModelError, match=r"same\.onnx has no node that ONNX Runtime quantises"):
        quantise(read_float_model(tmp_path / "same.onnx"), {"x": drawn(4, C)})
