"""What every command uses: tables on the standard output, progress on the standard error, JSON files, options in common."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

output = Console(width=None if sys.stdout.isatty() else 120)
notes = Console(stderr=True)

PresetOption = Annotated[
    str, typer.Option("--preset", "-p", help="The accelerator: one of those that `skipgrid presets` lists, or a board's.")
]
BoardOption = Annotated[str, typer.Option("--board", "-b", help="One of those that `skipgrid boards` lists.")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, such as cells=8; any number of times.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to this file too.")]


def table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table; the first `left` columns are text, the others numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < left else "right", no_wrap=number >= left)
    return made


def write_json(path: Path | None, report: object) -> None:
    """Write a report to a file, if one was asked for, and say so."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    wrote(path)


def wrote(path: Path) -> None:
    """Say that a file was written."""
    notes.print(f"wrote {path}", highlight=False, soft_wrap=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A line with a spinner and the time, for work whose length is not known; where nobody looks on, the line alone."""
    if not notes.is_terminal:
        notes.print(what, highlight=False, soft_wrap=True)
        yield
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=notes, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


def bar() -> Progress:
    """A progress bar that is gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal)
