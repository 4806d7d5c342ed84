"""What a plan will cost before it runs: passes, words that travel, and how much of each memory is needed.

How a layer's input is cut, and how long its code is, depend on its nonzeros; a forecast takes so large a share of them for granted.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, best_k, coded_bytes, size_bits
from skipgrid.rtl.descriptor import SLOT_WORDS

from .compiler.lowering import lowered
from .compiler.packets import load_packets
from .compiler.passes import Pass, plan
from .compiler.placement import Placed, place
from .onnx.graph import PAIR
from .onnx.parts import Part
from .plan import Plan, Segment

SHARE = 0.5  # of activations that are not zero


@dataclass(frozen=True)
class Forecast:
    """One step of a plan.

    on: "accelerator" or "host". names: of its layers or of its nodes. passes: how many starts. load_words: of weights, parameters and
    programs; stream_words: of its inputs and outputs. weights, channels, layers, features, pixels, functions: so much of the memories
    with these names it takes, of those of its largest pass; functions are tables.
    """

    on: str
    names: tuple[str, ...]
    passes: int = 0
    load_words: int = 0
    stream_words: int = 0
    weights: int = 0
    channels: int = 0
    layers: int = 0
    features: int = 0
    pixels: int = 0
    functions: int = 0


def forecast(plan_: Plan) -> list[Forecast]:
    """The steps of a plan, in their order."""
    return [_part(step) if isinstance(step, Part) else _segment(step, plan_) for step in plan_.steps]


def _part(part: Part) -> Forecast:
    names = tuple(proto.name or proto.output[0] for proto in part.protos if proto.op_type not in PAIR)
    return Forecast("host", names)


def _segment(segment: Segment, plan_: Plan) -> Forecast:
    names = tuple(found.layer.name for found in segment.layers)
    layers = segment.network.layers
    streams = _words(layers[0].shape, layers[0].x) + _words(layers[-1].out_shape, layers[-1].y)
    parts = [part for layer in layers for part in lowered(layer)]
    if segment.program is not None:
        held = [part.shape[1] * part.shape[2] for part in parts]
        return Forecast(
            "accelerator",
            names,
            passes=1,
            load_words=sum(map(len, segment.program.packets)),
            stream_words=streams,
            weights=sum(item.weights(plan_.config) for item in segment.program.placed),
            channels=sum(item.channels(plan_.config) for item in segment.program.placed),
            layers=segment.program.descriptors,
            features=max(part.shape[0] * part.shape[2] for part in parts),
            pixels=max(sum(held[number : number + 2]) for number in range(len(held))),
            functions=len({item.table for item in segment.program.placed} - {None}),
        )
    items: list[tuple[Pass, Placed]] = []
    load = stream = 0
    for part in parts:
        loaded = None
        for item in plan(part, _drawn(part.shape, part.x), plan_.config):
            (placed_pass,) = place([item.layer], plan_.config)
            load += SLOT_WORDS + 1
            if item.between != loaded:
                load += sum(map(len, load_packets([placed_pass], plan_.config)))
                loaded = item.between
            stream += _words(item.layer.shape, item.layer.x)
            stream += prod(item.layer.out_shape) if item.sums else _words(item.layer.out_shape, item.layer.y)
            items.append((item, placed_pass))
    return Forecast(
        "accelerator",
        names,
        passes=len(items),
        load_words=load,
        stream_words=stream,
        weights=max(placed_pass.weights(plan_.config) for _, placed_pass in items),
        channels=max(placed_pass.channels(plan_.config) for _, placed_pass in items),
        layers=1,
        features=max(item.layer.shape[0] * item.layer.shape[2] for item, _ in items),
        pixels=max(item.layer.shape[1] * item.layer.shape[2] for item, _ in items),
        functions=max(item.table is not None for _, item in items),
    )


def _words(shape: tuple[int, int, int], held: Activation) -> int:
    """Words of a tensor's stream."""
    coded = coded_bytes(_drawn(shape, held), held)
    return -(-size_bits(coded, best_k(coded)) // 32)


def _drawn(shape: tuple[int, int, int], held: Activation) -> NDArray[np.integer]:
    """A tensor of which so large a share as is taken for granted is not zero."""
    rng = np.random.default_rng(prod(shape))
    values = rng.integers(held.low, held.high, shape, endpoint=True)
    return np.where(rng.random(shape) < SHARE, values, held.zero_point).astype(held.dtype)
