"""What a kept figure depends on: source files with all that they import of this project, and a hash of them."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

import skipgrid.fpga
import skipgrid.golden
import skipgrid.host
import skipgrid.rtl

PACKAGES = {
    module.__name__.split(".")[1]: Path(module.__path__[0]) for module in (skipgrid.rtl, skipgrid.golden, skipgrid.host, skipgrid.fpga)
}


def with_imports(*files: Path) -> set[Path]:
    """Files of these packages, and those that they import."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                package = (node.module or "").removeprefix("skipgrid.").split(".")
                folder = path.parent if node.level else PACKAGES.get(package[0])
                # from .module import thing; from . import module; from skipgrid.package import thing
                names = [package[-1], *(alias.name for alias in node.names), *(["__init__"] if package[-1] in PACKAGES else [])]
                waiting += [folder / f"{name}.py" for name in names if folder and (folder / f"{name}.py").is_file()]
    return found


def hash_of(files: Iterable[Path]) -> str:
    """16 digits that tell the files' names and content apart from any others."""
    key = hashlib.sha256()
    for path in sorted(files):
        key.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    return key.hexdigest()[:16]
