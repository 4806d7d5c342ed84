"""The register map: one table, from which the hardware, the drivers and the documentation are made."""

from dataclasses import dataclass
from enum import Enum

from skipgrid import __version__

from .counters import COUNTERS

IDENTIFICATION = 0x534B4744  # "SKGD"
VERSION = tuple(map(int, __version__.split(".")))  # noqa: RUF048  # major, minor, patch: a register has nothing else
VERSION_WORD = VERSION[0] << 16 | VERSION[1] << 8 | VERSION[2]
VERSION_FIELDS = (("patch", 0, 8, ""), ("minor", 8, 8, ""), ("major", 16, 8, ""))
ADDRESS_BITS = 12
COUNTERS_BASE = 0x040  # of the performance counters
LAYER_CYCLES = 0x400  # of layer n at + 4 n; read-only
ROUTER_BASE = 0x800  # the expert router's registers, where it is built


class Access(Enum):
    """How software may use a register; anything else is answered with SLVERR."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "read and write"


@dataclass(frozen=True)
class Register:
    """A 32-bit register at a byte address, with its fields as (name, lowest bit, width, meaning).

    reset: what is read after a reset; None where that follows from the configuration, or is unknown, or nothing can be read.
    """

    name: str
    address: int
    access: Access
    meaning: str
    fields: tuple[tuple[str, int, int, str], ...] = ()
    reset: int | None = 0

    @property
    def width(self) -> int:
        """Bits up to the highest field."""
        return max((low + width for _, low, width, _ in self.fields), default=32)

    def bits(self, name: str) -> slice:
        """Where in the word a field lies."""
        for field, low, width, _ in self.fields:
            if field == name:
                return slice(low, low + width)
        raise KeyError(name)

    def mask(self, name: str) -> int:
        """The bits of a field within the word."""
        bits = self.bits(name)
        return (1 << bits.stop) - (1 << bits.start)

    def field(self, name: str, value: int) -> int:
        """The value of a field in a word that was read."""
        return (value & self.mask(name)) >> self.bits(name).start


def _counters() -> list[Register]:
    """The registers of the performance counters."""
    meanings = [
        (name, counter.meaning + half)
        for counter in COUNTERS
        for name, half in zip(counter.words, (", lower 32 bits", "; its upper 32 bits") if counter.wide else ("",), strict=True)
    ]
    return [Register(name, COUNTERS_BASE + 4 * number, Access.READ, meaning) for number, (name, meaning) in enumerate(meanings)]


_READ, _WRITE, _BOTH = Access.READ, Access.WRITE, Access.READ_WRITE

REGISTERS = {
    register.name: register
    for register in (
        Register("IDENTIFICATION", 0x000, _READ, "the letters SKGD", reset=IDENTIFICATION),
        Register("VERSION", 0x004, _READ, "of the design", VERSION_FIELDS, VERSION_WORD),
        Register("CONFIG_HASH", 0x008, _READ, "32 bits of the configuration's hash, as in params.json", reset=None),
        Register("GRID", 0x00C, _READ, "size of the PE grid", (("rows", 0, 16, "PE rows"), ("lanes", 16, 16, "PE columns")), None),
        Register(
            "CONTROL",
            0x010,
            _WRITE,
            "acts on the bits that are written as 1; SLVERR, and nothing happens, where stop stands together with start or clear",
            (
                ("start", 0, 1, "runs the program at PROGRAM and clears ERROR and the counters; SLVERR while STATUS.busy"),
                ("stop", 1, 1, "gives the run up with the error STOPPED; nothing where none is under way"),
                ("clear", 2, 1, "clears STATUS.done, STATUS.error and ERROR; SLVERR while STATUS.busy"),
            ),
            reset=None,
        ),
        Register(
            "STATUS",
            0x014,
            _READ,
            "what the accelerator is doing",
            (
                ("busy", 0, 1, "from start until the run has ended"),
                ("done", 1, 1, "the run ended without an error; cleared by start, clear, or an error of the load port"),
                ("error", 2, 1, "ERROR says why the run, or a packet on the load port, failed; cleared by start or clear; never with done"),
                ("ready", 3, 1, "the program's first descriptor is fetched, so a run begins at once; start may also be written before"),
            ),
        ),
        Register(
            "ERROR",
            0x018,
            _READ,
            "the first error since start or clear; one of the load port that comes with a start ends that run before it begins",
            (("code", 0, 8, "see the table of errors"), ("layer", 8, 8, "number of the descriptor that was running")),
        ),
        Register("PROGRAM", 0x01C, _BOTH, "number of the first layer descriptor to run; SLVERR while STATUS.busy"),
        Register(
            "INTERRUPT_ENABLE",
            0x020,
            _BOTH,
            "what irq tells of; bits as in STATUS, all others are ignored",
            (("done", 1, 1, "the end of a run without an error"), ("error", 2, 1, "an error, of a run or of the load port")),
            reset=0b110,
        ),
        *_counters(),
    )
}

LAYERS = Register(
    "LAYER_CYCLES",
    LAYER_CYCLES,
    Access.READ,
    "cycles of descriptor n when it last ran to its end; start does not clear them, so they may be of an earlier run, and are anything"
    " where it never has",
    reset=None,
)
"""That of descriptor n at + 4 n."""
