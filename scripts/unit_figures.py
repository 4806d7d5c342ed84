"""The figures of the units that are of use by themselves: cycles, area and clock, and their tables in docs/topk.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path("docs/topk.md")
CYCLES, COST = "topk", "units-ecp5"  # names of the kept records
FAMILY = "ecp5"
UNITS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("streaming-topk", (f"cells={cells}",)) for cells in (2, 4, 8, 16)),
    ("histogram-topk", ("index_bits=15",)),
    ("histogram-topk", ("index_bits=17",)),
    *((unit, ()) for unit in ("threshold-relu", "adaptive-k", "softmax", "sparsemax", "expert-router")),
)
MARKS = {name: (f"<!-- {name}: written by `make figures` -->", f"<!-- end of {name} -->") for name in (CYCLES, COST)}


def measured(seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, command and report of each record."""
    from .bench import measure_topk
    from .synth import measure

    yield CYCLES, f"skipgrid bench topk --seed {seed}", measure_topk(seed)
    units = [measure(FAMILY, "1x8", unit, list(settings), 1, None) for unit, settings in UNITS]
    yield COST, f"skipgrid synth --family {FAMILY} --unit UNIT --set NAME=VALUE", {"units": units}


def with_tables(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The page's text with the tables of these records between their marks; ValueError if a mark is missing."""
    for name, made in ((CYCLES, _cycles), (COST, _cost)):
        begin, end = MARKS[name]
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise ValueError(f"{PAGE} has no place for the figures, between {begin!r} and {end!r}")
        text = f"{before}{begin}\n\n{made(records[name]['report']['units'])}\n\n{end}{after}"
    return text


def _cycles(units: list[dict[str, Any]]) -> str:
    lines = ["| unit | k | n | first to last element | last element to last winner | exact |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for each in units:
        numbers = " | ".join(f"{each[key]:,}" for key in ("k", "n", "input_cycles", "cycles"))
        lines.append(f"| `{each['unit']}` | {numbers} | {'yes' if each['bit_exact'] else '**no**'} |")
    return "\n".join(lines)


def _cost(units: list[dict[str, Any]]) -> str:
    lines = ["| unit | settings | LUT4 | flip-flops | multipliers | block RAMs | clock, MHz |", "| --- | --- |" + " ---: |" * 5]
    for each in units:
        settings = ", ".join(f"{key}={value}" for key, value in each["settings"].items())
        cells = (each["lut"], each["ff"] - each["ring_ff"], each["dsp"], each["bram"])
        lines.append(f"| `{each['unit']}` | {settings} | {' | '.join(f'{cell:,}' for cell in cells)} | {each['fmax_mhz']:.0f} |")
    return "\n".join(lines)
