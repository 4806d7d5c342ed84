"""Bounded proofs: each property holds, each of its goals is reached, and each of its planted faults is found."""

from typing import Any

import pytest

from formal.properties import Fault, Property, properties
from formal.prover import MISSING
from skipgrid.rtl.parts.skid import SkidBuffer

needs_prover = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def cases() -> list[Any]:
    """Each property alone, then with each fault; those that are not quick take part in `make test-all` and `make formal` alone."""
    return [
        pytest.param(one, fault, id=f"{one.name}{f' {fault.name}' if fault else ''}", marks=[] if one.quick else pytest.mark.slow)
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


def test_every_property_says_what_it_proves_and_has_a_fault() -> None:
    assert all(one.says.endswith(".") and one.faults for one in properties())
    names = [one.name for one in properties()]
    assert len(set(names)) == len(names)


def test_a_fault_without_its_place_says_so() -> None:
    fault = Fault("it has gone", SkidBuffer, "what is not there", "")
    with pytest.raises(ValueError, match=r"SkidBuffer.elaborate has 'what is not there' 0 times, not once"), fault.planted():
        pass
