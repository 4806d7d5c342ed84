"""The cache of compiled simulations, and the tools that compile them, where the environment is not what one would like."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from skipgrid.host.simulation import cache, toolchain
from skipgrid.host.simulation.cache import CacheWarning, cache_folder, find, keep
from skipgrid.host.simulation.toolchain import ToolError, plain, plain_output, plain_temporary, verilator_environment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What stands for a compiled library."""
    (tmp_path / "made.so").write_bytes(bytes(range(256)) * 10)
    return tmp_path / "made.so"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SKIPGRID_CACHE": "."}, "{cwd}"),
        ({"SKIPGRID_CACHE": "", "XDG_CACHE_HOME": "/x"}, "/x/skipgrid"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/skipgrid"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/skipgrid"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SKIPGRID_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == expected.format(cwd=tmp_path)


def test_a_user_without_a_home_has_a_passing_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    for name in ("SKIPGRID_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert cache_folder().is_dir()
    assert cache_folder() == cache_folder()


def test_what_is_kept_is_found_whole(folder: Path, made: Path) -> None:
    assert find("one") is None
    library = keep("one", made)
    assert library == folder / "one.so" == find("one")
    assert library.read_bytes().startswith(made.read_bytes())
    assert [path.name for path in folder.iterdir()] == ["one.so"]


@pytest.mark.parametrize(("start", "end"), [(b"", 0), (b"", -1), (b"x", None)], ids=["empty", "cut", "changed"])
def test_what_is_damaged_is_not_found(start: bytes, end: int | None, made: Path) -> None:
    library = keep("one", made)
    library.write_bytes(start + library.read_bytes()[len(start) : end])
    assert find("one") is None
    keep("one", made)
    assert find("one") == library


def test_a_cache_that_cannot_be_written_is_told_and_done_without(folder: Path, made: Path) -> None:
    folder.write_text("in the way", encoding="utf-8")
    with pytest.warns(CacheWarning, match=r"cache .*/cache cannot be written \(File exists\).*; set SKIPGRID_CACHE to a folder"):
        library = keep("one", made)
    assert library.read_bytes().startswith(made.read_bytes())
    assert library.parent != folder


def test_nothing_stays_of_what_does_not_fit(folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        if target.parent == folder:
            raise OSError(28, "No space left on device")
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(CacheWarning, match="No space left on device"):
        assert keep("one", made).is_file()
    assert not list(folder.iterdir())


def test_what_was_used_longest_ago_gives_way(folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIMIT", 3 * (made.stat().st_size + cache.CHECKSUM))
    now = time.time()
    for age, name in enumerate(("young", "old", "oldest")):
        os.utime(keep(name, made), (now - 100 - age, now - 100 - age))
    assert find("oldest")  # used, so it is young again
    (folder / "stopped.new").touch()
    (folder / "running.new").touch()
    os.utime(folder / "stopped.new", (now - cache.ABANDONED - 9, now - cache.ABANDONED - 9))
    keep("new", made)
    assert {path.name for path in folder.iterdir()} == {"young.so", "oldest.so", "new.so", "running.new"}


def test_makefiles_get_names_without_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain(Path("/usr/lib")) == Path("/usr/lib")
    folder = tmp_path / "a b & c"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    link = plain(folder)
    assert link.parent == tmp_path
    assert link.resolve() == folder.resolve()
    assert toolchain.PLAIN.fullmatch(str(link))
    assert plain(folder) == link  # found again
    link.unlink()
    link.symlink_to("/usr")
    with pytest.raises(ToolError, match=r"is not this user's link to .*a b & c.*; remove it"):
        plain(folder)
    built = plain_output(folder)
    assert (built.parent, built) == (tmp_path, plain_output(folder))
    assert plain_output(tmp_path) == tmp_path
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert plain_temporary() in (Path("/tmp"), Path("/var/tmp"))


@pytest.mark.parametrize("code", [0, 1])
def test_a_ccache_that_does_not_work_is_done_without(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ccache").write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    (tmp_path / "ccache").chmod(0o755)
    monkeypatch.delenv("OBJCACHE", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert verilator_environment().get("OBJCACHE") == (None if code else "ccache")


def test_what_a_tool_has_started_ends_with_an_interruption(tmp_path: Path) -> None:
    program = f"""
        import signal, subprocess
        from pathlib import Path
        from skipgrid.host.simulation.toolchain import run

        class Process(subprocess.Popen):
            def communicate(self):
                Path("{tmp_path}/waits").touch()
                return super().communicate()

        subprocess.Popen = Process
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        run(["sh", "-c", "sleep 60 & echo $! > {tmp_path}/id; wait"], Path("/"), {{"PATH": "/usr/bin:/bin"}})
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "waits").exists() or not (tmp_path / "id").exists() or not (tmp_path / "id").read_text(encoding="utf-8"):
            assert process.poll() is None
            time.sleep(0.02)
        process.terminate()
    sleeper = Path("/proc", (tmp_path / "id").read_text(encoding="utf-8").strip(), "stat")
    for _ in range(100):
        if not sleeper.exists() or sleeper.read_text(encoding="utf-8").split()[2] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the grandchild still runs")
