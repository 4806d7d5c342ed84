"""The command line: what it prints and writes, and the sentence with which it refuses what cannot be done."""

import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from cli_support import DATA, MODEL, CommandLine, digits
from onnx_models import Graph, run_onnxruntime
from simulation import SMALL
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.execution import Runner
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.importer import import_model
from skipgrid.host.onnx.model import End
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import PRESETS
from skipgrid.rtl.register_map import IDENTIFICATION, REGISTERS
from skipgrid.scripts.cli import app
from skipgrid.scripts.images import read_inputs
from skipgrid.scripts.interrupts import Interrupted
from skipgrid.scripts.model_run import Measured
from test_onnx_import_graphs import INPUTS, MATRIX, clip, conv, image, outputs, rounded

PNG = b"\x89PNG"
TAUGHT = [
    [name]
    for name in (
        "presets",
        "generate",
        "quantise",
        "check",
        "plan",
        "run",
        "compile",
        "boards",
        "build",
        "flash",
        "simulate",
        "info",
        "synth",
    )
] + [
    ["bench", "layers"],
    ["bench", "topk"],
    ["bench", "router"],
    ["bench", "winners"],
    ["bench", "experts"],
]
SIMULATES = pytest.mark.xdist_group("1x8")  # one worker builds the simulation, the others need not wait

RUN_KEYS = ["images", "correct", "bit_exact_golden", "bit_exact_onnxruntime", "cycles_per_image", "dense_cycles_per_image", "layers"]
RUN_KEYS += ["segments", "host_nodes", "device_macs_share", "passes", "words_per_image", "host_seconds_per_image"]
RUN_LAYER_KEYS = ["name", "sparsity_in", "useful_macs", "dense_macs", "cycles", "utilisation", "passes", "held_by"]
PRUNED_KEYS = ["geomean_two_sided_utilisation", "mean_weight_bits"]
BENCH_KEYS = ["preset", "rows", "lanes", "layers", "geomean_utilisation", "mean_speedup", *PRUNED_KEYS]
BENCH_LAYER_KEYS = [
    "layer",
    "sparsity",
    "dense_macs",
    "useful_macs",
    "limit_cycles",
    "cycles",
    "streamed_cycles",
    "utilisation",
    "speedup",
    "ideal_speedup",
    "stream_bits",
    "entropy_bits",
    "dense_bits",
    "two_sided_limit_cycles",
    "two_sided_utilisation",
    "weights",
    "weight_bits",
    "held_by",
    "bit_exact",
    "passes",
    "bands",
]


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two digits in a file."""
    images, labels = digits(2)
    np.savez(tmp_path / "two.npz", images=images, labels=labels)
    return tmp_path / "two.npz"


@pytest.mark.parametrize(
    "command",
    [[], *TAUGHT, ["bench"], ["fuzz"], ["figures"], ["docs"]],
)
def test_help_teaches(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "Usage" in result.output
    if command in TAUGHT:
        assert f"skipgrid {' '.join(command)} " in result.output.partition("Examples")[2]


def test_version(skipgrid: CommandLine) -> None:
    assert skipgrid("--version").output == "skipgrid 0.1.0\n"


def test_unknown_option_is_a_usage_error(skipgrid: CommandLine) -> None:
    assert skipgrid("presets", "--colour").code == 2


def test_presets(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("presets", "--json", tmp_path / "new" / "presets.json")
    assert outcome.code == 0
    assert all(name in outcome.output for name in PRESETS)
    report = json.loads((tmp_path / "new" / "presets.json").read_text(encoding="utf-8"))
    assert [(each["preset"], each["rows"], each["lanes"]) for each in report] == [
        ("1x8", 1, 8),
        ("2x16", 2, 16),
        ("4x32", 4, 32),
        ("2x64", 2, 64),
    ]
    assert report[0]["memory_bits"]["weights"] == 8 * 8 * PRESETS["1x8"].weights


@SIMULATES
def test_run(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("run", MODEL, DATA, "--preset", "1x8", "--limit", 2, "--json", tmp_path / "run.json", "--draw", tmp_path / "run.png")
    assert outcome.code == 0, outcome.errors
    assert "2 of 2" in outcome.output
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert list(report) == RUN_KEYS
    assert [list(layer) for layer in report["layers"]] == [RUN_LAYER_KEYS] * 5
    assert (report["images"], report["correct"], report["bit_exact_golden"], report["bit_exact_onnxruntime"]) == (2, 2, True, True)
    assert 0 < report["cycles_per_image"] < report["dense_cycles_per_image"]
    assert (tmp_path / "run.png").read_bytes().startswith(PNG)


@SIMULATES
@pytest.mark.parametrize(("key", "whom"), [("bit_exact_golden", "the golden model"), ("bit_exact_onnxruntime", "ONNX Runtime")])
def test_run_fails_when_outputs_differ(
    skipgrid: CommandLine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, whom: str
) -> None:
    right = vars(Measured)["summary"].fget
    monkeypatch.setattr(Measured, "summary", property(lambda measured: replace(right(measured), **{key: False})))
    sentence = skipgrid.refuses("run", MODEL, data, "--preset", "1x8", "--json", tmp_path / "run.json")
    assert sentence.startswith(f"the accelerator's outputs differ from those of {whom}")
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))[key] is False


@SIMULATES
def test_run_says_where_onnxruntime_computes_in_float(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Clip before the rounding, and an image of which a value lies at a tie: no error, unless anything else differs too."""
    model = rounded(clip(conv(image()))).save(tmp_path / "clip.onnx", "uint8")
    expected, actual = run_onnxruntime(model, INPUTS), outputs(import_model(model), INPUTS)
    (ties,) = np.nonzero((expected != actual).any(axis=(1, 2, 3)))
    np.savez(tmp_path / "ties.npz", images=INPUTS[[0, *ties]], labels=np.zeros(1 + len(ties), int))
    command = ("run", model, tmp_path / "ties.npz", "--preset", "1x8", "--json", tmp_path / "run.json")
    outcome = skipgrid(*command)
    assert outcome.code == 0, outcome.errors
    assert f"equal to ONNX Runtime but for {len(ties)} of {1 + len(ties)} images, by one step at ties" in outcome.output
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["bit_exact_onnxruntime"] is False
    monkeypatch.setattr("skipgrid.host.onnx.runtime.Reference.explains", lambda *_: False)
    assert skipgrid.refuses(*command).startswith("the accelerator's outputs differ from those of ONNX Runtime")


@SIMULATES
def test_run_keeps_its_results_when_onnxruntime_fails(
    skipgrid: CommandLine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ModelError("ONNX Runtime cannot run it")

    monkeypatch.setattr("skipgrid.host.onnx.runtime.Reference.outputs", fails)
    outcome = skipgrid("run", MODEL, data, "--preset", "1x8", "--json", tmp_path / "run.json")
    assert outcome.code == 1
    assert "2 of 2" in outcome.output
    assert "not compared" in outcome.output
    assert outcome.errors.endswith("skipgrid: ONNX Runtime cannot run it\n")
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["bit_exact_onnxruntime"] is None


def failing_second(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    """Let the second batch of a run end in this."""
    run, ran = Runner.run, list[int]()

    def once(runner: Runner, *arguments: Any) -> Any:
        if ran:
            raise failure
        ran.append(1)
        return run(runner, *arguments)

    monkeypatch.setattr(Runner, "run", once)


@SIMULATES
def test_run_keeps_the_results_before_an_image_that_fails(
    skipgrid: CommandLine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_second(monkeypatch, DoesNotFit("it has too many nonzeros"))
    kept = ("--json", tmp_path / "run.json", "--draw", tmp_path / "run.png", "--out", tmp_path / "out.npz")
    outcome = skipgrid("run", MODEL, data, "--preset", "1x8", *kept)
    assert outcome.code == 1
    assert "1 of 1" in outcome.output
    assert outcome.errors.endswith("skipgrid: image 1: it has too many nonzeros\n")
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (report["images"], report["bit_exact_onnxruntime"]) == (1, True)
    assert (tmp_path / "run.png").read_bytes().startswith(PNG)
    assert len(np.load(tmp_path / "out.npz")["logits"]) == 1


@SIMULATES
def test_run_keeps_the_results_before_a_signal(skipgrid: CommandLine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_second(monkeypatch, Interrupted(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):  # as CommandLine passes a signal on
        skipgrid("run", MODEL, data, "--preset", "1x8", "--out", tmp_path / "out.npz")
    assert len(np.load(tmp_path / "out.npz")["logits"]) == 1


@SIMULATES
def test_run_without_data_draws_an_image_and_compares_what_is_stored(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("run", MODEL, "--preset", "1x8", "--compare", "--out", tmp_path / "out.npz")
    assert outcome.code == 0, outcome.errors
    assert "stored tensors        all equal to ONNX Runtime's" in outcome.output
    assert "recognised" not in outcome.output
    (output,) = np.load(tmp_path / "out.npz").values()
    assert output.shape == (1, 10)


def test_run_of_outputs_that_have_no_batch(skipgrid: CommandLine, tmp_path: Path) -> None:
    """A number, a constant, and one whose size differs from image to image: each image has its own."""
    graph = rounded(conv(image())).add("DequantizeLinear", "y_float", np.float32(0.02), np.uint8(100))
    scores = graph.tensor
    largest = graph.add("ReduceMax", "largest", keepdims=0).tensor
    graph.tensor = scores
    model = graph.add("Greater", "greater", np.float32(0)).add("NonZero", "places").model(shape=(4, 1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "constant"))
    del model.graph.output[:]
    ends: list[tuple[str, int, list[Any]]] = [
        ("constant", 1, [3]),
        (largest, 1, []),
        (graph.tensor, 7, [4, "n"]),
        (scores, 1, ["N", 6, 7, 6]),
    ]
    for name, kind, shape in ends:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    onnx.save(model, tmp_path / "model.onnx")
    ran = skipgrid("run", tmp_path / "model.onnx", "--preset", "1x8", "--limit", 2, "--out", tmp_path / "out.npz")
    assert ran.code == 0, ran.errors
    assert "equal to ONNX Runtime yes" in ran.output
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays[largest], arrays[scores].max(axis=(1, 2, 3)))
        assert [arrays[f"{graph.tensor} {number}"].shape[0] for number in range(2)] == [4, 4]
        assert arrays["constant"].shape == (2, 3)
        ran_outputs = dict(arrays)
    compiled = skipgrid("compile", tmp_path / "model.onnx", "--preset", "1x8", "--limit", 2, "-o", tmp_path / "out")
    assert compiled.code == 0, compiled.errors
    with np.load(tmp_path / "out" / "outputs.npz") as arrays:
        assert set(arrays) == set(ran_outputs)
        for name, values in ran_outputs.items():
            np.testing.assert_array_equal(arrays[name], values)


def test_run_draws_numbers_of_rows_that_are_there(skipgrid: CommandLine, tmp_path: Path) -> None:
    graph = Graph((6,), "uint8")
    graph.input = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT64, ["N", 6])
    numbers, graph.tensor = graph.tensor, graph.constant(MATRIX)
    graph.add("Gather", "rows", numbers).add("DequantizeLinear", "rows_float", np.float32(0.01), np.int8(0))
    weights = graph.dequantised(MATRIX.T.copy(), np.float32(0.01), np.int8(0))
    rounded(graph.add("MatMul", "matmul", weights)).save(tmp_path / "model.onnx", "uint8", (6, 6))
    assert skipgrid("run", tmp_path / "model.onnx", "--preset", "1x8", "--limit", 2).code == 0


def test_run_asks_onnxruntime_before_anything_runs(skipgrid: CommandLine, tmp_path: Path, data: Path) -> None:
    model = onnx.load(MODEL)
    next(opset for opset in model.opset_import if opset.domain == "").version = 99
    onnx.save(model, tmp_path / "new.onnx")
    outcome = skipgrid("run", tmp_path / "new.onnx", data, "--preset", "1x8")
    assert (outcome.code, outcome.output) == (1, "")
    assert outcome.errors.startswith("skipgrid: ONNX Runtime")


@SIMULATES
def test_bench_layers(skipgrid: CommandLine, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "layers.json", "--plot", tmp_path / "layers.png")
    outcome = skipgrid("bench", "layers", "--preset", "1x8", "--layer", "LeNet Conv2", "--seed", 3, *files)
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "layers.json").read_text(encoding="utf-8"))
    assert list(report) == BENCH_KEYS
    assert [list(layer) for layer in report["layers"]] == [BENCH_LAYER_KEYS]
    assert (report["preset"], report["rows"], report["lanes"]) == ("1x8", 1, 8)
    layer = report["layers"][0]
    assert layer["bit_exact"]
    assert layer["speedup"] == pytest.approx(layer["dense_macs"] / 8 / layer["cycles"])  # its groups of lanes are full
    assert report["geomean_utilisation"] == pytest.approx(layer["utilisation"])
    assert (tmp_path / "layers.png").read_bytes().startswith(PNG)

    outcome = skipgrid("bench", "layers", "--preset", "1x8", "--layer", "LeNet Conv2", "--weights", 0.8, *files)
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "layers.json").read_text(encoding="utf-8"))
    pruned = report["layers"][0]
    assert pruned["weights"] < 0.25 * layer["weights"]
    assert report["geomean_two_sided_utilisation"] == pytest.approx(pruned["two_sided_utilisation"])
    assert report["mean_weight_bits"] == pytest.approx(pruned["weight_bits"])
    assert f"{report['mean_weight_bits']:.1f} for each that is not zero" in outcome.output


def table(path: Path, *rows: str) -> Path:
    """A layer table."""
    path.write_text("\n".join(["layer,C,H,W,K,R,S,pad,stride,sparsity", *rows]) + "\n", encoding="utf-8")
    return path


@SIMULATES
def test_a_layer_that_does_not_fit_is_reported_with_the_sizes(skipgrid: CommandLine, tmp_path: Path) -> None:
    rows = table(tmp_path / "table.csv", "small,4,5,5,8,3,3,1,1,0.5", "large,1,65,65,8,65,65,0,1,0.5")
    outcome = skipgrid("bench", "layers", "--preset", "1x8", "--table", rows, "--json", tmp_path / "layers.json")
    assert outcome.code == 0, outcome.errors
    assert "large" in outcome.errors
    assert "4,225 pixels" in outcome.errors
    report = json.loads((tmp_path / "layers.json").read_text(encoding="utf-8"))
    assert [layer["layer"] for layer in report["layers"]] == ["small"]
    assert [layer["layer"] for layer in report["do_not_fit"]] == ["large"]


@SIMULATES
def test_no_layer_fits(skipgrid: CommandLine, tmp_path: Path) -> None:
    rows = table(tmp_path / "table.csv", "large,1,65,65,8,65,65,0,1,0.5")
    assert skipgrid.refuses("bench", "layers", "--preset", "1x8", "--table", rows).startswith("no layer fits 1x8: large: ")


def test_bench_refuses(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert "no preset '9x9'" in skipgrid.refuses("bench", "layers", "--preset", "9x9")
    assert "no layer 'Conv9'; it has LeNet Conv2, " in skipgrid.refuses("bench", "layers", "--layer", "Conv9")
    assert skipgrid.refuses("bench", "layers", "--table", tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: No such file or directory"
    assert "line 2 of the layer table" in skipgrid.refuses(
        "bench", "layers", "--table", table(tmp_path / "bad.csv", "x,4,5,5,8,3,3,1,1,many")
    )


def test_run_refuses_waveforms_of_other_formats(skipgrid: CommandLine, data: Path) -> None:
    assert ".fst or .vcd" in skipgrid.refuses("run", MODEL, data, "--preset", "1x8", "--trace", "waves.txt")


@pytest.mark.slow
def test_waveforms_show_each_half_of_a_cycle_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    device = SimulatedDevice(SMALL, trace=tmp_path / "waves.vcd")
    assert device.read_register(REGISTERS["IDENTIFICATION"].address) == IDENTIFICATION
    cycles = device.cycle
    device.close()
    lines = (tmp_path / "waves.vcd").read_text(encoding="utf-8").splitlines()
    (clock,) = {line.split()[3] for line in lines if re.fullmatch(r"\s*\$var wire 1 \S+ clk \$end", line)}
    times = [int(line[1:]) for line in lines if line.startswith("#")]
    assert times == list(range(0, 10 * cycles + 5, 5))
    assert lines.count(f"1{clock}") == cycles
    assert capfd.readouterr().err == ""


def test_run_refuses_missing_files_and_presets(skipgrid: CommandLine, tmp_path: Path, data: Path) -> None:
    assert "no preset '9x9'; there are 1x8, 2x16, 4x32, 2x64" in skipgrid.refuses("run", MODEL, data, "--preset", "9x9")
    assert str(tmp_path / "no.npz") in skipgrid.refuses("run", MODEL, tmp_path / "no.npz")
    assert str(tmp_path / "no.onnx") in skipgrid.refuses("run", tmp_path / "no.onnx", data)


IMAGES, LABELS = digits(2)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": IMAGES, "labels": LABELS}, "has no array 'images'; it has 'x', 'labels'"),
        ({"images": IMAGES.astype(np.float32), "labels": LABELS}, "the images are float32, but the model's input 'images' is uint8"),
        ({"images": IMAGES[:, :, 1:], "labels": LABELS}, "is (N, 1, 28, 28)"),
        ({"images": IMAGES, "labels": LABELS[:1]}, "there are 1 labels; one label for each image"),
        ({"images": IMAGES, "labels": LABELS.astype(np.float64)}, "the labels are float64"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "holds no images"),
        ({"images": IMAGES, "labels": np.array([3, 10])}, "image 1 has the label 10, but the model tells 10 classes apart, 0 to 9;"),
        ({"images": IMAGES, "labels": np.array([-1, 3])}, "image 0 has the label -1, but the model"),
        ({"images": IMAGES[:, 0], "labels": LABELS}, "; .reshape(-1, 1, 28, 28) would give them that"),
        (
            {"images": np.full((2, 1, 27, 28), np.nan), "labels": LABELS[:1]},
            "there are 1 labels; one label for each image is needed; the images are float64, but the model's input 'images' is uint8;"
            " prepare them as for the model's training, and store them with .astype(numpy.uint8); the images' shape is (2, 1, 27, 28), but"
            " the model's input 'images' is (N, 1, 28, 28); image 0 holds nan, which no 8-bit activation stands for, as does another;",
        ),
    ],
)
def test_run_refuses_data(skipgrid: CommandLine, tmp_path: Path, arrays: dict[str, NDArray[Any]], sentence: str) -> None:
    np.savez(tmp_path / "data.npz", allow_pickle=False, **arrays)
    assert sentence in skipgrid.refuses("run", MODEL, tmp_path / "data.npz")


def test_all_that_data_lack_is_said_at_once(tmp_path: Path) -> None:
    ends = [End("x", (None, 2, 3), np.dtype(np.float32)), End("y", (None, 4), np.dtype(np.float32))]
    x, y = np.zeros((3, 2, 3), np.float32), np.zeros((3, 4), np.float32)
    for arrays, sentence in (
        ({"z": x}, r"has no arrays 'x', 'y'; it has 'z', but the model wants 'x', 'y'"),
        ({"x": x, "y": y[:2, :3]}, r"has 3 of 'x' and 2 of 'y'; .*; the images' shape is \(2, 3\), but the model's input 'y' is \(N, 4\)"),
        (
            {"x": x[:, :1], "y": np.full_like(y, np.inf)},
            r"the images' shape is \(3, 1, 3\), .*'x' .*; image 0 holds inf in 'y', .* as do 2 others",
        ),
        ({"x": x[0, 0, 0], "y": y[0, 0]}, r"'x', 'y' is a single number"),
        ({"x": x[:0], "y": y[:0]}, "holds no images$"),
    ):
        np.savez(tmp_path / "data.npz", allow_pickle=False, **arrays)
        with pytest.raises(ValueError, match=sentence):
            read_inputs(tmp_path / "data.npz", ends)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 not an archive"])
def test_run_refuses_files_that_are_no_npz(skipgrid: CommandLine, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    assert "npz file" in skipgrid.refuses("run", MODEL, tmp_path / "data.npz")


def test_run_refuses_a_damaged_npz(skipgrid: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, images=IMAGES, labels=LABELS)
    whole = path.read_bytes()
    for place in range(60, 460, 40):  # in the images' compressed bytes
        path.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
        assert skipgrid.refuses("run", MODEL, path).startswith(f"{path} is not a readable npz file: ")


def test_run_refuses_a_single_array(skipgrid: CommandLine, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", IMAGES)
    assert "holds a single array" in skipgrid.refuses("run", MODEL, tmp_path / "data.npy")


def test_run_refuses_what_is_no_model(skipgrid: CommandLine, tmp_path: Path, data: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert "model.onnx" in skipgrid.refuses("run", tmp_path / "model.onnx", data)


@SIMULATES
def test_run_keeps_outputs_that_are_not_by_image(skipgrid: CommandLine, tmp_path: Path) -> None:
    graph = rounded(conv(image())).add("DequantizeLinear", "back", np.float32(0.02), np.uint8(100)).add("ReduceMean", "mean", keepdims=0)
    model = graph.save(tmp_path / "mean.onnx", shape=())
    proto = onnx.load(model)
    for value in proto.graph.output:
        del value.type.tensor_type.shape.dim[:]
    onnx.save(proto, model)
    outcome = skipgrid("run", model, "--preset", "1x8", "--limit", 3, "--out", tmp_path / "out.npz")
    assert outcome.code == 0, outcome.errors
    assert "equal to ONNX Runtime yes" in outcome.output
    assert np.load(tmp_path / "out.npz")["mean_out"].shape == (3,)


@SIMULATES
def test_run_lists_what_runs_on_the_host(skipgrid: CommandLine, tmp_path: Path, data: Path) -> None:
    model = onnx.load(MODEL)
    next(node for node in model.graph.node if node.op_type == "MaxPool").op_type = "AveragePool"
    for value in [*model.graph.value_info]:
        model.graph.value_info.remove(value)
    onnx.save(model, tmp_path / "model.onnx")
    command = ("run", tmp_path / "model.onnx", data, "--preset", "1x8")
    outcome = skipgrid(*command, "--json", tmp_path / "run.json")
    assert outcome.code == 0, outcome.errors
    assert "AveragePool" in outcome.output
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [node["op"] for node in report["host_nodes"]] == ["AveragePool"]
    assert len(report["segments"]) == 2
    sentence = skipgrid.refuses(*command, "--device-only")
    assert sentence.startswith("1 nodes of")
    assert "(AveragePool): ONNX Runtime averages in float32" in sentence


def test_generate_refuses(skipgrid: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert "no preset '3x3'" in skipgrid.refuses("generate", "--preset", "3x3", "-o", tmp_path)
    assert str(tmp_path / "file") in skipgrid.refuses("generate", "--preset", "1x8", "-o", tmp_path / "file")


def test_developers_commands_want_a_clone(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("docs", "figures"):
        assert "is not a clone of the project" in skipgrid.refuses(command)


@SIMULATES
def test_bench_density(skipgrid: CommandLine, tmp_path: Path) -> None:
    written = tmp_path / "density.json", tmp_path / "density.png"
    outcome = skipgrid("bench", "density", "--preset", "1x8", "--layer", "LeNet Conv2", "--json", written[0], "--plot", written[1])
    assert outcome.code == 0, outcome.errors
    points = json.loads(written[0].read_text(encoding="utf-8"))["points"]
    assert [point["density"] for point in points] == sorted(point["density"] for point in points)
    assert all(point["limit_cycles"] <= point["cycles"] for point in points)
    assert points[-1]["cycles"] < 1.01 * points[-1]["limit_cycles"]
    assert written[1].read_bytes().startswith(PNG)


@pytest.mark.slow
def test_bench_topk(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("bench", "topk", "--seed", 3, "--json", tmp_path / "topk.json")
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "topk.json").read_text(encoding="utf-8"))
    assert list(report) == ["seed", "units"]
    assert {each["n"] for each in report["units"]} == {16, 1000, 100_000}
    for each in report["units"]:
        assert list(each) == ["unit", "k", "n", "input_cycles", "cycles", "bit_exact"]
        assert each["bit_exact"]
        assert each["input_cycles"] == each["n"]
        assert each["cycles"] <= {"StreamingTopK": each["k"] + 1, "HistogramTopK": each["n"] + 260}[each["unit"]]


def test_bench_topk_fails_when_winners_differ(skipgrid: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"unit": "StreamingTopK", "k": 1, "n": 3, "input_cycles": 3, "cycles": 2, "bit_exact": False}
    monkeypatch.setattr("skipgrid.scripts.bench_topk.measure_topk", lambda _: {"seed": 0, "units": [wrong]})
    assert skipgrid.refuses("bench", "topk") == "some winners differ from the golden model's"


@pytest.mark.slow
def test_bench_router(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("bench", "router", "--seed", 3, "--json", tmp_path / "router.json")
    assert outcome.code == 0, outcome.errors
    streams = json.loads((tmp_path / "router.json").read_text(encoding="utf-8"))["streams"]
    assert [each["favour"] for each in streams] == ["logits", "draws", "top"]
    for each in streams:
        assert (each["tokens"], each["lost"], each["repeated"], each["bit_exact"]) == (16_384, 0, 0, True)
        assert each["busiest_over_mean_after"] <= 1.5 < each["busiest_over_mean_before"]


@pytest.mark.slow
@SIMULATES
def test_bench_winners(skipgrid: CommandLine, tmp_path: Path) -> None:
    written = tmp_path / "winners.json", tmp_path / "winners.png"
    outcome = skipgrid("bench", "winners", "--preset", "1x8", "--limit", 2, "--json", written[0], "--draw", written[1])
    assert outcome.code == 0, outcome.errors
    report = json.loads(written[0].read_text(encoding="utf-8"))
    assert (report["preset"], report["images"]) == ("1x8", 2)
    assert [each["share"] for each in report["shares"]] == [1, 0.5, 0.3, 0.2, 0.1]
    assert all(each["bit_exact"] for each in (report["plain"], *report["shares"]))
    everything, half, *_, fewest = report["shares"]
    plain = report["plain"]
    assert (everything["accuracy"], everything["bits_per_image"]) == (plain["accuracy"], plain["bits_per_image"])
    assert plain["cycles_per_image"] == everything["cycles_per_image"] > half["cycles_per_image"] > fewest["cycles_per_image"]
    assert fewest["winners_cycles_per_image"] > 0 == everything["winners_cycles_per_image"]
    assert 0 == everything["choosing_cycles_per_image"] < half["choosing_cycles_per_image"] < 0.05 * half["cycles_per_image"]
    assert everything["bits_per_image"] > fewest["bits_per_image"]
    assert written[1].read_bytes().startswith(PNG)


@pytest.mark.slow
@SIMULATES
def test_bench_winners_with_a_period_or_of_pixels(skipgrid: CommandLine, tmp_path: Path) -> None:
    """Where the threshold is kept, one digit of three waits; where pixels choose, outputs hardly do."""
    path = tmp_path / "winners.json"
    for option, waiting in ((("--period", 3), (20, 500)), (("--per-pixel",), (0, 500))):
        outcome = skipgrid("bench", "winners", "--preset", "1x8", "--limit", 3, *option, "--json", path)
        assert outcome.code == 0, outcome.errors
        points = json.loads(path.read_text(encoding="utf-8"))["shares"]
        assert all(each["bit_exact"] for each in points)
        assert all(waiting[0] <= each["winners_cycles_per_image"] <= waiting[1] for each in points[1:]), points


@pytest.mark.slow
@SIMULATES
def test_bench_experts(skipgrid: CommandLine, tmp_path: Path) -> None:
    written = tmp_path / "experts.json", tmp_path / "experts.png"
    outcome = skipgrid("bench", "experts", "--limit", 3, "--json", written[0], "--draw", written[1])
    assert "The experts' load" in outcome.output
    report = json.loads(written[0].read_text(encoding="utf-8"))
    assert report["bit_exact"]
    assert report["router"]["bit_exact"]
    assert (len(report["load"]), sum(report["load"])) == (8, 6)
    assert report["gate_cycles"] < report["cycles"] < report["all_experts_cycles"]
    assert report["cycles"] <= 1.15 * (report["gate_cycles"] + report["all_experts_cycles"] * 2 / 8)
    assert written[1].read_bytes().startswith(PNG)


@pytest.mark.slow
@SIMULATES
def test_run_takes_a_network_in_a_file(skipgrid: CommandLine, data: Path) -> None:
    settings = [word for text in ("experts=8", "experts_chosen=2", "weights=32768") for word in ("--set", text)]
    outcome = skipgrid("run", MODEL.with_name("experts.npz"), data, "--preset", "1x8", *settings)
    assert "equal to golden       yes" in outcome.output
    assert "not compared" in outcome.output
    refused = skipgrid("run", MODEL.with_name("experts.npz"), data, "--preset", "1x8")
    assert refused.code == 1
    sentence = "experts: it chooses from 8 experts, but 1x8 has no router; set experts=8 and experts_chosen=2 in its configuration"
    assert refused.errors == f"skipgrid: {sentence}\n"  # before a simulation is built


def test_bench_winners_fails_when_an_output_differs(skipgrid: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: dict[str, object] = {"share": None, "accuracy": 1, "bit_exact": False}
    wrong |= {"cycles_per_image": 1, "choosing_cycles_per_image": None, "winners_cycles_per_image": 1, "bits_per_image": 1}
    monkeypatch.setattr("skipgrid.scripts.bench_winners.measure_winners", lambda *_: {"preset": "1x8", "plain": wrong, "shares": []})
    assert skipgrid.refuses("bench", "winners") == "some outputs differ from the golden model's"
