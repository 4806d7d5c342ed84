"""A network's speed on the boards: on their accelerators by themselves, and with everything going over their links."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from skipgrid.fpga.board import Board
from skipgrid.golden import dense_cycles
from skipgrid.host.compiler.codes import shortest_codes
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.program import Program, compile_network
from skipgrid.host.devices.link import Link
from skipgrid.host.devices.serial_device import SerialDevice
from skipgrid.host.network import Network
from skipgrid.host.simulation.board import SimulatedBoard, SimulatedLine, build_board
from skipgrid.host.simulation.device import SimulatedDevice

from .images import ImageResult, measure_images

LINK_IMAGES = 20  # a whole board is simulated far slower than its accelerator, and one image is like the next


@dataclass(frozen=True)
class BoardSpeed:
    """Means over the images; cycles are those of the board's clock.

    cycles_per_image: from the first input word, which is there when it is asked for, to the last output word.
    dense_cycles_per_image: that a dense grid of the same size would take, always busy.
    link_cycles_per_image: from one image's result at the computer to the next one's, with image, result and counters going over the link;
    over `link_images` of them. images_per_second, link_images_per_second: the clock over these.
    why_not: why the board does not run the network from one start, if so; then nothing is measured.
    """

    board: str
    clock_mhz: float
    dense_cycles_per_image: int
    images: int = 0
    cycles_per_image: float | None = None
    images_per_second: float | None = None
    link_images: int = 0
    link_cycles_per_image: float | None = None
    link_images_per_second: float | None = None
    bit_exact: bool | None = None
    why_not: str | None = None


def measure_board(board: Board, network: Network, inputs: NDArray[np.integer], *, link_images: int = LINK_IMAGES) -> BoardSpeed:
    """Run a network's inputs (N, C, H, W) on a board's accelerator, and the first of them on the whole board; both are simulated."""
    dense = sum(dense_cycles(layer, board.config.rows, board.config.lanes) for layer in network.layers)
    speed = BoardSpeed(board=board.name, clock_mhz=board.clock_hz / 1e6, dense_cycles_per_image=dense)
    try:
        program = compile_network(network, board.config, *shortest_codes(network, inputs))
    except DoesNotFit as error:
        return replace(speed, why_not=str(error))
    return _measured(speed, board, program, inputs, link_images)


def _measured(speed: BoardSpeed, board: Board, program: Program, inputs: NDArray[np.integer], link_images: int) -> BoardSpeed:
    config = board.config
    device = SimulatedDevice(config)
    alone = list(measure_images(device, program, inputs))
    device.close()

    simulated = SimulatedBoard(build_board(config, clock_hz=board.clock_hz, baud=board.baud), clock_hz=board.clock_hz)
    link = Link(SimulatedLine(simulated, board.baud), board.baud)
    linked: list[ImageResult] = []
    ends: list[int] = []
    for result in measure_images(SerialDevice(link, [config], expected=config), program, inputs[: link_images + 1]):
        linked.append(result)
        ends.append(simulated.cycle)
    simulated.close()

    cycles = float(np.mean([result.cycles for result in alone]))
    link_cycles = float(np.mean([end - begin for begin, end in pairwise(ends)]))
    return replace(
        speed,
        images=len(alone),
        cycles_per_image=cycles,
        images_per_second=board.clock_hz / cycles,
        link_images=len(ends) - 1,
        link_cycles_per_image=link_cycles,
        link_images_per_second=board.clock_hz / link_cycles,
        bit_exact=all(result.bit_exact_golden for result in (*alone, *linked)),
    )
