"""A model over images on a device: read, cut and planned, then run, each output compared with the golden model's and ONNX Runtime's."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipgrid.rtl.config import Config

from .console import bar, building, working
from .images import check_labels, drawn_inputs, read_inputs
from .interrupts import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from skipgrid.host.devices.device import Device
    from skipgrid.host.execution import ImageRun
    from skipgrid.host.network import Network
    from skipgrid.host.onnx.cut import HostNode
    from skipgrid.host.onnx.runtime import Difference, Reference
    from skipgrid.host.plan import Plan
    from skipgrid.reference.compiled import Compiled

DRAWN = 1  # images, where no data is given


@dataclass(frozen=True)
class Prepared:
    """A model that is planned for a configuration, and what it is run over.

    inputs: by name, with all images. labels: None if there are none. network, reference: a network of this package's own, or the model in
    ONNX Runtime; one of them is None.
    """

    plan: "Plan"
    inputs: "dict[str, NDArray[Any]]"
    labels: "NDArray[Any] | None"
    network: "Network | None"
    reference: "Reference | None"

    @property
    def images(self) -> int:
        """How many there are."""
        return len(next(iter(self.inputs.values())))

    @property
    def batch(self) -> int:
        """How many the model takes at once."""
        return self.plan.cut.model.batch if self.plan.cut else 1

    def given(self, first: int) -> "tuple[dict[str, NDArray[Any]], int]":
        """The inputs of a batch, the last one filled up, and how many of its images count."""
        import numpy as np

        batch = self.batch
        some = {name: tensor[first : first + batch] for name, tensor in self.inputs.items()}
        count = len(next(iter(some.values())))
        full = {name: np.concatenate([tensor, tensor[-1:].repeat(batch - count, axis=0)]) for name, tensor in some.items()}
        if self.network is None:
            return full, count
        return {self.network.input.name: self.network.activations(full[self.network.input.name])}, count


@dataclass(frozen=True)
class LayerSummary:
    """A layer's means over all images; utilisation is useful_macs / (rows * lanes) / cycles, which is at most 1.

    held_by: shares of its time in the first image, as `host.held` says; None where it was not measured.
    """

    name: str
    sparsity_in: float
    useful_macs: float
    dense_macs: int
    cycles: float
    utilisation: float
    passes: float
    held_by: dict[str, float] | None


@dataclass(frozen=True)
class Summary:
    """What a run over images gave; cycles are means over the images.

    correct: None without labels. bit_exact_onnxruntime: None if there is no ONNX model to compare with. dense_cycles_per_image: of a dense
    grid of the same size, as `golden.dense_cycles` says. segments: names of the layers that run from one start each. passes: of all layers
    of an image. words_per_image: over the ports, those of weights too where they do not stay. device_macs_share: of the model's
    multiplications, those on the accelerator. host_seconds_per_image: that ONNX Runtime took for what runs on the host.
    """

    images: int
    correct: int | None
    bit_exact_golden: bool
    bit_exact_onnxruntime: bool | None
    cycles_per_image: float
    dense_cycles_per_image: int
    layers: list[LayerSummary]
    segments: list[list[str]]
    host_nodes: list[dict[str, str]]
    device_macs_share: float
    passes: float
    words_per_image: float
    host_seconds_per_image: float


@dataclass
class Measured:
    """What a run gave.

    summary: of the images that ran. outputs: by name. classes: recognised in them. in_float: images whose outputs differ from ONNX
    Runtime's, where that computes in float32, as `Reference.explains` says; 0 if any differ otherwise. differences: of stored tensors from
    ONNX Runtime's, of the first image that has any. problem: what kept the other images from running, or the outputs from being compared.
    """

    plan: "Plan"
    outputs: "dict[str, NDArray[Any]]"
    runs: "list[ImageRun]"
    labels: "NDArray[Any] | None"
    seconds: float = 0.0
    equal: bool | None = None
    in_float: int = 0
    compared: bool = False
    differences: "list[Difference]" = field(default_factory=list)
    problem: BaseException | None = None

    @property
    def classes(self) -> "NDArray[np.intp]":
        """The class with the largest output, for each image."""
        from skipgrid.benches.images import recognised

        return recognised(next(iter(self.outputs.values())))

    @property
    def summary(self) -> Summary:
        """Means over the images."""
        from statistics import fmean

        runs, config = self.runs, self.plan.config
        layers = [
            LayerSummary(
                name=first.name,
                sparsity_in=fmean(run.layers[number].sparsity for run in runs),
                useful_macs=(macs := fmean(run.layers[number].useful_macs for run in runs)),
                dense_macs=first.dense_macs,
                cycles=(cycles := fmean(run.layers[number].cycles for run in runs)),
                utilisation=macs / config.pes / cycles,
                passes=fmean(run.layers[number].passes for run in runs),
                held_by=first.held_by,
            )
            for number, first in enumerate(runs[0].layers)
        ]
        labels = self.labels
        return Summary(
            images=len(runs),
            correct=None if labels is None else int((self.classes == labels[: len(runs)]).sum()),
            bit_exact_golden=all(layer.exact for run in runs for layer in run.layers),
            bit_exact_onnxruntime=self.equal,
            cycles_per_image=fmean(run.cycles for run in runs),
            dense_cycles_per_image=sum(layer.dense_cycles for layer in runs[0].layers),
            layers=layers,
            segments=[[found.layer.name for found in segment.layers] for segment in self.plan.segments],
            host_nodes=[{"name": node.name, "op": node.op, "why": node.why} for node in self.plan.host_nodes],
            device_macs_share=self.plan.device_macs_share,
            passes=fmean(sum(layer.passes for layer in run.layers) for run in runs),
            words_per_image=fmean(run.words for run in runs),
            host_seconds_per_image=fmean(run.host_seconds for run in runs),
        )


def prepare(config: Config, model: Path, data: Path | None, limit: int | None, *, device_only: bool = False) -> Prepared:
    """Read a model and plan it; an error says why it cannot be, before anything runs."""
    from skipgrid.host.network import Network
    from skipgrid.host.network_file import ENDING, load_network
    from skipgrid.host.onnx.cut import Cut, cut_model
    from skipgrid.host.onnx.model import End
    from skipgrid.host.onnx.runtime import Reference
    from skipgrid.host.plan import plan_model, plan_network

    network: Network | None = None
    cut: Cut | None = None
    ends: tuple[End, ...]
    if model.suffix == ENDING:
        network = load_network(model)
        ends = (End(network.input.name, (None, *network.input.shape), network.input.dtype),)
        classes = network.output_shape[0] * network.output_shape[1] * network.output_shape[2]
    else:
        cut = cut_model(model)
        ends = cut.model.inputs
        shape = cut.model.sizes[cut.model.outputs[0].name][1:]
        classes = 1
        for size in shape:
            classes *= size
    inputs, labels = read_inputs(data, ends, limit) if data else (drawn_inputs(ends, limit or DRAWN), None)
    if labels is not None:
        check_labels(labels, classes)
    if network is not None:
        network.activations(inputs[network.input.name])
        return Prepared(plan_network(network, config), inputs, labels, network, None)
    assert cut is not None
    plan = plan_model(cut, config)
    if device_only:
        check_device_only(model, plan.host_nodes)
    return Prepared(plan, inputs, labels, None, Reference(cut))


def compile_prepared(prepared: Prepared) -> "Compiled":
    """The starts of a planned model over its images, and all that they are made of; DoesNotFit if an image does not fit."""
    from skipgrid.host.starts import plan_starts
    from skipgrid.reference.compiled import Compiled

    starts = plan_starts(prepared.plan, [prepared.given(first) for first in range(0, prepared.images, prepared.batch)])
    return Compiled(prepared.plan, starts, prepared.network)


def check_device_only(model: Path, host_nodes: "Sequence[HostNode]") -> None:
    """ModelError if a model has nodes on the host."""
    from skipgrid.host.network import ModelError

    if host_nodes:
        raise ModelError(
            f"{len(host_nodes)} nodes of {model} would run on the host: "
            + "; ".join(f"node {node.name!r} ({node.op}): {node.why}" for node in host_nodes)
            + "; leave --device-only away"
        )


def measure(config: Config, prepared: Prepared, *, trace: Path | None = None, compare: bool = False) -> Measured:
    """Run a model over images in simulation."""
    from skipgrid.host.simulation.device import SimulatedDevice

    if trace:
        trace.parent.mkdir(parents=True, exist_ok=True)
    with building(config.name):
        device = SimulatedDevice(config, trace=trace)
    result = measure_on(device, prepared, compare=compare)
    device.close()
    return result


def measure_on(device: "Device", prepared: Prepared, *, compare: bool = False) -> Measured:
    """Run a model over its images on a device. What has been measured when something fails is in the result, if it is anything."""
    measured = Measured(prepared.plan, {}, [], prepared.labels)
    found: list[dict[str, list[NDArray[Any]]]] = []
    begun = time.monotonic()
    with bar() as progress:
        try:
            for outputs, runs in progress.track(
                _batches(device, prepared, measured, compare=compare),
                total=-(-prepared.images // prepared.batch),
                description=f"images on {device.config.name}",
            ):
                found.append(outputs)
                measured.runs += runs
        except (ValueError, RuntimeError, OSError, Interrupted) as error:
            if not found:
                raise
            measured.problem = error
    measured.seconds = time.monotonic() - begun
    from skipgrid.host.outputs import joined

    measured.outputs = {name: joined([image for each in found for image in each[name]]) for name in found[0]}
    if prepared.reference:
        with working("running ONNX Runtime"):
            try:
                _compare(prepared, prepared.reference, measured)
            except ValueError as error:
                measured.problem = measured.problem or error
    return measured


def _batches(
    device: "Device", prepared: Prepared, measured: Measured, *, compare: bool
) -> "Iterator[tuple[dict[str, list[NDArray[Any]]], list[ImageRun]]]":
    """Batch by batch, the model's outputs and how its images ran."""
    from skipgrid.host.execution import Runner
    from skipgrid.host.outputs import of_images

    runner = Runner(device, prepared.plan)
    network, reference = prepared.network, prepared.reference
    runner.choose_codes(prepared.given(start)[0] for start in range(0, prepared.images, prepared.batch))
    for start in range(0, prepared.images, prepared.batch):
        tensors, count = prepared.given(start)
        try:
            runs = runner.run(tensors, count)
        except ValueError as error:
            raise type(error)(f"image {start}: {error}") from None
        if compare and reference and not measured.differences:
            measured.compared = True
            measured.differences = reference.compare(tensors, runner.stored, count)
        if network is not None:
            outputs = {network.output.name: network.results(runner.stored[network.output.name])}
        else:
            assert prepared.plan.cut is not None
            outputs = {end.name: runner.stored[end.name] for end in prepared.plan.cut.model.outputs}
        yield {name: of_images(tensor, prepared.batch)[:count] for name, tensor in outputs.items()}, runs


def _compare(prepared: Prepared, reference: "Reference", measured: Measured) -> None:
    """Say of the images that ran whether ONNX Runtime's outputs are the same, and if not whether its float32 kernels are why."""
    import numpy as np

    from skipgrid.host.outputs import of_images

    equal, unexplained, in_float = True, False, 0
    for start in range(0, len(measured.runs), prepared.batch):
        tensors, count = prepared.given(start)
        theirs = {name: of_images(tensor, prepared.batch) for name, tensor in reference.outputs(tensors).items()}
        for image in range(count):
            ours = {name: tensor[start + image] for name, tensor in measured.outputs.items()}
            if all(np.array_equal(ours[name], theirs[name][image], equal_nan=theirs[name][image].dtype.kind == "f") for name in ours):
                continue
            equal = False
            unexplained = unexplained or not reference.explains(tensors, image)
            in_float += 1
    measured.equal, measured.in_float = equal, 0 if unexplained else in_float
