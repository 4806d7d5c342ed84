"""skipgrid bench router: how even the expert router makes its experts' load."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from .console import JsonOption, building, output, table, verdict, working, write_json


def router(
    seed: Annotated[int, typer.Option(help="Of the random numbers; the same seed gives the same tokens.", min=0)] = 0,
    json: JsonOption = None,
) -> None:
    """Measure how even the expert router makes the load of 8 experts, of which each token goes to 2, when one is favoured ten to one.

    The busiest expert's load over the mean is that of the 1,024 tokens before the 4,096th, first with the rule that moves biases switched
    off, then on. 16,384 tokens are sent each time, and every pair is compared with the golden model's.

    Examples:

    - `skipgrid bench router`

    - `skipgrid bench router --seed 7 --json router.json`
    """
    report = measure_router(seed)
    shown = table("Expert router", "favoured by", "busiest over mean", "with balance", "lost", "repeated", "exact")
    for each in report["streams"]:
        before, after = each["busiest_over_mean_before"], each["busiest_over_mean_after"]
        exact = verdict(each["bit_exact"])
        shown.add_row(each["favour"], f"{before:.2f}", f"{after:.2f}", str(each["lost"]), str(each["repeated"]), exact)
    output.print(shown)
    write_json(json, report)
    if not all(each["bit_exact"] and not each["lost"] + each["repeated"] for each in report["streams"]):
        raise RuntimeError("some pairs differ from the golden model's")


def measure_router(seed: int = 0) -> dict[str, Any]:
    """Measure the expert router on a stream of each kind; the report for JSON."""
    from skipgrid.benches.router import Favour, bench_router

    with working("measuring the expert router"), building("the expert router"):
        return {"seed": seed, "streams": [asdict(bench_router(seed, favour)) for favour in Favour]}
