"""A planned model on a device: parts on the host by ONNX Runtime, segments on the accelerator, each output beside the golden model's.

runner = Runner(device, plan_model(cut_model("model.onnx"), device.config))
run = runner.run({"input": images})
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import (
    Activation,
    Thresholds,
    coded_bytes,
    decode,
    dense_cycles,
    dense_macs,
    finish,
    from_coded,
    from_sum_bytes,
    run_layer,
    run_network,
    size_bits,
    sparsity,
    useful_macs,
)
from skipgrid.rtl.config import Config

from .compiler.codes import SAMPLE, shortest_codes
from .compiler.fits import DoesNotFit
from .compiler.lowering import lowered
from .compiler.program import Program, compile_network
from .devices.device import Device
from .held import shares
from .onnx.cut import Cut
from .onnx.layers import Found
from .onnx.parts import Part
from .plan import Plan, Segment, halves
from .run import load_program, run_input
from .starts import pass_starts
from .stored import check_entries


@dataclass
class LayerRun:
    """One layer over one image.

    cycles: of all its passes; where layers run from one start, of its part of the run. exact: whether what was read of the accelerator
    equals the golden model's output, of the last layer that ran from a start. held_by: shares of its time, as `held` says; None where it
    was not measured.
    """

    name: str
    sparsity: float
    useful_macs: int
    dense_macs: int
    dense_cycles: int
    cycles: int
    passes: int
    exact: bool
    held_by: dict[str, float] | None


@dataclass
class ImageRun:
    """One image: the cycles of all segments, and its layers in their order.

    starts: of the accelerator. words: sent to it and read from it, for this image. host_seconds: which ONNX Runtime took for its parts.
    """

    cycles: int = 0
    starts: int = 0
    words: int = 0
    host_seconds: float = 0.0
    layers: list[LayerRun] = field(default_factory=list)


class Runner:
    """Runs a plan on a device, one batch at a time.

    stored: of the last batch, each tensor that the accelerator or the host gave, by name.
    """

    def __init__(self, device: Device, plan: Plan) -> None:
        self.device = device
        self.plan = plan
        self.stored: dict[str, NDArray[Any]] = {}
        self._programs: dict[Segment, Program] = {}
        self._thresholds: dict[Segment, Thresholds] = {}
        self._halves: dict[Segment, list[Segment]] = {}  # of those that were too small for an image
        self._loaded: Segment | None = None
        self._probed: set[Segment] = set()  # whose layers have run alone

    def choose_codes(self, batches: Iterable[Mapping[str, NDArray[Any]]]) -> None:
        """Take the codes that are short for the first of the model's inputs, where one segment is all that there is."""
        segment = self.plan.steps[0]
        if len(self.plan.steps) > 1 or isinstance(segment, Part) or segment.program is None:
            return
        first = segment.layers[0]
        inputs = islice((first.read(image) for batch in batches for image in batch[first.source]), SAMPLE)
        self._programs[segment] = self._compiled(segment, np.stack(list(inputs)))

    def _compiled(self, segment: Segment, inputs: NDArray[np.integer]) -> Program:
        """A segment's program with the codes that are short for inputs (N, C, H, W)."""
        network = segment.network
        return compile_network(network, self.device.config, *shortest_codes(network, inputs))

    def run(self, tensors: Mapping[str, NDArray[Any]], count: int) -> list[ImageRun]:
        """Run a batch, of which the first `count` images matter, from the model's inputs; outputs are in `stored` then.

        DeviceError if the device reports an error; DoesNotFit if an image has more nonzeros than any cut can take.
        """
        self.stored = dict(tensors)
        images = [ImageRun() for _ in range(count)]
        for step in self.plan.steps:
            if isinstance(step, Part):
                begun = time.perf_counter()
                self.stored.update(step.run(self.stored))
                for run in images:
                    run.host_seconds += (time.perf_counter() - begun) / count
                continue
            first, last = step.layers[0], step.layers[-1]
            outputs = []
            for image, run in enumerate(images):
                x = first.read(self.stored[first.source][image])
                outputs.append(last.stored(self._segment(step, x, run)))
            outputs += outputs[-1:] * (len(self.stored[first.source]) - count)
            self.stored[last.output] = np.stack(outputs)
        return images

    def _segment(self, segment: Segment, x: NDArray[np.integer], run: ImageRun) -> NDArray[np.integer]:
        """Run one segment over one image's input; its output, as the last layer stores it."""
        if segment.program is None:
            return self._passes(segment.layers[0], x, run)
        layers = segment.network.layers
        thresholds = self._thresholds.setdefault(segment, Thresholds())
        try:
            check_entries(x, [part for layer in layers for part in lowered(layer)], thresholds, self.device.config)
        except DoesNotFit:
            if any(layer.winners is not None or layer.mixture is not None for layer in layers):
                raise
            if segment not in self._halves:
                self._halves[segment] = halves(segment, self.device.config)
            for part in self._halves[segment]:
                x = self._segment(part, x, run)
            return x
        if segment not in self._programs:
            self._programs[segment] = self._compiled(segment, x[np.newaxis])
        program = self._programs[segment]
        if self._loaded is not segment:
            load_program(self.device, program)
            self._loaded = segment
            run.words += sum(map(len, program.packets))
        expected = run_network(x, layers, thresholds)
        result = run_input(self.device, program, x)
        run.cycles += result.cycles
        run.starts += 1
        run.words += _words(x, layers[0].x, program.k_in) + _words(result.output, layers[-1].y, program.k_out)
        exact = np.array_equal(result.output, expected[-1])
        tensors = [x, *expected[:-1]]
        held_by = self._held(segment, tensors, result.counters)
        for found, tensor, cycles, held in zip(segment.layers, tensors, result.layer_cycles, held_by, strict=True):
            run.layers.append(_layer_run(found, tensor, self.device.config, cycles=cycles, passes=1, exact=exact, held_by=held))
        return result.output

    def _held(self, segment: Segment, tensors: list[NDArray[np.integer]], counters: Mapping[str, int]) -> Sequence[dict[str, float] | None]:
        """What holds each layer of a segment, of whose run these are the counters.

        Of several layers each runs once alone, over the first image; but not where one depends on the images before, or on the router.
        """
        layers, config = segment.network.layers, self.device.config
        if len(layers) == 1:
            return [shares(counters, config.rows)]
        if segment in self._probed or any(layer.winners is not None or layer.mixture is not None for layer in layers):
            return [None] * len(layers)
        self._probed.add(segment)
        self._loaded = None
        found = []
        for each, tensor in zip(segment.layers, tensors, strict=True):
            program = self._compiled(Segment((each,), None), tensor[np.newaxis])
            load_program(self.device, program)
            found.append(shares(run_input(self.device, program, tensor).counters, config.rows))
        return found

    def _passes(self, found: Found, x: NDArray[np.integer], run: ImageRun) -> NDArray[np.integer]:
        """Run one layer in passes over one image's input."""
        config, first = self.device.config, x
        cycles, count, exact = 0, 0, True
        counted: Counter[str] = Counter()
        self._loaded = None
        for part in lowered(found.layer):
            expected = run_layer(x, part)
            y, sums = np.empty_like(expected), np.zeros(part.conv_shape, np.int32)
            for start in pass_starts(part, x, expected, config):
                for packet in start.packets:
                    self.device.load(packet)
                answer = self.device.run([start.sent])
                if start.sums:
                    block = sums[start.block]
                    block += from_sum_bytes(decode(answer.packets[0], 4 * block.size, start.k_out), block.shape)
                else:
                    shape = cast(tuple[int, int, int], y[start.block].shape)
                    y[start.block] = from_coded(decode(answer.packets[0], prod(shape), start.k_out), shape, part.y)
                cycles += answer.counters["total_cycles"]
                counted.update(answer.counters)
                run.words += sum(map(len, start.packets)) + len(start.sent) + len(answer.packets[0])
                count += 1
            if start.sums:
                y = finish(sums, part)
            exact = exact and np.array_equal(y, expected)
            x = y
        run.cycles += cycles
        run.starts += count
        held_by = shares(counted, config.rows)
        run.layers.append(_layer_run(found, first, config, cycles=cycles, passes=count, exact=exact, held_by=held_by))
        return x


def _words(tensor: NDArray[np.integer], held: Activation, k: int) -> int:
    """Words of a tensor's stream."""
    return -(-size_bits(coded_bytes(tensor, held), k) // 32)


def _layer_run(
    found: Found,
    x: NDArray[np.integer],
    config: Config,
    *,
    cycles: int,
    passes: int,
    exact: bool,
    held_by: dict[str, float] | None,
) -> LayerRun:
    layer, present = found.layer, found.present
    return LayerRun(
        name=layer.name,
        sparsity=sparsity(coded_bytes(x, layer.x)),
        useful_macs=useful_macs(x, layer, present),
        dense_macs=dense_macs(layer, present),
        dense_cycles=dense_cycles(layer, config.rows, config.lanes, present),
        cycles=cycles,
        passes=passes,
        exact=exact,
        held_by=held_by,
    )


def run_golden(cut: Cut, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All tensors that a model's parts and layers give for a batch, the layers computed by the golden model."""
    stored = dict(tensors)
    for step in cut.steps:
        if isinstance(step, Part):
            stored.update(step.run(stored))
        else:
            images = stored[step.source]
            stored[step.output] = np.stack([step.stored(run_layer(step.read(image), step.layer)) for image in images])
    return stored
