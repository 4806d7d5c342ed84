"""A model over images on a device: read and compiled, then run, each output compared with the golden model's and ONNX Runtime's."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipgrid.rtl.config import Config

from .console import bar, building, working
from .images import check_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skipgrid.benches.images import Summary
    from skipgrid.host.compiler.program import Program
    from skipgrid.host.devices.device import Device
    from skipgrid.host.onnx.importer import Imported
    from skipgrid.host.onnx.runtime import Reference


@dataclass(frozen=True)
class Prepared:
    """A model that is compiled for a configuration, and its images, also as activations, with their labels.

    imported, reference: the model in ONNX and in ONNX Runtime, unless it is a network of this package's own.
    """

    program: "Program"
    images: "NDArray[Any]"
    labels: "NDArray[Any]"
    inputs: "NDArray[np.integer]"
    imported: "Imported | None"
    reference: "Reference | None"


@dataclass(frozen=True)
class Measured:
    """What a run gave.

    summary: of the images that ran. classes: recognised in them. in_float: images whose outputs differ from ONNX Runtime's, where that
    computes in float32, as `Reference.explains` says; 0 if any differ otherwise. problem: what kept the other images from running, or the
    outputs from being compared.
    """

    summary: "Summary"
    classes: "NDArray[np.intp]"
    in_float: int
    problem: Exception | None


def prepare(config: Config, model: Path, images: "NDArray[Any]", labels: "NDArray[Any]") -> Prepared:
    """Read a model and compile it for the images; an error says why it cannot be, before anything runs."""
    from skipgrid.host.compiler.codes import shortest_codes
    from skipgrid.host.compiler.program import compile_network
    from skipgrid.host.network_file import ENDING, load_network
    from skipgrid.host.onnx.importer import read_model
    from skipgrid.host.onnx.runtime import Reference

    imported = None if model.suffix == ENDING else read_model(model)
    network = imported.network if imported else load_network(model)
    inputs = network.activations(images)
    check_labels(labels, prod(network.output_shape))
    reference = Reference(model) if imported else None
    program = compile_network(network, config, *shortest_codes(network, inputs))
    return Prepared(program, images, labels, inputs, imported, reference)


def measure(config: Config, model: Path, images: "NDArray[Any]", labels: "NDArray[Any]", *, trace: Path | None = None) -> Measured:
    """Run a model over images in simulation."""
    from skipgrid.host.simulation.device import SimulatedDevice

    prepared = prepare(config, model, images, labels)
    if trace:
        trace.parent.mkdir(parents=True, exist_ok=True)
    with building(config.name):
        device = SimulatedDevice(config, trace=trace)
    result = measure_on(device, prepared)
    device.close()
    return result


def measure_on(device: "Device", prepared: Prepared) -> Measured:
    """Run a model over its images on a device. What has been measured when something fails is in the result, if it is anything."""
    import numpy as np

    from skipgrid.benches.images import ImageResult, measure_images, recognised, summarise

    config, network, inputs = device.config, prepared.program.network, prepared.inputs
    results: list[ImageResult] = []
    problem: Exception | None = None
    with bar() as progress:
        runs = measure_images(device, prepared.program, inputs)
        try:
            for result in progress.track(runs, total=len(inputs), description=f"images on {config.name}"):
                results.append(result)  # noqa: PERF402 -- they stay when the next one fails
        except (ValueError, RuntimeError, OSError) as error:
            if not results:
                raise
            problem = error
    images, labels = prepared.images[: len(results)], prepared.labels[: len(results)]
    outputs = network.results(np.stack([result.output for result in results]))
    expected, in_float = None, 0
    if prepared.reference and prepared.imported:
        with working("running ONNX Runtime"):
            try:
                expected = prepared.reference.outputs(images).reshape(outputs.shape)
                different = [number for number in range(len(images)) if not np.array_equal(outputs[number], expected[number])]
                # Until one is found that float32 does not explain.
                explained = (prepared.reference.explains(prepared.imported, images[n : n + 1], expected[n : n + 1]) for n in different)
                in_float = len(different) if different and all(explained) else 0
            except ValueError as error:
                problem = problem or error
    return Measured(summarise(network, config, results, labels, expected), recognised(outputs), in_float, problem)
