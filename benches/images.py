"""Networks over images: each output compared with the golden model's, and what all images give together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Thresholds, coded_bytes, dense_cycles, dense_macs, run_network, sparsity, useful_macs
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.lowering import lowered
from skipgrid.host.compiler.program import Program
from skipgrid.host.devices.device import Device, DeviceError
from skipgrid.host.network import Network
from skipgrid.host.run import Result, load_program, run_input
from skipgrid.host.stored import check_entries
from skipgrid.rtl.config import Config
from skipgrid.rtl.errors import Error


@dataclass(frozen=True)
class ImageResult(Result):
    """One image's run, beside the golden model.

    bit_exact_golden: the output equals the golden model's.
    sparsity, useful_macs: of each layer's input, from the golden model.
    """

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


def measure_images(device: Device, program: Program, inputs: NDArray[np.integer]) -> Iterator[ImageResult]:
    """Load a program and run it over inputs (N, C, H, W), one result each, compared with the golden model's.

    DoesNotFit if an image has too many nonzeros on its way; DeviceError if the device reports another error.
    """
    layers = program.network.layers
    load_program(device, program)
    thresholds = Thresholds()  # as the device keeps them, from the program's first run on
    for number, x in enumerate(inputs):
        try:
            result = run_input(device, program, x)
        except DeviceError as error:
            if error.code is Error.ENTRIES_FULL:
                parts = [part for layer in layers for part in lowered(layer)]
                try:
                    check_entries(x, parts, thresholds, device.config)
                except DoesNotFit as why:
                    raise DoesNotFit(f"image {number}: {why}") from None
            raise
        expected = run_network(x, layers, thresholds)
        tensors = [x, *expected[:-1]]
        yield ImageResult(
            **vars(result),
            bit_exact_golden=np.array_equal(result.output, expected[-1]),
            sparsity=[sparsity(coded_bytes(tensor, layer.x)) for tensor, layer in zip(tensors, layers, strict=True)],
            useful_macs=[useful_macs(tensor, layer) for tensor, layer in zip(tensors, layers, strict=True)],
        )


def summarise(
    network: Network,
    config: Config,
    results: list[ImageResult],
    labels: NDArray[np.integer],
    reference: NDArray[np.generic] | None,
) -> Summary:
    """Means and totals of a run; reference holds ONNX Runtime's outputs for the same images, if there is an ONNX model."""
    outputs = network.results(np.stack([result.output for result in results]))
    layers = []
    for number, layer in enumerate(network.layers):
        macs = float(np.mean([result.useful_macs[number] for result in results]))
        cycles = float(np.mean([result.layer_cycles[number] for result in results]))
        zeros = float(np.mean([result.sparsity[number] for result in results]))
        layers.append(LayerSummary(layer.name, zeros, macs, dense_macs(layer), cycles, macs / config.pes / cycles))
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
