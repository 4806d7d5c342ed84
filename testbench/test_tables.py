"""The tables of the command line: at any width, no name and no figure is cut."""

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from cli_support import ROOT, CommandLine
from skipgrid.benches.layers import LayerResult
from skipgrid.scripts import console, records
from skipgrid.scripts.build import shown
from skipgrid.scripts.console import WholeTable, table, verdict

KEPT = {path.stem: json.loads(path.read_text(encoding="utf-8"))["report"] for path in (ROOT / "docs" / "figures").glob("*.json")}
WIDTHS = pytest.mark.parametrize("width", [100_000, 80, 60, 30])


class Printed:
    """What tables were given, to be found in what was printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: set[str] = set()
        add_row = WholeTable.add_row

        def spy(table: WholeTable, *cells: str | Text) -> None:
            self.given |= {str(cell) for cell in cells if str(cell)}
            add_row(table, *cells)

        monkeypatch.setattr(WholeTable, "add_row", spy)

    def check(self, text: str, width: int) -> None:
        """Every cell is there, by itself; no line is too long, unless what stands in it is."""
        assert self.given
        for cell in self.given:
            words = r"\s+".join(map(re.escape, cell.split()))
            assert re.search(rf"(?<!\S){words}(?!\S)", text), (cell, text)
        longest = max(len(word) for word in text.split())
        assert all(len(line.rstrip()) <= max(width, longest) for line in text.splitlines()), text


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    return Printed(monkeypatch)


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Commands that measure nothing, but show what is kept."""
    layers = KEPT["layers-1x8"]
    results = [LayerResult(**layer) for layer in layers["layers"]]
    monkeypatch.setattr("skipgrid.scripts.bench_layers.measure_layers", lambda *_, **__: (layers, results, {}))
    monkeypatch.setattr("skipgrid.scripts.bench_density.measure_density", lambda *_: KEPT["density-4x32"])
    monkeypatch.setattr("skipgrid.scripts.bench_topk.measure_topk", lambda _: KEPT["topk"])
    monkeypatch.setattr("skipgrid.scripts.bench_router.measure_router", lambda _: {"streams": [KEPT["experts-1x8"]["router"]]})
    monkeypatch.setattr("skipgrid.scripts.bench_winners.measure_winners", lambda *_: KEPT["winners-1x8"])
    monkeypatch.setattr("skipgrid.scripts.bench_experts.measure_experts", lambda *_: KEPT["experts-1x8"])
    monkeypatch.setattr("skipgrid.scripts.info.opened", lambda *_, **__: nullcontext())
    counters = {"total_cycles": 2**32 - 1, "winners_cycles": 12_345_678}
    said = {"identification": "SKGD", "clock_hz": 24_000_000, "status": "done busy error", "counters": counters}
    monkeypatch.setattr("skipgrid.scripts.info.describe", lambda _: said)
    monkeypatch.setattr(records, "is_stale", lambda *_: None)
    return CommandLine(capsys)


@WIDTHS
@pytest.mark.parametrize(
    "command",
    [
        "presets",
        "boards",
        "bench layers",
        "bench density",
        "bench topk",
        "bench router",
        "bench winners",
        "bench experts",
        "info --device none",
    ],
)
def test_commands_show_tables_whole(
    command: str, width: int, printed: Printed, skipgrid: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.output, "_width", width)
    outcome = skipgrid(*command.split())
    assert outcome.code == 0, outcome
    printed.check(outcome.output, width)
    if width == 80:
        assert "───" in outcome.output  # as a table: one line a row


@WIDTHS
def test_area_and_clock_are_shown_whole(
    width: int, printed: Printed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.output, "_width", width)
    console.output.print(shown("ULX3S 25F: LFE5U-25F-6BG381C", records.kept()["ulx3s-25f"]))
    printed.check(capsys.readouterr().out, width)


def test_a_table_that_is_too_wide_has_a_line_a_figure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.output, "_width", 16)
    made = table("Layers", "layer", "cycles", "exact")
    made.add_row("[red]conv[/]", "1,234,567", verdict(True))
    made.add_row("fc", "", verdict(False))
    console.output.print(made)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Layers",
        "",
        "layer",
        "[red]conv[/]",
        "cycles",
        "1,234,567",
        "exact   yes",
        "",
        "layer   fc",
        "exact   NO",
        "",
    ]


def test_boards_whose_figures_cannot_be_compared_are_unknown(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("boards", "--json", tmp_path / "boards.json")
    report = json.loads((tmp_path / "boards.json").read_text(encoding="utf-8"))["boards"]
    states: list[Any] = [record["stale"] for record in report if record["fmax_mhz"] is not None]
    assert set(states) == {None}
    assert "unknown" in outcome.output
    assert "stale" not in outcome.output
    assert 'pip install "skipgrid[boards]"' in outcome.errors
