"""The activation writer: what it stores is the tensor in CSR by pixel; every error is named, and the next tensor is right."""

from typing import Any

import cocotb
import numpy as np

from skipgrid.rtl.errors import Error
from skipgrid.rtl.input.writer import write_layout
from skipgrid.rtl.layouts import tokens_layout
from streams import PROFILES, Bench, config, trials
from tensors import Coded, covered, in_cycles, random_tokens, sparse, token_payloads

Shape = tuple[int, int, int]


class WriterBench(Bench):
    """A writer between a driver of tokens and a memory."""

    async def begin(self) -> None:
        self.config = config()
        self.tokens = self.source("tokens", tokens_layout(self.config))
        # Where serial, what is too much waits to be taken like the rest, but is not offered.
        self.writes = self.sink("writes", write_layout(self.config), waits=not self.config.serial)
        self.failures = self.record("failed", "error")
        self.entries: dict[int, tuple[int, int]] = {}
        self.pointers: dict[int, int] = {}
        self.writes.listeners[:] = [self.store]
        self.skips = self.record("skips") if self.config.serial else []
        self.watchers.append(self.is_pending)
        self.leave(self.config.entries, self.config.pixels)
        await self.reset()

    def leave(self, entries: int, pixels: int) -> None:
        """The other tensor leaves so much room."""
        self.set(other_entries=self.config.entries - entries, other_pixels=self.config.pixels - pixels)

    def is_pending(self) -> None:
        """The watcher: what is offered is pending."""
        assert self.get("pending") or not self.writes.offered

    def store(self, write: dict[str, Any]) -> None:
        address = write["entry_address"]
        for entry in write["entries"]:
            if entry["enable"]:
                assert address not in self.entries, "an entry is stored twice"
                self.entries[address] = entry["value"], entry["f"]
                address += 1
        for place, pointer in enumerate(write["pointers"]):
            if pointer["enable"]:
                pixel = write["pixel"] + (place - write["pixel"]) % self.config.pointers
                assert pixel not in self.pointers, "a pointer is stored twice"
                self.pointers[pixel] = pointer["pointer"]

    def behave(self, *profiles: str) -> None:
        self.tokens.behave(self.random.choice(profiles or PROFILES))
        self.writes.behave(self.random.choice(profiles or PROFILES))

    async def start(self, shape: Shape, tokens: list[dict[str, int]], *, dense: bool = False) -> None:
        """Begin a tensor; all its tokens but the last stand in full cycles where it is dense, otherwise some places have none."""
        self.entries.clear()
        self.pointers.clear()
        self.failures.clear()
        self.skips.clear()
        C, H, W = shape
        await self.pulse(start=1, C=C, H=H, W=W)
        self.tokens.send(*in_cycles(tokens, self.config.survivors, None if dense else self.random))

    async def check(self, shape: Shape, coded: Coded) -> None:
        """Store a tensor, and compare with its CSR form."""
        C, H, W = shape
        await self.start(shape, random_tokens(coded, 7, self.random))
        rows = 0
        while self.get("busy"):
            assert rows <= self.get("rows") <= H
            rows = self.get("rows")
            # A row that counts as complete has its pointers.
            assert all(pixel in self.pointers for pixel in range(rows * W))
            await self.step()
        assert not self.failures, Error(self.failures[0][1])
        assert not self.tokens.queue
        entries, pointers = csr(shape, coded)
        assert self.entries == dict(enumerate(entries))
        assert self.pointers == dict(enumerate(pointers))
        assert self.get("complete")
        assert not self.get("pending")
        assert len(self.skips) == (np.count_nonzero(coded == 0) if self.config.serial else 0)
        assert (self.get("entries"), self.get("pixels"), self.get("rows")) == (len(entries), len(pointers), H)
        assert (self.get("held_C"), self.get("held_H"), self.get("held_W")) == (C, H, W)

    async def fails(self, shape: Shape, tokens: list[dict[str, int]], error: Error) -> None:
        """Storing ends in this error, and nothing is held."""
        await self.start(shape, tokens)
        await self.until(lambda: bool(self.failures), f"it ends with {error.name}", 400_000)
        await self.step(3)
        assert [code for _, code in self.failures] == [error.value], (shape, error)
        assert not self.get("busy")
        assert not self.get("complete")
        self.tokens.forget()
        await self.step()


def csr(shape: Shape, coded: Coded) -> tuple[list[tuple[int, int]], list[int]]:
    """The model: entries (value, x * C + c) and the pointers of all pixels."""
    C, H, W = shape
    at = np.flatnonzero(coded)
    entries = [(int(coded[place]), int(place % (W * C))) for place in at]
    counts = np.count_nonzero(coded.reshape(H * W, C), axis=1)
    return entries, np.cumsum(counts).tolist()


def random_shape(bench: WriterBench) -> Shape:
    """One that the memories hold even if it is dense."""
    while True:
        shape = bench.random.choice((1, 1, 2, 3, 7, 20, 1500)), bench.random.randint(1, 12), bench.random.randint(1, 12)
        C, H, W = shape
        if bench.config.pixels >= H * W and bench.config.features >= C * W and bench.config.entries >= C * H * W:
            return shape


@cocotb.test
async def every_shape_and_pace(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    for _ in range(trials(100)):
        bench.behave()
        shape = random_shape(bench)
        await bench.check(shape, sparse(bench.numbers, int(np.prod(shape)), bench.random.choice((0, 0.3, 0.8, 0.97, 1))))


@cocotb.test
async def exactly_full(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    config = bench.config
    for shape in ((config.entries // 16, 4, 4), (1, 2, config.pixels // 2), (config.features, 1, 1), (1, config.pixels // 2, 2)):
        bench.behave("full", "random", "bursts")
        await bench.check(shape, sparse(bench.numbers, int(np.prod(shape)), 0))
    for _ in range(trials(20)):
        shape = random_shape(bench)
        coded = sparse(bench.numbers, int(np.prod(shape)), 0.5)
        bench.leave(int(np.count_nonzero(coded)), shape[1] * shape[2])
        await bench.check(shape, coded)


@cocotb.test
async def every_error_then_a_right_one(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    config = bench.config
    for _ in range(trials(40)):
        shape = random_shape(bench)
        C, H, W = shape
        coded = sparse(bench.numbers, C * H * W, 0.4)
        coded[-1] = 3
        tokens = random_tokens(coded, 7, bench.random)
        cases: list[tuple[Shape, Error, dict[str, int]]] = [
            (shape, Error.ENTRIES_FULL, {"entries": bench.random.randrange(int(np.count_nonzero(coded)))}),
            (shape, Error.PIXELS_FULL, {"pixels": bench.random.randrange(H * W)}),
            ((C, H + 1, W), Error.DESCRIPTOR_SIZE, {}),
        ]
        if H > 1:
            cases.append(((C, H - 1, W), Error.DESCRIPTOR_SIZE, {}))
        for wrong, error, limits in cases:
            bench.behave()
            bench.leave(**{"entries": config.entries, "pixels": config.pixels} | limits)
            await bench.fails(wrong, tokens, error)
            bench.leave(config.entries, config.pixels)
            good = random_shape(bench)
            await bench.check(good, sparse(bench.numbers, int(np.prod(good)), 0.5))
    for C, W in ((config.features + 1, 1), (config.features // 2 + 1, 2), (1, config.features + 1)):
        # A row of zeros is too long as well.
        zeros = random_tokens(np.zeros(C * W, np.uint8), 7, bench.random)
        if config.pixels >= W:
            await bench.fails((C, 1, W), zeros, Error.FEATURES_TOO_MANY)
            await bench.check((1, 1, 1), np.ones(1, np.uint8))


@cocotb.test
async def stopped_and_dropped(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    for _ in range(trials(40)):
        bench.behave()
        shape = random_shape(bench)
        coded = sparse(bench.numbers, int(np.prod(shape)), 0.4)
        await bench.start(shape, random_tokens(coded, 7, bench.random))
        await bench.step(bench.random.randint(0, 40))
        stopped = bench.get("busy")
        await bench.pulse(stop=1)
        bench.writes.forget()
        assert not bench.get("busy")
        assert bench.get("complete") <= (not stopped) or not bench.tokens.queue
        bench.tokens.forget()
        good = random_shape(bench)
        await bench.check(good, sparse(bench.numbers, int(np.prod(good)), 0.5))
        await bench.pulse(drop=1)
        assert (bench.get("complete"), bench.get("entries"), bench.get("pixels")) == (0, 0, 0)


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    for _ in range(20):
        bench.behave()
        shape, good = random_shape(bench), random_shape(bench)
        await bench.cut(bench.check(shape, sparse(bench.numbers, int(np.prod(shape)), 0.5)), 60)
        await bench.step(2)
        assert (bench.get("busy"), bench.get("complete"), bench.get("entries"), bench.get("pixels")) == (0, 0, 0, 0)
        assert not bench.failures
        await bench.check(good, sparse(bench.numbers, int(np.prod(good)), 0.5))


def steps(bench: WriterBench, shape: Shape, tokens: list[dict[str, int]]) -> int:
    """How many cycles the tokens take: one for each row, and each so many pixels of a row, that those of a cycle reach."""
    C, _, W = shape
    taken = position = pixel = 0  # the pixel is the next one to end
    for cycle in in_cycles(tokens, bench.config.survivors):
        position += covered(cycle)
        while True:
            taken += 1
            behind = min(pixel + bench.config.pointers, (pixel // W + 1) * W)
            if position <= behind * C:
                break
            pixel = behind
        pixel = position // C
    return taken


@cocotb.test
async def a_step_a_cycle(dut: object) -> None:
    bench = WriterBench(dut)
    await bench.begin()
    shapes = [(16, 4, 4), (1, 8, 8), (1, 1, 100), (2, 5, 6), (5, 6, 3), (9, 7, 1)]
    for shape, zeros in ((shape, zeros) for shape in shapes for zeros in (0, 0.3, 0.8, 1)):
        coded = sparse(bench.numbers, int(np.prod(shape)), zeros)
        tokens = token_payloads(coded, 7)
        start = bench.cycle
        await bench.start(shape, tokens, dense=True)
        await bench.until(lambda: not bench.get("busy"), "the tensor is stored")
        taken = coded.size + len(tokens) - 1 if bench.config.serial else steps(bench, shape, tokens)
        assert bench.cycle - start == taken + 3, (shape, zeros)
