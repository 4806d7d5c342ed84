"""The numbers of a layer: one requantisation, with the factor computed in float32 in ONNX Runtime's order.

So a layer gives bit for bit what ONNX Runtime's integer kernels give. Where it has none for what stands between two roundings to 8 bits (a
Clip, a Relu whose zero point is not the type's lowest value, a pooling of floats), it computes in float32, so that rarely, at a tie, an
output differs by one step from the exact one that is computed here; runtime.py tells such differences from all others.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Layer
from skipgrid.golden.numerics import requantise_scale

from ..network import quantise
from .steps import Clamp, Linear, Pool

RELATIVE = 2.0**-22  # of quotients of float32 numbers, some of them products
Held = tuple[np.float32, Activation]
"""How a tensor is held in 8 bits: the float32 value of one step, and type and zero point."""


def made_layer(linear: Linear, pool: Pool | None, x: Held, y: Held) -> Layer:
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
    """The bias in the accumulators' own steps, x_scale * weight_scale. In most places, ONNX Runtime rounds a float bias to these too."""
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


def bias_is_rounded(linear: Linear, layer: Layer, x_scale: np.float32) -> bool:
    """Whether a layer's bias is another number than the model's, beyond what float32 arithmetic does."""
    if linear.bias is None or linear.bias.scale is not None:
        return False
    exact = linear.bias.values.astype(np.float64) / (x_scale.astype(np.float64) * linear.weight_scale)
    return bool((np.abs(exact - layer.bias) > RELATIVE * np.abs(exact)).any())


def clamped(layer: Layer, clamps: list[Clamp], held: Held) -> Layer:
    """The layer with the bounds of these clamps, as activations."""
    low, high = layer.clamp
    for clamp in clamps:
        low = max(low, int(quantise(clamp.low, *held)))
        high = min(high, int(quantise(clamp.high, *held)))
    return replace(layer, low=low, high=high)


def shown(held: Held) -> str:
    """The same in words."""
    return f"scale {held[0]:.6g} and {held[1].dtype} zero point {held[1].zero_point}"
