"""Proves all properties, or those with one of some words in their names, and looks for all planted faults: `prove.py [WORD ...]`."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

from formal.properties import properties
from formal.prover import MISSING, NotDecided, Outcome

PROOF = ""  # in place of a fault's name


def attempt(name: str, fault: str) -> Outcome | str:
    """One proof, or the search for one fault; or why it came to no end."""
    one = next(one for one in properties() if one.name == name)
    try:
        return one.check() if fault == PROOF else one.find(next(known for known in one.faults if known.name == fault))
    except (NotDecided, ValueError) as error:
        return str(error)


def complaints(outcomes: dict[str, Outcome | str]) -> Iterator[str]:
    """What is not as it should be."""
    for fault, outcome in outcomes.items():
        what = f"with the fault {fault!r}" if fault else "the proof"
        if isinstance(outcome, str):
            yield f"{what}: {outcome}"
        elif fault and not outcome.failed:
            yield f"{what} it holds"
        elif fault == PROOF and outcome.failed:
            yield f"it does not hold: {outcome.failed}\n{outcome.trace}"
        elif outcome.missed:
            yield f"no trace reaches this: {', '.join(outcome.missed)}"


def main(words: list[str]) -> int:
    """Print a few lines for each property, and return 1 if any is not as it should be."""
    if MISSING:
        print(MISSING)
        return 1
    chosen = [one for one in properties() if not words or any(word in one.name for word in words)]
    if unknown := [word for word in words if not any(word in one.name for one in properties())]:
        print(f"{__doc__}\nNo property has {' or '.join(unknown)} in its name; there are {', '.join(one.name for one in properties())}")
        return 2
    began, wrong = perf_counter(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tasks = {
            one.name: {fault: pool.submit(attempt, one.name, fault) for fault in (PROOF, *(f.name for f in one.faults))} for one in chosen
        }
        for one in chosen:
            outcomes = {fault: task.result() for fault, task in tasks[one.name].items()}
            bad = list(complaints(outcomes))
            wrong += bool(bad)
            proof, *finds = [0.0 if isinstance(outcome, str) else outcome.seconds for outcome in outcomes.values()]
            found = outcomes[PROOF]
            lasts = "for ever" if isinstance(found, Outcome) and found.unbounded else f"for {one.depth} cycles"
            print(f"{one.name:<26}{'IS WRONG' if bad else f'holds {lasts}'} ({proof:.1f} s): {one.says}")
            print(f"{'':<26}finds ({sum(finds):.1f} s): {'; '.join(fault.name for fault in one.faults)}")
            print("".join(f"  {line}\n" for line in "\n".join(bad).splitlines()), end="", flush=True)
    faults = sum(len(one.faults) for one in chosen)
    print(f"{len(chosen)} properties and {faults} planted faults in {perf_counter() - began:.0f} s; {wrong} not as they should be")
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
