"""A way in which a layer can be computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """How a layer is computed.

    factor: so many neighbouring outputs of a row at once. merges: the pooling unit pools. slots: groups of a unit, where the weights are
    lists, and 0 where they are not; spare_lane: the last lane of a group is left out.
    cycles: about how many it takes. weights, lists: addresses that these take. groups: of channels.
    """

    factor: int
    merges: bool
    slots: int
    spare_lane: bool
    cycles: float
    weights: int
    lists: int
    groups: int


PLAIN = Way(1, False, 0, False, 0.0, 0, 0, 0)
"""Without lists, unrolling and the pooling unit."""
