"""What every command uses: tables on the standard output, progress on the standard error, JSON files, options in common."""

import codecs
import io
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from skipgrid.fpga.board import find_board, find_config

from .files import (
    BadOption,
    check_arrays,
    check_folder,
    check_input,
    check_link,
    check_model,
    check_output,
    check_picture,
    check_trace,
    shipped,
    write,
)

PRESET = "4x32"  # where none is named
WIDE = 100_000  # columns, where nothing has to fit into a window
Value = TypeVar("Value")


class _Output(Console):
    """The standard output, which is named where it cannot be written."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "the standard output") from error


# As wide as the terminal; where nobody looks on, nothing is wrapped.
output = _Output(width=None if sys.stdout.isatty() else WIDE)
notes = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)


def checked(check: Callable[[Value], object]) -> Callable[[Value | None], Value | None]:
    """A callback for an option: what `check` says in a ValueError is wrong with it is told before the command begins."""

    def callback(value: Value | None) -> Value | None:
        if value is not None:
            with from_options():
                check(value)
        return value

    return callback


def shipped_data(path: Path | None) -> Path | None:
    """The same for a file that need not be named."""
    return None if path is None else shipped_file(path)


def shipped_file(path: Path) -> Path:
    """A callback for a file to read: the package's own of that name does where there is none, which is told."""
    if (found := shipped(path)) != path:
        notes.print(f"there is no {path} here; taking the package's {found}", highlight=False, markup=False, soft_wrap=True)
    check_input(found)
    return found


@contextmanager
def from_options() -> Iterator[None]:
    """What is wrong with the values that are worked on here is wrong with the command line."""
    try:
        yield
    except ValueError as error:
        raise BadOption(str(error)) from error


known_preset = checked(find_config)
known_board = checked(find_board)
input_file = checked(check_input)
output_file = checked(check_output)
output_folder = checked(check_folder)
link_file = checked(check_link)
trace_file = checked(check_trace)
picture_file = checked(check_picture)
out_file = checked(check_arrays)
model_file = checked(check_model)


def preset_option(shown: str | bool = True) -> Any:
    """The option of an accelerator; shown: the default, of a command in which a board may be named in its place."""
    text = "The accelerator: one of those that `skipgrid presets` lists, or a board's."
    return typer.Option("--preset", "-p", help=text, show_default=shown, callback=known_preset)


PresetOption = Annotated[str, preset_option()]
ModelOrNetwork = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="An int8 model, as ONNX Runtime's static quantisation writes it; or a network in an .npz.",
        callback=shipped_file,
    ),
]
BoardOption = Annotated[str, typer.Option("--board", "-b", help="One of those that `skipgrid boards` lists.", callback=known_board)]
HeldOption = Annotated[str | None, typer.Option("--board", "-b", help="The accelerator that this board holds.", callback=known_board)]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N images.", min=1)]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, such as cells=8; any number of times.")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to this file too.", callback=output_file)
]


class WholeTable(Table):
    """A table of which nothing is cut: where its rows are wider than the terminal, each figure has a line of its own.

    Its cells are text and nothing else; a layer may be called `[red]`.
    """

    def __init__(self, title: str) -> None:
        self.heading = Text(title, style="bold not italic")
        super().__init__(title=self.heading, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
        self.show_edge, self.pad_edge, self.collapse_padding = False, False, True

    def add_row(self, *cells: str | Text) -> None:  # type: ignore[override]
        super().add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.__rich_measure__(console, options.update(width=WIDE)).maximum <= options.max_width:
            yield from super().__rich_console__(console, options)
            yield Text()
            return
        yield self.heading
        headings = [" ".join(str(column.header).split()) for column in self.columns]
        width = max(map(len, headings))
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            yield Text()
            for heading, cell in zip(headings, cells, strict=True):
                if str(cell):
                    yield Text.assemble(f"{heading:{width}}  ", cell, overflow="fold")
        yield Text()


def table(title: str, *columns: str, left: int = 1) -> WholeTable:
    """An empty table; the first `left` columns are text, the others numbers."""
    made = WholeTable(title)
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < left else "right", no_wrap=True)
    return made


def tails(names: Sequence[str]) -> list[str]:
    """Names of nodes as a table has them: of paths that converters join, the last one, and of that as many parts as tell them apart."""
    paths = [name.rsplit(";", 1)[-1].strip("/").split("/") for name in names]
    found = [path[-1] for path in paths]
    for parts in range(2, max(map(len, paths), default=0) + 1):
        if len(set(found)) == len(set(names)):
            break
        counts = Counter(found)
        found = [tail if counts[tail] == 1 else "/".join(path[-parts:]) for tail, path in zip(found, paths, strict=True)]
    return found if len(set(found)) == len(set(names)) else list(names)


def verdict(exact: bool) -> Text:
    """Whether outputs are those of the reference, for a table."""
    return Text("yes") if exact else Text("NO", style="red")


def write_json(path: Path | None, report: object) -> None:
    """Write a report to a file, if one was asked for, and say so."""
    if path is not None:
        write(path, json.dumps(report, indent=2) + "\n")
        wrote(path)


def wrote(path: Path) -> None:
    """Say that a file was written."""
    notes.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)


_under_way: list[Progress] = []  # the one that has a spinner now, if any


@contextmanager
def working(what: str) -> Iterator[None]:
    """A line with a spinner and the time, for work whose length is not known; where nobody looks on, the line alone."""
    if not notes.is_terminal:
        notes.print(what, highlight=False, markup=False, soft_wrap=True)
        yield
        return
    if _under_way:  # a part of other work
        task = _under_way[0].add_task(what, total=None)
        yield
        _under_way[0].remove_task(task)
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=notes, transient=True) as progress:
        progress.add_task(what, total=None)
        _under_way.append(progress)
        try:
            yield
        finally:
            _under_way.clear()


@contextmanager
def building(what: str) -> Iterator[None]:
    """While a simulation is opened: says that it is built, if none is kept."""
    from skipgrid.host.simulation.library import surroundings

    before = surroundings.set(lambda: working(f"building the simulation of {what} (once; later runs find it)"))
    try:
        yield
    finally:
        surroundings.reset(before)


def bar() -> Progress:
    """A progress bar that is gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal)


REPLACED = {"×": "x", "…": "...", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "•": "*", "─": "-", "│": "|", "━": "-"}


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a console does not have."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(REPLACED.get(each, "?") for each in error.object[error.start : error.end]), error.end


@contextmanager
def safe_streams() -> Iterator[None]:
    """Where the standard output and error take every text, and warnings are notes: no console's encoding is worth an exception."""
    codecs.register_error("skipgrid", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="skipgrid")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: notes.print(f"note: {message}", highlight=False, markup=False, soft_wrap=True)
        yield
