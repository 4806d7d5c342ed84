"""Programs of descriptors: what the accelerator is told of each layer, one step after another."""

from math import ceil

import numpy as np

from skipgrid.golden.layer import Activation, Layer
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, Descriptor, layer_layout
from skipgrid.rtl.layouts import Opcode, WinnersOf

from ..devices.device import Words
from .fits import DoesNotFit, choosing, group_weights, remedy
from .lowering import lowered
from .packing import modular, most, packed
from .placement import Placed
from .pooling import strides


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
    sums: bool = False,
    stored: tuple[int, int, int] | None = None,
) -> Words:
    """The words of a LAYER descriptor, or a GATE's or of EXPERTS, with the layer's winners. sums: its output are the bytes of its sums.

    stored: the shape in which the layer behind reads the output, if it is not the output's own.
    """
    layer = placed.walked(config)
    C, H, W = layer.shape
    K, _, R, S = layer.weights.shape
    _, out_rows, out_columns = layer.out_shape
    pool_rows, pool_columns = layer.pool
    # Where there is one window, or one unit, there is no way to the next one, however far that would be.
    stride_rows, stride_columns = (stride if pool > 1 else 1 for stride, pool in zip(layer.stride, layer.pool, strict=True))
    unit_rows = layer.pool_stride[0] * layer.stride[0] if out_rows > 1 else 1
    unit_columns = layer.pool_stride[1] * layer.stride[1] if out_columns > 1 else 1
    top, left = layer.pads[:2]
    zero = layer.rounded.zero_point
    low, high = layer.clamp
    threshold = layer.threshold if layer.function is None else 0  # its table has it
    if threshold > most("threshold"):  # no output is as far from zero
        low, high, threshold = zero, zero, 0
    count = placed.groups(config)
    shift = placed.shift(config)
    experts = {}
    if layer.mixture is not None:
        each = count // layer.mixture.experts
        experts = {"experts": layer.mixture.experts, "expert_groups": each, "expert_weights": each * group_weights(layer)}
    channels, rows, columns = placed.layer.out_shape
    stored_channels, stored_rows, stored_columns = stored or placed.layer.out_shape
    last_lanes = K - (count - 1) * placed.lanes_used(config)
    lacking = out_columns * placed.factor - placed.convolved.out_shape[2]  # outputs of the last unit of a row
    pools: dict[str, int] = {}
    if placed.merges:
        pools = {"merges": 1, "conv_columns": placed.convolved.out_shape[2], "row_elements": columns * channels}
        pools |= {"merge_rows": placed.layer.pool[0], "merge_columns": placed.layer.pool[1]}
        pools["merge_stride_rows"], pools["merge_stride_columns"] = strides(placed.layer)
    function: dict[str, int] = {}
    if placed.table is not None and not sums:
        function = {"looked_up": 1, "table": placed.table, "positive_out": positive_max(layer.y)}
    weights_base, weights_end = placed.weights_base, placed.weights_base + count * group_weights(layer)
    lists: dict[str, int] = {}
    if placed.slots:
        weights_base, weights_end = placed.lists_base, placed.lists_base + placed.lists(config)
        lists = {"lists": 1, "slots": placed.slots, "spare_lane": placed.way.spare_lane}
    winners: dict[str, int] = {}
    chosen = choosing(placed.layer)
    if chosen is not None:
        if chosen.per_pixel:
            winners = {"winners_of": WinnersOf.PIXEL.value, "winners": chosen.count(channels)}
        else:
            winners = {"winners_of": WinnersOf.TENSOR.value, "winners": chosen.count(channels * rows * columns)}
            winners["period"] = chosen.period
        winners["magnitude"] = chosen.magnitude
    return _words(
        opcode=opcode.value,
        from_stream=from_stream,
        to_stream=to_stream,
        buffer=buffer,
        final=final,
        k_in=k_in,
        k_out=k_out,
        sums=sums,
        positive_max=positive_max(layer.x),
        low=low - zero,
        high=high - zero,
        threshold=threshold,
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
        unit_stride_columns=unit_columns - (count - 1) * shift if out_columns > 1 else 1,
        group_stride_columns=shift,
        span_rows=(pool_rows - 1) * stride_rows + R,
        # Twice the time in which the ranges of the next unit are found: with less rows would wait for them, with more units go
        # to rows that are busy for longer than others. It is a hint, so the most that is stored of it will do.
        # An entry of a list takes as many cycles as the list is long.
        lead=min(
            ceil(2 * (R * pool_rows * pool_columns + (11 if config.spread else 7)) / placed.cycles_an_entry(config)),
            (1 << layer_layout(config)["lead"].width) - 1,
        ),
        stride_pixels=stride_rows * W,
        unit_stride_pixels=unit_rows * W,
        first_pixel=-top * W - 1,
        filter_row_weights=S * C,
        group_weights=group_weights(layer) - shift * C,
        stride_weights=-stride_columns * C,
        unit_stride_weights=-unit_columns * C,
        first_weight=weights_base + left * C,
        weights_end=weights_end,
        channels_base=placed.channels_base,
        groups=count,
        last_lanes=last_lanes,
        end_lanes=last_lanes - lacking * channels,
        stored_channels=stored_channels,
        stored_rows=stored_rows,
        stored_columns=stored_columns,
        **(pools | function | lists | winners),
        **experts,
    )


def network_program(
    placed: list[Placed], config: Config, *, buffer: int = 0, load: bool = False, k_in: int, k_out: int, sums: bool = False
) -> list[Words]:
    """The descriptors of a network, from its input stream to its output stream; DoesNotFit if they are too many.

    A layer's experts are chosen by a descriptor before its own, which reads the same input.

    buffer: of the input. load: a LOAD descriptor of its own stores the input before the first layer begins; where the
    configuration is serial there is always one, unless the first layer is the last one too and nothing of it is stored.
    sums: the output are the bytes of the last layer's sums.
    """
    steps = sum(descriptors(item.layer) for item in placed)
    load = load or (config.serial and steps > 1)
    if load + steps > config.layers:
        raise DoesNotFit(
            f"the network needs {load + steps} descriptors, but {config.name} holds {config.layers};"
            f" {remedy(config, 'layers', load + steps)}"
        )
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
        ends = {"from_stream": from_stream, "to_stream": last, "final": last, "sums": sums and last}
        stored = None if last else placed[number + 1].layer.shape
        words.append(descriptor(item, config, buffer=buffer, k_in=k_in, k_out=k_out, opcode=opcode, stored=stored, **ends))
        buffer ^= 1
    return words


def descriptors(layer: Layer) -> int:
    """How many descriptors a layer takes."""
    return sum(1 + (part.mixture is not None) for part in lowered(layer))


def load_descriptor(shape: tuple[int, int, int], *, buffer: int, k_in: int, final: bool) -> Words:
    """The words of a LOAD descriptor for a tensor of shape (C, H, W)."""
    C, H, W = shape
    return _words(opcode=Opcode.LOAD.value, buffer=buffer, final=final, k_in=k_in, elements=C * H * W, C=C, H=H, W=W)


def positive_max(held: Activation) -> int:
    """The largest coded byte that stands for a value above its zero point."""
    return held.high - held.zero_point


def _words(**fields: int) -> Words:
    """A descriptor's words; products of sizes are taken modulo 65,536."""
    bits = packed(Descriptor, {name: modular(name, value) for name, value in fields.items()})
    return np.frombuffer(bits.to_bytes(4 * DESCRIPTOR_WORDS, "little"), np.uint32)
