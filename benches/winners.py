"""LeNet-5 with k winners after its convolutions: what it recognises, its cycles, and the bits of the tensors, over the share that wins."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Layer, Thresholds, Winners, best_k, coded_bytes, run_layer, run_network, size_bits, smallest_winner
from skipgrid.host.compiler.codes import shortest_codes
from skipgrid.host.compiler.program import compile_network
from skipgrid.host.devices.device import Device
from skipgrid.host.network import Network
from skipgrid.rtl.config import Config

from .images import ImageResult, measure_images, recognised

SHARES = (1, 0.5, 0.3, 0.2, 0.1)
RUN = 100  # images whose cycles are counted; what is recognised in all others the golden model says


@dataclass(frozen=True)
class WinnersResult:
    """What was measured with one share of winners, or with the plain network (None).

    Cycles are means over the first `RUN` images, bits over all of them.
    accuracy: the share of images that are recognised. choosing_cycles_per_image: how many of the cycles it takes less when an image comes
    again, and the thresholds are kept from the first time. For that each layer has so many winners that none is left out that equals the
    smallest one: a kept threshold keeps the same ones, so all that follows is the same in both runs. None where a threshold is kept anyway.
    winners_cycles_per_image: those in which an output waited for being chosen among, or a unit of work for what was chosen.
    bits_per_image: of the convolutions' outputs, coded, with the k of the code that is best for each. bit_exact: all outputs of the
    accelerator equal the golden model's.
    """

    share: float | None
    accuracy: float
    cycles_per_image: float
    choosing_cycles_per_image: float | None
    winners_cycles_per_image: float
    bits_per_image: float
    bit_exact: bool


def with_winners(config: Config, *, per_pixel: bool = False) -> Config:
    """The configuration with the unit that chooses winners of tensors, or of pixels, of which LeNet-5's have up to 16 channels."""
    if per_pixel:
        return config if config.pixel_winners else config.replaced(pixel_winners=16, name=f"{config.name}-pixel-winners")
    return config if config.winners else config.replaced(winners=2048, name=f"{config.name}-winners")


def is_convolution(layer: Layer) -> bool:
    """Whether the layer's filter is smaller than its input."""
    return layer.weights.shape[2:] != layer.shape[1:]


def with_share(network: Network, share: float | None, *, period: int = 1, per_pixel: bool = False) -> Network:
    """The network with this share of winners in each convolution; None for no winners. period, per_pixel: as of `Winners`."""
    winners = None if share is None else Winners(share=share, period=period, per_pixel=per_pixel)
    layers = tuple(layer.replaced(winners=winners) if is_convolution(layer) else layer for layer in network.layers)
    return replace(network, layers=layers)


def bench_winners(
    device: Device,
    network: Network,
    images: NDArray[np.generic],
    labels: NDArray[np.integer],
    *,
    period: int = 1,
    per_pixel: bool = False,
) -> Iterator[WinnersResult]:
    """Run the plain network over the images, then with each share of winners, one result each.

    period, per_pixel: as of `Winners`.
    """
    inputs = network.activations(images)
    for share in (None, *SHARES):
        changed = with_share(network, share, period=period, per_pixel=per_pixel)
        program = compile_network(changed, device.config, *shortest_codes(changed, inputs))
        results = list(measure_images(device, program, inputs[:RUN]))
        chosen, known = [], []
        if period == 1 and not per_pixel and share not in (None, 1):
            for x in inputs[:RUN]:
                untied = compile_network(without_ties(changed, x), device.config, program.k_in, program.k_out)
                first, again = measure_images(device, untied, np.stack([x, x]))
                chosen.append(first)
                known.append(again)
        thresholds = Thresholds()
        tensors = [run_network(x, changed.layers, thresholds) for x in inputs]
        found = recognised(network.results(np.stack([outputs[-1] for outputs in tensors])))
        yield WinnersResult(
            share=share,
            accuracy=float((found == labels).mean()),
            cycles_per_image=_mean_cycles(results),
            choosing_cycles_per_image=_mean_cycles(chosen) - _mean_cycles(known) if period == 1 and not per_pixel else None,
            winners_cycles_per_image=float(np.mean([result.winners_cycles for result in results])),
            bits_per_image=float(np.mean([_bits(outputs, changed.layers) for outputs in tensors])),
            bit_exact=all(result.bit_exact_golden for result in (*results, *chosen, *known)),
        )


def without_ties(network: Network, x: NDArray[np.integer]) -> Network:
    """The network with a period of 2, and in each layer as many winners more as there are outputs for x that equal the smallest one."""
    layers = []
    for each in network.layers:
        layer = each
        if layer.winners is not None:
            y = run_layer(x, layer.replaced(winners=None))
            values = y.astype(np.int32) - layer.y.zero_point
            smallest = smallest_winner(y, layer.y.zero_point, layer.winners.count(y.size))
            reach = 0 if smallest is None else int((values >= smallest).sum())
            layer = layer.replaced(winners=Winners(reach, period=2))
        x = run_layer(x, layer)
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def _mean_cycles(results: list[ImageResult]) -> float:
    """Of some images; 0 without any."""
    return float(np.mean([result.cycles for result in results])) if results else 0.0


def _bits(outputs: list[NDArray[np.integer]], layers: tuple[Layer, ...]) -> int:
    """The coded bits of the convolutions' outputs."""
    coded = [coded_bytes(y, layer.y) for y, layer in zip(outputs, layers, strict=True) if is_convolution(layer)]
    return sum(size_bits(tensor, best_k(tensor)) for tensor in coded)
