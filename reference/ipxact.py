"""What other tools read of an accelerator: its ports, bus interfaces and registers in IP-XACT, IEEE 1685-2014."""

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

from skipgrid.rtl.register_map import LAYERS

from .description import register_list

SPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
SCHEMA = f"{SPACE} {SPACE}/index.xsd"
VENDOR, LIBRARY = "skipgrid", "accelerators"
MAP = "registers"

# Of the bus interfaces: the bus definition's name and version in Arm's library AMBA4, and who begins a transfer.
BUSES = {
    "s_axil": ("AXI4-Lite", "r0p0_0", "slave"),
    "s_axis_load": ("AXI4Stream", "r0p0_1", "slave"),
    "s_axis_in": ("AXI4Stream", "r0p0_1", "slave"),
    "m_axis_out": ("AXI4Stream", "r0p0_1", "master"),
}
ACCESS = {"read": "read-only", "write": "write-only", "read and write": "read-write"}

Node = tuple[str, Any] | tuple[str, Any, dict[str, str]]  # an element: its name, its text or its elements, its attributes


def ipxact(params: dict[str, Any]) -> str:
    """The component of an accelerator whose params.json this is."""
    module = params["module"]
    files = "verilog"
    view = [("name", "rtl"), ("envIdentifier", ":*Simulation:"), ("envIdentifier", ":*Synthesis:"), ("componentInstantiationRef", files)]
    instantiation = [("name", files), ("language", "verilog"), ("moduleName", module), ("fileSetRef", [("localName", files)])]
    nodes: list[Node] = [
        ("vendor", VENDOR),
        ("library", LIBRARY),
        ("name", module),
        ("version", params["generator"]["version"]),
        ("busInterfaces", [_bus(name, params["ports"]) for name in BUSES]),
        ("memoryMaps", [("memoryMap", [("name", MAP), *_blocks(params["registers"]), ("addressUnitBits", "8")])]),
        (
            "model",
            [
                ("views", [("view", view)]),
                ("instantiations", [("componentInstantiation", instantiation)]),
                ("ports", [_port(port) for port in params["ports"]]),
            ],
        ),
        ("fileSets", [("fileSet", [("name", files), ("file", [("name", f"{module}.v"), ("fileType", "verilogSource")])])]),
        ("description", f"Neural-network accelerator that does no work for zeros, configuration {params['config']['name']}"),
    ]
    root = ET.Element("ipxact:component", {"xmlns:ipxact": SPACE, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"})
    root.set("xsi:schemaLocation", SCHEMA)
    _fill(root, nodes)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _fill(element: ET.Element, nodes: Iterable[Node]) -> None:
    for name, content, *attributes in nodes:
        child = ET.SubElement(element, f"ipxact:{name}", dict(*attributes))
        if isinstance(content, str):
            child.text = content
        else:
            _fill(child, content)


def _bus(name: str, ports: list[dict[str, Any]]) -> Node:
    """A bus interface: each of its ports is a signal of the bus; the clock is the component's only one."""
    bus, version, mode = BUSES[name]
    signals = {"ACLK": "clk"} | {port["name"].removeprefix(f"{name}_").upper(): port["name"] for port in ports if port["interface"] == name}
    maps = [("portMap", [("logicalPort", [("name", signal)]), ("physicalPort", [("name", port)])]) for signal, port in signals.items()]
    definition = {"vendor": "amba.com", "library": "AMBA4", "name": bus, "version": version}
    abstraction = [("abstractionRef", [], definition | {"name": f"{bus}_rtl"}), ("portMaps", maps)]
    memory: list[Node] = [("memoryMapRef", [], {"memoryMapRef": MAP})] if bus == "AXI4-Lite" else []
    return (
        "busInterface",
        [
            ("name", name),
            ("busType", [], definition),
            ("abstractionTypes", [("abstractionType", abstraction)]),
            (mode, memory),
        ],
    )


def _port(port: dict[str, Any]) -> Node:
    wire: list[Node] = [("direction", {"input": "in", "output": "out"}[port["direction"]])]
    if port["width"] > 1:
        wire.append(("vectors", [("vector", [("left", str(port["width"] - 1)), ("right", "0")])]))
    return "port", [("name", port["name"]), ("wire", wire)]


def _blocks(registers: dict[str, Any]) -> list[Node]:
    """The blocks of registers: the accelerator's own, with the layers' cycles, and where it is built the router's."""
    router = registers.get("router")
    own = [_register(register) for register in (*registers["map"], *(each | registers["layer_cycles"] for each in register_list([LAYERS])))]
    span = 1 << registers["address_bits"]
    blocks = [_block("accelerator", 0, router["base"] if router else span, own)]
    if router:
        experts = [_register(register) for register in (*router["map"], *router["arrays"])]
        blocks.append(_block("router", router["base"], span - router["base"], experts))
    return blocks


def _block(name: str, base: int, span: int, registers: list[Node]) -> Node:
    size: list[Node] = [("baseAddress", hex(base).replace("0x", "'h")), ("range", str(span)), ("width", "32"), ("usage", "register")]
    return "addressBlock", [("name", name), *size, *registers]


def _register(register: dict[str, Any]) -> Node:
    """A register, or an array of them, with its fields; of each the part of the value after reset, where that is always the same."""
    reset = register["reset"]
    whole = [{"name": register["name"].lower(), "low": 0, "width": 32, "meaning": ""}]
    fields: list[Node] = []
    for field in register["fields"] or whole:
        value = None if reset is None else reset >> field["low"] & (1 << field["width"]) - 1
        fields.append(
            (
                "field",
                [
                    ("name", field["name"]),
                    *([("description", field["meaning"])] if field["meaning"] else []),
                    ("bitOffset", str(field["low"])),
                    *([("resets", [("reset", [("value", str(value))])])] if value is not None else []),
                    ("bitWidth", str(field["width"])),
                ],
            )
        )
    return (
        "register",
        [
            ("name", register["name"]),
            ("description", register["meaning"]),
            *([("dim", str(register["count"]))] if "count" in register else []),
            ("addressOffset", f"'h{register['address']:x}"),
            ("size", "32"),
            ("volatile", "true"),
            ("access", ACCESS[register["access"]]),
            *fields,
        ],
    )
