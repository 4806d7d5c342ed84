"""The layer descriptor: one row of one table for each of its fields, from which everything that knows of fields follows."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from amaranth.hdl import Shape, ShapeLike, signed
from amaranth.lib import data

from .config import Config
from .errors import Error

SLOT_WORDS = 32  # that a descriptor has in the program memory


class Use(Enum):
    """When a field means anything."""

    ALWAYS = "whatever the opcode"
    COMPUTES = "unless the opcode is LOAD"
    POOLING = "where merges is 1"
    FUNCTIONS = "where looked_up is 1"
    LISTS = "where lists is 1"
    WINNERS = "where winners_of asks for winners"
    TENSOR_WINNERS = "where they are a tensor's"
    EXPERTS = "where the opcode is EXPERTS"

    def built(self, config: Config) -> bool:
        """Whether a configuration has any use for such a field."""
        if self is Use.EXPERTS:
            return config.experts > 0
        if self is Use.POOLING:
            return config.pool_elements > 0
        if self is Use.FUNCTIONS:
            return config.functions > 0
        if self is Use.LISTS:
            return config.slots > 0
        if self is Use.TENSOR_WINNERS:
            return config.winners > 0
        return self is not Use.WINNERS or config.some_winners


def _all(_config: Config) -> int:
    return 32


def _size(config: Config) -> int:
    return config.features.bit_length()


def _channels(config: Config) -> int:
    return config.channels.bit_length()


def _outputs(config: Config) -> int:
    return max(_size(config), _channels(config))


def _coordinate(config: Config) -> int:
    return config.coordinate_bits


def _pixel(config: Config) -> int:
    return config.pixel_bits


def _weight(config: Config) -> int:
    return config.weight_bits


@dataclass(frozen=True)
class Field:
    """A field of the layer descriptor.

    name, shape: in the descriptor. meaning: for people; empty if the field is kept for later.
    held: bits of it that a configuration's hardware keeps, at most; None if it keeps something else that follows from the field.
    use: when it means anything.
    modulo: it is added to addresses, so that only its lowest bits count, in the descriptor as in the hardware.
    least: a smaller value is the error DESCRIPTOR_SIZE. too_large: the error of one that the configuration does not hold.
    """

    name: str
    shape: ShapeLike
    meaning: str = ""
    held: Callable[[Config], int] | None = _all
    use: Use = Use.COMPUTES
    modulo: bool = False
    least: int = 0
    too_large: Error = Error.DESCRIPTOR_SIZE


FIELDS = (
    # word 0: what is done; how windows move
    Field(
        "opcode",
        4,
        "1 (LOAD) stores an input tensor, 2 (LAYER) computes, 3 (GATE) computes scores for the router,"
        " 4 (EXPERTS) computes what the chosen experts give",
        held=None,
        use=Use.ALWAYS,
    ),
    Field(
        "winners_of",
        2,
        "1 (TENSOR) or 2 (PIXEL): of these outputs, only the k largest keep their values; 0: all do; not of LOAD and GATE",
        held=None,
        use=Use.ALWAYS,
    ),
    Field("magnitude", 1, "the largest |value| win, instead of the largest value", use=Use.WINNERS),
    Field("from_stream", 1, "the input comes from the stream, and is walked while it is loaded"),
    Field("to_stream", 1, "the output goes to the stream, otherwise into the other buffer; a GATE's goes to the router"),
    Field(
        "buffer",
        1,
        "of the input: 0 or 1",
        use=Use.ALWAYS,
    ),
    Field("final", 1, "the program ends here", use=Use.ALWAYS),
    Field(
        "sums",
        1,
        "the output are the four bytes of each sum, least significant first, in place of what is made of it: four times as many channels;"
        " only with to_stream and bounds that every sum reaches, without pooling and winners",
    ),
    Field(
        "merges",
        1,
        "the pooling unit max pools the output, which the grid computes without pooling, and which is stored as words 17 and 18"
        " and the fields with merges say; the error NOT_BUILT where there is none",
        held=None,
    ),
    Field(
        "looked_up",
        1,
        "the function's table that `table` says has what becomes of each output; the error NOT_BUILT where no tables are",
        held=None,
    ),
    Field(
        "lists",
        1,
        "the layer's weights are lists: what is said of weights in words 12 to 15 is said of their taps, and a unit of work computes up to"
        " `slots` groups, without pooling of pool_rows and pool_columns; the error NOT_BUILT where no lists are",
        held=None,
    ),
    Field("reserved0", 1),
    Field("stride_rows", 8, "the convolution's stride in rows", held=_coordinate),
    Field("stride_columns", 8, "the convolution's stride in columns", held=_coordinate),
    # word 1: what becomes of a value
    Field("low", signed(9), "the lower clamp, as y − zero point, before a function"),
    Field("high", signed(9), "the upper clamp, likewise"),
    Field("threshold", 8, "outputs whose |y − zero point| is below it become 0, before a function, whose table has its own"),
    Field("k_in", 3, "the code's parameter of the input stream", use=Use.ALWAYS),
    Field("k_out", 3, "the code's parameter of the output stream"),
    # word 2
    Field("elements", 32, "H · W · C", held=lambda config: config.element_bits, use=Use.ALWAYS, least=1),
    # words 3 to 6
    Field("C", 16, "input channels", held=_size, use=Use.ALWAYS, least=1, too_large=Error.FEATURES_TOO_MANY),
    Field("H", 16, "input rows", held=_coordinate, use=Use.ALWAYS, least=1),
    Field("W", 16, "input columns", held=_coordinate, use=Use.ALWAYS, least=1),
    Field("out_rows", 16, "rows of the output, after the pooling of pool_rows", held=_coordinate, least=1),
    Field(
        "out_columns",
        16,
        "units in a row of the output: its columns, after the pooling of pool_columns, or as many less as units compute several",
        held=_coordinate,
        least=1,
    ),
    Field("K", 16, "output channels", held=_outputs, least=1, too_large=Error.CHANNELS_TOO_MANY),
    Field("R", 16, "filter rows", held=_coordinate, least=1),
    Field("S", 16, "filter columns", held=_coordinate, least=1),
    # words 7 to 10
    Field(
        "first_y",
        signed(16),
        "the row in which the first window begins: the rows of padding above, negative",
        held=lambda config: config.coordinate_bits + 1,
    ),
    Field(
        "first_x",
        signed(16),
        "the column in which it begins: the columns of padding at the left, negative",
        held=lambda config: config.coordinate_bits + 1,
    ),
    Field("pool_rows", 16, "rows of the max pooling's window; 1 for none", held=_coordinate, least=1),
    Field("pool_columns", 16, "columns of the max pooling's window; 1 for none", held=_coordinate, least=1),
    Field("unit_stride_rows", 16, "stride of the pooling times that of the convolution, in rows", held=_coordinate),
    Field("unit_stride_columns", 16, "the same in columns, less (groups − 1) · group_stride_columns", held=_coordinate),
    Field("span_rows", 16, "input rows that one stored output needs: (pool_rows − 1) · stride_rows + R", held=_coordinate),
    Field(
        "lead",
        16,
        "entries before the end of a unit of work at which a row takes its next one, which changes times, not results; a good one is"
        " 2 · (R · pool_rows · pool_columns + 7), with 11 in place of 7 where the form is spread",
        held=lambda config: config.entry_bits + 2,
    ),
    # words 11 and 12: in pixels, modulo 65,536; then in weights
    Field("stride_pixels", 16, "stride_rows · W", held=_pixel, modulo=True),
    Field("unit_stride_pixels", 16, "unit_stride_rows · W", held=_pixel, modulo=True),
    Field("first_pixel", 16, "first_y · W − 1", held=_pixel, modulo=True),
    Field("filter_row_weights", 16, "S · C", held=_weight, modulo=True),
    # words 13 to 15
    Field("group_weights", 16, "R · S · C − group_stride_columns · C", held=_weight, modulo=True),
    Field("stride_weights", 16, "−stride_columns · C", held=_weight, modulo=True),
    Field("unit_stride_weights", 16, "−(unit_stride_columns + (groups − 1) · group_stride_columns) · C", held=_weight, modulo=True),
    Field("first_weight", 16, "the address of the layer's first weights − first_x · C", held=_weight, modulo=True),
    Field("weights_end", 16, "the address behind the layer's last weights", held=None, too_large=Error.WEIGHTS_TOO_MANY),
    Field(
        "channels_base",
        16,
        "the first channel of the layer; a multiple of lanes",
        held=lambda config: config.channel_bits,
        too_large=Error.CHANNELS_TOO_MANY,
    ),
    # word 16
    Field("groups", 15, "groups of lanes: K / lanes, rounded up", held=_channels, least=1),
    Field("last_lanes", 9, "lanes that the last group uses", held=lambda config: config.lanes.bit_length(), least=1),
    Field("positive_max", 8, "coded bytes above it stand for negative activations: byte − 256"),
    # words 17 and 18: how the output is stored, for whoever reads it: as many elements, in the same order
    Field(
        "stored_channels",
        16,
        "channels of the stored output: K, K / P where the units of P neighbouring outputs are one, or less where slices of these are"
        " pixels of their own",
        held=_outputs,
        least=1,
        too_large=Error.CHANNELS_TOO_MANY,
    ),
    Field(
        "stored_columns",
        16,
        "columns of the stored output: P · out_columns, or up to P − 1 less; of the pooled output where merges is 1; or slices of a pixel's"
        " channels",
        held=_coordinate,
        least=1,
    ),
    Field(
        "end_lanes",
        9,
        "lanes that the last group uses in a row's last unit, which may lack some outputs",
        held=lambda config: config.lanes.bit_length(),
        least=1,
    ),
    Field(
        "stored_rows",
        16,
        "rows of the stored output: out_rows; of the pooled output where merges is 1; or as many as it has pixels",
        held=_coordinate,
        least=1,
    ),
    Field(
        "group_stride_columns",
        7,
        "columns from a group's window to that of the next group of the same output",
        held=lambda config: min(7, config.coordinate_bits),
    ),
    # words 19 and 20, for the pooling unit, and 19 for functions; taken only where these are built
    Field("conv_columns", 16, "merges: columns of the convolution's output", held=_coordinate, use=Use.POOLING, least=1),
    Field(
        "table",
        6,
        "looked_up: the number of the function's table",
        held=lambda config: (config.functions - 1).bit_length(),
        use=Use.FUNCTIONS,
    ),
    Field("positive_out", 8, "looked_up: coded bytes of the output above it stand for negative ones: byte − 256", use=Use.FUNCTIONS),
    Field("reserved1", 2),
    Field(
        "row_elements",
        17,
        "merges: of a row of the stored output, stored_columns · stored_channels; less than the configuration's pool_elements, of which"
        " stored_channels are less than a quarter; where survivors is 2, with 7 more for each column",
        held=_size,
        use=Use.POOLING,
        too_large=Error.FEATURES_TOO_MANY,
    ),
    Field("merge_rows", 2, "merges: rows of the max pooling's window, 1...3", use=Use.POOLING, least=1),
    Field("merge_columns", 2, "merges: columns of the max pooling's window, 1...3", use=Use.POOLING, least=1),
    Field("merge_stride_rows", 5, "merges: the pooling's stride in rows", use=Use.POOLING, least=1),
    Field("merge_stride_columns", 5, "merges: the pooling's stride in columns", use=Use.POOLING, least=1),
    Field("reserved2", 1),
    # word 21, for lists
    Field(
        "slots",
        5,
        "lists: groups that a unit computes at once, but for the last unit of a pixel, which computes those that are left",
        held=lambda config: config.count_bits,
        use=Use.LISTS,
        least=1,
    ),
    Field("spare_lane", 1, "lists: the last lane of each group but the last one is not used", use=Use.LISTS),
    Field("reserved3", 26),
    # words 22 and 23, for winners
    Field(
        "winners",
        32,
        "k: elements of the tensor, or channels of each pixel, that keep their values; this word and the next one are taken only"
        " where winners are built",
        held=lambda config: config.element_bits if config.winners else config.pixel_winners.bit_length(),
        use=Use.WINNERS,
    ),
    Field(
        "period",
        15,
        "of a tensor's winners: they are chosen in every so many tensors, and a threshold is kept in between; 1 for none, not 0",
        use=Use.TENSOR_WINNERS,
        least=1,
    ),
    Field("reserved4", 17),
    # words 24 and 25, for EXPERTS
    Field(
        "expert_groups",
        16,
        "EXPERTS: groups of each; this word and the next one are taken only where experts are built",
        held=_channels,
        use=Use.EXPERTS,
        least=1,
    ),
    Field("expert_weights", 16, "EXPERTS: expert_groups · group_weights", held=_weight, use=Use.EXPERTS, modulo=True),
    Field(
        "experts",
        16,
        "EXPERTS: how many; expert_groups times as many groups",
        held=lambda config: config.experts.bit_length(),
        use=Use.EXPERTS,
        least=1,
    ),
    Field("reserved5", 16),
)
FIELD = {field.name: field for field in FIELDS}

Descriptor: type[data.Struct] = type(data.Struct)(
    "Descriptor",
    (data.Struct,),
    {
        "__doc__": """One layer of a program, fields from the least significant bit up.

        Products of sizes stand ready-made in it, so that the hardware only adds. H, W, C are the input's rows, columns and
        channels, K the output's channels, R and S the filter's rows and columns. A unit is one stored output pixel and one
        group of channels; without pooling its stride is the convolution's. Words of which a configuration uses nothing are not fetched;
        where no winners are built, winners_of must be 0. LAYER's fields are GATE's and EXPERTS' as well, but that a GATE's output goes to
        the router alone.
        """,
        "__annotations__": {field.name: field.shape for field in FIELDS},
        "__module__": __name__,
    },
)
_PLACES = {str(name): field for name, field in data.StructLayout.cast(Descriptor)}
DESCRIPTOR_WORDS = data.StructLayout.cast(Descriptor).size // 32
assert all(place.offset % 32 + place.width <= 32 for place in _PLACES.values()), "a field crosses a word"
assert _PLACES[FIELDS[-1].name].offset % 32 + _PLACES[FIELDS[-1].name].width == 32, "the last word is not whole"


def descriptor_words(config: Config) -> int:
    """Words of a descriptor that mean anything to this configuration."""
    winners = (Use.WINNERS, Use.TENSOR_WINNERS) if config.some_winners else ()  # both are fetched with either of them
    used = (_PLACES[field.name] for field in FIELDS if field.meaning and (field.use in winners or field.use.built(config)))
    return max(place.offset // 32 for place in used) + 1


def layer_layout(config: Config) -> data.StructLayout:
    """The layer that runs: the descriptor's fields under the same names, no wider than this configuration needs.

        computes stands for the opcode (with gates and routed where experts are built), and weights_end is only checked. What is kept of a
    field modulo 65,536 is enough for the addresses of this configuration. merges is there where the pooling unit is built, looked_up
    where functions are, and lists where these are. Where winners are built, of_tensor and of_pixel stand for winners_of. With kept, what
    reaches the threshold kept from an earlier tensor wins; with follows, the layer's input is still being stored when it begins, as
    winners of the layer before.
    """
    members: dict[str, ShapeLike] = {"computes": 1}
    if config.winners:
        members |= {"of_tensor": 1, "kept": 1}
    if config.overlaps:
        members["follows"] = 1
    if config.pixel_winners:
        members["of_pixel"] = 1
    if config.experts:
        members |= {"gates": 1, "routed": 1}
    if config.pool_elements:
        members["merges"] = 1
    if config.functions:
        members["looked_up"] = 1
    if config.slots:
        members["lists"] = 1
    for field in FIELDS:
        if field.meaning and field.held and field.use.built(config):
            shape = Shape.cast(field.shape)
            members[field.name] = Shape(min(shape.width, field.held(config)), shape.signed)
    return data.StructLayout(members)
