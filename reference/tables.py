"""The reference as Markdown tables: ports, registers, descriptor, load packets and errors, made from the hardware's own definitions."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import asdict

from amaranth.lib import wiring

from skipgrid.fpga.soc.header import REGISTERS as SOC_REGISTERS
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import FIELD, Descriptor
from skipgrid.rtl.errors import Error
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.register_map import LAYERS, REGISTERS, ROUTER_BASE, Register

from .description import accelerator_ports, describe, layout, unit_ports

PARAMETER = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n .*)*)", re.MULTILINE)  # a paragraph of a docstring
ROUTER = "The expert router's registers follow from `{base:#05x}` on; to each of these addresses, add that:"

REGISTER_RULES = """\
All are 32 bits wide. An access to another address, of the wrong kind, or a write of fewer than four bytes is answered with SLVERR and
changes nothing. Where the value after a reset is not always the same, its place has a dash. A counter that is full begins at 0 again."""

INTERRUPTS = """\
`irq` is a level: 1 while `STATUS.done` or `STATUS.error` is set, each where `INTERRUPT_ENABLE` has its bit, and `STATUS.busy` is 0. Not
more than one of the two is set. Reading clears nothing. A start or a clear written to `CONTROL` clears both, and when that write is
answered `irq` has fallen, if only for a cycle, so that every further event is an edge too. A handler

1. reads `STATUS`;
2. if `error` is set, reads `ERROR`: a run's names the descriptor, and after one of the load port the packet has to be sent again;
3. reads the counters, if they are wanted: they stay until the next start;
4. writes `CONTROL`, with start for the next run or with clear.

Nothing is lost if load packets are sent behind step 4, and `STATUS` is read when their last word is taken, before the next start: an
error of the load port between steps 1 and 4 would be cleared unread. It takes the place of a `done` that nobody has cleared; then there
is one interrupt for both. A run that is stopped ends with the error `STOPPED`, or with `done` if it was at its end; either way there is
an interrupt.
"""


def _table(*rows: tuple[object, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def configuration(config: Config) -> str:
    """What the design was generated with: each parameter, its value, and what it means."""
    meanings = {
        name: " ".join(meaning.split())
        for names, meaning in PARAMETER.findall(inspect.cleandoc(Config.__doc__ or ""))
        for name in names.split(", ")
    }
    values = {key: value for key, value in asdict(config).items() if key != "name"}
    rows = ((f"`{key}`", f"{value:,}" if type(value) is int else value, meanings[key]) for key, value in values.items())
    return _table(("parameter", "value", "meaning, and what it may be"), *rows)


def ports(config: Config) -> str:
    """All ports of a configuration's module, as the Verilog declares them."""
    rows: list[tuple[object, ...]] = [("port", "direction", "bits", "meaning")]
    described: set[str] = set()
    for port in accelerator_ports(config):
        meaning = "" if port["interface"] in described else port["meaning"]
        described.add(port["interface"])
        rows.append((f"`{port['name']}`", port["direction"], port["width"], meaning))
    return _table(*rows)


def unit_ports_table(unit: wiring.Component) -> str:
    """All ports of a unit that is of use by itself, with the fields of its words."""
    rows: list[tuple[object, ...]] = [("port", "direction", "bits", "fields")]
    rows += [(f"`{name}`", "input", 1, "") for name in ("clk", "rst")]
    for port in unit_ports(unit):
        fields = []
        for field in port["fields"]:
            low, high = field["low"], field["low"] + field["width"] - 1
            sign = " (signed)" if field["signed"] else ""
            fields.append(f"{high}…{low} {field['name']}{sign}" if high > low else f"{low} {field['name']}")
        rows.append((f"`{port['name']}`", port["direction"], port["width"], ", ".join(fields)))
    return _table(*rows)


def registers(config: Config) -> str:
    """The register map of a configuration, with the fields of each register below it; then the router's, where experts are built."""
    own = _registers(REGISTERS.values(), [LAYERS])
    return f"{own}\n\n{ROUTER.format(base=ROUTER_BASE)}\n\n{router_registers()}" if config.experts else own


def router_registers() -> str:
    """The same of the expert router."""
    return _registers(router_map.REGISTERS.values(), router_map.ARRAYS.values())


def soc_registers() -> str:
    """The same of the parts of the example system on a chip, by their areas."""
    parts = (f"## Of {area.title}, from `{area.base:#010x}` on\n\n{_registers(map_.values(), ())}" for area, map_ in SOC_REGISTERS.items())
    return "\n\n".join(parts)


def _registers(single: Iterable[Register], arrays: Iterable[Register]) -> str:
    rows: list[tuple[object, ...]] = [("address", "register", "access", "bits", "after reset", "meaning")]
    for register in single:
        rows.append(_register(register, f"`{register.address:#05x}`"))
        for name, low, width, meaning in register.fields:
            bits = f"{low + width - 1}…{low}" if width > 1 else str(low)
            rows.append(("", f"· `{name}`", "", bits, "", meaning))
    rows += [_register(array, f"`{array.address:#05x}` + 4 n") for array in arrays]
    return _table(*rows)


def _register(register: Register, address: str) -> tuple[object, ...]:
    reset = "–" if register.reset is None else f"`{register.reset:#x}`"
    return address, f"`{register.name}`", register.access.value, "31…0", reset, register.meaning


def descriptor() -> str:
    """The fields of a layer descriptor."""
    rows: list[tuple[object, ...]] = [("word", "bits", "field", "meaning")]
    for field in layout(Descriptor):
        low, width = field["low"], field["width"]
        bits = f"{low + width - 1}…{low}" if width > 1 else str(low)
        meaning = FIELD[field["name"]].meaning
        if field["signed"]:
            meaning += ", signed"
        rows.append((field["word"], bits, *((f"`{field['name']}`", meaning) if meaning else ("reserved", "0"))))
    return _table(*rows)


def load_packets(config: Config) -> str:
    """The targets of the load port."""
    rows: list[tuple[object, ...]] = [("target", "number", "addresses", "words an address", "an address holds")]
    for name, target in describe(config)["load"]["targets"].items():
        rows.append((f"`{name}`", target["target"], f"{target['addresses']:,}", target["words_an_address"], target["holds"]))
    return _table(*rows)


def errors() -> str:
    """The error codes."""
    rows: list[tuple[object, ...]] = [("code", "name", "what it says")]
    rows += [(error.value, f"`{error.name}`", error.sentence) for error in Error if error != Error.NONE]
    return _table(*rows)
