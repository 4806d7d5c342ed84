"""A network with a mixture of experts: what it recognises and its cycles with a few experts for each image, and with all of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Mixture, route, run_network
from skipgrid.host.compiler.codes import shortest_codes
from skipgrid.host.compiler.descriptors import descriptors
from skipgrid.host.compiler.fits import group_weights, groups
from skipgrid.host.compiler.program import compile_network
from skipgrid.host.devices.device import Device
from skipgrid.host.network import Network
from skipgrid.rtl.config import Config
from skipgrid.rtl.experts.router_map import ARRAYS, REGISTERS, ExpertArray
from skipgrid.rtl.register_map import ROUTER_BASE

from .images import ImageResult, measure_images, recognised

CONTROL = REGISTERS["CONTROL"]


@dataclass(frozen=True)
class ExpertsResult:
    """What was measured with so many experts for each image; cycles are means over the images.

    chosen: experts for each image. accuracy: the share of images that are recognised. gate_cycles: of the gate, until the router has
    chosen. experts_cycles: from then on, to the last output word. cycles_per_image: of the whole network. load: how often each expert was
    chosen, as the router counted. chosen_by: [class, expert] how often, from the golden model.
    bit_exact: all outputs, and what the router counted, equal the golden model's.
    """

    chosen: int
    accuracy: float
    gate_cycles: float
    experts_cycles: float
    cycles_per_image: float
    load: list[int]
    chosen_by: list[list[int]]
    bit_exact: bool


def with_experts(config: Config, network: Network, chosen: int) -> Config:
    """The configuration with a router for the network's experts, and room for their weights."""
    layers = [part for layer in network.layers for part in ((layer,) if layer.mixture is None else (layer.mixture.gate, layer))]
    needed = sum(groups(layer, config) * group_weights(layer) for layer in layers)
    weights = max(config.weights, 1 << (needed - 1).bit_length())
    channels = max(config.channels, sum(groups(layer, config) * config.lanes for layer in layers))
    return config.replaced(
        name=f"{config.name}-experts",
        weights=weights,
        channels=channels,
        experts=experts_of(network).experts,
        experts_chosen=chosen,
    )


def with_chosen(network: Network, chosen: int) -> Network:
    """The network with so many experts for each image."""
    number, mixture = _place(network), experts_of(network)
    layers = list(network.layers)
    layers[number] = layers[number].replaced(mixture=replace(mixture, k=chosen))
    return replace(network, layers=tuple(layers))


def _place(network: Network) -> int:
    """Which of the layers has experts; ValueError unless one has."""
    numbers = [number for number, layer in enumerate(network.layers) if layer.mixture is not None]
    if len(numbers) != 1:
        raise ValueError(f"{network.name} has {len(numbers)} layers with experts; one is needed")
    return numbers[0]


def experts_of(network: Network) -> Mixture:
    """The mixture of the one layer that has experts; ValueError unless there is one."""
    mixture = network.layers[_place(network)].mixture
    assert mixture is not None
    return mixture


def bench_experts(
    device: Device,
    network: Network,
    images: NDArray[np.generic],
    labels: NDArray[np.integer],
    track: Callable[[Iterator[ImageResult]], Iterable[ImageResult]] = iter,
) -> ExpertsResult:
    """Run a network over the images; `track` sees each one's result as it comes."""
    number, mixture = _place(network), experts_of(network)
    inputs = network.activations(images)
    program = compile_network(network, device.config, *shortest_codes(network, inputs))
    device.write_register(ROUTER_BASE + CONTROL.address, CONTROL.mask("clear"))
    results = list(track(measure_images(device, program, inputs)))
    gate = program.descriptors - sum(map(descriptors, network.layers[number:]))
    chosen_by = np.zeros((int(labels.max()) + 1, mixture.experts), np.int64)
    for x, label in zip(inputs, labels, strict=True):
        before = run_network(x, network.layers[:number])
        for expert, _ in route(before[-1] if before else x, mixture):
            chosen_by[label, expert] += 1
    load = [device.read_register(ROUTER_BASE + ARRAYS[ExpertArray.LOAD].address + 4 * expert) for expert in range(mixture.experts)]
    found = recognised(network.results(np.stack([result.output for result in results])))
    return ExpertsResult(
        chosen=mixture.k,
        accuracy=float((found == labels).mean()),
        gate_cycles=float(np.mean([result.descriptor_cycles[gate] for result in results])),
        experts_cycles=float(np.mean([sum(result.descriptor_cycles[gate + 1 :]) for result in results])),
        cycles_per_image=float(np.mean([result.cycles for result in results])),
        load=load,
        chosen_by=chosen_by.tolist(),
        bit_exact=all(result.bit_exact_golden for result in results) and load == chosen_by.sum(axis=0).tolist(),
    )
