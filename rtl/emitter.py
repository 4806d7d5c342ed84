"""RTLIL for readers: what Amaranth writes, without start values of memories and with names for registers' next values."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.back import rtlil
from amaranth.hdl import Fragment, Value
from amaranth.hdl import _ir as ir  # Amaranth has no public way to change how a design is written
from amaranth.hdl import _nir as nir
from amaranth.hdl._ast import SignalDict
from amaranth.lib import wiring


class _Emitter(rtlil.ModuleEmitter):
    """Writes one module.

    field_wires: also a wire for each field of a structure, under its name; useful in waveforms, and read by nothing.
    """

    def __init__(self, *arguments: object, field_wires: bool, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.field_wires = field_wires
        self.next_names: dict[nir.Value, str] = {}  # value that a register takes at the clock's edge -> its name

    def assign_value_names(self) -> None:
        super().assign_value_names()
        for number in self.module.cells:
            cell = self.netlist.cells[number]
            if isinstance(cell, nir.FlipFlop):
                register = nir.Value(nir.Net.from_cell(number, bit) for bit in range(len(cell.data)))
                if register in self.value_names:
                    self.next_names[cell.data] = f"{self.value_names[register]}$next"

    def emit_driven_wire(self, value: nir.Value) -> rtlil.Wire:
        if value in self.value_names or value not in self.next_names:
            return super().emit_driven_wire(value)
        wire = self.builder.wire(len(value), name=self.next_names[value])
        for bit, net in enumerate(value):
            self.nets[net] = (wire, bit)
        return wire

    def emit_signal_fields(self) -> None:
        if self.field_wires:
            super().emit_signal_fields()

    def emit_memory(self, number: int, cell: nir.Memory) -> None:
        """Nothing: no memory's start value matters, and the lists of zeros take most of the time here and in synthesis."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage is looked for: nearly all that Amaranth makes is there to the end, and looking takes a third of the time."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


@_uncollected()
def generate_rtlil(component: wiring.Component, name: str, *, field_wires: bool = False, platform: object = None) -> str:
    """RTLIL of a component as module `name`, with ports `clk`, `rst` and, for member a.b, `a_b`."""
    ports: dict[str, tuple[Value, ir.PortDirection]] = {}
    for path, member, value in component.signature.flatten(component):
        direction = ir.PortDirection.Input if member.flow == wiring.In else ir.PortDirection.Output
        ports["_".join(map(str, path))] = (Value.cast(value), direction)
    netlist = ir.build_netlist(Fragment.get(component, platform), ports=ports, name=name)
    design = rtlil.Design(emit_src=False)
    empty = rtlil.EmptyModuleChecker(netlist)
    names = SignalDict()
    for number, module in enumerate(netlist.modules):
        if not empty.is_empty(number):
            builder = design.module(".".join(module.name))
            _Emitter(builder, netlist, module, names, empty_checker=empty, field_wires=field_wires).emit()
    return str(design)
