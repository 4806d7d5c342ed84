"""A core that is played for the C driver, and buses to it: registers, ports and errors as the manual says, and no network behind them."""

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from c_driver import MOVE, PLAIN, READ, WRITE, CBus, CCore, CTransfer, CWords
from skipgrid.reference.description import describe
from skipgrid.rtl.config import Config
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import REGISTERS, VERSION_WORD

LOAD, INPUT = 0, 1  # the ports
CONTROL, STATUS = REGISTERS["CONTROL"], REGISTERS["STATUS"]
NAMES = {register.address: name for name, register in REGISTERS.items()}


@dataclass
class Act:
    """What the core does when it is started.

    takes: the packet that it must be sent. gives: the packet that it sends. fails: ends in this error of descriptor `layer`, when `after`
    words of the packet are taken and `given` words of its own are sent. hangs: takes and sends that much, and then nothing until it is
    stopped.
    """

    takes: Sequence[int] = ()
    gives: Sequence[int] = ()
    fails: Error = Error.NONE
    layer: int = 0
    after: int = 0
    given: int = 0
    hangs: bool = False


@dataclass
class PlayedCore:
    """The core's side of the ports. complaints: what no driver may do."""

    config: Config
    registers: dict[str, int] = field(default_factory=dict)
    acts: deque[Act] = field(default_factory=deque)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.targets = {
            target["target"]: (name, target["addresses"], target["words_an_address"])
            for name, target in describe(self.config)["load"]["targets"].items()
        }
        own = {"IDENTIFICATION": REGISTERS["IDENTIFICATION"].reset or 0, "VERSION": VERSION_WORD, "CONFIG_HASH": self.config.hash}
        self.registers = {"ERROR": 0, "PROGRAM": 0, "INTERRUPT_ENABLE": 0b110, "TOTAL_CYCLES": 1234, **own, **self.registers}
        self.busy = self.done = self.failed = False
        self.packet: list[int] | None = None  # on the load port, as far as it is taken
        self.dropping = False  # the rest of a load packet
        self.loaded: dict[tuple[str, int], int] = {}  # word n of a memory
        self.load_words = 0  # that were taken
        self.act = Act()
        self.taken: list[int] = []
        self.in_ended = False
        self.out: deque[tuple[int, bool, bool]] = deque()  # words that are offered: data, TLAST, TUSER
        self.sent = 0
        self.discarding = False
        self.programs: list[int] = []
        self.rises = 0  # how often a run has ended, or a packet was refused

    @property
    def irq(self) -> bool:
        enable = self.registers["INTERRUPT_ENABLE"]
        return not self.busy and bool((self.done and enable & 0b010) or (self.failed and enable & 0b100))

    def read(self, address: int) -> int:
        name = NAMES.get(address, "")
        if name == "STATUS":
            return self.busy | self.done << 1 | self.failed << 2 | 1 << 3
        if name not in self.registers:
            self.complaints.append(f"reads {address:#x}")
            return 0xFFFFFFFF
        return self.registers[name]

    def write(self, address: int, value: int) -> None:
        name = NAMES.get(address, "")
        start, stop, clear = (value & CONTROL.mask(bit) for bit in ("start", "stop", "clear"))
        if name == "CONTROL" and stop and not start | clear:
            if self.busy and not self.failed:
                self._fail(Error.STOPPED, 0)
        elif name == "CONTROL" and not stop and not self.busy:
            self.done = self.failed = False
            self.registers["ERROR"] = 0
            if start:
                self._start()
        elif name == "PROGRAM" and not self.busy and value < self.config.layers:
            self.registers[name] = value
        elif name == "INTERRUPT_ENABLE":
            self.registers[name] = value & 0b110
        else:
            self.complaints.append(f"writes {value:#x} to {name or hex(address)}{' while busy' * self.busy}")

    def takes(self, port: int, word: int, last: bool) -> bool:
        """Whether a word that is offered is taken."""
        if port == LOAD:
            if not self.busy:
                self._load(word, last)
            return not self.busy
        wants = self.busy and not self.failed and not self.in_ended and self.act.takes
        if wants and self.act.hangs and len(self.taken) >= self.act.after:
            return False
        if wants:
            self.taken.append(word)
            self.in_ended = last
        elif self.discarding:
            self.discarding = not last
        else:
            return False
        self._goes_on()
        return True

    def give(self) -> tuple[int, bool, bool] | None:
        """A word of the output stream, if one is offered: it is taken."""
        if not self.out:
            return None
        word = self.out.popleft()
        self.sent += 1
        self._goes_on()
        return word

    def _load(self, word: int, last: bool) -> None:
        self.load_words += 1
        if self.packet is None:
            target, _ = word >> 28, word & 0xFFFFFFF
            self.packet, self.dropping = [word], target not in self.targets
            if last or self.dropping:
                self._refuse(Error.LOAD_CUT if last else Error.LOAD_TARGET)
        elif not self.dropping:
            target, base = self.packet[0] >> 28, self.packet[0] & 0xFFFFFFF
            name, addresses, words = self.targets[target]
            place = base * words + len(self.packet) - 1
            if place >= addresses * words:
                self.dropping = True
                self._refuse(Error.LOAD_ADDRESS)
            else:
                self.packet.append(word)
                self.loaded[name, place] = word
                if last and (len(self.packet) - 1) % words:
                    self._refuse(Error.LOAD_CUT)
        if last:
            self.packet, self.dropping = None, False

    def _refuse(self, error: Error) -> None:
        if not self.failed:
            self.done, self.failed = False, True
            self.registers["ERROR"] = error.value
            self.rises += 1

    def _start(self) -> None:
        self.act = self.acts.popleft()
        self.taken, self.in_ended, self.sent, self.discarding = [], False, 0, False
        self.busy = True
        self.programs.append(self.registers["PROGRAM"])
        self._goes_on()

    def _goes_on(self) -> None:
        """Everything that follows at once from what has been taken."""
        act = self.act
        if not self.busy:
            return
        if not self.failed:
            if self.in_ended and len(self.taken) < len(act.takes):
                self._fail(Error.STREAM_ENDED_EARLY, 0)
            elif act.fails != Error.NONE and len(self.taken) >= act.after and self.sent >= act.given:
                self._fail(act.fails, act.layer)
        if self.failed:
            self.busy = self.discarding or bool(self.out)
            self.rises += not self.busy
            return
        limit = act.given if act.fails != Error.NONE or act.hangs else len(act.gives)
        complete = len(self.taken) >= (act.after if limit == act.given and act.given else len(act.takes))
        if complete and self.sent < limit and not self.out:
            self.out.append((act.gives[self.sent], self.sent == len(act.gives) - 1, False))
        if self.in_ended == bool(act.takes) and self.sent == len(act.gives) and not act.hangs and act.fails == Error.NONE:
            if self.taken != list(act.takes):
                self.complaints.append("sends another input")
            self.busy, self.done = False, True
            self.rises += 1

    def _fail(self, error: Error, layer: int) -> None:
        self.failed = True
        self.registers["ERROR"] = error.value | layer << 8
        self.discarding = bool(self.taken) and not self.in_ended
        self.out.clear()
        if 0 < self.sent < len(self.act.gives):
            self.out.append((0, True, True))
        self.busy = self.discarding or bool(self.out)
        self.rises += not self.busy


class Bus:
    """A way to a played core: by programmed I/O, or by a DMA whose channels move words whenever anything is accessed.

    depth: words that the way to the core holds. failing: numbers of calls of `move` that answer an error. lose_last: of so many input
    packets TLAST is lost. handler: is called, as an interrupt would, in each access at which irq, or the DMA's interrupt, is 1.
    """

    def __init__(self, core: PlayedCore, rng: np.random.Generator, *, dma: bool, depth: int = 1) -> None:
        self.core, self.rng, self.dma, self.depth = core, rng, dma, depth
        self.way: deque[tuple[int, int, bool]] = deque()
        self.failing: set[int] = set()
        self.lose_last = 0
        self.handler: Callable[[], None] | None = None
        self.handling = self.dma_irq = False
        self.moves = self.waits = 0
        self.job: CTransfer | None = None  # what the DMA's channels do
        self.sent = self.received = 0
        self.ended = self.cut = False
        self.calls = [READ(self._read), WRITE(self._write), MOVE(self._move), PLAIN(self._cancel), PLAIN(self._wait)]
        self.c = CBus(*self.calls, None)
        self.c.wait = PLAIN()

    def with_wait(self) -> "Bus":
        """The same, with a function that waits for an interrupt."""
        self.c.wait = self.calls[4]
        return self

    def _passes(self) -> None:
        """A while passes on the bus: words move, and an interrupt may come."""
        self._push()
        if self.dma and self.job is not None:
            self._channels(self.job, int(self.rng.integers(4)))
        self._push()
        if self.handler and not self.handling and (self.core.irq or self.dma_irq):
            self.handling, self.dma_irq = True, False
            rises = self.core.rises
            self.handler()
            if self.core.irq and self.core.rises == rises:
                self.core.complaints.append("irq has not fallen in its handler")
            self.handling = False

    def _push(self) -> None:
        while self.way and self.core.takes(*self.way[0]):
            self.way.popleft()

    def _offer(self, transfer: CTransfer, at: int) -> bool:
        """Whether word `at` of a packet has found a place on the way."""
        self._push()
        if len(self.way) >= self.depth:
            return False
        last = at == transfer.in_count - 1
        if last and transfer.port == INPUT and self.lose_last:
            self.lose_last -= 1
            last = False
        self.way.append((transfer.port, transfer.in_[at], last))
        self._push()
        return True

    def _take(self, transfer: CTransfer, at: int) -> bool:
        """Whether a word has come."""
        word = self.core.give()
        if word is None:
            return False
        if at < transfer.out_room:
            transfer.out[at] = word[0]
        self.ended, self.cut = word[1:]
        return True

    def _channels(self, transfer: CTransfer, words: int) -> None:
        for _ in range(words):
            if self.sent < transfer.in_count and self._offer(transfer, self.sent):
                self.sent += 1
                self.dma_irq |= self.sent == transfer.in_count
            if self._take(transfer, self.received):
                self.received += 1
                self.dma_irq |= self.ended

    def _read(self, _: object, address: int) -> int:
        self._passes()
        value = self.core.read(address)
        self._passes()
        return value

    def _write(self, _: object, address: int, value: int) -> None:
        self._passes()
        self.core.write(address, value)
        self._passes()

    def _move(self, _: object, pointer: "ctypes._Pointer[CTransfer]") -> int:
        transfer = pointer.contents
        self.moves += 1
        if self.moves in self.failing:
            self.job = None  # a DMA stops at an error
            return 1
        if not transfer.started:
            self.sent = self.received = 0
            self.ended = self.cut = False
            if self.job is not None:
                self.core.complaints.append("starts a transfer while another one is under way")
            self.job = transfer
        self._passes()
        if not self.dma:
            self._channels(transfer, int(self.rng.integers(4)))
        transfer.in_moved, transfer.out_moved = self.sent, self.received
        transfer.out_ended, transfer.out_cut = self.ended, self.cut
        if transfer.in_moved == transfer.in_count and (self.ended or transfer.port == LOAD):
            self.job = None
        return 0

    def _cancel(self, _: object) -> None:
        self.way.clear()
        self.job = None

    def _wait(self, _: object) -> None:
        self.waits += 1
        for _step in range(50):  # then a timer would end it
            self._passes()
            if self.core.irq or self.dma_irq:
                break
        self.dma_irq = False


@dataclass
class Driver:
    """The C driver of one core."""

    library: ctypes.CDLL
    bus: Bus
    patience: int = 60

    def __post_init__(self) -> None:
        self.c = CCore(bus=ctypes.pointer(self.bus.c), patience=self.patience)
        self.kept: list[object] = []

    def __call__(self, name: str, *arguments: object) -> int:
        """What a function returns."""
        return int(getattr(self.library, f"skipgrid_{name}")(ctypes.byref(self.c), *arguments))

    def probe(self, config_hash: int | None = None) -> int:
        return self("probe", ctypes.c_uint32(self.bus.core.config.hash if config_hash is None else config_hash))

    def load(self, *packets: Sequence[int]) -> int:
        arrays = [np.array(packet, np.uint32) for packet in packets]
        words = (CWords * len(packets))(*(CWords(array.ctypes.data, len(array)) for array in arrays))
        return self("load", words, ctypes.c_uint32(len(packets)))

    def begin(self, packet: Sequence[int], out: np.ndarray, *, program: int = 0) -> int:
        array = np.array(packet, np.uint32)
        self.kept = [array, out]
        return self("begin", program, CWords(array.ctypes.data, len(array)), out.ctypes.data, len(out))

    def run(self, packet: Sequence[int], out: np.ndarray, *, program: int = 0) -> int:
        return self.begin(packet, out, program=program) or self("wait")
