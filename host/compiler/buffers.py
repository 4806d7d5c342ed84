"""Whether the activation buffers hold what a network stores on its way, and in what sentence it is said if not.

Two tensors are held at once: the one that a layer reads, and the one that it stores.
"""

from collections.abc import Sequence
from itertools import pairwise

from skipgrid.golden.layer import Layer
from skipgrid.rtl.config import Config

from .fits import DoesNotFit, remedy


def check_pixels(layers: Sequence[Layer], config: Config) -> None:
    """DoesNotFit if two tensors that are held at once have more pixels than the buffers, whatever the images."""
    held = [(what, rows * columns) for what, (_, rows, columns) in stored_shapes(layers)]
    check_held(held, "pixels", config.pixels, "pixels", config)


def stored_shapes(layers: Sequence[Layer]) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and shape of what is stored when a network runs, in order: its input, and all outputs but the last one."""
    return [(f"the input of {layer.name}", layer.shape) for layer in layers]


def check_held(held: list[tuple[str, int]], what: str, limit: int, setting: str, config: Config) -> None:
    """DoesNotFit, naming both, if a tensor and the one before it are larger together than a limit."""
    for before, after in pairwise([("", 0), *held]):
        together = before[1] + after[1]
        if together > limit:
            each = " and ".join(f"{name} has {size:,}" for name, size in (before, after) if size)
            raise DoesNotFit(f"{each} {what}, {together:,} at once, but {config.name} holds {limit:,}; {remedy(config, setting, together)}")
