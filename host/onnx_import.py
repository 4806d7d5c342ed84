"""Importing an int8 ONNX model: chains of convolutions and fully connected layers with ReLU or Clip and max pooling.

Models come from ONNX Runtime's static quantisation, in its QDQ or its QOperator format, with uint8 or int8 activations. What comes out
gives bit for bit what ONNX Runtime's CPU provider gives, because each layer is one requantisation, with the factor computed in float32 in
the same order. Whatever would need two roundings in a row is refused: the message says how to write it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Layer

from .network import ModelError, Network, Port, quantise
from .onnx_graph import Chain, Constant, Node, read_chain
from .onnx_steps import Bias, Clamp, Dequantise, Linear, Pool, Quantise, Step, read_steps

Held = tuple[np.float32, Activation]
"""How a tensor is held in 8 bits: the float32 value of one step, and type and zero point."""


def import_model(path: str | Path) -> Network:
    """The network in an ONNX file, named after it.

    FileNotFoundError if there is no such file; ModelError, naming the node, for whatever is not supported.
    """
    chain = read_chain(Path(path))
    folding = _Folding(chain)
    for step in read_steps(chain):
        folding.take(step)
    return folding.finish()


class _Folding:
    """Folds steps into layers: a Linear opens a layer, the next Quantise closes it, and clamps and a pooling join it before or after that.

    Clamps and max pooling may trade places with the requantisation, because all of them are monotonic.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.layers: list[Layer] = []
        self.input: Held | None = None  # the network's input, once known
        self.input_scale: np.float32 | None = None  # if it is float
        self.held: Held | None = None  # the last 8-bit tensor
        self.is_float = chain.input.dtype == np.float32
        self.opened: Linear | None = None  # its accumulators are not yet requantised
        self.clamps: list[Clamp] = []  # since the last 8-bit tensor
        self.pool: Pool | None = None

    def take(self, step: Step) -> None:
        """Fold the next step in; ModelError if it does not join a layer."""
        if self.is_float == isinstance(step, Dequantise):
            step.node.refuse(f"its input is {'float' if self.is_float else '8 bit'}, where it must be {'8 bit' if self.is_float else 'float'}")

