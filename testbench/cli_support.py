"""What the tests of the command line share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.scripts.cli import main

ROOT = Path(__file__).resolve().parent.parent
MODEL, DATA = ROOT / "models" / "lenet5.onnx", ROOT / "models" / "digits.npz"


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


class CommandLine:
    """Runs commands in this process, as the shell would."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def __call__(self, *arguments: object) -> Outcome:
        """What `skipgrid ARGUMENTS` does."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        if end.value.code in (130, 143):  # a signal, which was meant for the tests
            raise KeyboardInterrupt
        said = self.capture.readouterr()
        return Outcome(int(end.value.code or 0), said.out, said.err)

    def refuses(self, *arguments: object) -> str:
        """The one sentence with which a command ends in exit code 1 or 2; what it was doing may stand before it."""
        outcome = self(*arguments)
        assert outcome.code in (1, 2), outcome
        *before, last = outcome.errors.splitlines()
        assert last.startswith("skipgrid: "), outcome.errors
        assert not [line for line in before if line.startswith(("skipgrid: ", "Traceback"))], outcome.errors
        return last.removeprefix("skipgrid: ")


def digits(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first held-out digits and their labels."""
    with np.load(DATA) as arrays:
        return arrays["images"][:count], arrays["labels"][:count]
