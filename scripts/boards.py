"""skipgrid boards: the boards there are, and what was built for them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from skipgrid.reference.marks import between

from .console import JsonOption, notes, output, table, write_json, wrote
from .files import project, write
from .records import KEPT, all_records, confirm, known_records

COMMAND = "skipgrid boards --write-readme"  # writes the table
AGE = {False: "up to date", True: "stale", None: "unknown"}
FIGURES = {"pes": "PEs", "lut": "LUT4", "ff": "flip-flops", "dsp": "multipliers", "bram": "block RAMs", "spram": "SPRAMs"}


def boards(
    json: JsonOption = None,
    write_readme: Annotated[bool, typer.Option("--write-readme", help="In a clone of the project: write the README's table.")] = False,
) -> None:
    """Show the boards, and the area and clock of what was built for each.

    The figures are those that `skipgrid build --board B --record` kept in the project; `stale` says that the sources have changed
    since, and that they give another design; where the tools to compare are not installed, that is `unknown`. `--write-readme` also
    notes where other sources give the same design, so that this is not worked out again.

    Examples:

    - `skipgrid boards`

    - `skipgrid boards --json boards.json`
    """
    records = all_records()
    show(records)
    write_json(json, {"boards": records})
    if write_readme:
        readme = project() / "README.md"
        confirm(project() / KEPT, records)
        write(readme, with_table(readme.read_text(encoding="utf-8"), records))
        wrote(readme)


def show(records: list[dict[str, Any]]) -> None:
    """Print the boards' clocks and areas, and what is to be said of figures that may be old."""
    clocks = table("Boards", "board", "FPGA", "clock, MHz", "wanted", "figures are", left=2)
    areas = table("Area", "board", *FIGURES.values())
    for record in records:
        *area, clock, wanted = _cells(record)
        clocks.add_row(record["board"], record["device"], clock, wanted, "missing" if record["fmax_mhz"] is None else AGE[record["stale"]])
        areas.add_row(record["board"], *area)
    output.print(clocks)
    output.print(areas)
    built = [record for record in records if record["fmax_mhz"] is not None]
    for record in built:
        if record["stale"]:
            command = f"skipgrid build --board {record['board']} --record"
            notes.print(f"{record['board']} was built from older sources; type: {command}", soft_wrap=True)
    if unknown := [record["board"] for record in built if record["stale"] is None]:
        notes.print(f'whether figures of {", ".join(unknown)} are old is told with the tools: pip install "skipgrid[boards]"', markup=False)


def _cells(record: dict[str, Any]) -> list[str]:
    if record["fmax_mhz"] is None:
        return [f"{record['pes']}", *[""] * (len(FIGURES) - 1), "", f"{record['target_mhz']:g}"]
    return [*(f"{record[key]:,}" for key in FIGURES), f"{record['fmax_mhz']:.1f}", f"{record['target_mhz']:g}"]


def with_table(text: str, records: list[dict[str, Any]]) -> str:
    """The README's text with the table of these records between its marks; ValueError if the marks are missing."""
    head = ("board", "FPGA", *FIGURES.values(), "clock, MHz", "wanted")
    lines = ["| " + " | ".join(head) + " |", "| --- | --- |" + " ---: |" * (len(head) - 2)]
    lines += ["| " + " | ".join((f"`{record['board']}`", record["device"], *_cells(record))) + " |" for record in records]
    return between(text, "boards", COMMAND, "\n".join(lines), "README.md")


def readme_is_current(folder: Path) -> bool:
    """Whether the README's table shows the kept figures."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return text == with_table(text, known_records())
