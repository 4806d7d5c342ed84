"""skipgrid boards: the boards there are, and what was built for them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import JsonOption, notes, output, table, write_json, wrote
from .docs import project
from .records import all_records

BEGIN, END = "<!-- boards: written by `skipgrid boards --write-readme` -->", "<!-- end of boards -->"
FIGURES = {"pes": "PEs", "lut": "LUT4", "ff": "flip-flops", "dsp": "multipliers", "bram": "block RAMs", "spram": "SPRAMs"}


def boards(
    json: JsonOption = None,
    write_readme: Annotated[bool, typer.Option("--write-readme", help="In a clone of the project: write the README's table.")] = False,
) -> None:
    """Show the boards, and the area and clock of what was built for each.

    The figures are those that `skipgrid build --board B --record` kept in the project; `stale` says that the sources have changed
    since, and that they give another design.

    Examples:

    - `skipgrid boards`

    - `skipgrid boards --json boards.json`
    """
    records = all_records()
    shown = table("Boards", "board", "FPGA", "PEs", "LUT4", "FF", "DSP", "BRAM", "SPRAM", "clock, MHz", "wanted", "", left=2)
    for record in records:
        stale = "" if record["fmax_mhz"] is None else "stale" if record["stale"] else "up to date"
        shown.add_row(record["board"], record["device"], *_cells(record), stale)
    output.print(shown)
    for record in records:
        if record["fmax_mhz"] is not None and record["stale"]:
            notes.print(f"{record['board']} was built from older sources; type: skipgrid build --board {record['board']} --record")
    write_json(json, {"boards": records})
    if write_readme:
        readme = project() / "README.md"
        readme.write_text(with_table(readme.read_text(), records))
        wrote(readme)


def _cells(record: dict[str, Any]) -> list[str]:
    if record["fmax_mhz"] is None:
        return [f"{record['pes']}", *[""] * (len(FIGURES) - 1), "", f"{record['target_mhz']:g}"]
    return [*(f"{record[key]:,}" for key in FIGURES), f"{record['fmax_mhz']:.1f}", f"{record['target_mhz']:g}"]


def with_table(text: str, records: list[dict[str, Any]]) -> str:
    """The README's text with the table of these records between its marks; ValueError if the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no place for the boards, between {BEGIN!r} and {END!r}")
    head = ("board", "FPGA", *FIGURES.values(), "clock, MHz", "wanted")
    lines = ["| " + " | ".join(head) + " |", "| --- | --- |" + " ---: |" * (len(head) - 2)]
    lines += ["| " + " | ".join((f"`{record['board']}`", record["device"], *_cells(record))) + " |" for record in records]
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def readme_is_current(folder: Path) -> bool:
    """Whether the README's table shows the kept figures."""
    text = (folder / "README.md").read_text()
    return text == with_table(text, all_records())
