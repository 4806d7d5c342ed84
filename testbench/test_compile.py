"""What `skipgrid compile` writes: the accelerator's Verilog runs models from these files alone, and C has the same words."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cli_support import DATA, MODEL, ROOT, CommandLine, digits
from onnx_models import Graph, run_onnxruntime
from simulation import SMALL
from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings
from skipgrid.golden import decode, encode, run_network
from skipgrid.host.network_file import load_network
from skipgrid.host.simulation.toolchain import verilator_environment
from skipgrid.reference import compiled_files
from skipgrid.reference.config_files import made_files
from skipgrid.rtl.config import Config
from test_onnx_import_graphs import INPUTS, X_SCALE, conv, image, paired, pool, relu, rounded

PRESET = find_config("1x8")
SETTINGS = [f"{name}={value}" for name, value in asdict(SMALL).items() if name != "name" and value != asdict(PRESET)[name]]
CONFIG = with_settings(PRESET, SETTINGS)  # as the command line makes SMALL
OPTIONS = ["--preset", "1x8", *(word for setting in SETTINGS for word in ("--set", setting))]
SPARSE = np.where(np.random.default_rng(5).random((1, 3, 9, 8)) < 0.8, 7, INPUTS[:1]).astype(np.uint8)  # 7 is the input's zero point
GROUP = pytest.mark.xdist_group("compile")  # one worker makes the Verilog once
needs_c = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")

# Behind the declarations and the tasks for registers of the testbench that `skipgrid generate` writes.
BENCH = """
  integer to_come;

  task send_packet(input integer words);
    for (n = 0; n < words; n = n + 1) begin
      {s_axis_load_tlast, s_axis_load_tdata} = {n == words - 1, load[n][31:0]};
      s_axis_load_tvalid = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axis_load_tready;
        @(negedge clk);
      end
      s_axis_load_tvalid = 0;
    end
  endtask

  task run(input integer input_words, input integer output_words);
    begin
      read_register(STATUS);
      if (value[FAILED]) fail("a load packet was refused");
      received = 0;
      to_come = output_words;
      write_register(PROGRAM, 0);
      write_register(CONTROL, START);
      for (n = 0; n < input_words; n = n + 1) begin
        {s_axis_in_tlast, s_axis_in_tdata} = {n == input_words - 1, sent[n][31:0]};
        s_axis_in_tvalid = 1;
        taken = 0;
        while (!taken) begin
          #1 taken = s_axis_in_tready;
          @(negedge clk);
        end
        s_axis_in_tvalid = 0;
      end
      read_register(STATUS);
      while (value[BUSY]) read_register(STATUS);
      if (!value[DONE]) fail("a run ended in an error");
      if (received != output_words) fail("words are missing");
      all = all + received;
    end
  endtask

  integer all = 0;
  initial begin
    m_axis_out_tready = 1;
    rst = 1;
    repeat (4) @(negedge clk);
    rst = 0;
    read_register(12'h008);
    if (value != 32'd@hash@) fail("it is another accelerator");
@steps@
    if (wrong != 0) $display("FAIL: %0d words are wrong", wrong);
    else $display("PASS: %0d words", all);
    $finish;
  end

  initial begin
    received = 0;
    wrong = 0;
    forever begin
      @(negedge clk);
      #1;
      if (m_axis_out_tvalid && m_axis_out_tready) begin
        if (m_axis_out_tdata !== expected[received][31:0] || m_axis_out_tlast != (received == to_come - 1) || m_axis_out_tuser)
          wrong = wrong + 1;
        received = received + 1;
      end
    end
  end

  initial begin
    repeat (LIMIT) @(negedge clk);
    fail("the run does not end");
  end
endmodule
"""
DUMP = """\
#include <stdio.h>
#include "model.h"

static void write_words(struct skipgrid_words each) { fwrite(each.words, sizeof(uint32_t), each.count, stdout); }

int main(void) {
  const struct skipgrid_start *starts[] = {@starts@};
  const uint32_t counts[] = {@counts@};
  for (uint32_t image = 0; image < sizeof counts / sizeof counts[0]; image++)
    for (uint32_t n = 0; n < counts[image]; n++) {
      const struct skipgrid_start *start = &starts[image][n];
      for (uint32_t packet = 0; packet < start->packets_count; packet++) write_words(start->packets[packet]);
      write_words(start->input);
      write_words(start->output);
    }
  return 0;
}
"""


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def second(graph: Graph, K: int, channels: int) -> Graph:
    """A further quantised Conv, still in float, whose channel 1 is constant."""
    weights = np.random.default_rng(5).integers(-64, 65, (K, channels, 3, 3)).astype(np.int8)
    weights[1] = 0
    return graph.add("Conv", "conv2", graph.dequantised(weights, np.full(K, 0.004, np.float32), np.zeros(K, np.int8)))


def first() -> Graph:
    """A convolution of the image, with ReLU and pooling, rounded to 8 bits and float again."""
    return paired(pool(relu(conv(image(), pads=[1, 1, 1, 1])), strides=[2, 2]), "a", zero_point=np.uint8(0))


def two_layers() -> Graph:
    """One segment, for which the second image has too many nonzeros."""
    return rounded(second(first(), 5, 6))


def passes_behind_the_host() -> Graph:
    """A layer, a node on the host, and a layer with too many weights, whose output is in another order and has constants in it."""
    squashed = paired(first().add("Sigmoid", "sigmoid"), "b", np.float32(1 / 256), np.uint8(0))
    return rounded(second(squashed, 24, 6)).add("Transpose", "turn", perm=[0, 2, 3, 1])


def compiled(skipgrid: CommandLine, folder: Path, graph: Callable[[], Graph], shape: tuple[int, ...]) -> Path:
    """The folder of a graph that is compiled for a sparse and a dense image."""
    np.savez(folder / "images.npz", images=np.concatenate([SPARSE, INPUTS[1:2]]))
    graph().save(folder / "model.onnx", "uint8", shape)
    outcome = skipgrid("compile", folder / "model.onnx", folder / "images.npz", *OPTIONS, "-o", folder / "compiled")
    assert outcome.code == 0, outcome.errors
    return folder / "compiled"


def manifest(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return made


def segments(folder: Path) -> list[dict[str, Any]]:
    return [step for step in manifest(folder)["steps"] if step["runs_on"] == "accelerator"]


def starts(folder: Path) -> Iterator[dict[str, Any]]:
    """All starts, image after image of each segment."""
    yield from (start for step in segments(folder) for stages in step["images"] for stage in stages for start in stage["starts"])


def words(folder: Path, name: str) -> NDArray[np.uint32]:
    return np.fromfile(folder / f"{name}.bin", "<u4")


@cache
def verilog(config: Config) -> dict[str, str]:
    """The files that `skipgrid generate` writes."""
    return made_files(config)


def built_bench(folder: Path, config: Config) -> list[str]:
    """The command of a bench in plain Verilog that goes through all starts, and reads nothing but the folder's files."""
    generated = verilog(config)
    head = generated["skipgrid_tb.v"].partition("\n  initial begin\n")[0]
    longest = max(path.stat().st_size // 4 for path in folder.glob("*.bin"))
    head = re.sub(r"LOAD_WORDS = \d+, INPUT_WORDS = \d+, OUTPUT_WORDS = \d+", "LOAD_WORDS = N, INPUT_WORDS = N, OUTPUT_WORDS = N", head)
    sizes = {packet["name"]: packet["words"] for step in segments(folder) for packet in step["packets"]}
    lines = []
    for start in starts(folder):
        for name in start["packets"]:
            lines += [f'$readmemh("{name}.hex", load, 0, {sizes[name] - 1});', f"send_packet({sizes[name]});"]
        for memory, stream in (("sent", start["input"]), ("expected", start["output"])):
            lines.append(f'$readmemh("{stream["name"]}.hex", {memory}, 0, {stream["words"] - 1});')
        lines.append(f"run({start['input']['words']}, {start['output']['words']});")
    head = head.replace("localparam LOAD", f"localparam N = {longest};\n  localparam LOAD", 1)
    bench = BENCH.replace("@hash@", str(manifest(folder)["config_hash"])).replace("@steps@", "\n".join(f"    {line}" for line in lines))
    (folder / "bench.v").write_text(head + bench, encoding="utf-8")
    for name in ("skipgrid.v", "lint.vlt"):
        (folder / name).write_text(generated[name], encoding="utf-8")
    if shutil.which("iverilog"):
        said(["iverilog", "-g2012", "-o", "bench.vvp", "skipgrid.v", "bench.v"], folder)
        return ["vvp", "-n", "bench.vvp"]
    options = "--binary -Wno-fatal -MAKEFLAGS CFG_CXXFLAGS_PCH_I=-include --top-module skipgrid_tb"
    said(f"verilator-cli {options} lint.vlt skipgrid.v bench.v".split(), folder)
    return ["obj_dir/Vskipgrid_tb"]


def said(command: list[str], folder: Path) -> list[str]:
    """The lines that a tool prints, but for Verilator's report of its own time."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    surroundings = verilator_environment() | os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("- ")]


def given(folder: Path, step: dict[str, Any], image: int) -> NDArray[np.generic]:
    """The tensor that a segment gives for an image, put together from its streams as the README says."""
    stage = step["images"][image][-1]
    y = np.zeros(stage["gives"]["shape"], stage["gives"]["type"])
    for start in stage["starts"]:
        part = tuple(slice(*start["part_given"][axis]) for axis in "CHW")
        channels, rows, columns = y[part].shape
        coded = decode(words(folder, start["output"]["name"]), y[part].size, start["k_out"]).reshape(rows, columns, channels)
        y[part] = (coded + np.uint8(stage["gives"]["zero_point"] & 255)).view(y.dtype).transpose(2, 0, 1)
    end, flat = step["gives"], y.reshape(-1)
    if end["order"] != "as it is":
        numbers = words(folder, end["order"]["indices"]).view(np.int32)
        constants = words(folder, end["order"]["constants"]).view(np.int32) if "constants" in end["order"] else numbers
        flat = np.where(numbers >= 0, flat[numbers], constants)
    return flat.astype(y.dtype).reshape(end["tensor_shape"])


CASES: dict[str, tuple[Callable[[], Graph], tuple[int, ...]]] = {
    "two layers": (two_layers, (5, 2, 2)),
    "passes behind the host": (passes_behind_the_host, (2, 2, 24)),
}


@pytest.mark.parametrize("case", CASES)
@GROUP
def test_verilog_runs_a_model_from_the_files_alone(skipgrid: CommandLine, tmp_path: Path, case: str) -> None:
    folder = compiled(skipgrid, tmp_path, *CASES[case])
    bench = built_bench(folder, CONFIG)
    assert all((folder / name).read_text(encoding="utf-8") == verilog(CONFIG)[name] for name in ("skipgrid.h", "skipgrid.c"))
    assert said(bench, folder) == [f"PASS: {sum(start['output']['words'] for start in starts(folder))} words"]
    with np.load(folder / "inputs.npz") as inputs, np.load(folder / "outputs.npz") as outputs:
        (images,), ((name, ours),) = inputs.values(), outputs.items()
    np.testing.assert_array_equal(ours, run_onnxruntime(tmp_path / "model.onnx", images))
    last = segments(folder)[-1]
    assert last["gives"]["tensor"] == name
    np.testing.assert_array_equal(ours, [given(folder, last, number) for number in range(2)])
    stream = folder / f"{next(starts(folder))['output']['name']}.hex"
    right = stream.read_text(encoding="utf-8")
    stream.write_text(("1" if right[0] == "0" else "0") + right[1:], encoding="utf-8")
    assert said(bench, folder) == ["FAIL: 1 words are wrong"]


@pytest.mark.slow
@GROUP
def test_verilog_runs_lenet_from_the_files_alone(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert skipgrid("compile", MODEL, DATA, "--preset", "1x8", "--limit", 2, "-o", tmp_path).code == 0
    assert said(built_bench(tmp_path, PRESET), tmp_path) == ["PASS: 6 words"]
    images, labels = digits(2)
    with np.load(tmp_path / "outputs.npz") as outputs:
        np.testing.assert_array_equal(outputs["logits"], run_onnxruntime(MODEL, images))
        np.testing.assert_array_equal(outputs["logits"].argmax(axis=1), labels)


def test_the_manifest_says_what_runs_where(skipgrid: CommandLine, tmp_path: Path) -> None:
    folder = compiled(skipgrid, tmp_path, *CASES["passes behind the host"])
    made = manifest(folder)
    assert (made["config_hash"], made["config"], made["images"]) == (CONFIG.hash, asdict(CONFIG), 2)
    one, host, other = made["steps"]
    assert [step["runs_on"] for step in made["steps"]] == ["accelerator", "host", "accelerator"]
    assert [node["operator"] for node in host["nodes"]] == ["DequantizeLinear", "Sigmoid", "QuantizeLinear"]
    why = "1x8-custom holds no tables of functions; set functions=1 in its configuration"
    assert host["nodes"][1] == {"name": "sigmoid", "operator": "Sigmoid", "why": why}
    assert host["reads"] == [{"tensor": "a_q_out", "shape": [1, 6, 4, 4], "type": "uint8"}]
    assert host["gives"] == [{"tensor": "b_q_out", "shape": [1, 6, 4, 4], "type": "uint8"}]
    assert (one["reads"]["tensor"], one["reads"]["shape"], one["reads"]["zero_point"]) == ("x", [3, 9, 8], 7)
    assert one["reads"]["scale"] == float(X_SCALE)
    assert (one["reads"]["order"], one["gives"]["order"]) == ("as it is", "as it is")
    assert other["gives"]["order"] == {"indices": "segment_1_place", "constants": "segment_1_fill"}
    assert one["program"]["k_in"] == next(starts(folder))["k_in"]
    assert other["program"] is None
    assert len(other["images"][0][0]["starts"]) > 1
    program = next(packet for packet in one["packets"] if packet["target"] == "PROGRAM")
    assert [(each["opcode"], each["C"], each["first_y"], each["final"]) for each in program["descriptors"]] == [("LAYER", 3, -1, 1)]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "must come the tensors `b_q_out`" in text
    assert f"| `sigmoid` | Sigmoid | {why} |" in text
    assert not re.search(r"@\w+@|\{\w+\}|/tmp|\.py\b", text)


def test_an_image_with_many_nonzeros_runs_in_stages(skipgrid: CommandLine, tmp_path: Path) -> None:
    folder = compiled(skipgrid, tmp_path, *CASES["two layers"])
    (segment,) = segments(folder)
    assert [[stage["layers"] for stage in stages] for stages in segment["images"]] == [[["conv", "conv2"]], [["conv"], ["conv2"]]]
    assert segment["images"][0][0]["starts"][0]["packets"] == segment["program"]["packets"]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"    skipgrid generate {' '.join(OPTIONS).replace('False', 'false')}\n" in readme
    assert "All of the model runs on the accelerator." in readme
    assert "for the images given, and for no others" in readme
    assert "no two tensors that follow each other in it have more than 256 nonzero elements together" in readme


def test_an_input_in_another_order(skipgrid: CommandLine, tmp_path: Path) -> None:
    """Three images with their channels last, of which the model takes two at once."""
    graph = Graph((9, 8, 3), "int8").add("DequantizeLinear", "x_float", X_SCALE, np.int8(-7)).add("Transpose", "turn", perm=[0, 3, 1, 2])
    graph.input.type.tensor_type.shape.dim[0].dim_value = 2
    rounded(conv(graph), zero_point=np.int8(-100)).save(tmp_path / "model.onnx", "int8", (6, 7, 6))
    images = (INPUTS[:3].transpose(0, 2, 3, 1).astype(int) - 128).astype(np.int8)
    np.savez(tmp_path / "images.npz", x=images)
    outcome = skipgrid("compile", tmp_path / "model.onnx", tmp_path / "images.npz", *OPTIONS, "-o", tmp_path / "compiled")
    assert outcome.code == 0, outcome.errors
    (segment,) = segments(tmp_path / "compiled")
    assert (segment["reads"]["tensor_shape"], segment["reads"]["shape"], segment["reads"]["zero_point"]) == ([9, 8, 3], [3, 9, 8], -7)
    take = words(tmp_path / "compiled", segment["reads"]["order"]["indices"]).view(np.int32)
    every = list(starts(tmp_path / "compiled"))
    assert len(every) == 3
    for pixels, start in zip(images, every, strict=True):
        x = pixels.reshape(-1)[take].reshape(segment["reads"]["shape"])
        coded = (x.astype(int) + 7).astype(np.uint8).transpose(1, 2, 0).reshape(-1)
        np.testing.assert_array_equal(words(tmp_path / "compiled", start["input"]["name"]), encode(coded, start["k_in"]))
    with np.load(tmp_path / "compiled" / "outputs.npz") as outputs:
        pairs = [run_onnxruntime(tmp_path / "model.onnx", images[[first, second]]) for first, second in ((0, 1), (2, 2))]
        np.testing.assert_array_equal(outputs["y_out"], np.concatenate(pairs)[:3])
        np.testing.assert_array_equal(outputs["y_out"][2], given(tmp_path / "compiled", segment, 2))


@needs_c
@pytest.mark.parametrize("case", CASES)
def test_c_has_the_same_words(skipgrid: CommandLine, tmp_path: Path, case: str) -> None:
    folder = compiled(skipgrid, tmp_path, *CASES[case])
    (folder / "alone.c").write_text('#include "model.h"\n', encoding="utf-8")
    # The README's example, and that of the page about the driver where a segment takes any image.
    pages = [folder / "README.md", *([ROOT / "docs" / "c-api.md"] if segments(folder)[0]["program"] else [])]
    for page in pages:
        (block,) = (found for found in re.findall(r"```c\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) if "model.h" in found)
        (folder / f"{page.stem}.c").write_text(block, encoding="utf-8")
    names = [f"{segment['name']}_image_{image}" for segment in segments(folder) for image in range(2)]
    dump = DUMP.replace("@starts@", ", ".join(names)).replace("@counts@", ", ".join(f"{name.upper()}_STARTS" for name in names))
    (folder / "dump.c").write_text(dump, encoding="utf-8")
    strict = ["cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    examples = [[*strict, "-Wno-unused-function", "-c", f"{page.stem}.c", "-o", f"{page.stem}.o"] for page in pages]
    for command in ([*strict, "-c", "alone.c", "-o", "alone.o"], *examples, [*strict, "dump.c", "skipgrid.c", "-o", "dump"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
    found = np.frombuffer(subprocess.run([folder / "dump"], capture_output=True, check=True).stdout, "=u4")
    listed = [name for start in starts(folder) for name in (*start["packets"], start["input"]["name"], start["output"]["name"])]
    np.testing.assert_array_equal(found, np.concatenate([words(folder, name) for name in listed]))


@needs_c
def test_models_of_two_accelerators_live_in_one_program(skipgrid: CommandLine, tmp_path: Path) -> None:
    for name, preset in (("one", "1x8"), ("other", "2x16")):
        outcome = skipgrid("compile", MODEL, "--preset", preset, "--name", name, "-o", tmp_path / name)
        assert outcome.code == 0, outcome.errors
        readme = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        assert f"    skipgrid generate --preset {preset} --name {name}\n" in readme
        (block,) = re.findall(r"```c\n(.*?)```", readme, re.DOTALL)
        entry = (
            f"int {name}(struct {name} *core);\nint {name}(struct {name} *core) {{ return run(core, segment_0_image_0, 1, NULL, 0); }}\n"
        )
        (tmp_path / name / "start.c").write_text(block + entry, encoding="utf-8")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    files = [f"{name}/{file}.c" for name in ("one", "other") for file in (name, "start")]
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "main.c", *files, "-o", "both"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert skipgrid.refuses("compile", MODEL, "--name", "int", "-o", tmp_path / "new").startswith("'int' cannot name a module")


def test_both_forms_of_words_are_the_same(skipgrid: CommandLine, tmp_path: Path) -> None:
    folder = compiled(skipgrid, tmp_path, *CASES["passes behind the host"])
    files = sorted(folder.glob("*.bin"))
    assert files
    for file in files:
        lines = file.with_suffix(".hex").read_text(encoding="utf-8").split("\n")
        assert [int(line, 16) for line in lines[:-1]] == words(folder, file.stem).tolist()
        assert {len(line) for line in lines[:-1]} == {8}


def test_a_network_of_its_own_with_experts(skipgrid: CommandLine, tmp_path: Path) -> None:
    options = ["--set", "experts=8", "--set", "experts_chosen=2", "--set", "weights=32768", "--limit", 1]
    assert skipgrid("compile", "models/experts.npz", DATA, "--preset", "1x8", *options, "-o", tmp_path).code == 0
    (segment,) = segments(tmp_path)
    assert [(each["name"], each["value"]) for each in segment["registers"]] == [("EXPERTS", 8), ("K", 2)]
    assert "to `EXPERTS` at `0x8" in (tmp_path / "README.md").read_text(encoding="utf-8")
    network = load_network(MODEL.with_name("experts.npz"))
    expected = network.results(np.stack([run_network(x, network.layers)[-1] for x in network.activations(digits(1)[0])]))
    with np.load(tmp_path / "outputs.npz") as outputs:
        np.testing.assert_array_equal(outputs[network.output.name], expected)


def test_without_data_an_image_is_drawn(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcomes = [skipgrid("compile", MODEL, "--preset", "1x8", "-o", tmp_path / name) for name in ("one", "other")]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert manifest(tmp_path / "one")["images"] == 1
    names = {path.name for path in (tmp_path / "one").iterdir()} - {"inputs.npz", "outputs.npz"}  # archives have dates
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in names)


def test_what_is_in_the_way_is_refused(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert skipgrid.refuses("compile", MODEL, "-o", file) == f"{file} cannot be written: {file} is no folder"
    assert skipgrid.refuses("compile", tmp_path / "no.onnx") == f"{tmp_path / 'no.onnx'}: No such file or directory"
    both = skipgrid.refuses("compile", MODEL, "--preset", "1x8", "--board", "icebreaker", "-o", tmp_path / "new")
    assert both == "choose the accelerator with --preset or with --board, not with both"
    (tmp_path / "new" / "model.h").mkdir(parents=True)
    taken = skipgrid.refuses("compile", MODEL, "--preset", "1x8", "-o", tmp_path / "new")
    assert taken == f"{tmp_path / 'new' / 'model.h'} is a folder where a file is to be written; choose another folder with --output"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.h"]

    def half(*_: object) -> Iterator[tuple[str, bytes]]:
        yield "manifest.json", b"{}"
        raise ValueError("half of it")

    monkeypatch.setattr(compiled_files, "compiled_files", half)
    assert skipgrid.refuses("compile", MODEL, "--preset", "1x8", "-o", tmp_path / "none") == "half of it"
    assert not (tmp_path / "none").exists()
