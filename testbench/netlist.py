"""What a component's outputs follow from in the same cycle, found in its netlist."""

from typing import Any

from amaranth.hdl import Fragment, Value
from amaranth.hdl import _ir as ir  # Amaranth has no public way to see what a signal follows from
from amaranth.hdl import _nir as nir
from amaranth.lib import wiring

DIRECTIONS = {wiring.In: ir.PortDirection.Input, wiring.Out: ir.PortDirection.Output}


def causes(component: Any) -> dict[str, set[str]]:
    """For each output port, by name, the input ports that it follows from without a register between them; ports as in Verilog."""
    ports = {
        "_".join(map(str, path)): (Value.cast(value), DIRECTIONS[member.flow])
        for path, member, value in component.signature.flatten(component)
    }
    netlist = ir.build_netlist(Fragment.get(component, None), ports=ports)
    names = [name for name in netlist.top.ports_i if name in ports]
    known: dict[nir.Net, int] = {}  # a bit for each input port
    for number, name in enumerate(names):
        start, width = netlist.top.ports_i[name]
        known |= {nir.Net.from_cell(0, start + bit): 1 << number for bit in range(width)}
    for value in netlist.top.ports_o.values():
        for net in value:
            _follow(netlist, net, known)
    return {
        output: {name for number, name in enumerate(names) if any(known[netlist.resolve_net(net)] >> number & 1 for net in value)}
        for output, value in netlist.top.ports_o.items()
    }


def _follow(netlist: nir.Netlist, goal: nir.Net, known: dict[nir.Net, int]) -> None:
    """Add to what is known what a net follows from, and all on the way."""
    left = [netlist.resolve_net(goal)]
    while left:
        net = left[-1]
        if net in known:
            left.pop()
            continue
        edges = [] if net.is_const else [netlist.resolve_net(source) for source, _ in netlist.cells[net.cell].comb_edges_to(net.bit)]
        unknown = [source for source in edges if source not in known]
        if unknown:
            left += unknown
        else:
            ports = 0
            for source in edges:
                ports |= known[source]
            known[net] = ports
