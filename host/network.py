"""A network as the accelerator runs it: layers, and how the model's own input and output turn into 8-bit activations and back."""

from dataclasses import dataclass
from itertools import permutations
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skipgrid.golden.layer import Activation, Layer, check_network


class ModelError(ValueError):
    """A model that this accelerator cannot run. The message names the node and says what is not supported and what is."""


@dataclass(frozen=True)
class Port:
    """One end of a network: the model's own tensor and the activations that stand for it.

    name: the tensor's name in the model.
    shape: of one image, as the model has it (without the batch).
    activation: how the accelerator holds it.
    scale: the float32 value of one step, when the model's own tensor is float32; None when it is the 8-bit activations themselves.
    """

    name: str
    shape: tuple[int, ...]
    activation: Activation
    scale: np.float32 | None = None

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of the model's own tensor."""
        return np.dtype(self.activation.dtype if self.scale is None else np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """A chain of layers, each reading what the one before it stored; ValueError unless they and the ends follow each other.

    name: what reports call it.
    layers: in the order they run.
    input, output: the network's two ends.
    """

    name: str
    layers: tuple[Layer, ...]
    input: Port
    output: Port

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError(f"the network {self.name} has no layer")
        check_network(self.layers)
        for end, port, activation, shape in (
            ("input", self.input, self.layers[0].x, self.input_shape),
            ("output", self.output, self.layers[-1].y, self.output_shape),
        ):
            if port.activation != activation or prod(port.shape) != prod(shape):
                raise ValueError(f"the network's {end} is {port.activation} of {port.shape}, but its layers have {activation} of {shape}")
            if port.scale is not None and not (isinstance(port.scale, np.float32) and 0 < port.scale < np.inf):
                raise ValueError(f"the scale of the network's {end} is a positive float32, not {port.scale!r}")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the first layer's input."""
        return self.layers[0].shape

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(K, rows, columns) of the last layer's output."""
        return self.layers[-1].out_shape

    def activations(self, images: NDArray[np.generic]) -> NDArray[np.integer]:
        """The first layer's inputs (N, C, H, W) for images in the model's own type and shape, with the batch first.

        TypeError or ValueError if the images are of another type or shape, or hold what is no number.
        """
        if images.dtype != self.input.dtype:
            raise TypeError(
                f"the images are {images.dtype}, but the model's input {self.input.name!r} is {self.input.dtype};"
                f" prepare them as for the model's training, and store them with .astype(numpy.{self.input.dtype})"
            )
        if images.shape[1:] != self.input.shape or images.ndim == 0:
            raise ValueError(
                f"the images' shape is {images.shape}, but the model's input {self.input.name!r} is (N, {_listed(self.input.shape)})"
                + reshaped(images.shape[1:], self.input.shape)
            )
        if not np.isfinite(images).all():
            number = int(np.argwhere(~np.isfinite(images))[0][0])
            value = images[number][~np.isfinite(images[number])][0]
            raise ValueError(f"image {number} holds {value}, which no 8-bit activation stands for; leave it out, or mend it")
        codes = images if self.input.scale is None else quantise(images, self.input.scale, self.input.activation)
        return codes.reshape(len(images), *self.input_shape).astype(self.input.activation.dtype, copy=False)

    def results(self, outputs: NDArray[np.integer]) -> NDArray[np.generic]:
        """The model's own outputs, batch first, for the last layer's outputs (N, K, rows, columns).

        TypeError or ValueError if these are not outputs of the last layer.
        """
        if outputs.dtype != self.output.activation.dtype:
            raise TypeError(f"the outputs are {outputs.dtype}, but the last layer stores {self.output.activation.dtype}")
        if outputs.shape[1:] != self.output_shape or outputs.ndim == 0:
            raise ValueError(f"the outputs' shape is {outputs.shape}, but the last layer stores (N, {_listed(self.output_shape)})")
        values = outputs if self.output.scale is None else dequantise(outputs, self.output.scale, self.output.activation)
        return values.reshape(len(outputs), *self.output.shape)


def quantise(values: ArrayLike, scale: np.float32, activation: Activation) -> NDArray[np.integer]:
    """ONNX's QuantizeLinear: saturate(rne(values / scale) + zero_point), the quotient in float32."""
    steps = np.rint(np.asarray(values, np.float32) / scale)
    # The zero point is added in float64, so that a large quotient does not lose it before saturation.
    codes: NDArray[np.integer] = np.clip(steps.astype(np.float64) + activation.zero_point, activation.low, activation.high).astype(
        activation.dtype
    )
    return codes


def dequantise(codes: NDArray[np.integer], scale: np.float32, activation: Activation) -> NDArray[np.float32]:
    """ONNX's DequantizeLinear: (codes - zero_point) * scale in float32."""
    return (codes.astype(np.int32) - activation.zero_point).astype(np.float32) * scale


def reshaped(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """How images of a shape (without the batch) get another one, as the end of a sentence; empty if they cannot, or it is not known how."""
    if [size for size in shape if size > 1] == [size for size in wanted if size > 1]:
        return f"; .reshape(-1, {_listed(wanted)}) would give them that"
    orders = [order for order in permutations(range(len(shape))) if tuple(shape[axis] for axis in order) == wanted]
    if orders and len(shape) == len(wanted):
        return f"; .transpose(0, {_listed(tuple(axis + 1 for axis in orders[0]))}) puts their axes in that order"
    return ""


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
