"""skipgrid bench boards: digits a second on each board."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from skipgrid.fpga.board import all_boards, find_board

from .console import JsonOption, bar, output, table, verdict, write_json
from .images import read_data


def boards(
    names: Annotated[list[str] | None, typer.Option("--board", "-b", metavar="NAME", help="Only this board; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="Only the first N digits.", min=3)] = None,
    json: JsonOption = None,
) -> None:
    """Measure LeNet-5 on the boards' designs, in simulation: the accelerator alone, and the whole board with its link.

    Cycles are the board's, from a digit's first input word to its last output word; a dense grid of the same size is always busy. A board
    whose memories do not hold all weights makes several starts for each digit, of which all cycles count. With the link, cycles are those
    from one result at the computer to the next, over 5 digits, and weights that do not stay go over it too. Every output is compared with
    the golden model's.

    Examples:

    - `skipgrid bench boards --limit 50`

    - `skipgrid bench boards --board icebreaker --json boards.json`
    """
    report = measure_boards(names, limit)
    shown = table("LeNet-5 on boards", "board", "MHz", "starts", "cycles", "dense grid", "digits/s", "over the link", "exact", left=1)
    fields = ("starts_per_image", "cycles_per_image", "dense_cycles_per_image", "images_per_second", "link_images_per_second")
    for each in report["boards"]:
        cells = [f"{each[field]:,.0f}" for field in fields]
        shown.add_row(each["board"], f"{each['clock_mhz']:g}", *cells, verdict(each["bit_exact"]))
    output.print(shown)
    write_json(json, report)
    if not all(each["bit_exact"] for each in report["boards"]):
        raise RuntimeError("some outputs differ from the golden model's")


def measure_boards(names: list[str] | None = None, limit: int | None = None) -> dict[str, Any]:
    """Measure LeNet-5 on boards, on all of them where none is named; the report for JSON."""
    from pathlib import Path

    from skipgrid import models
    from skipgrid.benches.boards import measure_board
    from skipgrid.host.onnx.cut import cut_model

    chosen = [find_board(name) for name in names] if names else list(all_boards().values())
    folder = Path(models.__path__[0])
    images, _ = read_data(folder / "digits.npz", limit)
    cut = cut_model(folder / "lenet5.onnx")
    with bar() as progress:
        measured = (measure_board(board, cut, images) for board in chosen)
        return {"boards": [asdict(speed) for speed in progress.track(measured, total=len(chosen), description="boards")]}
