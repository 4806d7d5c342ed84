"""A plan as starts of the accelerator, without one: what is loaded before each, what is sent, and what comes back, to the bit.

found = plan_starts(plan, [({"input": images}, len(images))])
for stage in found.images[segment][0]: ...           # how the first image goes through a segment

The golden model computes what comes back, and ONNX Runtime the parts of the host.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Layer, Thresholds, accumulate, best_k, coded_bytes, encode, limit_cycles, run_layer, run_network, sum_bytes
from skipgrid.rtl.config import Config

from .compiler.codes import SAMPLE, shortest_codes
from .compiler.descriptors import network_program
from .compiler.fits import DoesNotFit
from .compiler.lowering import lowered
from .compiler.packets import load_packets, program_packet
from .compiler.passes import Slices, plan
from .compiler.placement import place
from .compiler.program import Program, compile_network
from .devices.device import Words
from .onnx.parts import Part
from .outputs import joined, of_images
from .plan import Plan, Segment, halves
from .stored import check_entries

Tensor = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Start:
    """One start of the accelerator, over one image.

    packets: what is loaded before it, in order; of a layer in passes, without what lies there from the start before. k_in, k_out: of the
    codes. under, block: (channels, rows, columns) of what the stage reads and of what it gives that this start is about. sent, expected:
    the words of both streams. least_cycles: in which the grid could do it if no element ever waited. sums: whether what comes back are the
    bytes of the pass's sums, each as four channels, least significant first.
    """

    packets: list[Words]
    k_in: int
    k_out: int
    under: Slices
    block: Slices
    sent: Words
    expected: Words
    least_cycles: int
    sums: bool = False


@dataclass(frozen=True, eq=False)
class Stage:
    """What makes one tensor of the next: layers that run from one start, or one layer in passes, in their order."""

    layers: tuple[Layer, ...]
    starts: tuple[Start, ...]


@dataclass(frozen=True, eq=False)
class Starts:
    """All starts of a plan over some images.

    programs: of each segment that runs from one start, with codes that are short for these images. images: of each segment, for each image,
    its stages: one, but for a segment in which an image has more nonzeros than the buffers hold, and a layer that is computed as two.
    outputs: the model's, by name, as its last steps give them.
    """

    programs: dict[Segment, Program]
    images: dict[Segment, list[tuple[Stage, ...]]]
    outputs: dict[str, NDArray[Any]]


def plan_starts(plan: Plan, batches: Sequence[tuple[Mapping[str, NDArray[Any]], int]]) -> Starts:
    """The starts of a plan over batches: for each, the model's inputs and how many of its images count.

    DoesNotFit if an image has more nonzeros than any cut can take; ModelError if ONNX Runtime fails.
    """
    stored = [dict(tensors) for tensors, _ in batches]
    counts = [count for _, count in batches]
    programs: dict[Segment, Program] = {}
    images: dict[Segment, list[tuple[Stage, ...]]] = {}
    for step in plan.steps:
        if isinstance(step, Part):
            for tensors in stored:
                tensors.update(step.run(tensors))
            continue
        first, last = step.layers[0], step.layers[-1]
        read = [first.read(image) for tensors, count in zip(stored, counts, strict=True) for image in tensors[first.source][:count]]
        if step.program is not None:
            programs[step] = _compiled(step, read, plan.config)
        thresholds, images[step], gone = Thresholds(), [], []
        for number, x in enumerate(read):
            try:
                stages, y = _through(step, programs.get(step), x, thresholds, plan.config)
            except DoesNotFit as error:
                raise DoesNotFit(f"image {number}: {error}") from None
            images[step].append(stages)
            gone.append(last.stored(y))
        given = iter(gone)
        for tensors, count in zip(stored, counts, strict=True):
            some = list(islice(given, count))
            tensors[last.output] = np.stack(some + some[-1:] * (len(tensors[first.source]) - count))
    names = [end.name for end in plan.cut.model.outputs] if plan.cut else [plan.segments[-1].layers[-1].output]
    whole = [(tensors, count, len(next(iter(tensors.values())))) for tensors, count in zip(stored, counts, strict=True)]
    outputs = {
        name: joined([image for tensors, count, batch in whole for image in of_images(tensors[name], batch)[:count]]) for name in names
    }
    return Starts(programs, images, outputs)


def _compiled(segment: Segment, inputs: Sequence[Tensor], config: Config) -> Program:
    """The program of a segment, with the codes that are short for the first of some inputs (C, H, W)."""
    return compile_network(segment.network, config, *shortest_codes(segment.network, np.stack(inputs[:SAMPLE])))


def _through(
    segment: Segment, program: Program | None, x: Tensor, thresholds: Thresholds, config: Config
) -> tuple[tuple[Stage, ...], Tensor]:
    """The stages of a segment over an input (C, H, W), and what its last layer stores.

    program: with which it runs from one start; None for a layer in passes. thresholds: what the images before have left.
    """
    if program is None:
        return _in_passes(segment.layers[0].layer, x, config)
    layers = program.network.layers
    try:
        check_entries(x, [part for layer in layers for part in lowered(layer)], thresholds, config)
    except DoesNotFit:
        if any(layer.winners is not None or layer.mixture is not None for layer in layers):
            raise
        stages: tuple[Stage, ...] = ()
        for half in halves(segment, config):
            more, x = _through(half, None if half.program is None else _compiled(half, [x], config), x, Thresholds(), config)
            stages += more
        return stages, x
    outputs = run_network(x, layers, thresholds)
    start = Start(
        packets=program.packets,
        k_in=program.k_in,
        k_out=program.k_out,
        under=_whole(layers[0].shape),
        block=_whole(layers[-1].out_shape),
        sent=encode(coded_bytes(x, layers[0].x), program.k_in),
        expected=encode(coded_bytes(outputs[-1], layers[-1].y), program.k_out),
        least_cycles=sum(_least_cycles(read, layer, config) for read, layer in zip([x, *outputs[:-1]], layers, strict=True)),
    )
    return (Stage(layers, (start,)),), outputs[-1]


def pass_starts(layer: Layer, x: Tensor, y: Tensor, config: Config) -> Iterator[Start]:
    """The passes of a layer, as the accelerator computes it, over an input (C, H, W), of which y comes; DoesNotFit if there are none."""
    loaded: object = None  # the channels between which weights lie there, and the way in which they are used
    for item in plan(layer, x, config):
        coded = coded_bytes(item.read(x), layer.x)
        block = sum_bytes(accumulate(item.read(x), item.layer)) if item.sums else coded_bytes(y[item.block], layer.y)
        k_in, k_out = best_k(coded), best_k(block)
        placed = place([item.layer], config)
        lies = item.between, placed[0].way
        packets = [program_packet(network_program(placed, config, k_in=k_in, k_out=k_out, sums=item.sums))]
        if lies != loaded:
            packets += load_packets(placed, config, sums=item.sums)
            loaded = lies
        cycles = _least_cycles(item.read(x), item.layer, config)
        yield Start(packets, k_in, k_out, item.under, item.block, encode(coded, k_in), encode(block, k_out), cycles, item.sums)


def _in_passes(layer: Layer, x: Tensor, config: Config) -> tuple[tuple[Stage, ...], Tensor]:
    """The stages of a layer that runs in passes over an input (C, H, W), and what it stores."""
    stages = []
    for part in lowered(layer):
        y = run_layer(x, part)
        starts = tuple(pass_starts(part, x, y, config))
        if any(start.sums for start in starts):
            raise DoesNotFit(
                f"{layer.name}: {config.name} computes it over parts of its input's channels, whose sums the host adds, but what is"
                f" compiled has no host; more weights, features or entries in its configuration hold all channels at once"
            )
        stages.append(Stage((part,), starts))
        x = y
    return tuple(stages), x


def _least_cycles(x: Tensor, layer: Layer, config: Config) -> int:
    return ceil(limit_cycles(x, layer, config.rows, config.lanes))


def _whole(shape: tuple[int, int, int]) -> Slices:
    C, H, W = shape
    return slice(0, C), slice(0, H), slice(0, W)
