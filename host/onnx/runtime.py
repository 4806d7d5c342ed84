"""The same model in ONNX Runtime's CPU provider: its outputs, to compare with, and why they may differ by one step.

Between a Conv, Gemm or MatMul and its rounding there may be a Clip, a Relu or a pooling that ONNX Runtime has no integer kernel for. It
then computes that layer in float32, where every product and sum is rounded, so that a value near the middle between two steps can come
out at the other one. `Reference.explains` follows ONNX Runtime's own tensors from layer to layer and says whether that, and nothing else,
makes two outputs differ.
"""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from skipgrid.golden import Layer, accumulate, max_pool, run_layer

from ..network import ModelError
from .graph import first_line
from .importer import Imported

ROUNDING = 2.0**-24  # of a float32 number, relative


class Reference:
    """A model that ONNX Runtime can run; ModelError if it cannot."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self._session = _session(str(model), model)

    def outputs(self, images: NDArray[np.generic]) -> NDArray[Any]:
        """The model's outputs, batch first; ModelError if ONNX Runtime fails."""
        return self._run(self._session, images)[-1]

    def explains(self, imported: Imported, image: NDArray[np.generic], output: NDArray[np.generic]) -> bool:
        """Whether float32 kernels are all that makes ONNX Runtime's output for an image another one than the golden model's.

        output: ONNX Runtime's, of the same image (1, ...).
        """
        network = imported.network
        model = onnx.load(self.model)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in imported.tensors if name != network.output.name)
        *tensors, last = self._run(_session(model.SerializeToString(), self.model), image, imported.tensors)
        x = network.activations(image)[0]
        for layer, tensor, in_float in zip(network.layers, [*tensors, last], imported.in_float, strict=True):
            stored, exact = tensor.reshape(layer.out_shape), run_layer(x, layer)
            low, high = _reach(x, layer) if in_float else (exact, exact)
            near = np.abs(stored.astype(int) - exact) <= 1
            if stored.dtype != layer.y.dtype or not (near & (stored >= low) & (stored <= high)).all():
                return False
            x = stored
        return np.array_equal(network.results(x[np.newaxis]), output.reshape(1, *network.output.shape))

    def _run(
        self, session: onnxruntime.InferenceSession, images: NDArray[np.generic], names: tuple[str, ...] | None = None
    ) -> list[NDArray[Any]]:
        """Some outputs for all images, a batch at a time: one image, or as many as the model is fixed at, the last batch filled up."""
        put = session.get_inputs()[0]
        batch = put.shape[0] if isinstance(put.shape[0], int) else 1
        found: list[list[NDArray[Any]]] = []
        try:
            for first in range(0, len(images), batch):
                some = images[first : first + batch]
                full = np.concatenate([some, some[-1:].repeat(batch - len(some), axis=0)])
                found.append([tensor[: len(some)] for tensor in session.run(names, {put.name: full})])
        except Exception as error:  # ONNX Runtime's have no class of their own in common
            raise _failure(self.model, error) from error
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def _session(model: str | bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise _failure(path, error) from error


def _failure(model: Path, error: Exception) -> ModelError:
    """The error in one sentence, without where in ONNX Runtime's sources it was found, and with what can be done."""
    reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", first_line(error)).rstrip(".")
    return ModelError(
        f"ONNX Runtime {version('onnxruntime')} cannot run {model}, so that its outputs cannot be compared: {reason};"
        " write the model with an opset and operators that it knows, or save its network with skipgrid.host.network_file.save_network and"
        " run that file, which is compared with the golden model alone"
    )


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
    reached = (np.rint(exact + side * error) + layer.y.zero_point for side in (-1, 1))
    low, high = (max_pool(np.clip(y, *layer.clamp), layer.pool, layer.pool_stride).astype(layer.y.dtype) for y in reached)
    return low, high
