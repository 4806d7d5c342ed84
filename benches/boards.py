"""A network's speed on the boards: on their accelerators by themselves, and with everything going over their links."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from numpy.typing import NDArray

from skipgrid.fpga.board import Board
from skipgrid.host.devices.device import Device
from skipgrid.host.devices.link import Link
from skipgrid.host.devices.serial_device import SerialDevice
from skipgrid.host.execution import ImageRun, Runner
from skipgrid.host.onnx.cut import Cut
from skipgrid.host.plan import Plan, plan_model
from skipgrid.host.simulation.board import SimulatedBoard, SimulatedLine, build_board
from skipgrid.host.simulation.device import SimulatedDevice

LINK_IMAGES = 5  # a whole board is simulated far slower than its accelerator, and one image is like the next
SETTLED = 2  # images before those: with the first, layers run alone too, and the second may find others' weights


@dataclass(frozen=True)
class BoardSpeed:
    """Means over the images; cycles are those of the board's clock.

    starts_per_image: of the accelerator: 1 where all weights stay on the board, otherwise the network runs in passes.
    cycles_per_image: of all starts, from the first input word, which is there when it is asked for, to the last output word.
    dense_cycles_per_image: that a dense grid of the same size would take, always busy.
    link_cycles_per_image: from one image's result at the computer to the next one's, with image, result, counters, and the weights that
    do not stay, going over the link; over `link_images` of them. images_per_second, link_images_per_second: the clock over these.
    """

    board: str
    clock_mhz: float
    dense_cycles_per_image: int
    images: int
    starts_per_image: float
    cycles_per_image: float
    images_per_second: float
    link_images: int
    link_cycles_per_image: float
    link_images_per_second: float
    bit_exact: bool


def measure_board(board: Board, cut: Cut, images: NDArray[Any], *, link_images: int = LINK_IMAGES) -> BoardSpeed:
    """Run a model over images (N, ...) on a board's accelerator, and over the first of them on the whole board; both are simulated."""
    config = board.config
    plan = plan_model(cut, config)
    device = SimulatedDevice(config)
    alone = list(_runs(device, plan, images))
    device.close()

    simulated = SimulatedBoard(build_board(config, clock_hz=board.clock_hz, baud=board.baud), clock_hz=board.clock_hz)
    link = Link(SimulatedLine(simulated, board.baud), board.baud)
    linked: list[ImageRun] = []
    ends: list[int] = []
    for run in _runs(SerialDevice(link, [config], expected=config), plan, images[: link_images + SETTLED]):
        linked.append(run)
        ends.append(simulated.cycle)
    simulated.close()

    cycles = fmean(run.cycles for run in alone)
    spans = [end - begin for begin, end in pairwise(ends[SETTLED - 1 :])]
    return BoardSpeed(
        board=board.name,
        clock_mhz=board.clock_hz / 1e6,
        dense_cycles_per_image=sum(layer.dense_cycles for layer in alone[0].layers),
        images=len(alone),
        starts_per_image=fmean(run.starts for run in alone),
        cycles_per_image=cycles,
        images_per_second=board.clock_hz / cycles,
        link_images=len(spans),
        link_cycles_per_image=fmean(spans),
        link_images_per_second=board.clock_hz / fmean(spans),
        bit_exact=all(layer.exact for run in (*alone, *linked) for layer in run.layers),
    )


def _runs(device: Device, plan: Plan, images: NDArray[Any]) -> Iterator[ImageRun]:
    """How each image of a model with one input runs on a device."""
    assert plan.cut is not None
    name = plan.cut.model.inputs[0].name
    runner = Runner(device, plan)
    batches = [{name: images[number : number + 1]} for number in range(len(images))]
    runner.choose_codes(batches)
    for tensors in batches:
        yield runner.run(tensors, 1)[0]
