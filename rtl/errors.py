"""Errors: a number, a name and a sentence each, in one table."""

from typing import TYPE_CHECKING

from amaranth.hdl import unsigned

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum

_SENTENCES: dict[int, str] = {}


def _row(number: int, sentence: str) -> int:
    _SENTENCES[number] = sentence
    return number


class Error(enum.Enum, shape=unsigned(8)):
    """Why a run stopped; the number in the register ERROR."""

    NONE = _row(0, "no error")
    STREAM_ENDED_EARLY = _row(1, "the input stream ended before the tensor was complete")
    STREAM_RAN_OVER = _row(2, "the input stream runs past the end of the tensor")
    STREAM_BITS_LEFT = _row(3, "the input stream goes on after the end of the tensor")
    DESCRIPTOR_UNKNOWN = _row(4, "the descriptor's opcode or winners_of is unknown, or its unit is not built")
    DESCRIPTOR_SIZE = _row(5, "a size in the descriptor is zero, too large for this configuration, or contradicts another")
    WEIGHTS_TOO_MANY = _row(6, "the layer's weights do not fit the weight memory")
    CHANNELS_TOO_MANY = _row(7, "the layer's channels do not fit the channel memory")
    ENTRIES_FULL = _row(8, "the nonzero activations do not fit the activation buffers")
    PIXELS_FULL = _row(9, "the feature map's pixels do not fit the activation buffers")
    FEATURES_TOO_MANY = _row(10, "columns x channels of a feature map are more than the configuration's features")
    INPUT_MISSING = _row(11, "the input buffer holds no tensor of the layer's shape")
    PROGRAM_NOT_ENDED = _row(12, "the program has no final descriptor")
    LOAD_TARGET = _row(13, "a packet on the load port is for no memory there is")
    LOAD_ADDRESS = _row(14, "a packet on the load port runs past the end of its memory")
    LOAD_CUT = _row(15, "a packet on the load port ends inside an address")
    STOPPED = _row(16, "the run was stopped")
    NOT_BUILT = _row(
        17,
        "the descriptor asks for an input from the stream and a stored output, which serial forms do one after the other,"
        " or for a pooling unit, a function's table, or lists of weights, where none is built",
    )
    LIST_WRONG = _row(18, "a list of weights is longer than the layer's slots, lies outside the memory, or names a slot that is not there")

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return _SENTENCES[self.value]
