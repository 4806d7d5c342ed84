"""The loader: what a packet stores where, and every packet that is refused."""

import cocotb

from skipgrid.rtl.control.loader import CHANNEL_WORDS
from skipgrid.rtl.descriptor import SLOT_WORDS
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import FUNCTION_WORDS, LoadTarget, Word, index_words
from streams import PROFILES, Bench, Scoreboard, config
from topk_units import Tensors

WRITES = {LoadTarget.WEIGHTS: "write_weights", LoadTarget.CHANNELS: "write_channels", LoadTarget.PROGRAM: "write_program"}
WRITES |= {LoadTarget.FUNCTIONS: "write_functions"} if config().functions else {}
WRITES |= {LoadTarget.LISTS: "write_lists", LoadTarget.INDICES: "write_indices"} if config().slots else {}
OF_WEIGHTS = (LoadTarget.WEIGHTS, LoadTarget.LISTS, LoadTarget.INDICES)


class LoaderBench(Bench):
    """A loader before its memories."""

    async def begin(self) -> None:
        settings = config()
        self.sizes = {
            LoadTarget.WEIGHTS.value: (settings.weights, settings.lanes // 4),
            LoadTarget.CHANNELS.value: (settings.channels, len(CHANNEL_WORDS)),
            LoadTarget.PROGRAM.value: (settings.layers * SLOT_WORDS, 1),
        }
        if settings.functions:
            self.sizes[LoadTarget.FUNCTIONS.value] = settings.functions * FUNCTION_WORDS, 1
        if settings.slots:
            self.sizes[LoadTarget.LISTS.value] = settings.weights, 1
            self.sizes[LoadTarget.INDICES.value] = settings.weights, index_words(settings)
        self.words = self.source("words", Word)
        self.failures = self.record("failed", "error")
        self.board = Scoreboard("stored words")
        self.taken = Tensors(self.words, self.expect)
        self.watchers.append(self.stored)
        self.forgets.append(self.board.forget)
        self.set(enable=1)
        await self.reset()

    def stored(self) -> None:
        """The watcher: what is stored in this cycle."""
        stored = [target for target, name in WRITES.items() if self.get(name)]
        if stored:
            (target,) = stored
            index = self.get("index")
            assert index.bit_count() == 1
            assert self.get("loading") == (target in OF_WEIGHTS)
            # Target, address, which word of it, data.
            self.board.see((target.value, self.get("address"), index.bit_length() - 1, self.get("data")))

    async def send(self, words: list[int]) -> None:
        """Send a packet."""
        self.words.send(*({"data": word, "last": index == len(words) - 1} for index, word in enumerate(words)))
        await self.until(lambda: not self.words.queue, "the packet is taken", 20_000)
        assert not self.get("loading")

    def expect(self, packet: list[dict[str, int]]) -> None:
        """The model: what is stored of a packet that was taken."""
        header, *words = (word["data"] for word in packet)
        target, address = header >> 28, header & 0xFFFFFFF
        size, a_place = self.sizes.get(target, (0, 1))
        for place, word in enumerate(words):
            if address + place // a_place < size:
                self.board.expect((target, address + place // a_place, place % a_place, word))


@cocotb.test
async def every_target_and_pace(dut: object) -> None:
    bench = LoaderBench(dut)
    await bench.begin()
    for _ in range(150):
        bench.words.behave(bench.random.choice(PROFILES))
        target, (size, a_place) = bench.random.choice(list(bench.sizes.items()))
        count = bench.random.randint(1, min(size, 20))
        address = bench.random.choice((0, size - count, bench.random.randint(0, size - count)))
        await bench.send([target << 28 | address] + [bench.random.getrandbits(32) for _ in range(count * a_place)])
        assert not bench.failures
    bench.board.finish(150)


@cocotb.test
async def every_refused_packet_then_a_right_one(dut: object) -> None:
    bench = LoaderBench(dut)
    await bench.begin()
    for _ in range(30):
        bench.words.behave(bench.random.choice(PROFILES))
        unknown = bench.random.choice([target for target in range(16) if target not in bench.sizes])
        cases: list[tuple[Error, list[int]]] = [(Error.LOAD_TARGET, [unknown << 28] + [5] * bench.random.randint(1, 6))]
        for target, (size, a_place) in bench.sizes.items():
            cases.append((Error.LOAD_CUT, [target << 28]))
            inside = size - bench.random.randint(0, 3)
            cases.append((Error.LOAD_ADDRESS, [target << 28 | inside] + [9] * (a_place * (size - inside) + bench.random.randint(1, 5))))
            cases.append((Error.LOAD_ADDRESS, [target << 28 | bench.random.randint(size, 0xFFFFFFF)] + [9] * bench.random.randint(1, 5)))
            if a_place > 1:
                cut = a_place * bench.random.randint(0, 3) + bench.random.randint(1, a_place - 1)
                cases.append((Error.LOAD_CUT, [target << 28 | bench.random.randint(0, size - 4)] + [9] * cut))
        for error, words in cases:
            bench.failures.clear()
            await bench.send(words)
            assert [code for _, code in bench.failures] == [error.value], (error, words)
            await bench.send([LoadTarget.CHANNELS.value << 28 | 3, *range(2 * len(CHANNEL_WORDS))])
            assert len(bench.failures) == 1
    bench.board.finish()


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = LoaderBench(dut)
    await bench.begin()
    for _ in range(20):
        for target in bench.random.sample(list(bench.sizes), 2):
            words = [target << 28, *range(1, 1 + 2 * bench.sizes[target][1])]
            await bench.cut(bench.send(words), len(words))
            assert not bench.failures
            await bench.send(words)
    bench.board.finish()


@cocotb.test
async def nothing_is_taken_unless_enabled(dut: object) -> None:
    bench = LoaderBench(dut)
    await bench.begin()
    bench.set(enable=0)
    words = [LoadTarget.CHANNELS.value << 28, 1, 2, 3]
    bench.words.send(*({"data": word, "last": word == 3} for word in words))
    await bench.step(20)
    assert len(bench.words.queue) == 4
    bench.set(enable=1)
    await bench.until(lambda: not bench.words.queue, "the packet is taken")
    assert bench.words.cycles[-1] - bench.words.cycles[0] == 3, "a word a cycle"
    bench.board.finish(3)
