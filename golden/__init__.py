"""The reference: what the accelerator must compute, in NumPy alone, written from the contract and not from the hardware.

A tensor's way, in the order of the modules:

    x (C, H, W) uint8 or int8, `Activation` says which value is zero      layer.py
      -> coded_bytes: (a - z) mod 256, flattened in (y, x, c) order        numerics.py, codec.py
      -> encode: run-length tokens in 32-bit words                         codec.py, bits.py
      -> decode, from_coded: back to (C, H, W)
      -> accumulate: convolution of x - z, int32 (K, rows, columns)        network.py
      -> requantise: + bias, * scale, round, + zero point, clamp           numerics.py
      -> max_pool -> the layer's function -> apply_threshold               network.py, layer.py, numerics.py
      -> weighed, if the layer is a mixture of experts                     numerics.py, with the weights of network.py's route
      -> keep_winners or keep_pixel_winners, if the layer says so          topk.py; with `Thresholds`, keep_reaching
      -> y, the next layer's x

`run_layer` and `run_network` take the lower half in one step. What a layer must cost at least is in `limits`; other ways to
store the same tensor, to compare with, are in `formats`. The k largest of some values are found by `topk`, and what weight each
of the chosen gets is in `gates`; `router` sends tokens to the experts that both choose.

    x = np.zeros((1, 28, 28), np.uint8)
    outputs = run_network(x, layers)
    y = coded_bytes(outputs[-1], layers[-1].y)
    words = encode(y, best_k(y))
"""

from .codec import (
    CodecError,
    best_k,
    coded_bytes,
    decode,
    encode,
    from_coded,
    from_sum_bytes,
    max_run,
    size_bits,
    sum_bytes,
    tokens,
    untokens,
)
from .gates import SOFTMAX_ERROR, WEIGHT_ONE, adaptive_k, softmax, sparsemax, threshold_relu
from .layer import Activation, Function, Layer, Mixture, Winners, check_network
from .limits import (
    dense_cycles,
    dense_macs,
    entropy_bits,
    limit_cycles,
    list_cycles,
    sparsity,
    two_sided_limit_cycles,
    two_sided_macs,
    useful_macs,
)
from .lists import WeightLists, decode_lists, encode_lists
from .network import SCORE_FRACTION, Thresholds, accumulate, finish, max_pool, route, run_layer, run_network
from .numerics import apply_threshold, coded, look_up, requantise, requantise_scale, uncoded, weighed
from .router import Overflow, Router, Routing
from .topk import keep_pixel_winners, keep_reaching, keep_winners, smallest_winner, topk, winners

__all__ = [
    "SCORE_FRACTION",
    "SOFTMAX_ERROR",
    "WEIGHT_ONE",
    "Activation",
    "CodecError",
    "Function",
    "Layer",
    "Mixture",
    "Overflow",
    "Router",
    "Routing",
    "Thresholds",
    "WeightLists",
    "Winners",
    "accumulate",
    "adaptive_k",
    "apply_threshold",
    "best_k",
    "check_network",
    "coded",
    "coded_bytes",
    "decode",
    "decode_lists",
    "dense_cycles",
    "dense_macs",
    "encode",
    "encode_lists",
    "entropy_bits",
    "finish",
    "from_coded",
    "from_sum_bytes",
    "keep_pixel_winners",
    "keep_reaching",
    "keep_winners",
    "limit_cycles",
    "list_cycles",
    "look_up",
    "max_pool",
    "max_run",
    "requantise",
    "requantise_scale",
    "route",
    "run_layer",
    "run_network",
    "size_bits",
    "smallest_winner",
    "softmax",
    "sparsemax",
    "sparsity",
    "sum_bytes",
    "threshold_relu",
    "tokens",
    "topk",
    "two_sided_limit_cycles",
    "two_sided_macs",
    "uncoded",
    "untokens",
    "useful_macs",
    "weighed",
    "winners",
]
