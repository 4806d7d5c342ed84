"""Parameters of the code with which a network's streams are short: chosen from some inputs, with the golden model's outputs for them."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import best_k, coded_bytes, run_network, size_bits

from ..network import Network

PARAMETERS = range(8)
SAMPLE = 16  # inputs that are looked at


def shortest_codes(network: Network, sample: NDArray[np.integer]) -> tuple[int, int]:
    """(k_in, k_out), with which the first of some inputs (N, C, H, W), and their outputs, take the fewest bits together."""
    layers = network.layers
    outputs = [run_network(x, layers)[-1] for x in sample[:SAMPLE]]
    k_in = _shortest([coded_bytes(x, layers[0].x) for x in sample[:SAMPLE]])
    return k_in, _shortest([coded_bytes(y, layers[-1].y) for y in outputs])


def _shortest(tensors: list[NDArray[np.uint8]]) -> int:
    """The parameter with which some tensors take the fewest bits together."""
    if len(tensors) == 1:
        return best_k(tensors[0])
    return min(PARAMETERS, key=lambda k: sum(size_bits(tensor, k) for tensor in tensors))
