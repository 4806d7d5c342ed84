"""Train a mixture of 8 experts on real digits, of which each digit goes to 2, and write what the project keeps of it.

The network sees what LeNet-5's two convolutions make of a digit, as `train_lenet` left them, and has experts in place of its fully
connected layers: a gate of 400 -> 8 scores chooses 2 of 8 experts of 400 -> 64 hidden values each; the hidden values are weighed by the
softmax of the two scores, and all together make the 10 logits, so that the sum over the experts is that of the last layer.

The digits are those of `train_lenet`, turned and moved at random while it trains. The loss is the cross entropy; what keeps experts in
use: 8 times the sum, over the experts, of the share of digits that go to one times its mean probability, which is least if all are alike;
a little of the squared logarithm of the scores' sum, so that scores stay within their 8 bits; and `train_lenet`'s measure of nonzeros among
the hidden values. The settings were chosen among eight by the accuracy on 500 of the training digits, left out for that; nothing was
chosen by the held-out digits.

Sources: N. Shazeer and others, "Outrageously large neural networks: the sparsely-gated mixture-of-experts layer", ICLR 2017 (softmax over
the chosen, noise on the scores while training); W. Fedus, B. Zoph and N. Shazeer, "Switch transformers", JMLR 23, 2022 (the loss of
balance); B. Zoph and others, "ST-MoE", 2022 (that of the scores' size).

Needs the extra `train`. One thread and fixed seeds: the same versions of the libraries on the same machine give the same model.
"""

import argparse
import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from skipgrid.benches.experts import with_chosen
from skipgrid.golden import SCORE_FRACTION, Activation, Layer, Mixture, requantise_scale, route, run_network
from skipgrid.host.network import Network, Port
from skipgrid.host.network_file import save_network
from skipgrid.host.onnx.importer import import_model
from skipgrid.reference.models_page import write_page
from skipgrid.scripts.train_lenet import augment, hoyer_square, load_digits

SEED = 1
EXPERTS, CHOSEN, HIDDEN = 8, 2, 64
COPIES = 16  # of the training digits, each turned and moved at random
EPOCHS = 96
BATCH = 128
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 2e-2
BALANCE, SIZE, PENALTY = 0.1, 1e-2, 0.4  # weights of the losses besides the cross entropy
NOISE = 0.3  # of the scores while it trains
DROPOUT = 0.2  # of hidden values
STEP = 1 / 16  # what one step of a feature counts
MOST = 127  # the largest magnitude of a weight


def features(layers: tuple[Layer, ...], images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the convolutions store of images (N, 1, 28, 28), exactly as the golden model has it: (N, C, H, W)."""
    x = torch.from_numpy(images.copy()).double()
    for layer in layers:
        if layer.pads != (layer.pads[0],) * 4 or layer.stride != (1, 1) or layer.threshold or layer.function:
            raise ValueError(f"layer {layer.name} is not of LeNet-5's kind")
        sums = functional.conv2d(x - layer.x.zero_point, torch.from_numpy(layer.weights.astype(np.float64)), padding=layer.pads[0])
        sums = (sums + torch.from_numpy(layer.bias.astype(np.float64))[:, None, None]).float() * torch.from_numpy(layer.scale.copy())[
            :, None, None
        ]
        x = (sums.round().double() + layer.y.zero_point).clamp(*layer.clamp)
        x = functional.max_pool2d(x, layer.pool, layer.pool_stride)
    made: NDArray[np.uint8] = x.numpy().astype(np.uint8)
    if not np.array_equal(made[0], run_network(images[0], layers)[-1]):
        raise ValueError("the features are not those of the golden model")
    return made


class Experts(nn.Module):
    """The mixture.

    Input float (N, 400); output the logits (N, 10), the scores, a bit for each expert that is chosen, and the hidden values of all.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.gate = nn.Linear(inputs, EXPERTS)
        self.hidden = nn.Linear(inputs, EXPERTS * HIDDEN)
        self.out = nn.Linear(EXPERTS * HIDDEN, 10)

    def forward(self, x: Tensor, k: int = CHOSEN) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """With k experts for each digit."""
        scores = self.gate(x)
        if self.training:
            scores = scores + NOISE * torch.randn_like(scores)
        chosen = torch.zeros_like(scores).scatter(1, scores.topk(k, dim=1).indices, 1.0)
        weights = scores.masked_fill(chosen == 0, -torch.inf).softmax(1)
        hidden = torch.relu(self.hidden(x))
        kept = functional.dropout(hidden, DROPOUT, self.training).view(-1, EXPERTS, HIDDEN)
        return self.out((kept * weights[:, :, None]).flatten(1)), scores, chosen, hidden


def train(codes: NDArray[np.uint8], labels: NDArray[np.int64]) -> Experts:
    """The trained mixture; codes (copies, N, 400), of which each epoch sees one copy."""
    torch.manual_seed(SEED)
    network = Experts(codes.shape[2])
    y = torch.from_numpy(labels)
    steps = EPOCHS * -(-len(y) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(EPOCHS):
        x = torch.from_numpy(codes[epoch % len(codes)]).float() * STEP
        total = 0.0
        for batch in torch.split(torch.randperm(len(y)), BATCH):
            logits, scores, chosen, hidden = network(x[batch])
            balance = EXPERTS * (chosen.mean(0) / CHOSEN * scores.softmax(1).mean(0)).sum()
            size = scores.logsumexp(1).square().mean()
            loss = functional.cross_entropy(logits, y[batch]) + BALANCE * balance + SIZE * size + PENALTY * hoyer_square(hidden)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"\repoch {epoch + 1} of {EPOCHS}, loss {total / len(y):.4f}", end="", flush=True)
    print()
    return network.eval()


def quantised(trained: Experts, before: Layer, codes: NDArray[np.uint8]) -> tuple[Layer, Layer]:
    """The experts, with their gate, and the layer behind them, in 8 bits; the ranges of what they store are those of codes (N, 400)."""
    shape, held = before.out_shape, before.y
    with torch.no_grad():
        x = torch.from_numpy(codes).float() * STEP
        logits, _, _, hidden = trained(x)
    hidden_step = float(hidden.max()) / 255
    logit_step = float(logits.abs().max()) / MOST

    def layer(
        name: str, linear: nn.Linear, shape: tuple[int, int, int], x: Activation, x_step: float, y: Activation, y_step: float
    ) -> Layer:
        weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
        step = (np.abs(weight).max(axis=1) / MOST).astype(np.float32)
        return Layer(
            name,
            np.rint(weight / step[:, None]).astype(np.int8).reshape(-1, *shape),
            np.rint(bias / (x_step * step.astype(np.float64))).astype(np.int32),
            requantise_scale(x_step, step, y_step),
            shape,
            x=x,
            y=y,
        )

    scores = layer("gate", trained.gate, shape, held, STEP, Activation("int8"), 2.0**-SCORE_FRACTION)
    inner = Activation("uint8")
    experts = layer("experts", trained.hidden, shape, held, STEP, inner, hidden_step)
    experts = experts.replaced(low=inner.zero_point, mixture=Mixture(scores, CHOSEN))
    return experts, layer("out", trained.out, experts.out_shape, inner, hidden_step, Activation("int8"), logit_step)


def measure(network: Network, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, Any]:
    """What the golden model recognises with the network's own number of experts, and with all; how often each is chosen; nonzeros."""
    convolutions, mixture = network.layers[:2], network.layers[2].mixture
    assert mixture is not None
    right = {CHOSEN: 0, EXPERTS: 0}
    load, nonzeros = np.zeros(EXPERTS, int), np.zeros(2)
    for image, label in zip(network.activations(images), labels, strict=True):
        x = run_network(image, convolutions)[-1]
        load[[expert for expert, _ in route(x, mixture)]] += 1
        for k in right:
            hidden, logits = run_network(x, with_chosen(network, k).layers[2:])
            right[k] += int(logits.argmax() == label)
            if k == CHOSEN:
                nonzeros += [np.count_nonzero(x), np.count_nonzero(hidden)]
    return {
        "accuracy_int8": right[CHOSEN] / len(labels),
        "accuracy_int8_all_experts": right[EXPERTS] / len(labels),
        "load": load.tolist(),
        "layers": [
            {"name": layer.name, "inputs": int(np.prod(layer.shape)), "nonzeros": mean}
            for layer, mean in zip(network.layers[2:], (nonzeros / len(labels)).tolist(), strict=True)
        ],
    }


def main() -> None:
    """Train, quantise, measure, and write `experts.npz`, `experts.json` and the page beside them."""
    parser = argparse.ArgumentParser(
        description="Train a mixture of experts on real digits behind LeNet-5's convolutions, and quantise it."
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).resolve().parent.parent / "models", help="folder (default: %(default)s)"
    )
    folder: Path = parser.parse_args().output
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    (images, labels), (held_out, held_out_labels) = load_digits()
    lenet = import_model(folder / "lenet5.onnx")
    convolutions = lenet.layers[:2]
    copies = []
    for copy in range(COPIES):
        moved = augment(torch.from_numpy(images).float() / 255) * 255 if copy else torch.from_numpy(images).float()
        copies.append(features(convolutions, moved.round().numpy().astype(np.uint8)).reshape(len(images), -1))
    trained = train(np.stack(copies), labels)
    with torch.no_grad():
        held = torch.from_numpy(features(convolutions, held_out).reshape(len(held_out), -1)).float() * STEP
        found = {k: float((trained(held, k)[0].argmax(1).numpy() == held_out_labels).mean()) for k in (CHOSEN, EXPERTS)}
    experts, out = quantised(trained, convolutions[-1], copies[0])
    output = Port("logits", (10,), out.y)
    network = replace(lenet, name="experts", layers=(*convolutions, experts, out), output=output)
    save_network(network, folder / "experts.npz")
    report = {
        "accuracy_float": found[CHOSEN],
        "accuracy_float_all_experts": found[EXPERTS],
        **measure(network, held_out, held_out_labels),
        "experts": EXPERTS,
        "chosen": CHOSEN,
        "hidden": HIDDEN,
        "training": len(images),
        "held_out": len(held_out),
        "seed": SEED,
        "epochs": EPOCHS,
        "versions": {name: version(name) for name in ("torch", "mlxtend", "numpy")},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    (folder / "experts.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_page(folder)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
