"""From layers to what the accelerator loads: weights and parameters in their memories, and a program of descriptors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Activation, Layer, Mixture, Winners, requantise
from skipgrid.rtl.config import Config
from skipgrid.rtl.layouts import DESCRIPTOR_WORDS, SLOT_WORDS, Descriptor, LoadTarget, Opcode, WinnersOf, layer_layout

from .device import Words

CODE_PARAMETERS = range(8)


class DoesNotFit(ValueError):
    """A layer, or a network, is larger than the configuration's memories; the message gives the sizes."""


@dataclass(frozen=True)
class Placed:
    """A layer and where its weights and channels lie on the accelerator; likewise the gate by which its experts are chosen."""

    layer: Layer
    weights_base: int
    channels_base: int
    gate: "Placed | None" = None


def groups(layer: Layer, config: Config) -> int:
    """Groups of `lanes` output channels."""
    return -(-int(layer.weights.shape[0]) // config.lanes)


def group_weights(layer: Layer) -> int:
    """Weights a lane for one group."""
    return int(np.prod(layer.weights.shape[1:]))


def place(layers: list[Layer], config: Config) -> list[Placed]:
    """Places all layers behind each other; DoesNotFit if the memories are too small."""
    placed: list[Placed] = []
    weights, channels = 0, 0
    for layer in layers:
        gate = None
        for part in (layer,) if layer.mixture is None else (layer.mixture.gate, layer):
            check_fits(part, config)
            item = gate = Placed(part, weights, channels, gate)
            weights += groups(part, config) * group_weights(part)
            channels += groups(part, config) * config.lanes
        placed.append(item)
    if weights > config.weights:
        raise DoesNotFit(f"the network needs {weights:,} weights a lane, but {config.name} holds {config.weights:,}")
    if channels > config.channels:
        raise DoesNotFit(f"the network needs parameters of {channels:,} channels, but {config.name} holds {config.channels:,}")
    if len(layers) > config.layers:
        raise DoesNotFit(f"the network has {len(layers)} layers, but {config.name} holds {config.layers} descriptors")
    routing(layers)
    return placed


def routing(layers: Sequence[Layer]) -> tuple[int, int] | None:
    """(experts, k) of the layers that have experts, None if no layer does; DoesNotFit if they differ, as there is one router."""
    found = {(layer.mixture.experts, layer.mixture.k): layer.name for layer in layers if layer.mixture is not None}
    if len(found) > 1:
        named = " and ".join(f"{name} chooses {k} of {experts}" for (experts, k), name in found.items())
        raise DoesNotFit(f"all layers with experts have as many and choose as many, because there is one router; but {named}")
    return next(iter(found), None)


def check_fits(layer: Layer, config: Config) -> None:
    """DoesNotFit if one group of a layer, or its feature maps, are larger than the configuration can hold."""
    C, H, W = layer.shape
    K, rows, columns = layer.out_shape
    top, left, bottom, right = layer.pads
    if group_weights(layer) > config.weights:
        raise DoesNotFit(f"{layer.name}: one group has {group_weights(layer):,} weights a lane, but {config.name} holds {config.weights:,}")
    winners = choosing(layer)
    if winners is not None:
        _check_winners(layer.name, winners, K, config)
    if layer.mixture is not None:
        _check_experts(layer.name, layer.mixture, K, config)
    stored = chooses_apart(layer)  # then the output is, whatever follows
    for what, size, limit in (
        ("columns x channels of its input", W * C, config.features),
        ("pixels of its input", H * W + 1, config.pixels),
        ("output channels", K, config.channels),
        ("rows of its input", H, config.side),
        ("columns of its input", W, config.side),
        ("rows of its input with padding", H + top + bottom, 2 * config.side - 1),
        ("columns of its input with padding", W + left + right, 2 * config.side - 1),
        ("rows from one output row to the next", layer.pool_stride[0] * layer.stride[0], 2 * config.side - 1),
        ("columns from one output column to the next", layer.pool_stride[1] * layer.stride[1], 2 * config.side - 1),
        ("output rows", rows, config.side),
        ("output columns", columns, config.side),
        ("columns x channels of its output", columns * K * stored, config.features),
        ("pixels of its output", (rows * columns + 1) * stored, config.pixels),
    ):
        if size > limit:
            raise DoesNotFit(f"{layer.name}: there are {size:,} {what}, but {config.name} holds {limit:,}")


def choosing(layer: Layer) -> Winners | None:
    """The winners of a layer, unless all of its outputs win."""
    winners = layer.winners
    if winners is None or winners.period > 1:
        return winners
    K, rows, columns = layer.out_shape
    elements = K if winners.per_pixel else K * rows * columns
    return winners if winners.count(elements) < elements else None


def chooses_apart(layer: Layer) -> bool:
    """Whether a layer's output is stored, and winners are chosen from it then; but where a threshold is kept, as they pass."""
    winners = choosing(layer)
    return winners is not None and not winners.per_pixel


def _check_winners(name: str, winners: Winners, K: int, config: Config) -> None:
    if not (config.pixel_winners if winners.per_pixel else config.winners):
        whose, setting = "its winners", "winners=true"
        if winners.per_pixel:
            whose, setting = "each pixel's winners", f"pixel_winners={max(1, winners.count(K))}"
        raise DoesNotFit(f"{name}: it keeps {whose} only, for which {config.name} has no unit; set {setting} in its configuration")
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


def load_packets(placed: list[Placed], config: Config) -> list[Words]:
    """The load packets of all layers' weights and channels."""
    items = [item for each in placed for item in (each.gate, each) if item is not None]
    return [packet(item, config) for item in items for packet in (weight_packet, channel_packet)]


def weight_packet(placed: Placed, config: Config) -> Words:
    """The load packet of a layer's weights: for each group, in (r, s, c) order, the lanes' weights in words of four."""
    weights = placed.layer.weights.transpose(0, 2, 3, 1).reshape(placed.layer.weights.shape[0], -1)  # (K, R*S*C)
    count = groups(placed.layer, config)
    lanes = np.zeros((count * config.lanes, weights.shape[1]), np.int8)
    lanes[: len(weights)] = weights
    ordered = lanes.reshape(count, config.lanes, -1).transpose(0, 2, 1)
    return _packet(LoadTarget.WEIGHTS, placed.weights_base, np.ascontiguousarray(ordered).reshape(-1).view(np.uint32))


def channel_packet(placed: Placed, config: Config) -> Words:
    """The load packet of a layer's channels: bias, scale and bound of each."""
    layer = placed.layer
    words = np.zeros((groups(layer, config) * config.lanes, 3), np.uint32)
    words[: len(layer.bias), 0] = layer.bias.astype(np.int32).view(np.uint32)
    words[: len(layer.bias), 1] = layer.scale.astype(np.float32).view(np.uint32)
    words[: len(layer.bias), 2] = bounds(layer).view(np.uint32)
    return _packet(LoadTarget.CHANNELS, placed.channels_base, words.reshape(-1))


def program_packet(descriptors: list[Words]) -> Words:
    """The load packet of a program, from its first descriptor on."""
    words = np.zeros((len(descriptors), SLOT_WORDS), np.uint32)
    for slot, descriptor in zip(words, descriptors, strict=True):
        slot[:DESCRIPTOR_WORDS] = descriptor
    return _packet(LoadTarget.PROGRAM, 0, words.reshape(-1))


def _packet(target: LoadTarget, address: int, words: Words) -> Words:
    return np.concatenate([np.array([address | target.value << 28], np.uint32), words])


def bounds(layer: Layer) -> NDArray[np.int32]:
    """For each channel the smallest accumulator whose output is neither zero nor below the threshold.

    Requantisation never falls with the accumulator, so a binary search finds it. Where outputs below the zero point may
    survive, every accumulator may, and the bound is the smallest integer.
    """
    low, _ = layer.clamp
    lowest, highest = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    least = max(1, layer.threshold)
    if low <= layer.y.zero_point - least:
        return np.full(len(layer.bias), lowest, np.int32)
    below = np.full(len(layer.bias), lowest, np.int64)  # does not survive, or is the smallest there is
    above = np.full(len(layer.bias), highest, np.int64)  # survives, or is the largest there is
    # Accumulators whose sum with the bias wraps do not occur; keep the search where it does not.
    below = np.maximum(below, lowest - layer.bias.astype(np.int64))
    above = np.minimum(above, highest - layer.bias.astype(np.int64))
    while (above - below > 1).any():
        middle = (above + below) // 2
        y = requantise(middle.astype(np.int32).reshape(-1, 1, 1), layer.bias, layer.scale, layer.y.zero_point, *layer.clamp).reshape(-1)
        survives = y - layer.y.zero_point >= least
        above = np.where(survives, middle, above)
        below = np.where(survives, below, middle)
    return above.astype(np.int32)


def descriptor(
    placed: Placed,
    config: Config,
    *,
    buffer: int,
    from_stream: bool,
    to_stream: bool,
    final: bool,
    k_in: int = 0,
    k_out: int = 0,
    opcode: Opcode = Opcode.LAYER,
) -> Words:
    """The words of a LAYER descriptor, or a GATE's or of EXPERTS, with the layer's winners."""
    layer = placed.layer
    C, H, W = layer.shape
    K, _, R, S = layer.weights.shape
    _, out_rows, out_columns = layer.out_shape
    stride_rows, stride_columns = layer.stride
    pool_rows, pool_columns = layer.pool
    unit_rows, unit_columns = layer.pool_stride[0] * stride_rows, layer.pool_stride[1] * stride_columns
    top, left = layer.pads[:2]
    zero = layer.y.zero_point
    low, high = layer.clamp
    count = groups(layer, config)
    experts = {}
    if layer.mixture is not None:
        each = count // layer.mixture.experts
        experts = {"experts": layer.mixture.experts, "expert_groups": each, "expert_weights": each * group_weights(layer)}
    winners: dict[str, int] = {}
    chosen = choosing(layer)
    if chosen is not None:
        if chosen.per_pixel:
            winners = {"winners_of": WinnersOf.PIXEL.value, "winners": chosen.count(K)}
        else:
            winners = {"winners_of": WinnersOf.TENSOR.value, "winners": chosen.count(K * out_rows * out_columns)}
            winners |= {"row_elements": out_columns * K, "period": chosen.period}
        winners["magnitude"] = chosen.magnitude
    return _words(
        opcode=opcode.value,
        from_stream=from_stream,
        to_stream=to_stream,
        buffer=buffer,
        final=final,
        k_in=k_in,
        k_out=k_out,
        positive_max=positive_max(layer.x),
        low=low - zero,
        high=high - zero,
        threshold=layer.threshold,
        elements=C * H * W,
        C=C,
        H=H,
        W=W,
        out_rows=out_rows,
        out_columns=out_columns,
        K=K,
        R=R,
        S=S,
        first_y=-top,
        first_x=-left,
        stride_rows=stride_rows,
        stride_columns=stride_columns,
        pool_rows=pool_rows,
        pool_columns=pool_columns,
        unit_stride_rows=unit_rows,
        unit_stride_columns=unit_columns,
        span_rows=(pool_rows - 1) * stride_rows + R,
        # Twice the time in which the ranges of the next unit are found: with less rows would wait for them, with more units go
        # to rows that are busy for longer than others. It is a hint, so the most that is stored of it will do.
        lead=min(2 * (R * pool_rows * pool_columns + (11 if config.spread else 7)), (1 << layer_layout(config)["lead"].width) - 1),
        stride_pixels=stride_rows * W,
        unit_stride_pixels=unit_rows * W,
        first_pixel=-top * W,
        filter_row_weights=S * C,
        group_weights=group_weights(layer),
        stride_weights=-stride_columns * C,
        unit_stride_weights=-unit_columns * C,
        first_weight=placed.weights_base + left * C,
        weights_end=placed.weights_base + count * group_weights(layer),
        channels_base=placed.channels_base,
        groups=count,
        last_lanes=K - (count - 1) * config.lanes,
        **winners,
        **experts,
    )


def network_program(placed: list[Placed], config: Config, *, buffer: int = 0, load: bool = False, k_in: int, k_out: int) -> list[Words]:
    """The descriptors of a network, from its input stream to its output stream; DoesNotFit if they are too many.

    A layer's experts are chosen by a descriptor before its own, which reads the same input.

    buffer: of the input. load: a LOAD descriptor of its own stores the input before the first layer begins; where the
    configuration is serial there is always one, unless the first layer is the last one too and nothing of it is stored.
    """
    steps = sum(descriptors(item.layer) for item in placed)
    load = load or (config.serial and (steps > 1 or chooses_apart(placed[0].layer)))
    if load + steps > config.layers:
        raise DoesNotFit(f"the network needs {load + steps} descriptors, but {config.name} holds {config.layers}")
    words = [load_descriptor(placed[0].layer.shape, buffer=buffer, k_in=k_in, final=False)] if load else []
    for number, item in enumerate(placed):
        last = number == len(placed) - 1
        from_stream = number == 0 and not load
        opcode = Opcode.LAYER
        if item.gate is not None:
            gate = descriptor(
                item.gate, config, buffer=buffer, from_stream=from_stream, to_stream=True, final=False, k_in=k_in, opcode=Opcode.GATE
            )
            words.append(gate)
            from_stream, opcode = False, Opcode.EXPERTS
        words.append(
            descriptor(
                item, config, buffer=buffer, from_stream=from_stream, to_stream=last, final=last, k_in=k_in, k_out=k_out, opcode=opcode
            )
        )
        buffer ^= 1
    return words


def descriptors(layer: Layer) -> int:
    """How many descriptors a layer takes."""
    return 1 + (layer.mixture is not None)


def load_descriptor(shape: tuple[int, int, int], *, buffer: int, k_in: int, final: bool) -> Words:
    """The words of a LOAD descriptor for a tensor of shape (C, H, W)."""
    C, H, W = shape
    return _words(opcode=Opcode.LOAD.value, buffer=buffer, final=final, k_in=k_in, elements=C * H * W, C=C, H=H, W=W)


def positive_max(held: Activation) -> int:
    """The largest coded byte that stands for an activation above its zero point."""
    return held.high - held.zero_point


def _words(**fields: int) -> Words:
    """A descriptor's words; products of sizes are taken modulo 65,536."""
    modular = {name for name in fields if name.endswith(("_pixels", "_weights", "first_pixel", "first_weight"))}
    values = {name: int(value) & 0xFFFF if name in modular else int(value) for name, value in fields.items()}
    bits = Descriptor.const(values).as_bits()
    return np.frombuffer(bits.to_bytes(4 * DESCRIPTOR_WORDS, "little"), np.uint32)
