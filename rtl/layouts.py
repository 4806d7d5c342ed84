"""The words of every flow: what a token, a unit, a range, a candidate and a layer descriptor hold."""

from typing import TYPE_CHECKING

from amaranth.hdl import Mux, Shape, ShapeLike, Value, signed, unsigned
from amaranth.lib import data

from .config import MAX_RUN, Config

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

RUN_BITS = MAX_RUN.bit_length()


class Word(data.Struct):
    """A 32-bit word of an AXI4-Stream; last ends the tensor (TLAST), damaged marks one cut short by an error (TUSER)."""

    data: 32
    last: 1
    damaged: 1


class Token(data.Struct):
    """run zeros, then value (a nonzero coded byte); value 0 means these zeros only. last ends the tensor."""

    run: RUN_BITS
    value: 8
    last: 1


class Opcode(enum.Enum, shape=unsigned(8)):
    """What a descriptor asks for.

    LOAD stores an input tensor, LAYER computes. GATE computes scores, by which the router chooses experts; EXPERTS computes the outputs
    of those that were chosen last, and weighs them.
    """

    LOAD = 1
    LAYER = 2
    GATE = 3
    EXPERTS = 4


class WinnersOf(enum.Enum, shape=unsigned(2)):
    """Among what a layer's outputs win: not at all, among all of its output, or among the channels of their pixel."""

    NONE = 0
    TENSOR = 1
    PIXEL = 2


class Error(enum.Enum, shape=unsigned(8)):
    """Why a run stopped; the number in the register ERROR."""

    NONE = 0
    STREAM_ENDED_EARLY = 1
    STREAM_RAN_OVER = 2
    STREAM_BITS_LEFT = 3
    DESCRIPTOR_UNKNOWN = 4
    DESCRIPTOR_SIZE = 5
    WEIGHTS_TOO_MANY = 6
    CHANNELS_TOO_MANY = 7
    ENTRIES_FULL = 8
    PIXELS_FULL = 9
    FEATURES_TOO_MANY = 10
    INPUT_MISSING = 11
    PROGRAM_NOT_ENDED = 12
    LOAD_TARGET = 13
    LOAD_ADDRESS = 14
    LOAD_CUT = 15
    STOPPED = 16
    NOT_BUILT = 17


class LoadTarget(enum.Enum, shape=unsigned(4)):
    """The memory that a packet on the load port is for."""

    WEIGHTS = 0
    CHANNELS = 1
    PROGRAM = 2


class LoadHeader(data.Struct):
    """First word of a packet on the load port."""

    address: 28
    target: LoadTarget


class Descriptor(data.Struct):
    """One layer of a program, in 21 words of 32 bits, fields from the least significant bit up.

    Products of sizes stand ready-made in it, so that the hardware only adds. H, W, C are the input's rows, columns and
    channels, K the output's channels, R and S the filter's rows and columns. A unit is one stored output pixel and one
    group of channels; without pooling its stride is the convolution's. The last two words are fetched only where experts
    are built, the two before only where these or winners are; where no winners are, winners_of must be 0. LAYER's fields are GATE's and
    EXPERTS' as well, but that a GATE's output goes to the router alone.
    """

    # word 0: what is done; how windows move
    opcode: 4
    winners_of: 2  # WinnersOf
    magnitude: 1  # the largest |value| win
    from_stream: 1  # LAYER: the input comes from the stream, and is walked while it is loaded
    to_stream: 1  # LAYER: the output goes to the stream; otherwise into the other buffer
    buffer: 1  # of the input; inverted for each layer before whose winners went back to the buffer of its input
    final: 1  # the program ends here
    reserved0: 5
    stride_rows: 8
    stride_columns: 8
    # word 1: what becomes of a value
    low: signed(9)  # the clamp, as y - zero_point
    high: signed(9)
    threshold: 8  # |y - zero_point| below it becomes 0
    k_in: 3
    k_out: 3
    # word 2
    elements: 32  # H * W * C
    # words 3 to 6
    C: 16
    H: 16
    W: 16
    out_rows: 16
    out_columns: 16
    K: 16
    R: 16
    S: 16
    # words 7 to 10
    first_y: signed(16)  # of the first window: the rows of padding above, negative
    first_x: signed(16)
    pool_rows: 16
    pool_columns: 16
    unit_stride_rows: 16  # of the pool times that of the convolution
    unit_stride_columns: 16
    span_rows: 16  # input rows that a unit needs: (pool_rows - 1) * stride_rows + R
    lead: 16  # entries left of a unit at which its row takes the next one
    # words 11 and 12: in pixels, modulo 65,536; then in weights
    stride_pixels: 16  # stride_rows * W
    unit_stride_pixels: 16  # unit_stride_rows * W
    first_pixel: 16  # first_y * W
    filter_row_weights: 16  # S * C
    # words 13 to 15
    group_weights: 16  # R * S * C
    stride_weights: 16  # -stride_columns * C, modulo 65,536
    unit_stride_weights: 16  # -unit_stride_columns * C, modulo 65,536
    first_weight: 16  # of the first window: its first weight's address - first_x * C, modulo 65,536
    weights_end: 16  # the address behind the layer's last weights
    channels_base: 16  # a multiple of lanes
    # word 16
    groups: 15  # ceil(K / lanes)
    last_lanes: 9  # lanes used by the last group
    positive_max: 8  # coded bytes of the input above it stand for negative activations: byte - 256
    # words 17 and 18, for winners
    winners: 32  # k: elements that win
    row_elements: 17  # out_columns * K
    period: 15  # of a TENSOR's winners: every so many tensors they are chosen, and meanwhile all that reach the smallest one of them win
    # words 19 and 20, for EXPERTS
    expert_groups: 16  # groups of each expert, which has a multiple of lanes as output channels
    expert_weights: 16  # expert_groups * group_weights, modulo 65,536
    experts: 16  # whose groups are all that there are
    reserved2: 16


DESCRIPTOR_WORDS = 21
WINNERS_FIELDS = ("magnitude", "winners", "row_elements", "period")
TENSOR_FIELDS = ("row_elements", "period")
EXPERTS_FIELDS = ("expert_groups", "expert_weights", "experts")
SLOT_WORDS = 32  # that a descriptor has in the program memory
assert data.StructLayout.cast(Descriptor).size == DESCRIPTOR_WORDS * 32
assert all(field.offset % 32 + field.width <= 32 for _, field in data.StructLayout.cast(Descriptor)), "a field crosses a word"


def layer_layout(config: Config) -> data.StructLayout:
    """The layer that runs: the descriptor's fields under the same names, no wider than this configuration needs.

    computes stands for the opcode (with gates and routed where experts are built), and weights_end is only checked. What is kept of a
    field modulo 65,536 is enough for the addresses of this configuration. Where winners are built, of_tensor and of_pixel stand for
    winners_of. A layer with winners of its tensor has a second part, in which it only chooses, and no longer computes: so the fields
    chooses, buffer and to_stream change then. With kept there is none: what reaches the threshold kept from an earlier tensor wins.
    """
    coordinate, pixel, weight = config.coordinate_bits, config.pixel_bits, config.weight_bits
    size = config.features.bit_length()
    channels = config.channels.bit_length()
    widths = {
        "elements": config.element_bits,
        "C": size,
        "K": max(size, channels),
        **dict.fromkeys(("H", "W", "out_rows", "out_columns", "R", "S"), coordinate),
        **dict.fromkeys(("first_y", "first_x"), coordinate + 1),
        **dict.fromkeys(("stride_rows", "stride_columns", "unit_stride_rows", "unit_stride_columns"), coordinate),
        **dict.fromkeys(("pool_rows", "pool_columns", "span_rows"), coordinate),
        "lead": config.entry_bits + 2,
        **dict.fromkeys(("stride_pixels", "unit_stride_pixels", "first_pixel"), pixel),
        **dict.fromkeys(("filter_row_weights", "group_weights", "stride_weights", "unit_stride_weights", "first_weight"), weight),
        "channels_base": config.channel_bits,
        "groups": channels,
        "last_lanes": config.lanes.bit_length(),
        "winners": config.element_bits if config.winners else config.pixel_winners.bit_length(),
        "row_elements": size,
        "expert_groups": channels,
        "expert_weights": weight,
        "experts": config.experts.bit_length(),
    }
    fields: dict[str, ShapeLike] = {"computes": 1}
    left_out: tuple[str, ...] = ("opcode", "winners_of", "weights_end")
    if config.winners:
        fields |= {"of_tensor": 1, "kept": 1, "chooses": 1}
    else:
        left_out += TENSOR_FIELDS
    if config.pixel_winners:
        fields["of_pixel"] = 1
    elif not config.winners:
        left_out += WINNERS_FIELDS
    if config.experts:
        fields |= {"gates": 1, "routed": 1}
    else:
        left_out += EXPERTS_FIELDS
    for name, field in data.StructLayout.cast(Descriptor):
        if isinstance(name, str) and name not in left_out and not name.startswith("reserved"):
            shape = Shape.cast(field.shape)
            fields[name] = Shape(min(shape.width, widths.get(name, shape.width)), shape.signed)
    return data.StructLayout(fields)


def descriptor_words(config: Config) -> int:
    """Words of a descriptor that mean anything to this configuration."""
    return DESCRIPTOR_WORDS if config.experts else DESCRIPTOR_WORDS - 2 if config.some_winners else DESCRIPTOR_WORDS - 4


def makes_output(layer: data.View, config: Config) -> Value:
    """Whether a layer has an output: it computes, or chooses winners from what it has computed."""
    return layer.computes | layer.chooses if config.winners else layer.computes


def last_positive(layer: data.View) -> Value:
    """The largest coded byte that stands for an output above its zero point; bytes above it stand for negative ones."""
    return Mux(layer.high < 0, 0, layer.high[:8])


def pointer_shape(config: Config) -> int:
    """Width of a pixel pointer: the index of an entry, or the number of all."""
    return config.entry_bits + 1


def entry_layout(config: Config) -> data.StructLayout:
    """One nonzero held on chip: its coded byte, and its index f = x * C + c within its feature-map row."""
    return data.StructLayout({"value": 8, "f": config.feature_bits})


def unit_layout(config: Config) -> data.StructLayout:
    """A unit of work: the first window of an output pixel, for one group of channels.

    x, y: the window's first column and row, negative in the padding.
    row_pixel: y * W, modulo the pixels held.
    weight: the weight address of (r = 0, f = 0): that of the group's first weight - x * C, modulo the weights held.
    last_group: only last_lanes of the lanes count.
    """
    coordinate = signed(config.coordinate_bits + 1)
    return data.StructLayout(
        {"x": coordinate, "y": coordinate, "row_pixel": config.pixel_bits, "weight": config.weight_bits, "last_group": 1}
    )


def range_layout(config: Config) -> data.StructLayout:
    """The entries of one window row.

    start: index of the first one. count: how many, 0 only for a window without any, which still has to end.
    weight: what is added to f to give the weight address.
    first_window, last_window: of the unit (of its pool). end: of the window. last_group: as in the unit.
    """
    return data.StructLayout(
        {
            "start": config.entry_bits,
            "count": config.feature_bits + 1,
            "weight": config.weight_bits,
            "first_window": 1,
            "last_window": 1,
            "end": 1,
            "last_group": 1,
        }
    )


def order_layout(config: Config) -> data.StructLayout:
    """Which row works on the next unit in order, whether it is a pixel's first or last group, and whether the tensor's last unit.

    Where experts are built, skipped: it stands for all units of an expert that is not chosen, and no row works on it.
    """
    skipped = {"skipped": 1} if config.experts else {}
    return data.StructLayout({"row": (config.rows - 1).bit_length(), "first_group": 1, "last_group": 1, "last": 1, **skipped})


def candidate_layout(config: Config) -> data.StructLayout:
    """An accumulator that may survive requantisation.

    gap: zeros before it since the candidate before. channel: index of its parameters.
    null: there is no accumulator, only the gap. last: ends the tensor.
    """
    return data.StructLayout({"gap": RUN_BITS, "accumulator": signed(32), "channel": config.channel_bits, "null": 1, "last": 1})


class Result(data.Struct):
    """A requantised output: gap zeros, then value as a coded byte, which may itself be zero. null: the zeros only."""

    gap: RUN_BITS
    value: 8
    null: 1
    last: 1
