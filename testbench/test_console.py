"""The command line where the surroundings are not what one would like: consoles, pipes, signals, missing packages, nonsense."""

import ast
import builtins
import os
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import skipgrid as skipgrid_package
from cli_support import DATA, MODEL, ROOT, CommandLine, digits
from skipgrid.models import MODELS
from skipgrid.scripts import cli, console
from skipgrid.scripts.extras import EXTRAS
from skipgrid.scripts.files import BadOption, shipped, write
from skipgrid.scripts.interrupts import Interrupted, interruptible

COMMAND = [sys.executable, "-m", "skipgrid.scripts.cli"]
FOLDERS = ("rtl", "golden", "host", "fpga", "fpga/boards", "scripts", "testbench", "package", ".")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).glob("*.py")]


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def takes_the_locales_encoding(call: ast.Call) -> bool:
    """Whether a call opens text without saying that it is UTF-8."""
    given = {keyword.arg for keyword in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    modes = [each.value for each in (*call.args, *(keyword.value for keyword in call.keywords)) if isinstance(each, ast.Constant)]
    text = name in ("read_text", "write_text") or (name in ("run", "Popen", "check_output") and given & {"text", "universal_newlines"})
    text = text or (name == "open" and bool({"r", "w", "a", "x"} & set(modes)))
    return bool(text) and "encoding" not in given


def test_text_files_are_utf_8_whatever_the_locale() -> None:
    calls = [
        (path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    found = [f"{path.relative_to(ROOT)}:{call.lineno}" for path, call in calls if takes_the_locales_encoding(call)]
    assert not found, f"these take the locale's encoding: {found}"
    assert takes_the_locales_encoding(ast.parse("path.open('w')").body[0].value)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_consoles_of_any_encoding_take_what_is_printed(encoding: str) -> None:
    variables = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    for arguments in (["presets"], ["--help"]):
        ended = subprocess.run([*COMMAND, *arguments], env=variables, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert {"ascii": b"columns x channels", "latin-1": b"columns \xd7 channels", "utf-8": "columns × channels".encode()}[
            encoding
        ] in ended.stdout or arguments != ["presets"]


def test_a_reader_may_go_and_a_disk_may_be_full() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*COMMAND, "presets"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert ended.stderr == b""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([*COMMAND, "presets"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (1, b"skipgrid: the standard output: No space left on device\n")
    ended = subprocess.run([*COMMAND, "presets", "--json", "/dev/full"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (1, b"skipgrid: /dev/full: No space left on device\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_build_with_all_that_it_began(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """The C++ compiler is a script that waits, so that the signal comes while it runs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "temporary").mkdir()
    for name in ("c++", "g++", "make"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/began\nsleep 600\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "temporary"), "OBJCACHE": ""}
    variables["SKIPGRID_CACHE"] = str(tmp_path / "cache")
    command = [*COMMAND, "bench", "topk"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while not (tmp_path / "began").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.splitlines()[-1].partition(":")[0]) == (code, "skipgrid")
    assert len(errors.splitlines()) == 3, errors
    left = list((tmp_path / "temporary").glob("skipgrid*"))
    assert all(each.is_symlink() for each in left), left  # to tools in a path with spaces, for later runs too
    assert not (tmp_path / "cache").exists()
    time.sleep(0.1)
    for began in (tmp_path / "began").read_text(encoding="utf-8").split():
        stat = Path("/proc", began, "stat")
        assert not stat.exists() or stat.read_text(encoding="utf-8").split()[2] == "Z"


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {"serial": "pyserial", "amaranth_boards": "amaranth-boards", "pythondata_cpu_picorv32": "pythondata-cpu-picorv32"}
    for module, extra in EXTRAS.items():
        brought = " ".join(project["optional-dependencies"][extra])
        assert names.get(module, module) in brought
        assert names.get(module, module) not in " ".join(project["dependencies"]).replace("amaranth[", "")


@pytest.fixture
def base_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without extras; afterwards all modules are the ones from before."""
    for package in ("host", "golden"):
        monkeypatch.setattr(skipgrid_package, package, import_module(f"skipgrid.{package}"))
    for name in [name for name in sys.modules if name.partition(".")[0] in EXTRAS or name.startswith(("skipgrid.host", "skipgrid.golden"))]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def find(name: str, *arguments: Any, **options: Any) -> Any:
        level = arguments[3] if len(arguments) > 3 else options.get("level", 0)
        if level == 0 and name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", find)
    monkeypatch.setattr("skipgrid.scripts.extras.find_spec", lambda name: None if name in EXTRAS else object())


@pytest.mark.usefixtures("base_only")
def test_verilog_needs_no_extra(skipgrid: CommandLine, tmp_path: Path) -> None:
    assert skipgrid("presets").code == 0
    outcome = skipgrid("generate", "--unit", "threshold-relu", "-o", tmp_path)
    assert outcome.code == 0, outcome
    assert list(tmp_path.glob("*.v"))


@pytest.mark.usefixtures("base_only")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", MODEL, DATA), 'onnx is not installed, which this needs; type: pip install "skipgrid[run]"'),
        (("bench", "layers", "--plot", "x.png"), 'matplotlib is not installed, which this needs; type: pip install "skipgrid[run]"'),
        (("info", "--device", "/dev/ttyUSB9"), 'cobs is not installed, which this needs; type: pip install "skipgrid[link]"'),
    ],
)
def test_what_is_missing_is_said_with_its_extra(arguments: tuple[object, ...], sentence: str, skipgrid: CommandLine) -> None:
    assert skipgrid.refuses(*arguments) == sentence


def test_shipped_files_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("models/lenet5.onnx", "lenet5.onnx", "lenet5", "models/lenet5"):
        assert shipped(Path(name)) == MODELS / "lenet5.onnx"
    assert shipped(Path("digits")) == MODELS / "digits.npz"
    for name in ("x.onnx", "other/lenet5.onnx", "", "/lenet5", "__init__.py/x", "models"):
        assert shipped(Path(name)) == Path(name)
    Path("lenet5.onnx").touch()
    assert shipped(Path("lenet5.onnx")) == Path("lenet5.onnx")


def test_shipped_files_are_told(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = skipgrid("run", "models/lenet5.onnx", "models/digits.npz", "--preset", "1x8", "--limit", 1, "--set", "weights=7")
    assert f"there is no models/lenet5.onnx here; taking the package's {MODELS / 'lenet5.onnx'}" in outcome.errors


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "file"
    write(path, "é")
    assert path.read_bytes() == b"\xc3\xa9"
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    write(tmp_path / "link", b"other")
    assert (tmp_path / "link").is_symlink()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"other", 0o640)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left") as error:
        write(path, "lost")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"other"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


NONSENSE = {
    "presets": ["--json", "{folder}"],
    "quantise": ["{file}", "--calibrate", "{file}", "-o", "{folder}/x.bin"],
    "prune": ["{file}", "digits", "-o", "{folder}/x.bin"],
    "run": ["{folder}", "digits"],
    "check": ["lenet5", "--preset", "1x8", "--set", "features=3"],
    "plan": ["lenet5", "--preset", "1x8", "--json", "{file}/x"],
    "compile": ["lenet5", "--preset", "1x8", "-o", "{file}/x"],
    "soc": ["lenet5", "digits", "--system", "none"],
    "bench layers": ["--table", "{folder}"],
    "bench density": ["--plot", "{folder}/x.txt"],
    "bench winners": ["--draw", "{file}/x.png"],
    "bench experts": ["--json", "{file}/x/y.json"],
    "bench topk": ["--json", "/dev/null/x.json"],
    "bench router": ["--seed", "-1"],
    "boards": ["--json", "{folder}"],
    "build": ["--board", "icebreaker", "--output", "{file}"],
    "synth": ["--family", "ice40", "--output", "{file}/x"],
    "flash": ["--board", ""],
    "simulate": ["--board", "none"],
    "info": ["--device", "none", "--board", "none"],
    "fuzz": ["--set", "lanes=many"],
}
MORE = [
    ("run", ["lenet5", "digits", "--limit", "0"]),
    ("run", ["lenet5", "{file}/x"]),
    ("run", ["lenet5", "digits", "--trace", "x.txt"]),
    ("run", ["lenet5", "digits", "--trace", "{folder}/none.vcd/"]),
    ("run", ["lenet5", "digits", "--preset", "0x0"]),
    ("run", ["lenet5", "digits", "--draw", "x"]),
    ("run", ["lenet5", "digits", "--json", "{file}/x"]),
    ("run", ["", ""]),
    ("synth", ["--family", "none"]),
    ("synth", ["--family", "ice40", "--unit", "none"]),
    ("synth", ["--family", "ice40", "--unit", "encoder", "--set", "x"]),
    ("build", ["--board", "icebreaker", "--seeds", "1", "--seed", "1"]),
    ("fuzz", ["--preset", "none"]),
    ("run", ["lenet5", "digits", "--set", "lanes=7"]),
    ("run", ["lenet5", "digits", "--board", "icebreaker", "--preset", "1x8"]),
    ("soc", ["lenet5", "digits", "--json", "{folder}"]),
    ("simulate", ["--board", "icebreaker", "--link", "{file}"]),
    ("simulate", ["--board", "icebreaker", "--link", "{folder}/none/x"]),
    ("fuzz", ["--count", "0"]),
]


@pytest.mark.parametrize(("command", "arguments"), [*NONSENSE.items(), *MORE])
def test_nonsense_is_refused_before_any_work(command: str, arguments: list[str], tmp_path: Path, skipgrid: CommandLine) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "none.vcd").mkdir()
    outcome = skipgrid(*command.split(), *(each.format(folder=tmp_path, file=tmp_path / "file") for each in arguments))
    assert outcome.code == 2, outcome
    assert outcome.errors
    assert not outcome.output
    assert "building" not in outcome.errors
    assert "Traceback" not in outcome.errors
    assert {path.name for path in tmp_path.iterdir()} == {"file", "none.vcd"}


def test_tables_of_layers_that_are_none_are_refused(tmp_path: Path, skipgrid: CommandLine) -> None:
    (tmp_path / "table.csv").write_text("layer,C\n", encoding="utf-8")
    assert skipgrid.refuses("bench", "layers", "--table", tmp_path / "table.csv").startswith(f"{tmp_path}/table.csv holds no layers")
    (tmp_path / "table.csv").write_bytes(b"\xff\xfe")
    assert "is not text in UTF-8" in skipgrid.refuses("bench", "layers", "--table", tmp_path / "table.csv")


def test_every_command_has_its_nonsense() -> None:
    names = {command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    assert names - {"docs", "figures", "generate", "operators"} <= set(NONSENSE)


def test_building_is_told_only_when_something_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    from skipgrid.host.simulation.library import surroundings

    with console.building("1x8"):
        assert capsys.readouterr().err == ""
        with surroundings.get()():
            pass
    assert capsys.readouterr().err == "building the simulation of 1x8 (once; later runs find it)\n"


def test_a_found_simulation_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from skipgrid.host.simulation import cache, library

    def never() -> None:
        raise AssertionError("built")

    monkeypatch.setattr(cache, "find", lambda _: tmp_path)
    monkeypatch.setattr(library, "verilator_environment", never)
    assert library.build_library(never, MODEL, name="x", key="y") == tmp_path


def test_headers_are_looked_for_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from skipgrid.host.simulation import library
    from skipgrid.host.simulation.toolchain import ToolError

    def never() -> None:
        raise AssertionError("built")

    monkeypatch.setattr(library, "_check_fst_headers", lambda *_: (_ for _ in ()).throw(ToolError("headers")))
    with pytest.raises(ToolError, match="headers"):
        library.build_library(never, MODEL, name="x", key="never", trace="fst")


def test_pictures_and_checks_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"ends in \.png, \.svg or \.pdf, not to x$"):
        console.picture_file(Path("x"))
    images, labels = digits(1)
    np.savez(tmp_path / "one.npz", images=images, labels=labels)
    assert console.shipped_file(tmp_path / "one.npz") == tmp_path / "one.npz"


class _SignalsAsItGoes:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        sum(range(3))


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    @interruptible()
    def work() -> None:
        _SignalsAsItGoes()
        time.sleep(5)

    with pytest.raises(Interrupted, match="ended by SIGTERM"):
        work()
