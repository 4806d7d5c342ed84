"""The documentation: generated pages are up to date, figures are not stale, examples run, links lead somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from skipgrid.reference.figures import COST, CYCLES, EXPERTS, EXPERTS_PAGE, PAGE, with_experts_table, with_readme_tables, with_topk_tables
from skipgrid.reference.integrating import PAGE as INTEGRATING
from skipgrid.reference.integrating import with_sizes, with_throughput
from skipgrid.reference.pages import made_pages
from skipgrid.reference.waves import made_waves
from skipgrid.scripts import records
from skipgrid.scripts.figures import kept
from skipgrid.scripts.keys import key_of
from skipgrid.scripts.measurements import measurements

ROOT = Path(__file__).resolve().parent.parent
REMEDY = "type: skipgrid figures --table-only"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")])


@pytest.mark.parametrize("name", ["registers.md", "router-registers.md", "soc-registers.md", "dataflow.svg"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made_pages()[name], (
        f"docs/{name} is older than its source; type: make docs"
    )


def test_timing_diagrams_show_what_this_hardware_does() -> None:
    folder = ROOT / "docs" / "waves"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert found == made_waves(), "docs/waves is older than the hardware; type: make docs"


def test_every_timing_diagram_is_shown() -> None:
    assert {f"waves/{path.name}" for path in ROOT.glob("docs/waves/*.svg")} <= set(links(ROOT / INTEGRATING))


def test_the_table_of_sizes_shows_the_kept_builds() -> None:
    text = (ROOT / INTEGRATING).read_text(encoding="utf-8")
    assert text == with_sizes(text, records.kept()), f"the table of {INTEGRATING} is not that of fpga/builds; type: make docs"


@pytest.mark.slow
def test_the_table_of_cycles_shows_what_this_hardware_takes() -> None:
    text = (ROOT / INTEGRATING).read_text(encoding="utf-8")
    assert text == with_throughput(text), f"the table of {INTEGRATING} is older than the hardware; type: make docs"


def test_the_readmes_table_shows_the_kept_figures() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == with_readme_tables(text, kept(ROOT)), (
        "the README's table is not that of docs/figures; type: skipgrid figures --table-only"
    )


def test_the_tables_of_the_units_show_the_kept_figures() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert text == with_topk_tables(text, kept(ROOT)), (
        f"the tables of {PAGE} are not those of docs/figures; type: skipgrid figures --table-only"
    )


def test_the_table_of_the_experts_shows_the_kept_figures() -> None:
    text = (ROOT / EXPERTS_PAGE).read_text(encoding="utf-8")
    assert text == with_experts_table(text, kept(ROOT)), f"{EXPERTS_PAGE} is not as docs/figures; {REMEDY}"


def test_the_experts_cost_what_they_should() -> None:
    """A tenth more than the gate and the chosen experts' share of all experts' cycles, and a point of accuracy."""
    report = kept(ROOT)[f"{EXPERTS}-1x8"]["report"]
    assert report["bit_exact"]
    assert report["cycles"] <= 1.1 * (report["gate_cycles"] + report["all_experts_cycles"] * report["chosen"] / report["experts"])
    assert report["accuracy"] >= report["accuracy_all_experts"] - 0.01


def test_streaming_topk_costs_in_proportion_to_its_cells() -> None:
    units = [each for each in kept(ROOT)[COST]["report"]["units"] if each["unit"] == "streaming-topk"]
    cells = [each["settings"]["cells"] for each in units]
    assert cells == [2, 4, 8, 16]
    for kind in ("lut", "ff"):
        costs = np.array([each[kind] - (each["ring_ff"] if kind == "ff" else 0) for each in units])
        a_cell, rest = np.polyfit(cells, costs, 1)
        off = np.abs(costs - (a_cell * np.array(cells) + rest))
        assert max(off) <= a_cell / 2, f"{kind}: {costs} are not within half a cell of a straight line"


def test_the_histogram_takes_one_block_of_memory() -> None:
    units = [each for each in kept(ROOT)[COST]["report"]["units"] if each["unit"] == "histogram-topk"]
    assert [each["bram"] for each in units] == [1, 1]


def test_all_figures_are_kept() -> None:
    assert set(kept(ROOT)) == set(measurements())


# Hardware that changes is noticed by the smallest preset and the units as a rule; the others' Verilog takes longer to make.
QUICK = ("digits-1x8", "layers-1x8", "layers-1x8-clustered", "layers-1x8-weights80", "winners-1x8", CYCLES)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in measurements()])
def test_the_figures_are_those_of_this_hardware(name: str) -> None:
    assert kept(ROOT)[name]["key"] == key_of(name), f"what is measured for docs/figures/{name}.json has changed; type: make figures"


def links(page: Path) -> list[str]:
    """Targets inside the project of a page's links and pictures."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def examples() -> list[object]:
    """The Python blocks of all pages."""
    blocks = [(page, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]
    return [pytest.param(block, id=page.name, marks=pytest.mark.xdist_group("1x8")) for page, block in blocks]


@pytest.mark.parametrize("block", examples())
def test_examples_run(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "example", "exec"), {})


def texts() -> Iterator[str]:
    """All texts in the sources of what reads and runs models, with … for each value that is put in."""
    for path in [*ROOT.glob("host/**/*.py"), *ROOT.glob("scripts/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                yield str(node.value)
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def test_the_sentences_of_troubleshooting_are_those_of_the_commands() -> None:
    page = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
    said = list(texts())
    sentences = re.findall(r"^\| `([^`]+)` \|", page.partition("## Troubleshooting")[2], re.MULTILINE)
    assert len(sentences) > 20
    for sentence in sentences:
        parts = ".*".join(map(re.escape, sentence.split("…")))
        assert any(re.search(parts, text) for text in said), f"no command says: {sentence}"
