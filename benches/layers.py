"""Single layers of given shape and sparsity, measured in cycles against the limit and checked bit for bit."""

import csv
import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import (
    Layer,
    accumulate,
    best_k,
    coded_bytes,
    dense_cycles,
    dense_macs,
    encode,
    entropy_bits,
    limit_cycles,
    run_layer,
    size_bits,
    sum_bytes,
    two_sided_limit_cycles,
    useful_macs,
)
from skipgrid.host.compiler.descriptors import descriptor, load_descriptor
from skipgrid.host.compiler.listing import unit_slots
from skipgrid.host.compiler.packets import channel_packet, program_packet, weight_packets
from skipgrid.host.compiler.passes import plan
from skipgrid.host.compiler.placement import place
from skipgrid.host.devices.device import Device
from skipgrid.host.held import shares
from skipgrid.host.onnx.sparsity import balanced, unstructured
from skipgrid.rtl.config import Config

WEIGHT_LIMIT = 64  # as in models quantised for every x86 machine


@dataclass(frozen=True)
class Workload:
    """A row of a layer table: a convolution's sizes, and the share of zeros in its input and output."""

    layer: str
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    pad: int
    stride: int
    sparsity: float


@dataclass(frozen=True)
class LayerResult:
    """What was measured of one layer; sizes in bits, times in cycles.

    cycles: from the start, with the input in the activation buffer and the weights resident, to the end, over all passes.
    streamed_cycles: the same, with the input's first word at the port at the start of each pass whose band is not held already.
    stream_bits: of the coded input, in as many streams as there are bands; rows that two bands hold count twice.
    limit_cycles: in which the grid could do the useful multiplications; utilisation: the same over the cycles, so at most 1 unless zero
        weights are skipped, too.
    speedup: cycles of a dense grid of the same size (`golden.dense_cycles`) over the cycles. ideal_speedup: 1 / (1 - zeros of the input).
    passes: runs of the accelerator, each over one band of rows and as many groups of channels as fit. bands: of the input.
    two_sided_limit_cycles: likewise, of multiplications with weights that are not zero; two_sided_utilisation: the same over the cycles.
    weights: that are not zero. weight_bits: bits of the weights in memory, with indices and lists where they are lists, for each of these.
    held_by: shares of the cycles, as `host.held` says.
    bit_exact: every pass's words are those of its block of the golden model's output for the whole layer, or of its sums.
    """

    layer: str
    sparsity: float
    dense_macs: int
    useful_macs: int
    limit_cycles: float
    cycles: int
    streamed_cycles: int
    utilisation: float
    speedup: float
    ideal_speedup: float
    stream_bits: int
    entropy_bits: float
    dense_bits: int
    two_sided_limit_cycles: float
    two_sided_utilisation: float
    weights: int
    weight_bits: float
    held_by: dict[str, float]
    bit_exact: bool
    passes: int
    bands: int


def read_table(path: Path | None = None) -> list[Workload]:
    """The rows of a layer table, by default of the 13 published layers; ValueError names a bad row."""
    try:
        text = (path or resources.files("skipgrid.workloads").joinpath("layers.csv")).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no layer table: it is not text in UTF-8") from error
    rows = []
    for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
        try:
            sizes = {name: int(row[name]) for name in ("C", "H", "W", "K", "R", "S", "pad", "stride")}
            workload = Workload(layer=row["layer"], sparsity=float(row["sparsity"]), **sizes)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"line {number} of the layer table cannot be read ({error}); see workloads/layers.csv") from error
        if min(sizes[name] for name in ("C", "H", "W", "K", "R", "S", "stride")) < 1 or sizes["pad"] < 0:
            raise ValueError(f"line {number} of the layer table: sizes and stride are at least 1, pad at least 0")
        if not 0 <= workload.sparsity <= 1:
            raise ValueError(f"line {number} of the layer table: sparsity lies in 0...1, not at {workload.sparsity}")
        rows.append(workload)
    if not rows:
        raise ValueError(f"{path} holds no layers; a heading and a line for each layer are needed, as in workloads/layers.csv")
    return rows


@dataclass(frozen=True)
class Pruned:
    """Which of a layer's weights are zero: the share `zeros` of them, the smallest, balanced for a configuration's units, or anywhere."""

    zeros: float
    config: Config | None

    def mask(self, weights: NDArray[np.int8]) -> NDArray[np.bool_]:
        """The weights that are kept."""
        if self.config is None:
            return unstructured(weights, self.zeros)
        return balanced(weights, self.zeros, self.config.lanes, unit_slots(weights.shape, self.zeros, self.config))


def make_layer(workload: Workload, seed: int, *, clustered: bool = False, pruned: Pruned | None = None) -> tuple[Layer, NDArray[np.uint8]]:
    """A layer with random weights and an input with exactly the share of zeros asked for; the bias makes the output as sparse.

    pruned: of the weights without it, the smallest are zero.
    """
    rng = np.random.default_rng(seed)
    shape = (workload.C, workload.H, workload.W)
    x = rng.integers(1, 256, shape).astype(np.uint8)
    order = np.argsort((_feature_field(shape, rng) if clustered else rng.random(shape)).reshape(-1), kind="stable")
    x.reshape(-1)[order[: round(workload.sparsity * x.size)]] = 0
    layer = Layer(
        name=workload.layer,
        weights=rng.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, (workload.K, workload.C, workload.R, workload.S)).astype(np.int8),
        bias=np.zeros(workload.K, np.int32),
        scale=np.ones(workload.K, np.float32),
        shape=shape,
        stride=(workload.stride,) * 2,
        pads=(workload.pad,) * 4,
        low=0,
    )
    if pruned:
        layer = layer.replaced(weights=np.where(pruned.mask(layer.weights), layer.weights, 0).astype(np.int8))
    sums = accumulate(x, layer).reshape(workload.K, -1)
    scale = np.float32(64 / max(float(sums.std()), 1.0))
    # Of each channel's outputs so many survive that all channels together have the share asked for; ties do not survive.
    windows = sums.shape[1]
    survivors = ((1 - workload.sparsity) * windows + (rng.permutation(workload.K) + 0.5) / workload.K).astype(int)
    falling = -np.sort(-sums, axis=1)
    largest_zero = np.where(survivors < windows, falling[np.arange(workload.K), np.minimum(survivors, windows - 1)], falling[:, -1] - 1)
    bias = np.floor(0.5 / scale) - largest_zero
    return layer.replaced(scale=np.full(workload.K, scale), bias=bias.astype(np.int32)), x


def _feature_field(shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise that is smooth in space, partly shared by all channels, and stronger in some channels: where it is low are the zeros.

    The weights are chosen so that nonzeros have nonzero neighbours about as often as in LeNet-5's feature maps (a test compares).
    """

    def smooth(field: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (1, 2):
            padded = np.pad(field, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
            near = [np.take(padded, range(i, i + field.shape[axis]), axis=axis) for i in range(3)]
            field = (near[0] + near[1] + near[2]) / 3
        return field / max(float(field.std()), 1e-9)

    own = smooth(smooth(rng.standard_normal(shape)))
    shared = smooth(smooth(rng.standard_normal((1, *shape[1:]))))
    channel = rng.standard_normal((shape[0], 1, 1))
    return own + 0.4 * shared + 0.7 * channel + 1e-6 * rng.standard_normal(shape)


def measure_layer(device: Device, workload: Workload, seed: int, *, clustered: bool = False, pruned: Pruned | None = None) -> LayerResult:
    """Run one layer on a device; DoesNotFit if its memories cannot hold one group, or the input under one row of the output."""
    config = device.config
    layer, x = make_layer(workload, seed, clustered=clustered, pruned=pruned)
    expected = run_layer(x, layer)
    passes = plan(layer, x, config)
    bands = {repr(item.under): coded_bytes(item.read(x), layer.x) for item in passes}
    cycles, streamed, exact = 0, 0, True
    counted: Counter[str] = Counter()
    loaded, held = None, None
    weight_bits = 0
    for item in passes:
        coded = bands[repr(item.under)]
        k_in = best_k(coded)
        block = sum_bytes(accumulate(item.read(x), item.layer)) if item.sums else coded_bytes(expected[item.block], layer.y)
        k_out = best_k(block)
        placed = place([item.layer], config)[0]
        if (item.between, placed.way) != loaded:
            weight_bits += placed.weight_bits(config)
            for packet in weight_packets(placed, config):
                device.load(packet)
            device.load(channel_packet(placed, config, sums=item.sums))
        ends = functools.partial(descriptor, placed, config, buffer=0, to_stream=True, final=True, k_out=k_out, sums=item.sums)
        resident, streaming = ends(from_stream=False), ends(from_stream=True, k_in=k_in)
        loading = load_descriptor(item.layer.shape, buffer=0, k_in=k_in, final=True)
        device.load(program_packet([resident, streaming, loading]))
        runs = []
        if item.under != held:
            words = [encode(coded, k_in)]
            runs.append(device.run(words, program=1))
            device.run(words, program=2)
        runs.append(device.run([]))
        loaded, held = (item.between, placed.way), item.under
        streamed += runs[0].counters["total_cycles"]
        cycles += runs[-1].counters["total_cycles"]
        counted.update(runs[-1].counters)
        right = encode(block, k_out)
        exact &= all(len(run.packets) == 1 and np.array_equal(run.packets[0], right) for run in runs)
    two_sided = two_sided_limit_cycles(x, layer, config.rows, config.lanes)
    nonzero = int(np.count_nonzero(layer.weights))
    dense, useful, limit = dense_macs(layer), useful_macs(x, layer), limit_cycles(x, layer, config.rows, config.lanes)
    return LayerResult(
        layer=workload.layer,
        sparsity=workload.sparsity,
        dense_macs=dense,
        useful_macs=useful,
        limit_cycles=limit,
        cycles=cycles,
        streamed_cycles=streamed,
        utilisation=limit / cycles,
        speedup=dense_cycles(layer, config.rows, config.lanes) / cycles,
        ideal_speedup=1 / (1 - workload.sparsity) if workload.sparsity < 1 else float("inf"),
        stream_bits=sum(size_bits(coded, best_k(coded)) for coded in bands.values()),
        entropy_bits=entropy_bits(coded_bytes(x, layer.x)),
        dense_bits=8 * x.size,
        two_sided_limit_cycles=two_sided,
        two_sided_utilisation=two_sided / cycles,
        weights=nonzero,
        weight_bits=weight_bits / max(1, nonzero),
        held_by=shares(counted, config.rows),
        bit_exact=exact,
        passes=len(passes),
        bands=len(bands),
    )


def bench_layers(
    device: Device, table: Iterable[Workload], seed: int = 0, *, clustered: bool = False, pruned: Pruned | None = None
) -> Iterator[LayerResult]:
    """Measure the layers of a table one after another; layer n is made with seed + n."""
    for number, workload in enumerate(table):
        yield measure_layer(device, workload, seed + number, clustered=clustered, pruned=pruned)


def geomean_utilisation(results: list[LayerResult], *, two_sided: bool = False) -> float:
    """The geometric mean of the layers' utilisation, or two-sided utilisation; 0 if a layer has nothing to multiply."""
    each = [result.two_sided_utilisation if two_sided else result.utilisation for result in results]
    return float(np.exp(np.mean(np.log(each)))) if all(each) else 0.0


def mean_weight_bits(results: list[LayerResult]) -> float:
    """Bits of all layers' weights in memory for each weight that is not zero."""
    return sum(result.weight_bits * result.weights for result in results) / max(1, sum(result.weights for result in results))


def mean_speedup(results: list[LayerResult]) -> float:
    """The arithmetic mean of the layers' speed-up over a dense grid of the same size."""
    return float(np.mean([result.speedup for result in results]))
