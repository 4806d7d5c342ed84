"""The pictures: images with what was recognised, and layers with their utilisation and speed-up."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .files import write

INK, ACCENT, WRONG, PALE = "#1f2933", "#2f6f8f", "#c0392b", "#c9d6df"
SHOWN = 100  # images in a picture

mpl.rcParams |= {"font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}


def draw_images(images: NDArray[Any], labels: NDArray[np.integer], classes: NDArray[np.integer], path: Path, title: str) -> None:
    """A grid of images (N, 1 or 3, H, W) or (N, H, W), each under the class recognised; wrong ones are red, with the right class.

    ValueError for images of another shape. At most the first 100 are shown.
    """
    if images.ndim == 4 and images.shape[1] in (1, 3):
        pictures = images.transpose(0, 2, 3, 1).squeeze(-1) if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    elif images.ndim == 3:
        pictures = images
    else:
        raise ValueError(f"images of shape {images.shape[1:]} cannot be drawn; (H, W), (1, H, W) and (3, H, W) can")
    count = min(len(pictures), SHOWN)
    columns = min(10, count)
    rows = -(-count // columns)
    low, high = float(pictures.min()), float(pictures.max())
    figure = Figure(figsize=(max(4.0, 0.95 * columns), 1.12 * rows + 0.45), layout="constrained")
    shown = f"{title} (the first {count})" if count < len(pictures) else title
    figure.suptitle(shown, fontsize=11)
    axes = np.atleast_1d(figure.subplots(rows, columns)).reshape(-1)
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, label, found in zip(axes, pictures[:count], labels, classes, strict=False):
        scaled = (picture - low) / ((high - low) or 1)
        axis.imshow(scaled, cmap="gray_r" if scaled.ndim == 2 else None, vmin=0, vmax=1, interpolation="nearest")
        right = found == label
        axis.set_title(
            str(found) if right else f"{found}, is {label}",
            fontsize=11,
            pad=2,
            color=INK if right else WRONG,
            weight=None if right else "bold",
        )
        if not right:
            axis.add_patch(
                mpl.patches.Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, edgecolor=WRONG, linewidth=2.5, clip_on=False)
            )
    _save(figure, path)


def draw_layers(report: dict[str, Any], path: Path, *, two_sided: bool = False) -> None:
    """Bars of a `bench layers` report: each layer's utilisation, and its speed-up against a dense grid beside the ideal 1/(1-zeros).

    two_sided: zero weights are skipped, too: of the two-sided limit, beside what that would be.
    """
    layers = report["layers"]
    key, what = ("two_sided_utilisation", "of the two-sided limit") if two_sided else ("utilisation", "utilisation")
    ideals = [layer["speedup"] / layer[key] if two_sided else layer["ideal_speedup"] for layer in layers]
    places = np.arange(len(layers))
    figure = Figure(figsize=(10, 0.42 * len(layers) + 1.7), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    figure.suptitle(f"Layers on {report['preset']} ({report['rows']} rows × {report['lanes']} lanes)", fontsize=12)
    left.barh(places, [100 * layer[key] for layer in layers], color=ACCENT, height=0.65)
    for place, layer in zip(places, layers, strict=True):
        left.text(100 * layer[key] - 1.5, place, f"{layer[key]:.1%}", va="center", ha="right", color="white", fontsize=9)
    left.set_xlim(0, 100)
    left.set_xlabel(f"{what}, % (geometric mean {report[f'geomean_{key}']:.1%})")
    left.set_yticks(places, [f"{layer['layer']} ({layer['sparsity']:.0%} zeros)" for layer in layers])
    left.set_ylim(len(layers) - 0.5, -0.5)
    right.barh(places - 0.17, [layer["speedup"] for layer in layers], color=ACCENT, height=0.34, label="measured")
    right.barh(places + 0.17, ideals, color=PALE, height=0.34, label="at the limit" if two_sided else "1 / (1 − zeros)")
    longest = max(*ideals, *(layer["speedup"] for layer in layers))
    for place, layer in zip(places, layers, strict=True):
        right.text(layer["speedup"] + longest / 100, place - 0.17, f"{layer['speedup']:.1f}", va="center", fontsize=8)
    right.set_xlim(0, 1.1 * longest)
    right.set_xlabel(f"speed-up over a dense grid (mean {report['mean_speedup']:.1f})")
    right.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2, fontsize=9)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    _save(figure, path)


def draw_density(report: dict[str, Any], path: Path) -> None:
    """Cycles of a `bench density` report over the share of nonzeros, with the limit and the time of a dense grid."""
    shares = [100 * point["density"] for point in report["points"]]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.set_title(f"{report['layer']} on {report['preset']} ({report['rows']} rows × {report['lanes']} lanes)", fontsize=12)
    axis.axhline(report["dense_cycles"], color=PALE, linewidth=2, label="a dense grid of the same size")
    axis.plot(shares, [point["limit_cycles"] for point in report["points"]], color=WRONG, linewidth=1, label="limit: useful MACs / PEs")
    axis.plot(shares, [point["cycles"] for point in report["points"]], "o", color=ACCENT, markersize=5, label="measured")
    axis.set_xlim(0, 102)
    axis.set_ylim(0, 1.08 * report["dense_cycles"])
    axis.set_xlabel("nonzero activations, %")
    axis.set_ylabel("cycles")
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0.92))
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_winners(report: dict[str, Any], path: Path) -> None:
    """Accuracy and cycles of a `bench winners` report over the share of winners, beside those of the plain network; and, where that was
    measured, the cycles with thresholds that are known.
    """
    shares = [100 * point["share"] for point in report["shares"]]
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    figure.suptitle(f"LeNet-5 with k winners after its convolutions, on {report['preset']}, {report['images']} digits", fontsize=12)
    above, below = figure.subplots(2, 1, sharex=True)
    for axis, field, factor, name in ((above, "accuracy", 100, "recognised, %"), (below, "cycles_per_image", 1, "cycles a digit")):
        axis.axhline(factor * report["plain"][field], color=PALE, linewidth=2, label="plain network")
        axis.plot(shares, [factor * point[field] for point in report["shares"]], "o-", color=ACCENT, markersize=5, label="k winners")
        axis.set_ylabel(name)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.spines[["top", "right"]].set_visible(False)
    if report["plain"]["choosing_cycles_per_image"] is not None:
        least = [point["cycles_per_image"] - point["choosing_cycles_per_image"] for point in report["shares"]]
        below.plot(shares, least, ":", color=ACCENT, linewidth=1.5, label="by thresholds that are known")
        below.legend(frameon=False, loc="lower right")
    above.set_ylim(0, 102)
    below.set_ylim(0, 1.08 * max(point["cycles_per_image"] for point in (report["plain"], *report["shares"])))
    below.set_xlim(0, 102)
    below.set_xlabel("winners, % of each convolution's outputs")
    above.legend(frameon=False, loc="lower right")
    _save(figure, path)


def draw_pruning(report: dict[str, Any], path: Path) -> None:
    """Of a `prune` report: what is recognised over the cycles that are left, from step to step."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.set_title(f"pruned step by step, {report['images']:,} images", fontsize=12)
    left, right = ([factor * step[name] for step in report["steps"]] for factor, name in ((100, "cycles"), (100, "accuracy")))
    least = right[0] - report["max_drop"]
    axis.axhline(least, color=PALE, linewidth=2, label=f"at most {report['max_drop']:g} points fewer")
    axis.plot(left, right, "o-", color=ACCENT, markersize=3.5, linewidth=1.2)
    axis.set_xlim(100, min(left) - 2)
    axis.set_xlabel(f"cycles on {report['preset']} that are left, %, about")
    axis.set_ylabel("recognised, %" if report["labelled"] else "the same, %")
    axis.legend(frameon=False, loc="lower left")
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_experts(report: dict[str, Any], path: Path) -> None:
    """Of a `bench experts` report: how often digits of each class went to each expert, and the cycles of a few experts and of all."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.set_title(f"which {report['chosen']} of {report['experts']} experts the digits go to", fontsize=12)
    shares = np.array(report["chosen_by"], float)
    shares *= 100 * report["chosen"] / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    for (digit, expert), share in np.ndenumerate(shares):
        if share >= 0.5:
            left.text(expert, digit, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if share > 50 else "black")
    left.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    left.set_xticks(range(shares.shape[1]))
    left.set_yticks(range(shares.shape[0]))
    left.set_xlabel("expert")
    left.set_ylabel("digit; % of its images")
    right.set_title(f"cycles on {report['preset']}", fontsize=12)
    few = report["cycles"] - report["gate_cycles"]
    names = [f"{report['chosen']} of {report['experts']}", "all"]
    gates = [report["gate_cycles"], report["gate_cycles_all_experts"]]
    right.bar(names, gates, width=0.6, color=PALE, label="gate and router")
    right.bar(names, [few, report["all_experts_cycles"]], bottom=gates, width=0.6, color=ACCENT, label="experts")
    right.yaxis.set_major_formatter("{x:,.0f}")
    right.set_xlabel("experts for a digit")
    right.set_ylim(0, 1.25 * (gates[1] + report["all_experts_cycles"]))
    right.legend(frameon=False, loc="upper left")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    drawn = BytesIO()
    figure.savefig(drawn, format=path.suffix.removeprefix("."), dpi=150, facecolor="white")
    write(path, drawn.getvalue())
