"""Functions of one value: nodes between two tensors of 8 bits that compute each element from one of the first, whatever they are.

Such a function has 256 values, for which ONNX Runtime is asked, as the model's own nodes: with all of their roundings, and those to 8 bits
inside of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Function
from skipgrid.golden.numerics import apply_threshold

from ..network import ModelError
from .graph import CONTRIBUTED, PAIR, Node
from .model import Model
from .parts import Part

ELEMENTWISE = (
    *PAIR,
    *("Abs", "Add", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min"),
    *("Mish", "Mul", "Neg", "Pow", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh"),
    *("Shrink", "ThresholdedRelu"),
    *(
        f"{CONTRIBUTED[0]}::{name}"
        for name in ("FastGelu", "Gelu", "QLinearAdd", "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid", "QuickGelu")
    ),
)
OUTPUT_SCALE = {  # the number of the input that has it; the zero point is the next one
    "QuantizeLinear": 1,
    **{f"{CONTRIBUTED[0]}::{name}": 3 for name in ("QLinearLeakyRelu", "QLinearSigmoid")},
    **{f"{CONTRIBUTED[0]}::{name}": 6 for name in ("QLinearAdd", "QLinearMul")},
}
ASKED = 3  # times for each value, in other places


@dataclass(frozen=True, eq=False)
class Between:
    """The nodes of a function, in order; the tensor of 8 bits that they give, and how it is held."""

    nodes: tuple[Node, ...]
    output: str
    scale: np.float32
    held: Activation

    @property
    def named(self) -> str:
        """The operators that compute."""
        return ", ".join(dict.fromkeys(node.operator.rpartition(":")[2] for node in self.nodes if node.operator not in PAIR))


def function_behind(model: Model, source: str) -> Between | None:
    """The nodes from a tensor of 8 bits to the first one of 8 bits through which all goes that is computed of it; None if there is none.

    They read nothing but this tensor, each other, and constants of one element; and nobody else reads what is inside.
    """
    inside, nodes = {source}, list[Node]()
    ends = {end.name for end in model.outputs}
    for node in model.nodes:
        reads = [name for name in node.inputs if name]
        if inside.isdisjoint(reads):
            continue
        outputs = [name for name in node.outputs if name]
        if node.operator not in ELEMENTWISE or len(outputs) != 1 or not all(name in inside or _single(model, name) for name in reads):
            return None
        (output,) = outputs
        if model.sizes[output] != model.sizes[source] or model.varies(output):
            return None
        nodes.append(node)
        if not ends.isdisjoint(inside):
            return None
        waiting = {name for name in inside if any(reader not in nodes for reader in model.readers[name])}
        inside.add(output)
        if not waiting and model.is_code(output) and any(each.operator not in PAIR for each in nodes):
            return _held(tuple(nodes), output)
    return None


def threshold_of(function: Function, after: Activation) -> int | None:
    """The threshold that the function is: what is nearer to the zero point becomes that, and nothing else changes; None if it is none."""
    before = function.before
    if after != before:
        return None
    every = np.arange(before.low, before.low + 256).astype(before.dtype)
    distance = np.abs(every.astype(int) - before.zero_point)
    threshold = int(distance[function.values != before.zero_point].min(initial=256))
    return threshold if np.array_equal(function.values, apply_threshold(every, before.zero_point, threshold)) else None


def _single(model: Model, name: str) -> bool:
    """Whether a tensor is a constant of one element."""
    return name in model.constants and model.constants[name].values.size == 1


def _held(nodes: tuple[Node, ...], output: str) -> Between | None:
    """The nodes with how the last one says that its output is held; None if it does not."""
    last = nodes[-1]
    if last.operator not in OUTPUT_SCALE:
        return None
    place = OUTPUT_SCALE[last.operator]
    try:
        return Between(nodes, output, last.scale(place, "output"), last.activation(place + 1, "output", "uint8"))
    except ModelError:
        return None


def values_of(model: Model, source: str, between: Between) -> NDArray[np.integer] | None:
    """What ONNX Runtime makes of each of the source's values, from the lowest up: (256,); None if that depends on where it stands."""
    size, dtype = model.sizes[source], model.dtypes[source]
    elements = int(np.prod(size))
    count = max(-(-256 // elements), 1) * elements
    part, rng = Part(model, {source}, [between.output]), np.random.default_rng(0)
    values = np.zeros(256, between.held.dtype)
    for number in range(ASKED):
        which = rng.permutation(np.resize(np.arange(256), count))
        codes = (which + np.iinfo(dtype).min).astype(dtype).reshape(-1, *size)
        answers = np.concatenate([part.run({source: each})[between.output].reshape(-1) for each in codes])
        if number == 0:
            values[which] = answers
        if not np.array_equal(values[which], answers):
            return None
    return values
