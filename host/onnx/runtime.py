"""The same model in ONNX Runtime's CPU provider: its outputs, to compare with, and why they may differ by one step.

Between a Conv, Gemm or MatMul and its rounding there may be a Clip, a Relu or a pooling that ONNX Runtime has no integer kernel for; and
of some models it makes int8 layers uint8 ones, and finds no integer kernel for those at the seams. It then computes a layer in float32,
where every product and sum is rounded, so that a value near the middle between two steps can come out at the other one.
`Reference.explains` follows ONNX Runtime's own tensors from layer to layer and says whether that, and nothing else, makes two outputs
differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from skipgrid.golden import Layer, accumulate, look_up, max_pool, run_layer

from .cut import Cut
from .parts import Part
from .session import ask, integer_nodes, opened

ROUNDING = 2.0**-24  # of a float32 number, relative
Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Difference:
    """Where a stored tensor differs from ONNX Runtime's: the layer, the first element, both values, and how many elements differ.

    in_float: whether ONNX Runtime computes the layer in float32 where it has to show what is stored, so that ties may differ.
    """

    layer: str
    element: tuple[int, ...]
    ours: int
    theirs: int
    count: int
    in_float: bool


class Reference:
    """A model in ONNX Runtime's default session; ModelError if it cannot run it."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._ends = [end.name for end in cut.model.outputs]
        self._session = opened(cut.model.path, cut.model.path)
        self._exposing: tuple[onnxruntime.InferenceSession, set[str]] | None = None

    def outputs(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """The model's outputs by name, for a whole batch; ModelError if ONNX Runtime fails."""
        return dict(zip(self._ends, ask(self._session, self.cut.model.path, tensors, self._ends), strict=True))

    def stored(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """What layers read and store, and the outputs, by name, for a whole batch.

        Where ONNX Runtime has to show what it stores, it may take other kernels.
        """
        read_or_stored = [name for found in self.cut.layers for name in (found.source, found.output)]
        names = [name for name in dict.fromkeys([*read_or_stored, *self._ends]) if name not in tensors]
        return dict(tensors) | dict(zip(names, ask(self._shown()[0], self.cut.model.path, tensors, names), strict=True))

    def compare(self, tensors: Tensors, stored: Tensors, count: int) -> list[Difference]:
        """Each layer whose stored tensor differs from ONNX Runtime's, among the first images of a batch, in order."""
        theirs = self.stored(tensors)
        differences = []
        for found in self.cut.layers:
            if found.output not in stored:
                continue
            ours = stored[found.output][:count]
            other = theirs[found.output][:count].reshape(ours.shape)
            wrong = np.argwhere(ours != other)
            if len(wrong):
                in_float = found.nodes[0].name not in self._shown()[1]
                first = tuple(int(place) for place in wrong[0])
                differences.append(Difference(found.layer.name, first, int(ours[first]), int(other[first]), len(wrong), in_float))
        return differences

    def explains(self, tensors: Tensors, image: int) -> bool:
        """Whether each layer gives, for ONNX Runtime's own input of it, ONNX Runtime's output, but for what float32 arithmetic can do.

        And whether each part of the host gives that, but for one step: ONNX Runtime averages in float32, in the order in which it lays
        out tensors. Then nothing but its float32 kernels makes its outputs for an image of a batch other ones than the golden model's.
        """
        theirs, (_, integer) = self.stored(tensors), self._shown()
        for found in self.cut.steps:
            if isinstance(found, Part):
                for name, ours in found.run(theirs).items():
                    some = image if ours.shape[:1] == (self.cut.model.batch,) else slice(None)
                    if not self._within_a_step(name, ours[some], theirs[name][some]):
                        return False
                continue
            x, stored = found.read(theirs[found.source][image]), theirs[found.output][image].reshape(found.place.shape)
            exact = run_layer(x, found.layer)
            low, high = (exact, exact) if found.nodes[0].name in integer else _reach(x, found.layer)
            near = (np.abs(stored.astype(int) - found.stored(exact)) <= 1) | (found.layer.function is not None)
            if stored.dtype != exact.dtype or not (near & (stored >= found.stored(low)) & (stored <= found.stored(high))).all():
                return False
        return True

    def _within_a_step(self, tensor: str, ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
        """Whether two results for a tensor differ by one step at most, if it has been rounded to 8 bits; others must be equal."""
        maker = self.cut.model.maker.get(tensor)
        if self.cut.model.is_code(tensor):
            return bool((np.abs(ours.astype(int) - theirs) <= 1).all())
        if maker is not None and maker.operator == "DequantizeLinear" and maker.is_constant(1) and maker.plain(1, "scale").size == 1:
            return np.allclose(ours, theirs, rtol=1e-6, atol=1.01 * maker.plain(1, "scale").item())
        return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")

    def _shown(self) -> tuple[onnxruntime.InferenceSession, set[str]]:
        """A session that gives all stored tensors, and the nodes that it computes with integers."""
        if self._exposing is None:
            model = onnx.ModelProto()
            model.CopyFrom(self.cut.model.proto)
            known = {value.name for value in model.graph.output} | {value.name for value in model.graph.input}
            names = dict.fromkeys(name for found in self.cut.layers for name in (found.source, found.output) if name not in known)
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
            self._exposing = opened(model, self.cut.model.path), integer_nodes(model, self.cut.model.path)
        return self._exposing


def _reach(x: NDArray[np.integer], layer: Layer) -> tuple[NDArray[Any], NDArray[Any]]:
    """The smallest and largest outputs that float32 arithmetic can give for a layer, whatever the order of its sums.

    A sum of n products, each rounded, with rounded factors and a rounded bias, differs from the exact one by at most about n times the
    rounding of a number times the sum of all magnitudes (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", chapter 3).
    """
    zero, taps = layer.x.zero_point, int(np.prod(layer.weights.shape[1:]))
    per_channel = (-1, 1, 1)
    bias, scale = layer.bias.astype(np.float64).reshape(per_channel), layer.scale.astype(np.float64).reshape(per_channel)
    magnitudes = np.abs(bias) + sum(
        sign * accumulate(part, layer.replaced(weights=weights)).astype(np.float64)
        for part, of_x in ((np.maximum(x, zero), 1), (np.minimum(x, zero), -1))
        for weights, sign in ((np.maximum(layer.weights, 0), of_x), (np.minimum(layer.weights, 0), -of_x))
    )
    exact = (accumulate(x, layer) + bias) * scale
    error = (taps + 8) * ROUNDING * magnitudes * scale
    reached = (np.rint(exact + side * error) + layer.rounded.zero_point for side in (-1, 1))
    low, high = (max_pool(np.clip(y, *layer.clamp), layer.pool, layer.pool_stride).astype(int) for y in reached)
    between = [look_up(np.minimum(low + step, high), layer) for step in range(int((high - low).max()) + 1)]
    return np.min(between, axis=0), np.max(between, axis=0)
