"""What every bench is made of: a clock, drivers and monitors of valid/ready streams that pause at random, and scoreboards.

One cycle of `Bench.step` is: streams put their next values on the inputs; everything settles; streams and watchers look at the
inputs and outputs as the coming clock edge will find them; the edge. So no bench depends on the order of events at an edge, and values
are put on inputs at once, which takes half of the time that cocotb's own way takes.
"""

import json
import os
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from typing import Any

import numpy as np
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data
from cocotb.handle import Immediate
from cocotb.triggers import Timer
from cocotb.types import Logic
from numpy.typing import NDArray

from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import Descriptor, layer_layout
from skipgrid.rtl.layouts import Opcode, WinnersOf

HALF_PERIOD = 5  # ns
LOW, HIGH = LEVELS = Immediate(Logic(0)), Immediate(Logic(1))
PROFILES = ("full", "random", "stalled", "bursts")
Payload = Any  # int for a plain field, dict for a struct, list for an array


def config() -> Config:
    """The configuration that the component was generated with."""
    return Config(**json.loads(os.environ["BENCH_CONFIG"]))


def trials(count: int) -> int:
    """How many random trials a bench makes: `count` of them in a long run, a fifth of them otherwise."""
    return count if os.environ["BENCH_LONG"] else -(-count // 5)


def rounds(count: int, seen: Mapping[str, int]) -> Iterator[int]:
    """`trials(count)` rounds, and further ones until all that chance has to show has been seen, and counted."""
    for number in range(20 * count):
        if number >= trials(count) and all(seen.values()):
            return
        yield number
    raise AssertionError(f"{20 * count} rounds do not show all that they should: {seen}")


class Packing:
    """Between a payload's bits and its fields by name, as its Amaranth layout has them; far faster than the layout's constants."""

    def __init__(self, shape: ShapeLike) -> None:
        self.fields: list[tuple[Any, int, Packing]] | None = None
        self.array = isinstance(shape, data.ArrayLayout)
        plain = Shape.cast(shape)
        self.width: int = plain.width
        self.signed: bool = plain.signed
        if isinstance(shape, data.Layout) or (isinstance(shape, type) and issubclass(shape, data.Struct)):
            self.fields = [(key, field.offset, Packing(field.shape)) for key, field in data.Layout.cast(shape)]

    def pack(self, value: Payload) -> int:
        """The bits of a payload; fields of a struct that are not given are 0."""
        if self.fields is None:
            bits: int = int(value) & ((1 << self.width) - 1)
            return bits
        keys = range(len(value)) if self.array else value
        unknown = set(keys) - {key for key, _, _ in self.fields}
        assert not unknown, f"the payload has no fields {unknown}"
        bits = 0
        for key, offset, field in self.fields:
            if key in keys:
                bits |= field.pack(value[key]) << offset
        return bits

    def unpack(self, bits: int) -> Payload:
        """The payload that these bits are."""
        bits &= (1 << self.width) - 1
        if self.fields is None:
            return bits - (1 << self.width) if self.signed and bits >> (self.width - 1) else bits
        if self.array:
            return [field.unpack(bits >> offset) for _, offset, field in self.fields]
        return {key: field.unpack(bits >> offset) for key, offset, field in self.fields}


def layer_bits(words: NDArray[np.uint32]) -> int:
    """The bits of a component's port `layer` for a descriptor's words."""
    fields = Packing(Descriptor).unpack(int.from_bytes(words.tobytes(), "little"))
    return narrow_layer(fields)


def narrow_layer(fields: dict[str, Any]) -> int:
    """The bits of a component's port `layer` for a descriptor's fields; those not given are 0.

    Fields of the layer that no descriptor has may be given too: kept, and follows.
    """
    layout = layer_layout(config())
    opcode = Opcode(fields.get("opcode", Opcode.LAYER.value))
    winners_of = WinnersOf(fields.get("winners_of", 0))
    opcodes = {
        "computes": int(opcode in (Opcode.LAYER, Opcode.GATE, Opcode.EXPERTS)),
        "of_tensor": int(winners_of == WinnersOf.TENSOR),
        "of_pixel": int(winners_of == WinnersOf.PIXEL),
        "gates": int(opcode == Opcode.GATE),
        "routed": int(opcode == Opcode.EXPERTS),
    }
    if opcode == Opcode.GATE:
        fields = fields | {"to_stream": 1}
    return Packing(layout).pack({name: value for name, value in (fields | opcodes).items() if name in layout.members})


def pace(profile: str, rng: random.Random) -> Iterator[bool]:
    """In which cycles a side of a stream is willing: always ("full"), in half of them, in one of ten, or in bursts."""
    if profile == "full":
        yield from repeat(True)
    while True:
        if profile == "bursts":
            willing = rng.random() < 0.5
            yield from [willing] * rng.randint(1, 20)
        else:
            yield rng.random() < {"random": 0.5, "stalled": 0.1}[profile]


class Cut(Exception):
    """The cycle has come in which what is under way is cut."""


def _is_there(word: Payload) -> bool:
    """Whether a token, result or candidate stands for something."""
    something = word["run"] or word["value"] if "run" in word else word["gap"] or not word.get("null")
    return bool(something or word.get("last"))


def there(arrays: Iterable[Payload]) -> list[Payload]:
    """What stands in arrays of tokens, results or candidates, without those that are none; AssertionError if one is before another."""
    found = []
    for array in arrays:
        some = [word for word in array if _is_there(word)]
        assert some == array[: len(some)], f"nothing stands before something: {array}"
        found += some
    return found


def arrays(words: Iterable[Payload], width: int, rng: random.Random | None = None) -> list[Payload]:
    """Tokens or results in arrays of `width`; with random numbers, some of the arrays are not full."""
    found: list[Payload] = []
    for word in words:
        if not found or len(found[-1]) == width or not _is_there(word) or (rng and rng.random() < 0.3):
            found.append([])
        found[-1].append(word)
    return [array + [{} if "run" in array[0] else {"null": 1}] * (width - len(array)) for array in found]


class Bench:
    """The component under test, its clock, and all that is connected to it."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.random = random.Random(random.getrandbits(64))  # cocotb seeds `random` for each test
        self.numbers = np.random.default_rng(self.random.getrandbits(64))
        self.cycle = 0
        self.cut_at = -1  # a cycle
        self.streams: list[Source | Sink | Changing] = []
        self.watchers: list[Callable[[], None]] = []
        self.forgets: list[Callable[[], None]] = []  # called at a reset
        self._half_period = Timer(HALF_PERIOD, "ns")
        self._signals: dict[str, Any] = {}
        for name in os.environ["BENCH_INPUTS"].split():
            self.set(**{name: 0})

    def signal(self, name: str) -> Any:
        """A port."""
        if name not in self._signals:
            self._signals[name] = getattr(self.dut, name)
        return self._signals[name]

    def get(self, name: str) -> int:
        """The value of a port, unsigned."""
        return int(self.signal(name).value)

    def set(self, **values: int) -> None:
        """Put values on inputs; they stay."""
        for name, value in values.items():
            self.signal(name).value = Immediate(value) if self.cycle else value  # at the very start, Icarus forgets what is put at once

    async def reset(self) -> None:
        """Reset for two cycles, with nobody watching; what was under way is forgotten on both sides of all streams."""
        for stream in self.streams:
            if isinstance(stream, _Stream):
                stream.forget()
        for forget in self.forgets:
            forget()
        streams, watchers, self.streams, self.watchers = self.streams, self.watchers, [], []
        self.set(rst=1)
        await self.step(2)
        self.set(rst=0)
        self.streams, self.watchers = streams, watchers

    async def step(self, cycles: int = 1) -> None:
        """Let clock cycles pass."""
        clock = self.signal("clk")
        for _ in range(cycles):
            if self.cycle == self.cut_at:
                raise Cut
            for stream in self.streams:
                stream.drive()
            await self._half_period
            for stream in self.streams:
                stream.sample()
            for watcher in self.watchers:
                watcher()
            clock.value = HIGH
            await self._half_period
            clock.value = LOW
            self.cycle += 1

    async def pulse(self, **values: int) -> None:
        """Put values on inputs for one cycle."""
        self.set(**values)
        try:
            await self.step()
        finally:
            self.set(**dict.fromkeys(values, 0))

    async def cut(self, work: Coroutine[Any, Any, object], within: int) -> None:
        """Do some work, but reset at any moment within so many cycles, or when it is done."""
        self.cut_at = self.cycle + self.random.randint(1, within)
        with suppress(Cut):
            await work
        self.cut_at = -1
        await self.reset()

    async def until(self, condition: Callable[[], bool], what: str, limit: int = 100_000) -> None:
        """Step until a condition holds; AssertionError, saying what was awaited, if it does not within `limit` cycles."""
        for _ in range(limit):
            if condition():
                return
            await self.step()
        raise AssertionError(f"{limit} cycles have passed without this: {what}")

    def record(self, enable: str, *values: str) -> list[tuple[int, ...]]:
        """A list that grows by (cycle, values...) in each cycle in which the output `enable` is not 0."""
        seen: list[tuple[int, ...]] = []

        def watch() -> None:
            if self.get(enable):
                seen.append((self.cycle, *(self.get(value) for value in values)))

        self.watchers.append(watch)
        return seen

    def source(self, name: str, shape: ShapeLike, profile: str = "full") -> "Source":
        """A driver of the component's input stream `name`."""
        stream = Source(self, name, shape, profile)
        self.streams.append(stream)
        return stream

    def change(self, choose: Callable[[], dict[str, int]]) -> None:
        """Put the values that `choose` gives on inputs in every cycle."""
        self.streams.append(Changing(self, choose))

    def sink(self, name: str, shape: ShapeLike, profile: str = "full", *, steady: bool = True, waits: bool = True) -> "Sink":
        """A monitor of the component's output stream `name` that takes the payloads.

        steady: one that is offered stays. waits: while it is stalled, it is ready only behind an offer.
        """
        stream = Sink(self, name, shape, profile)
        stream.steady, stream.waits = steady, waits
        self.streams.append(stream)
        return stream


class _Stream:
    """One side of a stream; `listeners` are called with each payload that passes."""

    def __init__(self, bench: Bench, name: str, shape: ShapeLike, profile: str) -> None:
        self.bench = bench
        self.name = name
        self.packing = Packing(shape)
        self.payload, self.valid, self.ready = (bench.signal(f"{name}_{part}") for part in ("payload", "valid", "ready"))
        self.listeners: list[Callable[[Payload], None]] = []
        self.cycles: list[int] = []  # in which payloads passed
        self.behave(profile)

    def behave(self, profile: str) -> None:
        """Pause as the profile says from now on."""
        self.profile = profile
        self._pace = pace(profile, self.bench.random)

    def forget(self) -> None:
        """Drop what is under way."""
        raise NotImplementedError

    def _passed(self, bits: int) -> None:
        self.cycles.append(self.bench.cycle)
        for listener in self.listeners:
            listener(self.packing.unpack(bits))


class Source(_Stream):
    """Offers payloads in order; one that is offered stays until it is taken. Between two of them, the payload is random bits."""

    def __init__(self, bench: Bench, name: str, shape: ShapeLike, profile: str) -> None:
        super().__init__(bench, name, shape, profile)
        self.queue: deque[int] = deque()
        self.offered = self.idle = False  # idle: its inputs say so

    def send(self, *payloads: Payload) -> None:
        """Queue payloads."""
        self.queue.extend(self.packing.pack(payload) for payload in payloads)

    def forget(self) -> None:
        """Withdraw what has not been taken, as a driver that is reset does."""
        self.queue.clear()
        self.offered = self.idle = False
        self.bench.set(**{f"{self.name}_valid": 0})

    def drive(self) -> None:
        willing = next(self._pace)
        if self.offered:
            return
        if willing and self.queue:
            self.valid.value = HIGH
            self.payload.value = Immediate(self.queue[0])
            self.offered, self.idle = True, False
        elif not self.idle:
            self.valid.value = LOW
            self.payload.value = Immediate(self.bench.random.getrandbits(self.packing.width))
            self.idle = True

    def sample(self) -> None:
        if self.offered and int(self.ready.value):
            self.offered = False
            self._passed(self.queue.popleft())


class Sink(_Stream):
    """Takes payloads into `received`, and checks that an offered one stays the same until it is taken.

    A stalled one is not ready before it has been offered something, so that what waits for its ready never comes.
    """

    def __init__(self, bench: Bench, name: str, shape: ShapeLike, profile: str) -> None:
        super().__init__(bench, name, shape, profile)
        self.received: list[Payload] = []
        self.listeners.append(self.received.append)
        self.held: int | None = None
        self.steady = self.waits = True
        self.willing: bool | None = None  # nothing has been said yet
        self.offered = False  # in the cycle before

    def forget(self) -> None:
        """The component may withdraw what it offers, because it is stopped or reset."""
        self.held = None
        self.offered = False

    def drive(self) -> None:
        willing = next(self._pace) and (self.profile != "stalled" or self.offered or not self.waits)
        if willing != self.willing:
            self.willing = willing
            self.ready.value = LEVELS[willing]

    def sample(self) -> None:
        bits = int(self.payload.value) if int(self.valid.value) else None
        self.offered = bits is not None and not self.willing
        assert self.held is None or bits is not None, f"{self.name} withdraws a payload that was not taken"
        assert self.held is None or bits == self.held, f"{self.name} changes a payload that was not taken"
        self.held = bits if self.steady and not self.willing else None
        if bits is not None and self.willing:
            self._passed(bits)


class Changing:
    """Puts other values on inputs in every cycle."""

    def __init__(self, bench: Bench, choose: Callable[[], dict[str, int]]) -> None:
        self.bench, self.choose = bench, choose

    def drive(self) -> None:
        self.bench.set(**self.choose())

    def sample(self) -> None:
        pass


class Scoreboard:
    """Compares what comes out with what a model expects; each may be ahead of the other."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.expected: deque[Any] = deque()
        self.seen: deque[Any] = deque()
        self.matched = 0

    def expect(self, item: Any) -> None:
        self.expected.append(item)
        self._match()

    def see(self, item: Any) -> None:
        self.seen.append(item)
        self._match()

    def _match(self) -> None:
        while self.expected and self.seen:
            expected, seen = self.expected.popleft(), self.seen.popleft()
            assert expected == seen, f"{self.what} {self.matched}: expected {expected}, but saw {seen}"
            self.matched += 1

    @property
    def empty(self) -> bool:
        return not self.expected and not self.seen

    def forget(self) -> None:
        """What is under way is dropped."""
        self.expected.clear()
        self.seen.clear()

    def finish(self, at_least: int = 1) -> None:
        """AssertionError if something is left over, or if too little was compared."""
        assert not self.expected, f"{len(self.expected)} of {self.what} never came, first {self.expected[0]}"
        assert not self.seen, f"{len(self.seen)} of {self.what} came without being expected, first {self.seen[0]}"
        assert self.matched >= at_least, f"only {self.matched} of {self.what} were compared"
