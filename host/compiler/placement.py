"""Where the layers of a network lie on the accelerator: their weights in one memory, their channels' parameters in another."""

from dataclasses import dataclass

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, check_fits, group_weights, groups, remedy, routing
from .lowering import check_pooling


@dataclass(frozen=True)
class Placed:
    """A layer and where its weights and channels lie on the accelerator; likewise the gate by which its experts are chosen."""

    layer: Layer
    weights_base: int
    channels_base: int
    gate: "Placed | None" = None


def place(layers: list[Layer], config: Config) -> list[Placed]:
    """Places all layers behind each other; DoesNotFit if the memories are too small."""
    placed: list[Placed] = []
    weights, channels = 0, 0
    for layer in layers:
        gate = None
        for part in (layer,) if layer.mixture is None else (layer.mixture.gate, layer):
            check_fits(part, config)
            check_pooling(part)
            item = gate = Placed(part, weights, channels, gate)
            weights += groups(part, config) * group_weights(part)
            channels += groups(part, config) * config.lanes
        placed.append(item)
    if weights > config.weights:
        raise DoesNotFit(
            f"the network needs {weights:,} weights a lane, but {config.name} holds {config.weights:,};"
            f" {remedy(config, 'weights', weights)}"
        )
    if channels > config.channels:
        raise DoesNotFit(
            f"the network needs parameters of {channels:,} channels, but {config.name} holds {config.channels:,};"
            f" {remedy(config, 'channels', channels)}"
        )
    if len(layers) > config.layers:
        raise DoesNotFit(
            f"the network has {len(layers)} layers, but {config.name} holds {config.layers} descriptors;"
            f" {remedy(config, 'layers', len(layers))}"
        )
    routing(layers)
    return placed
