"""skipgrid bench boards: digits a second on each board."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from skipgrid.fpga.board import all_boards, find_board

from .console import JsonOption, bar, output, table, verdict, write_json
from .images import read_data


def boards(
    names: Annotated[list[str] | None, typer.Option("--board", "-b", metavar="NAME", help="Only this board; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N digits.", min=2)] = None,
    json: JsonOption = None,
) -> None:
    """Measure LeNet-5 on the boards' designs, in simulation: the accelerator alone, and the whole board with its link.

    Cycles are the board's, from a digit's first input word to its last output word with the weights resident; a dense grid of the same
    size is always busy. With the link, they are those from one result at the computer to the next, of the first 20 digits. Every output is
    compared with the golden model's.

    Examples:

    - `skipgrid bench boards --limit 50`

    - `skipgrid bench boards --board icebreaker --json boards.json`
    """
    report = measure_boards(names, limit)
    shown = table("LeNet-5 on boards", "board", "MHz", "cycles", "dense grid", "digits/s", "over the link", "exact", left=1)
    fields = ("cycles_per_image", "dense_cycles_per_image", "images_per_second", "link_images_per_second")
    for each in report["boards"]:
        cells = ["-" if each[field] is None else f"{each[field]:,.0f}" for field in fields]
        exact = "-" if each["bit_exact"] is None else verdict(each["bit_exact"])
        shown.add_row(each["board"], f"{each['clock_mhz']:g}", *cells, exact)
    output.print(shown)
    for each in report["boards"]:
        if each["why_not"]:
            output.print(f"{each['board']}: {each['why_not']}", highlight=False)
    write_json(json, report)
    if any(each["bit_exact"] is False for each in report["boards"]):
        raise RuntimeError("some outputs differ from the golden model's")


def measure_boards(names: list[str] | None = None, limit: int | None = None) -> dict[str, Any]:
    """Measure LeNet-5 on boards, on all of them where none is named; the report for JSON."""
    from pathlib import Path

    from skipgrid import models
    from skipgrid.benches.boards import measure_board
    from skipgrid.host.onnx.importer import import_model

    chosen = [find_board(name) for name in names] if names else list(all_boards().values())
    folder = Path(models.__path__[0])
    images, _ = read_data(folder / "digits.npz", limit)
    network = import_model(folder / "lenet5.onnx")
    inputs = network.activations(images)
    with bar() as progress:
        measured = (measure_board(board, network, inputs) for board in chosen)
        return {"boards": [asdict(speed) for speed in progress.track(measured, total=len(chosen), description="boards")]}
