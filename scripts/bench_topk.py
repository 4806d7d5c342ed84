"""skipgrid bench topk: the Top-K units, in cycles."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from .console import JsonOption, building, output, table, verdict, working, write_json


def topk(
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same tensors.", min=0)] = 0,
    json: JsonOption = None,
) -> None:
    """Measure the two Top-K units on tensors of up to 100,000 elements with ties everywhere, and compare their winners.

    StreamingTopK has 16 compare cells; HistogramTopK orders by value and by magnitude. The input's cycles are those from a tensor's
    first element to its last one; the cycles, those from then on until the last winner, the slowest tensor's.

    Examples:

    - `skipgrid bench topk`

    - `skipgrid bench topk --seed 7 --json topk.json`
    """
    report = measure_topk(seed)
    shown = table("Top-K units", "unit", "k", "n", "input, cycles", "cycles", "exact")
    for each in report["units"]:
        exact = verdict(each["bit_exact"])
        shown.add_row(each["unit"], f"{each['k']:,}", f"{each['n']:,}", f"{each['input_cycles']:,}", f"{each['cycles']:,}", exact)
    output.print(shown)
    write_json(json, report)
    if not all(each["bit_exact"] for each in report["units"]):
        raise RuntimeError("some winners differ from the golden model's")


def measure_topk(seed: int = 0) -> dict[str, Any]:
    """Measure both Top-K units; the report for JSON."""
    from skipgrid.benches.topk import bench_topk

    with working("measuring the Top-K units"), building("a Top-K unit"):
        return {"seed": seed, "units": [asdict(result) for result in bench_topk(seed)]}
