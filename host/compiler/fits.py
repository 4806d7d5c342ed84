"""Whether a configuration holds a layer, and in what sentence it is refused if not."""

from collections.abc import Sequence

import numpy as np

from skipgrid.golden.layer import Layer, Mixture, Winners
from skipgrid.rtl.config import Config

from .packing import most


class DoesNotFit(ValueError):
    """A layer, or a network, is larger than a configuration holds; the message gives the sizes, and the setting that would hold it."""


def groups(layer: Layer, config: Config) -> int:
    """Groups of `lanes` output channels."""
    return -(-int(layer.weights.shape[0]) // config.lanes)


def group_weights(layer: Layer) -> int:
    """Weights a lane for one group."""
    return int(np.prod(layer.weights.shape[1:]))


def remedy(config: Config, setting: str, least: int) -> str:
    """What to set so that a configuration holds at least so much, as the end of a sentence; or that none can."""
    size = -(-least // config.lanes) * config.lanes if setting == "channels" else 1 << (least - 1).bit_length()
    try:
        config.replaced(**{setting: size})
    except ValueError:
        return f"no configuration can hold as much in its {setting}"
    return f"set {setting}={size} in its configuration"


def check_fits(layer: Layer, config: Config) -> None:
    """DoesNotFit if one group of a layer, or its feature maps, are larger than the configuration can hold."""
    C, H, W = layer.shape
    K, rows, columns = layer.out_shape
    top, left, bottom, right = layer.pads
    if group_weights(layer) > config.weights:
        raise DoesNotFit(
            f"{layer.name}: one group has {group_weights(layer):,} weights a lane, but {config.name} holds {config.weights:,};"
            f" {remedy(config, 'weights', group_weights(layer))}"
        )
    winners = choosing(layer)
    if winners is not None:
        _check_winners(layer.name, winners, K, K * rows * columns, config)
    if layer.function is not None and not config.functions:
        raise DoesNotFit(
            f"{layer.name}: its outputs go through a function, for which {config.name} has no table; {remedy(config, 'functions', 1)}"
        )
    if layer.mixture is not None:
        _check_experts(layer.name, layer.mixture, K, config)
    for what, size in (("rows", H + top + bottom), ("columns", W + left + right)):
        if size >= 2 * config.side:
            raise DoesNotFit(
                f"{layer.name}: there are {size:,} {what} of its input with padding, but {config.name} holds {2 * config.side - 1:,};"
                f" {remedy(config, 'side', size // 2 + 1)}"
            )
    for what, size, setting in (
        ("columns x channels of its input", W * C, "features"),
        ("pixels of its input", H * W, "pixels"),
        ("output channels", K, "channels"),
        ("rows of its input", H, "side"),
        ("columns of its input", W, "side"),
        ("output rows", rows, "side"),
        ("output columns", columns, "side"),
        ("outputs among which winners are chosen", rows * columns * K * waits_for_winners(layer), "winners"),
    ):
        limit = getattr(config, setting)
        if size > limit:
            raise DoesNotFit(f"{layer.name}: there are {size:,} {what}, but {config.name} holds {limit:,}; {remedy(config, setting, size)}")
    pooled = [pool > 1 for pool in layer.pool]  # where a pool is one window wide, there is no step from one to the next
    for what, size, field in (
        ("channels of its input", C, "C"),
        ("output channels", K, "K"),
        ("rows in a pool", layer.pool[0], "pool_rows"),
        ("columns in a pool", layer.pool[1], "pool_columns"),
        ("rows from one window of a pool to the next", layer.stride[0] * pooled[0], "stride_rows"),
        ("columns from one window of a pool to the next", layer.stride[1] * pooled[1], "stride_columns"),
    ):
        if size > most(field):
            raise DoesNotFit(f"{layer.name}: there are {size:,} {what}, but a descriptor holds {most(field):,}, whatever the configuration")


def fits(layer: Layer, config: Config) -> bool:
    """Whether a configuration can hold one group of a layer, and its feature maps."""
    try:
        check_fits(layer, config)
    except DoesNotFit:
        return False
    return True


def choosing(layer: Layer) -> Winners | None:
    """The winners of a layer, unless all of its outputs win."""
    winners = layer.winners
    if winners is None or winners.period > 1:
        return winners
    K, rows, columns = layer.out_shape
    elements = K if winners.per_pixel else K * rows * columns
    return winners if winners.count(elements) < elements else None


def waits_for_winners(layer: Layer) -> bool:
    """Whether a layer's output waits until the winners of all of it are known; but where a threshold is kept."""
    winners = choosing(layer)
    return winners is not None and not winners.per_pixel


def routing(layers: Sequence[Layer]) -> tuple[int, int] | None:
    """(experts, k) of the layers that have experts, None if no layer does; DoesNotFit if they differ, as there is one router."""
    found = {(layer.mixture.experts, layer.mixture.k): layer.name for layer in layers if layer.mixture is not None}
    if len(found) > 1:
        named = " and ".join(f"{name} chooses {k} of {experts}" for (experts, k), name in found.items())
        raise DoesNotFit(f"all layers with experts have as many and choose as many, because there is one router; but {named}")
    return next(iter(found), None)


def _check_winners(name: str, winners: Winners, K: int, elements: int, config: Config) -> None:
    if not (config.pixel_winners if winners.per_pixel else config.winners):
        whose, setting = "its winners", remedy(config, "winners", max(64, elements))
        if winners.per_pixel:
            whose, setting = "each pixel's winners", f"set pixel_winners={max(1, winners.count(K))} in its configuration"
        raise DoesNotFit(f"{name}: it keeps {whose} only, for which {config.name} has no unit; {setting}")
    if winners.per_pixel and winners.count(K) > config.pixel_winners:
        raise DoesNotFit(
            f"{name}: {winners.count(K):,} channels of each pixel win, but {config.name} finds up to {config.pixel_winners};"
            f" set pixel_winners={winners.count(K)} in its configuration"
        )


def _check_experts(name: str, mixture: Mixture, K: int, config: Config) -> None:
    remedy = f"set experts={mixture.experts} and experts_chosen={mixture.k} in its configuration"
    if not config.experts:
        raise DoesNotFit(f"{name}: it chooses from {mixture.experts} experts, but {config.name} has no router; {remedy}")
    if mixture.experts > config.experts or mixture.k > config.experts_chosen:
        raise DoesNotFit(
            f"{name}: it chooses {mixture.k} of {mixture.experts} experts, but {config.name} chooses up to {config.experts_chosen}"
            f" of {config.experts}; {remedy}"
        )
    if K // mixture.experts % config.lanes:
        each = K // mixture.experts
        raise DoesNotFit(f"{name}: each expert has {each} output channels, no multiple of the {config.lanes} lanes of {config.name}")
