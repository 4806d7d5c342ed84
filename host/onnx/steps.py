"""What a layer consists of before it is one, whichever of ONNX Runtime's int8 formats it was written in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .graph import Constant, Node

Shape = tuple[int, int, int]
Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Linear:
    """A convolution, or a fully connected layer as a convolution whose filter is as large as its input.

    weights: int8 (K, C, R, S); weight_scale: float32 (K,).
    bias: (K,), int32 in steps of its float32 scales, or plain float32 values; None is no bias.
    shape: (C, H, W) of the input; stride: (rows, columns); pads: (top, left, bottom, right).
    """

    node: Node
    weights: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: Constant | None
    shape: Shape
    stride: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)


@dataclass(frozen=True)
class Clamp:
    """Relu or Clip, on float values; infinite where there is no bound."""

    node: Node
    low: float
    high: float


@dataclass(frozen=True)
class Pool:
    """Max pooling without padding. size, stride: (rows, columns)."""

    node: Node
    size: Pair
    stride: Pair
