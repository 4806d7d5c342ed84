"""Whole networks on a device: compiled once, then run image by image, each output compared with the golden model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import (
    Layer,
    Thresholds,
    best_k,
    coded_bytes,
    decode,
    dense_cycles,
    dense_macs,
    encode,
    from_coded,
    run_network,
    size_bits,
    sparsity,
    useful_macs,
)
from skipgrid.rtl.config import Config
from skipgrid.rtl.errors import Error
from skipgrid.rtl.experts.router_map import REGISTERS as ROUTER_REGISTERS
from skipgrid.rtl.register_map import ROUTER_BASE

from .compiler.bounds import lowered
from .compiler.descriptors import CODE_PARAMETERS, descriptors, network_program
from .compiler.fits import DoesNotFit, routing
from .compiler.packets import load_packets, program_packet
from .compiler.placement import place
from .compiler.room import check_entries, check_pixels
from .devices.device import Device, DeviceError, Words
from .network import Network

SAMPLE = 16  # images from which the parameters of the code are chosen


@dataclass(frozen=True)
class Program:
    """A network as the device loads it: packets for the load port, how many descriptors they hold, and the codes of both streams."""

    network: Network
    packets: list[Words]
    descriptors: int
    k_in: int
    k_out: int


@dataclass(frozen=True)
class ImageResult:
    """One image's run.

    output: the last layer's, (K, rows, columns). cycles: from the start, with the first input word at the port, to the last
    output word. layer_cycles: of each layer. descriptor_cycles: of each step of the program. winners_cycles: in which winners
    were read again, or an output waited for their choice.
    bit_exact_golden: the output equals the golden model's.
    sparsity, useful_macs: of each layer's input, from the golden model.
    """

    output: NDArray[np.integer]
    cycles: int
    layer_cycles: list[int]
    descriptor_cycles: list[int]
    winners_cycles: int
    bit_exact_golden: bool
    sparsity: list[float]
    useful_macs: list[int]


@dataclass(frozen=True)
class LayerSummary:
    """A layer's means over all images; utilisation is useful_macs / (rows * lanes) / cycles, which is at most 1."""

    name: str
    sparsity_in: float
    useful_macs: float
    dense_macs: int
    cycles: float
    utilisation: float


@dataclass(frozen=True)
class Summary:
    """What a run over a set of labelled images gave; cycles are means over the images; None if there is no ONNX model to compare with.

    dense_cycles_per_image: of a dense grid of the same size, as `golden.dense_cycles` says.
    """

    images: int
    correct: int
    bit_exact_golden: bool
    bit_exact_onnxruntime: bool | None
    cycles_per_image: float
    dense_cycles_per_image: int
    layers: list[LayerSummary]


def compile_network(network: Network, config: Config, sample: NDArray[np.integer]) -> Program:
    """Lower a network whose weights all stay on the device; DoesNotFit if they do not.

    sample: some inputs (N, C, H, W), for which the code's parameters are chosen so that their streams are shortest.
    """
    layers = network.layers
    parts = [part for layer in layers for part in lowered(layer)]
    placed = place(parts, config)
    check_pixels(parts, config)
    coded = [coded_bytes(x, layers[0].x) for x in sample[:SAMPLE]]
    k_in = _shortest(coded)
    k_out = _shortest([coded_bytes(run_network(x, list(layers))[-1], layers[-1].y) for x in sample[:SAMPLE]])
    program = network_program(placed, config, k_in=k_in, k_out=k_out)
    return Program(network, [*load_packets(placed, config), program_packet(program)], len(program), k_in, k_out)


def _shortest(tensors: list[NDArray[np.uint8]]) -> int:
    """The parameter with which some tensors take the fewest bits together."""
    if len(tensors) == 1:
        return best_k(tensors[0])
    return min(CODE_PARAMETERS, key=lambda k: sum(size_bits(tensor, k) for tensor in tensors))


def run_images(device: Device, program: Program, inputs: NDArray[np.integer]) -> Iterator[ImageResult]:
    """Load a program and run it over inputs (N, C, H, W), one result each.

    DoesNotFit if an image has too many nonzeros on its way; DeviceError if the device reports another error.
    """
    layers = list(program.network.layers)
    load_program(device, program)
    thresholds = Thresholds()  # as the device keeps them, from the program's first run on
    for number, x in enumerate(inputs):
        try:
            run = device.run([encode(coded_bytes(x, layers[0].x), program.k_in)], layers=program.descriptors)
        except DeviceError as error:
            if error.code is Error.ENTRIES_FULL:
                parts = [part for layer in layers for part in lowered(layer)]
                try:
                    check_entries(x, parts, thresholds, device.config)
                except DoesNotFit as why:
                    raise DoesNotFit(f"image {number}: {why}") from None
            raise
        shape = layers[-1].out_shape
        output = from_coded(decode(run.packets[0], int(np.prod(shape)), program.k_out), shape, layers[-1].y)
        steps = [descriptors(layer) for layer in layers]  # choosing experts counts as part of their layer
        steps[0] += program.descriptors - sum(steps)  # and loading the input as part of the first one
        layer_cycles = [sum(run.layer_cycles[end - count : end]) for count, end in zip(steps, accumulate(steps), strict=True)]
        expected = run_network(x, layers, thresholds)
        tensors = [x, *expected[:-1]]
        yield ImageResult(
            output=output,
            cycles=run.counters["total_cycles"],
            layer_cycles=layer_cycles,
            descriptor_cycles=run.layer_cycles,
            winners_cycles=run.counters["winners_cycles"],
            bit_exact_golden=np.array_equal(output, expected[-1]),
            sparsity=[sparsity(coded_bytes(tensor, layer.x)) for tensor, layer in zip(tensors, layers, strict=True)],
            useful_macs=[useful_macs(tensor, layer) for tensor, layer in zip(tensors, layers, strict=True)],
        )


def load_program(device: Device, program: Program) -> None:
    """Send a program's packets, and tell the router what its layers need."""
    for packet in program.packets:
        device.load(packet)
    set_router(device, program.network.layers)


def set_router(device: Device, layers: Sequence[Layer]) -> None:
    """Tell the router, if there is one and the layers have experts, how many there are, and how many are chosen."""
    chosen = routing(layers)
    if chosen is not None:
        for name, value in zip(("EXPERTS", "K"), chosen, strict=True):
            device.write_register(ROUTER_BASE + ROUTER_REGISTERS[name].address, value)


def summarise(
    network: Network,
    config: Config,
    results: list[ImageResult],
    labels: NDArray[np.integer],
    reference: NDArray[np.generic] | None,
) -> Summary:
    """Means and totals of a run; reference holds ONNX Runtime's outputs for the same images, if there is an ONNX model."""
    outputs = network.results(np.stack([result.output for result in results]))
    cells = config.rows * config.lanes
    layers = []
    for number, layer in enumerate(network.layers):
        macs = float(np.mean([result.useful_macs[number] for result in results]))
        cycles = float(np.mean([result.layer_cycles[number] for result in results]))
        zeros = float(np.mean([result.sparsity[number] for result in results]))
        layers.append(LayerSummary(layer.name, zeros, macs, dense_macs(layer), cycles, macs / cells / cycles))
    return Summary(
        images=len(results),
        correct=int((recognised(outputs) == labels).sum()),
        bit_exact_golden=all(result.bit_exact_golden for result in results),
        bit_exact_onnxruntime=None if reference is None else np.array_equal(outputs, reference.reshape(outputs.shape)),
        cycles_per_image=float(np.mean([result.cycles for result in results])),
        dense_cycles_per_image=sum(dense_cycles(layer, config.rows, config.lanes) for layer in network.layers),
        layers=layers,
    )


def recognised(outputs: NDArray[np.generic]) -> NDArray[np.intp]:
    """The class with the largest output, for each image."""
    classes: NDArray[np.intp] = outputs.reshape(len(outputs), -1).argmax(axis=1)
    return classes
