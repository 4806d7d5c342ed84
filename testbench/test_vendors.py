"""Components with a form of their own on some FPGAs: that form equals the generic one, and is what a build for that FPGA takes."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Fragment, Instance

from forms import DP16KD, MULT18X18D, BothForms, ice40_models
from simulation import SERIAL, shapes
from skipgrid.fpga.board import find_board
from skipgrid.rtl.config import Config
from skipgrid.rtl.grid.multiply import Multiplier, MultiplyAccumulate
from skipgrid.rtl.grid.weights import WeightBlock, WeightMemory
from skipgrid.rtl.parts.vendors import is_ecp5, is_ultraplus

ONE_ROW = Config(rows=1, lanes=8, weights=16384, scan=4)
TWO_ROWS = Config(rows=2, lanes=4, scan=4)


def primitives(component: Any, board: str) -> list[Any]:
    """The primitives in a component that is elaborated for a board."""

    def inside(fragment: Any) -> list[Any]:
        found = [fragment] if isinstance(fragment, Instance) else []
        return found + [one for part, *_ in fragment.subfragments for one in inside(part)]

    return inside(Fragment.get(component, find_board(board).platform()))


def test_families_are_told_apart() -> None:
    platforms = {board: find_board(board).platform() for board in ("icebreaker", "ulx3s-25f", "tang-nano-9k")}
    assert [board for board, platform in platforms.items() if is_ultraplus(platform)] == ["icebreaker"]
    assert [board for board, platform in platforms.items() if is_ecp5(platform)] == ["ulx3s-25f"]
    assert not is_ultraplus(None)
    assert not is_ecp5(None)


def test_multiply_accumulate_on_ice40(simulate: Callable[..., None]) -> None:
    both = BothForms(MultiplyAccumulate(), MultiplyAccumulate(), find_board("icebreaker").platform())
    simulate(both, "bench_forms", only="multiply_accumulate", sources=[ice40_models()])


@pytest.mark.parametrize("registered", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["spread", "parallel"])
def test_multiplier_on_ecp5(simulate: Callable[..., None], registered: bool) -> None:
    both = BothForms(Multiplier(registered=registered), Multiplier(registered=registered), find_board("ulx3s-25f").platform())
    simulate(both, "bench_forms", only="multiplier", sources=[MULT18X18D])


def test_soft_multiplier(simulate: Callable[..., None]) -> None:
    both = BothForms(Multiplier(), Multiplier(soft=True), None)
    simulate(both, "bench_forms", only="multiplier")


@shapes({"serial": SERIAL, "not serial": ONE_ROW}, "serial")
def test_weights_on_ice40(simulate: Callable[..., None], config: Config) -> None:
    both = BothForms(WeightBlock(config), WeightBlock(config), find_board("icebreaker").platform())
    simulate(both, "bench_forms", config, only="weight_block", sources=[ice40_models()])


DEPTHS = {f"{weights:,}": TWO_ROWS.replaced(weights=weights) for weights in (1024, 2048, 4096, 8192, 16384)}


@shapes(DEPTHS | {"one row": ONE_ROW, "serial": SERIAL}, "8,192", "serial")
def test_weights_on_ecp5(simulate: Callable[..., None], config: Config) -> None:
    both = BothForms(WeightBlock(config), WeightBlock(config), find_board("ulx3s-25f").platform())
    simulate(both, "bench_forms", config, only="weight_block", sources=[DP16KD])


@pytest.mark.parametrize(
    ("board", "kind", "blocks"), [("icebreaker", "SB_SPRAM256KA", 4), ("ulx3s-25f", "DP16KD", 32), ("ulx3s-85f", "DP16KD", 64)]
)
def test_weights_waste_no_block(board: str, kind: str, blocks: int) -> None:
    config = find_board(board).config
    found = primitives(WeightMemory(config), board)
    assert [one.type for one in found] == [kind] * blocks
    bits = {"SB_SPRAM256KA": 16384 * 16, "DP16KD": 16384}[kind]
    assert blocks * bits == config.lanes * config.weights * 8


@pytest.mark.parametrize(
    ("board", "config"),
    [
        ("icebreaker", ONE_ROW.replaced(lanes=16)),
        ("icebreaker", ONE_ROW.replaced(weights=32768)),
        ("icebreaker", TWO_ROWS),
        ("ulx3s-25f", ONE_ROW.replaced(weights=32768)),
    ],
    ids=["too many SPRAMs", "too deep for an SPRAM", "two ports", "too deep for a DP16KD"],
)
def test_weights_that_no_primitive_fits_are_generic(board: str, config: Config) -> None:
    assert not primitives(WeightMemory(config), board)
