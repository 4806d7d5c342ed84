"""What the driver itself reports: a number, a name and a sentence each; the numbers are behind those of the hardware, which end at 255."""

from enum import Enum


class DriverError(Enum):
    """Why a call of the driver failed, where the hardware does not say: the number in C, and what is wrong and what to do."""

    number: int
    sentence: str

    def __new__(cls, number: int, sentence: str) -> "DriverError":
        member = object.__new__(cls)
        member._value_ = member.number = number
        member.sentence = sentence
        return member

    NO_CORE = (
        256,
        "no accelerator answers at this address, or skipgrid_probe has not found it yet: look at the address map, clock and reset",
    )
    WRONG_VERSION = 257, "the accelerator is of another version than this header: generate both again, with the same version"
    WRONG_CONFIG = (
        258,
        "the accelerator, this header and the model are not of the same configuration: generate and compile for the same one",
    )
    BUSY = 259, "a run is under way: wait until it has ended, or stop it"
    BUFFER_SMALL = 260, "the result has more words than there is room for: what does not fit was dropped; give more room"
    TRANSFER_FAILED = 261, "the bus or its DMA has answered an error: look at its addresses and lengths"
    TIMED_OUT = (
        262,
        "nothing has moved for too long: a stream has ended early, a packet is missing, or patience is too small for the program",
    )
    UNEXPECTED_INTERRUPT = 263, "an interrupt came while nothing was under way; it is cleared"
    CODE_WRONG = 264, "the words are not the run-length code of so many elements: look at k and at how many there are"
    BAD_ARGUMENT = 265, "an argument is out of its range, or a pointer is missing"
