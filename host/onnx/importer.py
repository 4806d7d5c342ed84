"""Importing an int8 ONNX model: chains of convolutions and fully connected layers with ReLU or Clip and max pooling.

Models come from ONNX Runtime's static quantisation, in its QDQ or its QOperator format, with uint8 or int8 activations. What comes out
gives bit for bit what ONNX Runtime's CPU provider gives, because each layer is one requantisation, with the factor computed in float32 in
the same order. Whatever would need two roundings in a row is refused, and the message says how to write it.

Other tools may leave things between a Conv and its roundings for which ONNX Runtime has no integer kernel: a Clip, a pooling, a Relu
whose zero point is not the type's lowest value, another output type, a Flatten of floats. It computes these in float32, so that rarely, at
a tie, an output differs by one step from the exact one that is computed here; runtime.py tells such differences from all others.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Layer
from skipgrid.golden.numerics import requantise_scale

from ..network import ModelError, Network, Port, quantise
from .graph import Chain, Node, read_chain
from .reader import read_steps
from .steps import Clamp, Dequantise, Linear, Pool, Quantise, Step

Held = tuple[np.float32, Activation]
"""How a tensor is held in 8 bits: the float32 value of one step, and type and zero point."""


@dataclass(frozen=True)
class Imported:
    """A network, and where its layers are in the model.

    tensors: of each layer, the name of the 8-bit tensor that it stores. in_float: of each layer, whether something stands between it and
    its DequantizeLinear or QuantizeLinear, so that ONNX Runtime may compute it in float32.
    """

    network: Network
    tensors: tuple[str, ...]
    in_float: tuple[bool, ...]


def import_model(path: str | Path) -> Network:
    """The network in an ONNX file, named after it.

    FileNotFoundError if there is no such file; ModelError, naming the node, for whatever is not supported.
    """
    return read_model(path).network


def read_model(path: str | Path) -> Imported:
    """The same, with where each layer is in the model."""
    chain = read_chain(Path(path))
    folding = _Folding(chain)
    for step in read_steps(chain):
        folding.take(step)
    return Imported(folding.finish(), tuple(folding.tensors), tuple(folding.in_float))


class _Folding:
    """Folds steps into layers: a Linear opens a layer, the next Quantise closes it; clamps and a pooling join it before or after that.

    They may trade places with the requantisation and with each other, because all are monotonic.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.layers: list[Layer] = []
        self.tensors: list[str] = []  # as of Imported, for each layer
        self.in_float: list[bool] = []
        self.input: Port | None = None
        self.held: Held | None = None  # the last 8-bit tensor; None before the network's input is one
        self.is_float = chain.input.dtype == np.float32
        self.dequantised: Node | None = None  # the last one that turned 8 bits into floats
        self.opened: Linear | None = None  # its accumulators are not yet requantised
        self.pool: Pool | None = None  # of the opened layer
        self.clamps: list[Clamp] = []  # since the last 8-bit tensor

    def take(self, step: Step) -> None:
        """Fold the next step in; ModelError if it does not join a layer."""
        match step:
            case Quantise():
                self._quantise(step)
            case Dequantise():
                self._dequantise(step)
            case Pool():
                self._pool(step)
            case _ if not self.is_float:
                step.node.refuse("an 8-bit input is not supported; supported is a float one, after a DequantizeLinear")
            case Linear():
                self._open(step)
            case Clamp():
                if self.opened is None and not self.layers:
                    step.node.refuse("clamping the network's input is not supported; supported is a clamp after a Conv, Gemm or MatMul")
                self.clamps.append(step)

    def finish(self) -> Network:
        """The network; ModelError if its last layer is not complete."""
        if self.opened or self.clamps:
            last = self.clamps[-1].node if self.clamps else self.opened.node  # type: ignore[union-attr]
            last.refuse("a float output is not supported here; supported is a QuantizeLinear after it (and a DequantizeLinear after that)")
        if self.input is None or self.held is None or not self.layers:
            raise ModelError(f"the model {self.chain.name} has no layer; supported are chains with at least one Conv, Gemm or MatMul")
        output = self.chain.output
        scale, activation = self.held
        shape = self.layers[-1].out_shape
        port = Port(output.name, shape if len(output.shape) == 3 else (int(np.prod(shape)),), activation, scale if self.is_float else None)
        return Network(self.chain.name, tuple(self.layers), self.input, port)

    def _quantise(self, step: Quantise) -> None:
        held = step.scale, step.activation
        if not self.is_float:
            step.node.refuse("an 8-bit input is not supported; supported is a float one")
        if self.opened:
            x = self._held(step.node)
            self.layers.append(_layer(self.opened, self.pool, x, held))
            self.in_float.append(not self._direct(self.opened, step) or x[1].dtype != held[1].dtype)
            self.tensors.append("")
        elif self.held is None:
            self.input = Port(self.chain.input.name, self.chain.input.shape, step.activation, step.scale)
        elif held != self.held:
            step.node.refuse(
                f"rounding twice is not supported: its input was rounded to {_shown(self.held)}, its output to {_shown(held)};"
                " supported is the same for both"
            )
        if self.clamps:
            self.layers[-1] = _clamped(self.layers[-1], self.clamps, held)
        self.opened, self.pool, self.clamps = None, None, []
        self.held, self.is_float = held, False
        if self.layers:
            self.tensors[-1] = step.node.outputs[0]

    def _dequantise(self, step: Dequantise) -> None:
        held = step.scale, step.activation
        if self.is_float:
            step.node.refuse("a float input is not supported; supported is an 8-bit one, after a QuantizeLinear")
        if self.held is None:
            self.input = Port(self.chain.input.name, self.chain.input.shape, step.activation)
        elif held != self.held:
            step.node.refuse(f"its input is held with {_shown(self.held)}, and it reads {_shown(held)}; supported is the same")
        self.held, self.is_float, self.dequantised = held, True, step.node

    def _open(self, step: Linear) -> None:
        if self.opened or self.clamps:
            step.node.refuse(
                "an input that was not rounded to 8 bits is not supported; supported is one after QuantizeLinear and DequantizeLinear"
            )
        self._held(step.node)
        self.opened = step

    def _direct(self, linear: Linear, after: Quantise) -> bool:
        """Whether a Linear reads what was 8 bits just before, and is rounded to 8 bits just behind; or is one node with both."""
        if linear.node is after.node:
            return True
        before = self.dequantised
        return before is not None and before.outputs[0] in linear.node.inputs and linear.node.outputs[0] == after.node.inputs[0]

    def _pool(self, step: Pool) -> None:
        if self.opened and self.pool is None:
            self.pool = step
        elif self.opened is None and self.layers and self.layers[-1].pool == (1, 1):
            self.layers[-1] = replace(self.layers[-1], pool=step.size, pool_stride=step.stride)
            self.tensors[-1] = step.node.outputs[0] if not self.is_float else ""  # if float, the rounding behind it has the tensor
        else:
            step.node.refuse("max pooling here is not supported; supported is one after each Conv")

    def _held(self, node: Node) -> Held:
        if self.held is None:
            node.refuse("a float model is not supported; supported is one that onnxruntime.quantization.quantize_static has quantised")
        return self.held


def _layer(linear: Linear, pool: Pool | None, x: Held, y: Held) -> Layer:
    """The layer that a Linear, a pooling and a requantisation make."""
    with np.errstate(over="ignore", under="ignore"):
        scale = requantise_scale(x[0], linear.weight_scale, y[0])
    if not np.all((scale > 0) & np.isfinite(scale)):
        channel = int(np.flatnonzero(~((scale > 0) & np.isfinite(scale)))[0])
        linear.node.refuse(
            f"the factor x_scale * weight_scale / y_scale of channel {channel} is"
            f" {x[0]:.6g} * {linear.weight_scale[channel]:.6g} / {y[0]:.6g} = {scale[channel]:.6g}; supported are positive float32 numbers"
        )
    return Layer(
        name=linear.node.name.removesuffix("_quant"),  # which the QOperator format adds
        weights=linear.weights,
        bias=_integer_bias(linear, x[0]),
        scale=scale,
        shape=linear.shape,
        x=x[1],
        y=y[1],
        stride=linear.stride,
        pads=linear.pads,
        pool=pool.size if pool else (1, 1),
        pool_stride=pool.stride if pool else (1, 1),
    )


def _integer_bias(linear: Linear, x_scale: np.float32) -> NDArray[np.int32]:
    """The bias in the accumulators' own steps, x_scale * weight_scale. ONNX Runtime rounds a float bias to these too."""
    step = x_scale * linear.weight_scale
    if linear.bias is None:
        return np.zeros(len(step), np.int32)
    if linear.bias.scale is None:
        if not np.isfinite(linear.bias.values).all():
            channel = int(np.flatnonzero(~np.isfinite(linear.bias.values))[0])
            linear.node.refuse(f"the bias of channel {channel} is {linear.bias.values[channel]}; supported are finite numbers")
        limits = np.iinfo(np.int32)
        return np.clip(np.rint(linear.bias.values.astype(np.float32) / step).astype(np.float64), limits.min, limits.max).astype(np.int32)
    if not np.allclose(linear.bias.scale, step, rtol=1e-6, atol=0):
        channel = int(np.argmax(np.abs(linear.bias.scale - step)))
        linear.node.refuse(
            f"a bias scale of its own is not supported: that of channel {channel} is {linear.bias.scale[channel]:.6g}; supported is"
            f" x_scale * weight_scale, here {step[channel]:.6g}"
        )
    return linear.bias.values.astype(np.int32)


def _clamped(layer: Layer, clamps: list[Clamp], held: Held) -> Layer:
    """The layer with the bounds of these clamps, as activations."""
    low, high = layer.clamp
    for clamp in clamps:
        low = max(low, int(quantise(clamp.low, *held)))
        high = min(high, int(quantise(clamp.high, *held)))
    return replace(layer, low=low, high=high)


def _shown(held: Held) -> str:
    return f"scale {held[0]:.6g} and {held[1].dtype} zero point {held[1].zero_point}"
