"""What is proved, in which order and how deep; and the faults, each of which one property must find."""

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import formal
from formal.proof import Proof
from formal.prover import Outcome, prove


@dataclass(frozen=True)
class Fault:
    """A small change to a component, with which a property fails.

    name: what goes wrong. component: its class. old, new: text in one of its methods, which has it once.
    """

    name: str
    component: Any
    old: str
    new: str
    method: str = "elaborate"

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While it is in the component."""
        method = getattr(self.component, self.method)
        source = textwrap.dedent(inspect.getsource(method))
        if source.count(self.old) != 1:
            where = f"{self.component.__name__}.{self.method}"
            raise ValueError(
                f"{where} has {self.old!r} {source.count(self.old)} times, not once: give the fault {self.name!r} another place"
            )
        changed: dict[str, Any] = {}
        exec(compile(source.replace(self.old, self.new), inspect.getfile(method), "exec"), method.__globals__, changed)
        with patch.object(self.component, self.method, changed[self.method]):
            yield


@dataclass(frozen=True)
class Property:
    """Something that is proved of a component.

    name: short, for commands. build: makes the bench; the first line of its docstring is what is proved. depth: cycles.
    faults: with each of which it fails. quick: it is proved for every change. within: around the time in which the bench is made.
    """

    name: str
    build: Callable[[Proof], None]
    depth: int
    faults: tuple[Fault, ...]
    quick: bool = False
    within: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def says(self) -> str:
        """What is proved; of a `partial`, what its function says."""
        return (inspect.getdoc(getattr(self.build, "func", self.build)) or "").partition("\n")[0]

    def check(self) -> Outcome:
        """Prove it."""
        return self._prove(self.name, goals=True)

    def find(self, fault: Fault) -> Outcome:
        """Look for a fault."""
        with fault.planted():
            return self._prove(f"{self.name} {fault.name}", goals=False)

    def _prove(self, name: str, *, goals: bool) -> Outcome:
        with self.within():
            proof = Proof()
            self.build(proof)
            return prove(proof, self.depth, name, goals=goals)


def properties() -> list[Property]:
    """All of them, in the order of their files."""
    files = sorted(file.name for file in pkgutil.walk_packages(formal.__path__, "formal."))
    return [one for file in files for one in getattr(importlib.import_module(file), "PROPERTIES", ())]
