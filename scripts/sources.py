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
            if isinstance(node, ast.ImportFrom) and (place := _place(path, node)):
                # from .module import thing; from . import module; from skipgrid.package.folder.module import thing
                imported = [place.with_suffix(".py"), place / "__init__.py", *(place / f"{alias.name}.py" for alias in node.names)]
                waiting += [file for file in imported if file.is_file()]
    return found


def _place(path: Path, node: ast.ImportFrom) -> Path | None:
    """What a file imports from: a module's file without its suffix, or a folder; None if it is none of these packages'."""
    names = node.module.split(".") if node.module else []
    if node.level:
        return path.parents[node.level - 1].joinpath(*names)
    if len(names) < 2 or names[0] != "skipgrid" or names[1] not in PACKAGES:
        return None
    return PACKAGES[names[1]].joinpath(*names[2:])


def hash_of(files: Iterable[Path]) -> str:
    """16 digits that tell the files' names and content apart from any others."""
    key = hashlib.sha256()
    for path in sorted(files):
        key.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    return key.hexdigest()[:16]
