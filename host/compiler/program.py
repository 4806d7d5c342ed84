"""A network as the device loads it: compiled from its layers alone, for which nothing has to be computed."""

from dataclasses import dataclass

from skipgrid.rtl.config import Config

from ..devices.device import Words
from ..network import Network
from .averaging import sliced
from .buffers import check_pixels
from .descriptors import network_program
from .lowering import lowered
from .packets import load_packets, program_packet
from .placement import Placed, place

CODE_PARAMETER = 2  # where none is chosen: at most 6 % longer than with the best one, where 60 to 90 % are zeros


@dataclass(frozen=True)
class Program:
    """A network as the device loads it: where its layers lie, packets for the load port, how many descriptors they hold, and the codes of
    both streams.
    """

    network: Network
    placed: list[Placed]
    packets: list[Words]
    descriptors: int
    k_in: int
    k_out: int


def compile_network(network: Network, config: Config, k_in: int = CODE_PARAMETER, k_out: int = CODE_PARAMETER) -> Program:
    """Lower a network whose weights all stay on the device; DoesNotFit if they do not.

    k_in, k_out: parameters of the code, 0...7, of the input and of the output; `codes.shortest_codes` chooses them.
    """
    placed, program = _program(network, config, k_in, k_out)
    return Program(network, placed, [*load_packets(placed, config), program_packet(program)], len(program), k_in, k_out)


def check_resident(network: Network, config: Config) -> None:
    """DoesNotFit if a network's weights do not all stay on the device."""
    _program(network, config, CODE_PARAMETER, CODE_PARAMETER)


def _program(network: Network, config: Config, k_in: int, k_out: int) -> tuple[list[Placed], list[Words]]:
    """Where the layers of a network lie, and their descriptors."""
    parts = sliced([part for layer in network.layers for part in lowered(layer)], config)
    placed = place(parts, config)
    check_pixels(parts, config)
    return placed, network_program(placed, config, k_in=k_in, k_out=k_out)
