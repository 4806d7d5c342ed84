"""Train LeNet-5 by SWAT's rule, so that 80 % of its middle layers' weights are zero, and write what the project keeps of it.

Digits, network, loss and quantisation are those of `train_lenet` without its penalty. In the forward pass the second convolution and the
first two fully connected layers multiply with the Top-K of their weights only. In the backward pass the same weights give the gradient of
the layer's input, and the Top-K of its input's activations, over the batch, gives the gradient of the weights. Gradients stay dense and
reach all weights, so that a weight that is left out may come back. The first and the last layer stay dense.

The Top-K of the weights, 20 % of each layer, is chosen anew at each step, in one of two forms. `balanced` keeps, at each tap, equally many
of the output channels of each of 8 lanes, and a weight of each channel at least: a channel without weights is constant, and not computed,
so that the channels after it would be other lanes'. `unstructured` keeps the largest of the layer. Both are trained, and the balanced one
is kept if it recognises enough of the held-out digits, which choose nothing else.

Source: M. A. Raihan and T. M. Aamodt, "Sparse weight activation training", NeurIPS 2020. The forms are those of
`skipgrid.host.onnx.sparsity`.

Needs the extra `train`. One thread and fixed seeds: the same versions of the libraries on the same machine give the same model.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from skipgrid.host.onnx.importer import import_model
from skipgrid.host.onnx.sparsity import Mask, balanced, unstructured, with_every_channel
from skipgrid.reference.models_page import write_page
from skipgrid.scripts.train_lenet import Digits, LeNet5, load_digits, save, save_report, train, weights_of

NAME = "lenet5-swat"
ZEROS = 0.8
"""The share of weights and of activations that the Top-K leaves out."""
LANES = 8
LEAST = 0.97
"""The share of held-out digits that a kept model in 8 bits recognises at least."""
SPARSE = ("conv2", "fc1", "fc2")

Form = Callable[[NDArray[np.float32]], Mask]


def balanced_channels(weights: NDArray[np.float32]) -> Mask:
    """The Top-K of weights (K, taps...), balanced over the lanes, with a weight of each output channel."""
    return with_every_channel(weights, balanced(weights, ZEROS, LANES), LANES)


FORMS: dict[str, Form] = {
    "balanced": balanced_channels,
    "unstructured": partial(unstructured, zeros=ZEROS),
}
"""The forms of the weights' Top-K, the one that is rather kept first."""


def mask(form: Form, values: Tensor) -> Tensor:
    """True where the Top-K keeps a value."""
    return torch.from_numpy(form(values.detach().numpy()))


class SparseProducts(torch.autograd.Function):
    """A convolution, of stride 1 and without padding, with the weights that a mask keeps.

    x: float (N, C, H, W). weight, kept: (K, C, R, S). The gradient of x is made with the weights that are kept, that of all weights with
    the Top-K of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kept: Tensor) -> Tensor:
        weight = weight * kept
        ctx.save_for_backward(x * mask(FORMS["unstructured"], x), weight)
        return functional.conv2d(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        return conv2d_input(x.shape, weight, gradient), conv2d_weight(x, weight.shape, gradient), None


class SparseConv2d(nn.Conv2d):
    """A convolution from C to K channels, R x R, with the Top-K of its weights: float (N, C, H, W) to (N, K, H - R + 1, W - R + 1)."""

    def __init__(self, C: int, K: int, R: int, form: Form) -> None:
        super().__init__(C, K, R)
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        return SparseProducts.apply(x, self.weight, mask(self.form, self.weight)) + self.bias[:, None, None]


class SparseLinear(nn.Linear):
    """A fully connected layer with the Top-K of its weights: float (N, C) to (N, K)."""

    def __init__(self, C: int, K: int, form: Form) -> None:
        super().__init__(C, K)
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        weight, kept = self.weight[..., None, None], mask(self.form, self.weight)[..., None, None]
        return SparseProducts.apply(x[..., None, None], weight, kept).flatten(1) + self.bias


class SparseLeNet5(LeNet5):
    """LeNet-5 whose middle layers have the Top-K of their weights."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.conv2 = SparseConv2d(6, 16, 5, form)
        self.fc1 = SparseLinear(400, 120, form)
        self.fc2 = SparseLinear(120, 84, form)


def trained(path: Path, form: Form, digits: tuple[Digits, Digits]) -> dict[str, Any]:
    """Train a network whose Top-K has this form, and write it in 8 bits; gives its report, with the weights that are zero in 8 bits."""
    network = train(*digits[0], {}, partial(SparseLeNet5, form))
    weights = weights_of(network)
    for layer in SPARSE:
        dense = weights[f"{layer}.weight"]
        weights[f"{layer}.weight"] = dense * form(dense)
    report = save(path, network, weights, digits)
    for found, imported in zip(report["layers"], import_model(path).layers, strict=True):
        size = imported.weights.size
        found |= {"weights": size, "weight_zeros": 1 - np.count_nonzero(imported.weights) / size}
    return report


def main() -> None:
    """Train in both forms, quantise, measure, and write model, report and `README.md`; RuntimeError if neither recognises enough digits."""
    parser = argparse.ArgumentParser(
        description="Train LeNet-5 with sparse weights on real digits, quantise it to 8 bits, and write model and report."
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).resolve().parent.parent / "models", help="folder (default: %(default)s)"
    )
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    with tempfile.TemporaryDirectory() as made:
        reports = {}
        for name, form in FORMS.items():
            print(name)
            reports[name] = trained(Path(made, f"{name}.onnx"), form, digits)
        chosen = next((name for name, report in reports.items() if report["accuracy_int8"] >= LEAST), None)
        forms = {name: {figure: report[figure] for figure in ("accuracy_float", "accuracy_int8")} for name, report in reports.items()}
        if chosen is None:
            raise RuntimeError(f"neither form recognises {LEAST:.1%} of the held-out digits: {forms}")
        shutil.copyfile(Path(made, f"{chosen}.onnx"), folder / f"{NAME}.onnx")
    settings = {"sparsity": ZEROS, "sparse": SPARSE, "form": chosen, "lanes": LANES, "forms": forms}
    save_report(folder / f"{NAME}.onnx", reports[chosen] | settings)
    print(write_page(folder))


if __name__ == "__main__":
    main()
