"""The packets that the load port takes: weights and their lists, channels' parameters, functions' tables, programs of descriptors."""

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.lists import encode_lists
from skipgrid.golden.numerics import INT32
from skipgrid.rtl.config import Config
from skipgrid.rtl.control.loader import CHANNEL_WORDS
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, SLOT_WORDS
from skipgrid.rtl.layouts import FUNCTION_WORDS, INDEX_LANES_A_WORD, LoadHeader, LoadTarget, index_words

from ..devices.device import Words
from .bounds import bounds
from .packing import packed
from .placement import Placed, tables_of


def load_packets(placed: list[Placed], config: Config, *, sums: bool = False) -> list[Words]:
    """The load packets of all layers' weights, channels and tables; sums: of a network whose output are the last layer's."""
    items = [item for each in placed for item in (each.gate, each) if item is not None]
    packets = [
        packet
        for item in items
        for packet in (*weight_packets(item, config), channel_packet(item, config, sums=sums and item is items[-1]))
    ]
    tables = tables_of(placed).items()
    return packets + [_packet(LoadTarget.FUNCTIONS, FUNCTION_WORDS * number, table.view(np.uint32)) for number, table in tables]


def weight_packets(placed: Placed, config: Config) -> list[Words]:
    """The load packets of a layer's weights: for each group, in (r, s, c) order, the lanes' weights in words of four.

    Where they are lists, there are three: of what says where lists are, of their weights, and of their indices; the first one alone if all
    weights are zero.
    """
    layer = placed.walked(config)
    if placed.slots:
        return _list_packets(placed, layer.weights, config)
    weights = layer.weights.transpose(0, 2, 3, 1).reshape(len(layer.weights), -1)  # (K, R*S*C)
    count = placed.groups(config)
    lanes = np.zeros((count * config.lanes, weights.shape[1]), np.int8)
    lanes[: len(weights)] = weights
    ordered = lanes.reshape(count, config.lanes, -1).transpose(0, 2, 1)
    return [_packet(LoadTarget.WEIGHTS, placed.weights_base, np.ascontiguousarray(ordered).reshape(-1).view(np.uint32))]


def _list_packets(placed: Placed, weights: NDArray[np.int8], config: Config) -> list[Words]:
    lists = encode_lists(weights, placed.lanes_used(config), placed.slots)
    starts = (lists.starts + placed.weights_base) | lists.counts << 16
    packets = [_packet(LoadTarget.LISTS, placed.lists_base, starts.reshape(-1).astype(np.uint32))]
    rows = len(lists.weights)
    if not rows:  # all weights are zero
        return packets
    lanes = np.zeros((rows, config.lanes), np.int8)
    lanes[:, : lists.lanes] = lists.weights
    indices = np.zeros((rows, index_words(config), INDEX_LANES_A_WORD), np.uint32)
    indices.reshape(rows, -1)[:, : lists.lanes] = lists.indices
    places = (indices << np.arange(0, 32, 32 // INDEX_LANES_A_WORD, dtype=np.uint32)).sum(axis=2, dtype=np.uint32)
    return [
        *packets,
        _packet(LoadTarget.WEIGHTS, placed.weights_base, lanes.reshape(-1).view(np.uint32)),
        _packet(LoadTarget.INDICES, placed.weights_base, places.reshape(-1)),
    ]


def channel_packet(placed: Placed, config: Config, *, sums: bool = False) -> Words:
    """The load packet of a layer's channels: bias, scale, upper and lower bound of each; with bounds by which all survive for its sums."""
    layer = placed.walked(config)
    channels = len(layer.bias)
    words = np.zeros((placed.groups(config) * config.lanes, len(CHANNEL_WORDS)), np.uint32)
    group, lane = np.divmod(np.arange(channels), placed.lanes_used(config))
    places = group * config.lanes + lane
    words[places, 0] = layer.bias.view(np.uint32)
    # The requantiser takes normal numbers; with any smaller one, as with the smallest of these, every sum becomes zero.
    words[places, 1] = np.maximum(layer.scale, np.finfo(np.float32).tiny).view(np.uint32)
    upper_lower = (np.full(channels, INT32.min, np.int32),) * 2 if sums else bounds(layer, two_sided=not config.serial)
    words[places, 2:] = np.stack(upper_lower, axis=1).view(np.uint32)
    return _packet(LoadTarget.CHANNELS, placed.channels_base, words.reshape(-1))


def program_packet(descriptors: list[Words]) -> Words:
    """The load packet of a program, from its first descriptor on."""
    words = np.zeros((len(descriptors), SLOT_WORDS), np.uint32)
    for slot, descriptor in zip(words, descriptors, strict=True):
        slot[:DESCRIPTOR_WORDS] = descriptor
    return _packet(LoadTarget.PROGRAM, 0, words.reshape(-1))


def _packet(target: LoadTarget, address: int, words: Words) -> Words:
    return np.concatenate([np.array([packed(LoadHeader, {"address": address, "target": target.value})], np.uint32), words])
