"""What holds a layer: of the time that a run took, the shares in which its rows took entries, or waited, and for what."""

from collections.abc import Mapping


def shares(counters: Mapping[str, int], rows: int) -> dict[str, float]:
    """Of a run's counters, by name: the shares of all rows' cycles, or of all cycles, from 0 to 1.

    entries: rows took one. survivors: their sums waited for others to be drained. look-ups: no entries were looked up yet. loading: a unit
    waited for its input, or the decoder for the port. port: an output word waited there. What is left is the run's beginning and end, and
    rows without a unit.
    """
    total = max(counters["total_cycles"], 1)
    of_rows = {"entries": "entry_cycles", "survivors": "sum_waits", "look-ups": "range_waits"}
    of_all = {"loading": "input_stalls", "port": "output_stalls"}
    return {what: counters[name] / (rows * total) for what, name in of_rows.items()} | {
        what: counters[name] / total for what, name in of_all.items()
    }


def largest(found: Mapping[str, float]) -> str:
    """What takes the largest share."""
    return max(found, key=lambda name: found[name])
