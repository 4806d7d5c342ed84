"""Bounded proofs: each property holds, each of its goals is reached, and each of its planted faults is found."""

from typing import Any

import pytest

from formal.proof import Proof
from formal.properties import Fault, Property, properties
from formal.prover import MISSING, prove
from skipgrid.rtl.parts.skid import SkidBuffer

needs_prover = pytest.mark.skipif(bool(MISSING), reason=MISSING)


QUICK = pytest.mark.xdist_group("generate")  # the worker that has called yosys: its first call is compiled for a minute
HEAVY = pytest.mark.skip(reason="it takes minutes: make formal proves it")


def marks(one: Property) -> list[pytest.MarkDecorator]:
    """When it is proved: for every change, in `make test-all`, or in `make formal` alone."""
    return [QUICK] if one.quick else [pytest.mark.slow, HEAVY] if one.heavy else [pytest.mark.slow]


def cases() -> list[Any]:
    """Each property alone, then with each fault; those that are not quick take part in `make test-all` and `make formal`."""
    return [
        pytest.param(one, fault, id=f"{one.name}{f' {fault.name}' if fault else ''}", marks=marks(one))
        for one in properties()
        for fault in (None, *one.faults)
    ]


@needs_prover
@pytest.mark.parametrize(("one", "fault"), cases())
def test_property(one: Property, fault: Fault | None) -> None:
    if fault:
        assert one.find(fault).failed, f"{one.name} holds although {fault.name}"
        return
    outcome = one.check()
    assert not outcome.failed, f"{one.says} But not so, within {one.depth} cycles: {outcome.failed}\n{outcome.trace}"
    assert not outcome.missed, f"no trace of {one.depth} cycles reaches this: {', '.join(outcome.missed)}"


@needs_prover
@QUICK
@pytest.mark.parametrize("granted", [False, True])
def test_what_fails_is_shown_and_what_is_never_reached_is_told(granted: bool) -> None:
    proof = Proof()
    seven = proof.free("byte", 8) == 7
    again = proof.seen(seven)
    proof.claim("no 7 comes twice", ~(seven & again))
    proof.reach("a 7 has come", again)
    if granted:
        proof.grant(~again)
    outcome = prove(proof, 3, f"test {granted}")
    shown = ("", "", ("a 7 has come",)) if granted else ("no 7 comes twice", "   0: byte=7\n   1: byte=7", ())
    assert (outcome.failed, outcome.trace, outcome.missed) == shown


def test_every_property_says_what_it_proves_and_has_a_fault() -> None:
    assert all(one.says.endswith(".") and one.faults for one in properties())
    names = [one.name for one in properties()]
    assert len(set(names)) == len(names)


def test_a_fault_without_its_place_says_so() -> None:
    fault = Fault("it has gone", SkidBuffer, "what is not there", "")
    with pytest.raises(ValueError, match=r"SkidBuffer.elaborate has 'what is not there' 0 times, not once"), fault.planted():
        pass
