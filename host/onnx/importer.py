"""A model that is one chain of layers, as a network: for programs that stay on the accelerator."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from ..network import ModelError, Network, Port
from .cut import Cut, cut_model
from .layers import Found


def import_model(path: str | Path) -> Network:
    """The network in an ONNX file, named after it.

    FileNotFoundError if there is no such file; ModelError unless all of it runs on the accelerator, layer behind layer.
    """
    cut = cut_model(path)
    if cut.host_nodes:
        raise ModelError(
            "; ".join(f"node {node.name!r} ({node.op}): {node.why}" for node in cut.host_nodes)
            + "; such a model is no network of layers only, but `skipgrid run` runs it, these nodes on the host"
        )
    layers = cut.layers
    for before, after in pairwise(layers):
        if not cut.follows(before, after):
            raise ModelError(
                f"layer {after.layer.name} does not read just what layer {before.layer.name} stores; such a model is no network of layers"
                " behind each other, but `skipgrid run` runs it"
            )
    return Network(cut.model.name, tuple(found.layer for found in layers), _input(cut, layers[0]), _output(cut, layers[-1]))


def _input(cut: Cut, first: Found) -> Port:
    """Where the first layer's input comes from; ModelError unless it is the model's, at most rounded to 8 bits."""
    (end,) = cut.model.inputs
    maker = cut.model.maker.get(first.source)
    if first.source == end.name:
        scale = None
    elif maker is not None and maker.operator == "QuantizeLinear" and maker.inputs[0] == end.name:
        scale = maker.scale(1, "output")
    else:
        raise ModelError(
            f"layer {first.layer.name} does not read the model's input {end.name!r} as it is; `skipgrid run` runs such a model"
        )
    if not np.array_equal(first.take.reshape(-1), np.arange(first.take.size)):
        raise ModelError(f"layer {first.layer.name} reads the model's input in another order; `skipgrid run` runs such a model")
    return Port(end.name, end.of_image, first.layer.x, scale)


def _output(cut: Cut, last: Found) -> Port:
    """Where the last layer's output goes to, likewise."""
    if len(cut.model.outputs) != 1:
        raise ModelError(f"the model has {len(cut.model.outputs)} outputs; `skipgrid run` runs such a model")
    end = cut.model.outputs[0]
    maker = cut.model.maker[end.name]
    if last.output == end.name:
        scale = None
    elif maker.operator == "DequantizeLinear" and maker.inputs[0] == last.output:
        scale = maker.scale(1, "input")
    else:
        raise ModelError(f"the model's output {end.name!r} is not what its last layer stores; `skipgrid run` runs such a model")
    if (last.place < 0).any() or not np.array_equal(last.place.reshape(-1), np.arange(last.place.size)):
        raise ModelError("the model's output is not as its last layer stores it; `skipgrid run` runs such a model")
    return Port(end.name, cut.model.sizes[end.name][1:], last.layer.y, scale)
