"""The link's numbers, for the gateware and the driver; docs/link.md explains them."""

from enum import IntEnum, IntFlag

PROTOCOL = 1  # version
WINDOW = 4  # requests that may be under way, and answers that the board keeps
REQUEST_SLOTS = 8  # requests that the board holds, with the one being received
SLOT_BYTES = 256  # of a request or an answer, coded, with its delimiter
FRAME_WORDS = 61  # words in a frame at most: 4 + 244 + 4 bytes, one more when coded, and the delimiter
WAIT_CYCLES = 4096  # that the board waits for a word to be taken, or to come
HELLO_BYTES = 12  # the answer to HELLO: protocol, window, words a frame, request slots (a byte each), clock_hz, baud (four each)


class Operation(IntEnum):
    """What a request asks for: bits 2...0 of its third byte."""

    HELLO = 0
    READ = 1
    WRITE = 2
    SEND = 3
    LOAD = 4
    TAKE = 5


LAST = 1 << 3  # in a request's operation: the frame's last word carries TLAST
RESET = 1 << 4  # HELLO: reset the accelerator
RESUME = 1 << 4  # SEND and LOAD: take words again, after a frame that was not taken whole
PAGE_SHIFT = 6  # READ and WRITE: bits 11 and 10 of the address; bits 9...2 are the argument


class Flags(IntFlag):
    """The last byte of an answer."""

    LAST = 1  # TLAST of the last word
    DAMAGED = 2  # TUSER of the last word
    REFUSED = 4  # SLVERR, or an unknown operation
    BUSY = 8  # STATUS.busy
    ERROR = 16  # STATUS.error
    WAITING = 32  # an output word waits to be taken
