"""A simulated device whose surroundings pause, stop it and reset it at random, and that checks the rules of its ports in each cycle."""

import ctypes
from dataclasses import dataclass

import numpy as np

from skipgrid.host.devices.device import CONTROL, Words
from skipgrid.host.simulation.device import OUT_CAPACITY, SimulatedDevice, joined
from skipgrid.host.simulation.library import pointer
from skipgrid.rtl.config import Config
from skipgrid.rtl.counters import COUNTERS, counter_words
from skipgrid.rtl.register_map import IDENTIFICATION, LAYER_CYCLES, REGISTERS, VERSION_WORD, Access

NEVER = (1 << 64) - 1
IDLE_LIMIT = 4_000_000  # cycles without a word moved, after which the design counts as hung
OKAY, SLVERR = 0, 2
RESET = 3
PROGRAM = REGISTERS["PROGRAM"]
FAULTS = {  # as chaos.h numbers them
    1: f"moved no word for {IDLE_LIMIT:,} cycles",
    2: "sent more words than fit",
    4: "changed or took back an output word that waited",
    5: "offered an output word while no run was under way",
    6: "sent TUSER before the last word of a packet",
    7: "sent TUSER, but no error",
    8: "ended a run within an output packet",
    9: "took an input word while no run was under way",
    10: "ended a run within an input packet",
    11: "took a word of the load port while a run was under way",
    12: "had irq at 1 in a run, or at 0 behind it",
    13: "changed or took back an answer of the registers that waited",
    14: "answered an access to a register before it was complete",
    15: "answered an access to a register with another response or value",
    16: "had another STATUS than its ports say",
    17: "went on in a reset",
}


class PortFault(RuntimeError):
    """The accelerator broke a rule of its ports, or hangs."""


class DeviceReset(RuntimeError):
    """The accelerator was reset before it had done what was asked of it."""


class _Gate(ctypes.Structure):
    _fields_ = (("closes", ctypes.c_uint32), ("opens", ctypes.c_uint32))


class RegisterAccess(ctypes.Structure):
    """An access that changes nothing: a read if strobes is 0. response: AXI's. mask, value: what is known of what is read."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("address", "strobes", "data", "response", "mask", "value"))


class _Chaos(ctypes.Structure):
    _fields_ = (
        ("seed", ctypes.c_uint64),
        *((name, _Gate) for name in ("load", "input", "output", "bus")),
        *((name, ctypes.c_uint64) for name in ("stop_at", "reset_at", "reset_cycles", "idle_limit")),
        *((name, ctypes.c_uint32) for name in ("control", "start", "stop", "status", "busy_bit", "error_bit")),
        ("accesses", ctypes.POINTER(RegisterAccess)),
        ("access_count", ctypes.c_uint64),
    )


GATES = {  # of 65,536: that an open port closes, and that a closed one opens, in a cycle
    "open": (0, 0),
    "rarely closed": (300, 16_000),
    "often closed": (30_000, 30_000),
    "mostly closed": (50_000, 3_000),
    "in bursts": (300, 300),
}


@dataclass(frozen=True)
class OutputPacket:
    """A packet of the output stream; damaged: by TUSER in its last word."""

    words: Words
    damaged: bool


class ChaoticDevice(SimulatedDevice):
    """An accelerator in simulation whose ports are stalled, starved and asked at random.

    In half of the cases it is in a hurry: runs begin before STATUS.ready, and PROGRAM is written only where it changes.

    stop_at, reset_at: the cycle of the next use (a load, or a run) in which it is stopped or reset, if that lasts as long; then None again.
    sent: the output packets of the last run, also of one that ended in error.

    `load` and `run` raise what those of any device raise; PortFault; and DeviceReset.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.stop_at: int | None = None
        self.reset_at: int | None = None
        self.sent: list[OutputPacket] = []
        accesses = harmless_accesses(config)
        self._accesses = (RegisterAccess * len(accesses))(*accesses)
        self.restart(np.random.default_rng(0))

    def restart(self, rng: np.random.Generator) -> None:
        """Begin with a new accelerator, and surroundings that behave in another way."""
        self.close()
        self._open()
        self._random = rng
        self._gates = {name: _Gate(*GATES[str(rng.choice(list(GATES)))]) for name in ("load", "input", "output", "bus")}
        self._hurries = bool(rng.random() < 0.5)
        self.stop_at = self.reset_at = None

    def wait_ready(self) -> None:
        if not self._hurries:
            super().wait_ready()

    def write_register(self, address: int, value: int) -> None:
        if self._hurries and address == PROGRAM.address and self.read_register(address) == value:
            return  # so that nothing but the packets themselves says that the program is another one
        super().write_register(address, value)

    def load(self, packet: Words) -> None:
        self.use([packet], [], start=False)
        self.check()

    def stream(self, packets: list[Words]) -> list[Words]:
        self.sent = self.use([], packets, start=True)
        return [packet.words for packet in self.sent]

    def use(self, load: list[Words], packets: list[Words], *, start: bool) -> list[OutputPacket]:
        """Send packets to the load port and the input, from the start of a run to its end if there is one; gives the output packets."""
        load_words, load_last = joined(load)
        in_words, in_last = joined(packets)
        count = ctypes.c_uint64()
        status = REGISTERS["STATUS"]
        chaos = _Chaos(
            seed=int(self._random.integers(1 << 63)),
            **self._gates,
            stop_at=NEVER if self.stop_at is None else self.stop_at,
            reset_at=NEVER if self.reset_at is None else self.reset_at,
            reset_cycles=int(self._random.integers(1, 5)),
            idle_limit=IDLE_LIMIT,
            control=CONTROL.address,
            start=CONTROL.mask("start"),
            stop=CONTROL.mask("stop"),
            status=status.address,
            busy_bit=status.mask("busy"),
            error_bit=status.mask("error"),
            accesses=self._accesses,
            access_count=len(self._accesses),
        )
        self.stop_at = self.reset_at = None
        ended = self._library.skipgrid_chaos(
            self._device,
            ctypes.byref(chaos),
            pointer(load_words),
            pointer(load_last),
            ctypes.c_uint64(len(load_words)),
            pointer(in_words),
            pointer(in_last),
            ctypes.c_uint64(len(in_words)),
            pointer(self._out),
            pointer(self._out_flags),
            ctypes.c_uint64(OUT_CAPACITY),
            int(start),
            ctypes.byref(count),
        )
        if ended == RESET:
            raise DeviceReset("the accelerator was reset")
        if ended:
            raise PortFault(f"the accelerator {FAULTS[ended]}")
        return [OutputPacket(words, bool(flags & 2)) for words, flags in self._sent(count.value)]


def harmless_accesses(config: Config) -> list[RegisterAccess]:
    """Accesses that disturb nothing: reads of all registers, and what is refused."""
    known = {"IDENTIFICATION": IDENTIFICATION, "VERSION": VERSION_WORD, "CONFIG_HASH": config.hash}
    known["GRID"] = config.rows | config.lanes << 16
    missing = {word for counter in COUNTERS for word in counter.words} - set(counter_words(config))
    there = [register for register in REGISTERS.values() if register.name not in missing]
    accesses = []
    for register in there:
        if register.access != Access.WRITE:
            mask, value = (0xFFFFFFFF, known[register.name]) if register.name in known else (0, 0)
            accesses.append(RegisterAccess(address=register.address, response=OKAY, mask=mask, value=value))
        else:
            accesses.append(RegisterAccess(address=register.address, response=SLVERR))
        refused = 15 if register.access == Access.READ else 7
        accesses.append(RegisterAccess(address=register.address, strobes=refused, data=0xFFFFFFFF, response=SLVERR))
    for commands in (("start", "stop"), ("stop", "clear")):
        data = sum(CONTROL.mask(command) for command in commands)
        accesses.append(RegisterAccess(address=CONTROL.address, strobes=15, data=data, response=SLVERR))
    accesses += [RegisterAccess(address=LAYER_CYCLES + 4 * layer, response=OKAY) for layer in (0, config.layers - 1)]
    accesses += [RegisterAccess(address=REGISTERS["STATUS"].address, response=OKAY)] * 10
    nothing = 0x7FC  # behind the last layer's cycles, where these are fewer than 256
    accesses.append(RegisterAccess(address=nothing, response=OKAY if config.layers == 256 else SLVERR))
    accesses.append(RegisterAccess(address=nothing, strobes=15, response=SLVERR))
    return accesses
