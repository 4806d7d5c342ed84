"""The words of every flow: what a token, a unit, a range, a candidate and a layer descriptor hold."""

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Mux, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import MAX_RUN, Config

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

RUN_BITS = MAX_RUN.bit_length()
LANES_A_WORD = 4  # whose int8 weights are loaded with one word
INDEX_LANES_A_WORD = 8  # likewise, whose numbers of slots are: four bits each
FUNCTION_WORDS = 64  # of a function's table: four of its 256 bytes each


class Word(data.Struct):
    """A 32-bit word of an AXI4-Stream; last ends the tensor (TLAST), damaged marks one cut short by an error (TUSER)."""

    data: 32
    last: 1
    damaged: 1


class Token(data.Struct):
    """run zeros, then value (a nonzero coded byte); value 0 means these zeros only, and all 0 none at all. last ends the tensor."""

    run: RUN_BITS
    value: 8
    last: 1

    def is_none(self) -> Value:
        """Whether it stands for nothing."""
        return ~self.as_value().any()


def tokens_layout(config: Config) -> data.ArrayLayout:
    """The tokens of a cycle, in order; one without run, value and last is none, and so is what follows `last`."""
    return data.ArrayLayout(Token, config.survivors)


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


class LoadTarget(enum.Enum, shape=unsigned(4)):
    """The memory that a packet on the load port is for."""

    WEIGHTS = 0
    CHANNELS = 1
    PROGRAM = 2
    FUNCTIONS = 3
    LISTS = 4
    INDICES = 5


class LoadHeader(data.Struct):
    """First word of a packet on the load port."""

    address: 28
    target: LoadTarget


def store_layout(config: Config) -> data.StructLayout:
    """What the load port stores in this cycle, in all memories but the program's.

    loading: weights are being stored, so none are read. weights: one bit for each word of lanes. bias, scale, upper, lower: of a channel.
    Where functions are built, function: of a function's table. Where lists are built, list: of a tap; indices: one bit for each word of
    lanes, as for weights; loading holds for them as well. address, data: where and what.
    """
    words = config.lanes // LANES_A_WORD
    enables = {"loading": 1, "weights": words, "bias": 1, "scale": 1, "upper": 1, "lower": 1}
    if config.functions:
        enables["function"] = 1
    if config.slots:
        enables |= {"list": 1, "indices": index_words(config)}
    return data.StructLayout({**enables, "address": 16, "data": 32})


def index_words(config: Config) -> int:
    """Words that hold the numbers of all lanes' slots, at one address."""
    return -(-config.lanes // INDEX_LANES_A_WORD)


def last_positive(layer: data.View) -> Value:
    """The largest coded byte that stands for an output above its zero point; bytes above it stand for negative ones."""
    positive = Mux(layer.high < 0, 0, layer.high[:8])
    return Mux(layer.looked_up, layer.positive_out, positive) if "looked_up" in layer.shape().members else positive


def pointer_shape(config: Config) -> int:
    """Width of a pixel pointer: the index of an entry, or the number of all."""
    return config.entry_bits + 1


def entry_layout(config: Config) -> data.StructLayout:
    """One nonzero held on chip: its coded byte, and its index f = x * C + c within its feature-map row."""
    return data.StructLayout({"value": 8, "f": config.feature_bits})


def unit_layout(config: Config) -> data.StructLayout:
    """A unit of work: the first window of an output pixel, for one group of channels.

    x, y: the window's first column and row, negative in the padding.
    row_pixel: y * W - 1, the pixel before the row, modulo the pixels held.
    weight: the weight address of (r = 0, f = 0): that of the group's first weight - x * C, modulo the weights held.
    last_group: only last_lanes of the lanes count.
    whole: all rows of its input are stored; of others, each is waited for. Where parts work serially, all are.
    Where lists are built, slots: of a layer with lists, the groups that the unit computes at once, from the first window's on; their
    weights are lists, and of weights it are those of taps.
    """
    coordinate = signed(config.coordinate_bits + 1)
    more = {} if config.serial else {"whole": 1}
    if config.slots:
        more["slots"] = config.count_bits
    return data.StructLayout(
        {"x": coordinate, "y": coordinate, "row_pixel": config.pixel_bits, "weight": config.weight_bits, "last_group": 1, **more}
    )


def range_layout(config: Config) -> data.StructLayout:
    """The entries of one window row.

    start: index of the first one. count: how many, 0 only for a window without any, which still has to end.
    weight: what is added to f to give the weight address.
    first_window, last_window: of the unit (of its pool). end: of the window. last_group, slots: as in the unit.
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
            **({"slots": config.count_bits} if config.slots else {}),
        }
    )


def order_layout(config: Config) -> data.StructLayout:
    """Which row works on the next unit in order, whether it is a pixel's first or last group, whether a row's last pixel, and whether the
    tensor's last unit.

    Where experts are built, skipped: it stands for all units of an expert that is not chosen, and no row works on it. Where lists are
    built, slots: groups of the unit, 1 of a layer without lists.
    """
    more = {"skipped": 1} if config.experts else {}
    if config.slots:
        more["slots"] = config.count_bits
    return data.StructLayout({"row": (config.rows - 1).bit_length(), "first_group": 1, "last_group": 1, "row_end": 1, "last": 1, **more})


def sums_signature(config: Config) -> wiring.Signature:
    """A row's way to the drain: the sums of its oldest finished unit, slice by slice, from the row's side.

    values: the next `scan` lanes' sums. valid: they are there, and stay until they are taken. advance: they are taken, and the next ones
    follow. drained: they are taken, and no more of the unit are wanted.
    """
    layout = data.ArrayLayout(signed(32), config.scan)
    return wiring.Signature({"values": Out(layout), "valid": Out(1), "advance": In(1), "drained": In(1)})


def candidate_layout(config: Config) -> data.StructLayout:
    """An accumulator that may survive requantisation.

    gap: zeros before it since the candidate before. channel: index of its parameters.
    null: there is no accumulator, only the gap; with gap 0 and last 0 it is none at all. last: ends the tensor.
    """
    return data.StructLayout({"gap": RUN_BITS, "accumulator": signed(32), "channel": config.channel_bits, "null": 1, "last": 1})


class Result(data.Struct):
    """A requantised output: gap zeros, then value as a coded byte, which may itself be zero.

    null: the zeros only; with gap 0 and last 0 it is none at all. last: ends the tensor.
    """

    gap: RUN_BITS
    value: 8
    null: 1
    last: 1

    def is_none(self) -> Value:
        """Whether it stands for nothing."""
        return ~Cat(self.gap, ~self.null, self.last).any()
