"""The text of the generated Verilog: ports where one looks for them, names that never collide, primitives for those FPGAs alone."""

import re
from collections import Counter

import pytest

from simulation import SERIAL, SMALL
from skipgrid.fpga.board import find_config
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.parts.vendors import FORMS, find_platform, is_ecp5, is_ultraplus
from skipgrid.rtl.verilog import generate_verilog, port_names

MODULE = re.compile(r"^module (\S+) ?\((.*?)^\);$", re.MULTILINE | re.DOTALL)


def modules(verilog: str) -> dict[str, str]:
    """The port list of each module."""
    return dict(MODULE.findall(verilog))


@pytest.mark.parametrize("config", [SMALL, SERIAL.replaced(winners=128)], ids=["small", "serial"])
def test_every_module_declares_its_ports_in_its_head_and_its_name_begins_with_the_designs(config: Config) -> None:
    component = Accelerator(config)
    verilog = generate_verilog(component, "conv_a")
    found = modules(verilog)
    assert len(found) > 10
    assert all(name == "conv_a" or name.startswith("\\conv_a.") for name in found)
    assert len(found) == len(re.findall(r"^module ", verilog, re.MULTILINE))
    assert not re.findall(r"^ *(?:input|output) .*;", verilog, re.MULTILINE)
    names = {name: re.findall(r"(\\\S+|\w+)(?: *= \S+)? *(?:,|$)", head.strip(), re.MULTILINE) for name, head in found.items()}
    assert names.pop("conv_a") == ["clk", "rst", *port_names(component)]
    for ports in names.values():
        others = [port for port in ports if port not in ("clk", "rst")]
        assert ports == [port for port in ("clk", "rst") if port in ports] + others


def test_forms() -> None:
    assert [form for form in FORMS if is_ultraplus(find_platform(form))] == ["ice40"]
    assert [form for form in FORMS if is_ecp5(find_platform(form))] == ["ecp5"]
    assert find_platform("generic") is None
    with pytest.raises(ValueError, match="there is no form for 'gowin'; there are generic, ice40, ecp5, the first of which"):
        find_platform("gowin")


@pytest.mark.parametrize(
    ("form", "board", "primitives"),
    [
        ("generic", "icebreaker", {}),
        ("ice40", "icebreaker", {"SB_MAC16": 8, "SB_SPRAM256KA": 4}),
        ("ecp5", "ulx3s-25f", {"MULT18X18D": 24, "DP16KD": 32}),
    ],
)
def test_primitives_are_those_of_the_boards(form: str, board: str, primitives: dict[str, int]) -> None:
    verilog = generate_verilog(Accelerator(find_config(board)), "skipgrid", platform=find_platform(form))
    assert Counter(re.findall(r"^  ([A-Z][A-Z0-9_]+) ", verilog, re.MULTILINE)) == primitives
