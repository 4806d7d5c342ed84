"""A rule of streams, in the netlist of every component: valid does not wait for ready."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from amaranth.hdl import Fragment, Value, signed
from amaranth.hdl import _ir as ir  # Amaranth has no public way to see what a signal follows from
from amaranth.hdl import _nir as nir
from amaranth.lib import wiring

import skipgrid.rtl
from simulation import SERIAL, SMALL
from skipgrid.rtl.config import Form
from skipgrid.rtl.layouts import Token

EVERYTHING = SMALL.replaced(winners=True, pixel_winners=3, experts=4, experts_chosen=2, form=Form.SPREAD)
OPTIONAL = ("ExpertGate", "ExpertWeigher", "PixelWinners", "TensorWinners", "KeptThresholds", "UnitWay", "SumWay")
STAGES = ("ControlStage", "InputStage", "GridStage", "OutputStage")
COMPOSED = ("Accelerator", *STAGES, "ExpertRouter")  # of the others; what they offer comes from one of these
SIZES = {"experts": 4, "cells": 2, "value_bits": 8, "fraction": 4, "counter_bits": 8}
ARGUMENTS: dict[str, dict[str, Any]] = {  # of those that follow from no configuration, and have no defaults
    "ClearWay": {"ways": 2},
    "ExpertChooser": {"experts": 4, "cells": 2, "score": signed(8)},
    "ExpertTable": {"experts": 4, "value": signed(8), "counter_bits": 8},
    "Holder": {"shape": 8, "depth": 2},
    "KeptResults": {"position_bits": 12},
    "ProcessingElement": {"serial": True, "soft": False},
    "Ratio": {"bits": 8, "index_bits": 4},
    "RouterRegisters": {"sizes": SIZES, "value": signed(8)},
    "SkidBuffer": {"shape": Token},
}
WAITS = {"WindowWalker": {"units_0", "units_1"}}  # as its docstring says


def components() -> dict[str, type[wiring.Component]]:
    """All of `rtl`, by name."""
    found: dict[str, type[wiring.Component]] = {}
    for module in pkgutil.walk_packages(skipgrid.rtl.__path__, "skipgrid.rtl."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            own = issubclass(kind, wiring.Component) and kind.__module__ == module.name
            if own and hasattr(kind, "elaborate") and name not in COMPOSED:
                found[name] = kind
    return found


def forms(name: str) -> Iterator[Any]:
    """The component, as each configuration makes it."""
    kind: Any = components()[name]
    if "config" not in inspect.signature(kind).parameters:
        yield kind(**ARGUMENTS.get(name, {}))
    elif name in OPTIONAL:
        yield kind(EVERYTHING)
    elif name.startswith("Serial"):
        yield kind(SERIAL)
    else:
        yield from (kind(config) for config in (SMALL, SMALL.replaced(rows=1), EVERYTHING))


def waiting(component: Any) -> set[str]:
    """The component's output streams whose valid follows from their own ready in the same cycle."""
    directions = {wiring.In: ir.PortDirection.Input, wiring.Out: ir.PortDirection.Output}
    ports = {
        "_".join(map(str, path)): (Value.cast(value), directions[member.flow])
        for path, member, value in component.signature.flatten(component)
    }
    netlist = ir.build_netlist(Fragment.get(component, None), ports=ports)
    found = set()
    for valid, (_, direction) in ports.items():
        ready = valid.removesuffix("valid") + "ready"
        if direction == ir.PortDirection.Output and valid.endswith("valid") and ready in ports:
            own = nir.Net.from_cell(0, netlist.top.ports_i[ready][0])
            found |= {valid.removesuffix("_valid")} if own in sources(netlist, netlist.top.ports_o[valid]) else set()
    return found


def sources(netlist: nir.Netlist, value: nir.Value) -> set[nir.Net]:
    """Everything that a value follows from in the same cycle: ports, and outputs of cells."""
    seen: set[nir.Net] = set()
    left = list(value)
    while left:
        net = netlist.resolve_net(left.pop())
        if net not in seen:
            seen.add(net)
            if not net.is_const:
                left += [source for source, _ in netlist.cells[net.cell].comb_edges_to(net.bit)]
    return seen


@pytest.mark.parametrize("name", components())
def test_valid_does_not_wait_for_ready(name: str) -> None:
    for component in forms(name):
        assert waiting(component) <= WAITS.get(name, set())


@pytest.mark.xdist_group("together")
def test_a_group_of_tests_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Where tests are spread over workers: a group shares what it has built."""
    assert request.node.nodeid.endswith("@together") == hasattr(request.config, "workerinput")
