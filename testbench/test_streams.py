"""What may not follow from what in the same cycle, in the netlist of every component: streams, and the accelerator's ports."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from amaranth.hdl import signed
from amaranth.lib import wiring

import skipgrid.rtl
from netlist import causes
from simulation import SERIAL, SMALL
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.layouts import Token

EVERYTHING = SMALL.replaced(
    winners=128,
    pixel_winners=3,
    experts=4,
    experts_chosen=2,
    pool_elements=64,
    functions=2,
    form=Form.SPREAD,
    scan=2,
    survivors=2,
    pointers=4,
    slots=8,
)
OPTIONAL = (
    *("ExpertGate", "ExpertWeigher", "FunctionTable", "PixelLists", "PixelPlaces", "PooledResults", "PoolingUnit"),
    *("PixelWinners", "TensorWinners", "KeptThresholds", "UnitWay", "SumWay"),
    *("GroupOrder", "IndexMemory", "ListMemory", "ListReader"),
)
STAGES = ("ControlStage", "InputStage", "GridStage", "OutputStage")
# Of the others; what they offer comes from one of these. And what these are kinds of.
COMPOSED = ("Accelerator", *STAGES, "ExpertRouter", "LaneMemory")
SIZES = {"experts": 4, "cells": 2, "value_bits": 8, "fraction": 4, "counter_bits": 8}
ARGUMENTS: dict[str, dict[str, Any]] = {  # of those that follow from no configuration, and have no defaults
    "BankedMemory": {"shape": 8, "depth": 16, "banks": 2},
    "ClearWay": {"ways": 2},
    "ExpertChooser": {"experts": 4, "cells": 2, "score": signed(8)},
    "ExpertTable": {"experts": 4, "value": signed(8), "counter_bits": 8},
    "Holder": {"shape": 8, "depth": 2},
    "KeptResults": {"position_bits": 12},
    "Packer": {"survivors": 2},
    "Doubler": {"survivors": 2},
    "Joiner": {"survivors": 2},
    "RisingThreshold": {"lanes": 2, "count_bits": 8},
    "Narrow": {"shape": Token, "survivors": 2},
    "PoolMerger": {"depth": 16, "position_bits": 5, "count_bits": 4, "width": 2},
    "Ratio": {"bits": 8, "index_bits": 4},
    "RouterRegisters": {"sizes": SIZES, "value": signed(8)},
    "SkidBuffer": {"shape": Token, "registered": False},
    "RunLengthEncoder": {"survivors": 2},
    "TokenBuilder": {"survivors": 2, "registered": False},
}
WAITS = {"WindowWalker": {"units_0_valid", "units_1_valid", "order_valid", "order_payload"}}  # as its docstring says


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


@pytest.mark.parametrize("name", components())
def test_what_is_offered_does_not_wait_for_ready(name: str) -> None:
    for component in forms(name):
        offered = {output: found for output, found in causes(component).items() if output.endswith(("valid", "payload"))}
        waits = {output for output, found in offered.items() if any(cause.endswith("ready") for cause in found)}
        assert waits <= WAITS.get(name, set())


CONFIGS = {"small": SMALL, "serial": SERIAL.replaced(winners=128), "everything": EVERYTHING}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_accelerators_outputs_come_from_registers(config: Config) -> None:
    """But for the registers' port, where a request is taken in the cycle in which it is offered whole."""
    direct = {output for output, found in causes(Accelerator(config)).items() if found}
    assert direct == {"s_axil_awready", "s_axil_wready"} | ({"s_axil_arready"} if config.experts else set())


@pytest.mark.xdist_group("together")
def test_a_group_of_tests_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Where tests are spread over workers: a group shares what it has built."""
    assert request.node.nodeid.endswith("@together") == hasattr(request.config, "workerinput")
