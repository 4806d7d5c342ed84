"""Both decoders against golden.decode: every k, edges of the code, every kind of broken stream, stops, and its speed."""

from itertools import pairwise, product

import cocotb
import numpy as np

from skipgrid.golden import encode, max_run, size_bits
from skipgrid.rtl.config import MAX_QUOTIENT
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import Token, Word
from streams import PROFILES, Bench, rounds, trials
from tensors import Outcome, covered, damaged, edge_tensors, elements_of, outcome, sparse, token_shapes, word_payloads

SERIAL = cocotb.top._name.startswith("serial")
WITHIN = 600 if SERIAL else 60  # cycles that most tensors of 60 elements take


class DecoderBench(Bench):
    """A decoder that is started for one tensor after another, while the words of later ones wait at its port."""

    async def begin(self, words: str = "random", tokens: str = "random") -> None:
        self.element_bits = len(self.signal("elements"))
        self.words = self.source("words", Word, words)
        self.tokens = self.sink("tokens", Token, tokens)
        self.failures = self.record("failed", "error")
        await self.reset()

    def send(self, words: np.ndarray) -> None:
        self.words.send(*word_payloads(words))

    async def start(self, elements: int, k: int) -> list[int]:
        """Start a tensor; gives the list in which the monitor gathers its words."""
        taken: list[int] = []
        self.words.listeners[:] = [lambda word: taken.append(word["data"])]
        self.tokens.received.clear()
        self.failures.clear()
        await self.pulse(start=1, elements=elements, k=k)
        self.set(elements=self.random.getrandbits(self.element_bits), k=self.random.getrandbits(3))
        return taken

    async def decode(self, elements: int, k: int) -> Outcome:
        """Decode the tensor at the port, and check all of it against the model."""
        left = len(self.words.queue)
        taken = await self.start(elements, k)
        await self.until(lambda: not self.get("busy"), f"a tensor of {elements} elements, k = {k}, ends")
        seen = self.seen(elements)
        expected = outcome(taken, elements, k)
        assert seen == expected, f"{elements} elements, k = {k}, words {taken}: expected {expected}, saw {seen}"
        assert left - len(self.words.queue) == len(taken)
        return seen

    def seen(self, elements: int) -> Outcome:
        """What the decoder made of the tensor."""
        tokens = self.tokens.received
        lasts = [token["last"] for token in tokens]
        assert len(self.failures) <= 1
        if self.failures:
            assert 1 not in lasts
            assert covered(tokens) <= elements
            return Error(self.failures[0][1]), []
        assert lasts == [0] * (len(lasts) - 1) + [1], "exactly the last token carries last"
        return Error.NONE, elements_of(tokens, elements)


@cocotb.test
async def every_k_and_edge(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin()
    for k in range(8):
        tensors = edge_tensors(k, bench.numbers) + [sparse(bench.numbers, 60, zeros) for zeros in (0.2, 0.6, 0.95)]
        for tensor in tensors:
            bench.send(encode(tensor, k))
        for tensor in tensors:
            bench.words.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            bench.tokens.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            error, elements = await bench.decode(tensor.size, k)
            assert (error, elements) == (Error.NONE, tensor.tolist())


@cocotb.test
async def random_tensors_at_every_pace(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin()
    for words in PROFILES:
        for tokens in PROFILES:
            bench.words.behave(words)
            bench.tokens.behave(tokens)
            k = bench.random.randrange(8)
            tensor = sparse(bench.numbers, bench.random.randint(1, 120), bench.random.random())
            bench.send(encode(tensor, k))
            assert await bench.decode(tensor.size, k) == (Error.NONE, tensor.tolist())


@cocotb.test
async def broken_streams_then_a_right_one(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin()
    kinds = set()
    for _ in range(trials(24)):
        k = bench.random.randrange(8)
        tensor = sparse(bench.numbers, bench.random.randint(2, 80), bench.random.random())
        for words in damaged(tensor, k, bench.numbers).values():
            bench.words.behave(bench.random.choice(PROFILES))
            bench.tokens.behave(bench.random.choice(PROFILES))
            good = sparse(bench.numbers, 12, 0.5)
            bench.send(words)
            bench.send(encode(good, k))
            error, _ = await bench.decode(tensor.size, k)
            kinds.add(error)
            assert await bench.decode(good.size, k) == (Error.NONE, good.tolist())
    assert kinds >= {Error.STREAM_ENDED_EARLY, Error.STREAM_RAN_OVER, Error.STREAM_BITS_LEFT}


@cocotb.test
async def stopped_then_a_right_one(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin()
    seen = {"untouched": 0}
    for _ in rounds(80, seen):
        k = bench.random.randrange(8)
        tensor, good = sparse(bench.numbers, 60, 0.5), sparse(bench.numbers, 12, 0.5)
        bench.words.behave(bench.random.choice(PROFILES))
        bench.tokens.behave(bench.random.choice(PROFILES))
        bench.send(encode(tensor, k))
        bench.send(encode(good, k))
        taken = await bench.start(tensor.size, k)
        await bench.step(bench.random.choice((0, 1, bench.random.randint(0, WITHIN))))
        await bench.pulse(stop=1)
        bench.tokens.forget()
        await bench.until(lambda: not bench.get("busy"), "a stopped tensor ends")
        assert not bench.failures
        tokens = bench.tokens.received
        assert elements_of(tokens, covered(tokens)) == tensor[: covered(tokens)].tolist()
        if not taken:
            seen["untouched"] += 1
            assert await bench.decode(tensor.size, k) == (Error.NONE, tensor.tolist())
        assert await bench.decode(good.size, k) == (Error.NONE, good.tolist())


@cocotb.test
async def reset_in_the_middle_then_a_right_one(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin()
    for _ in range(trials(20)):
        k = bench.random.randrange(8)
        tensor, good = sparse(bench.numbers, 60, 0.5), sparse(bench.numbers, 12, 0.5)
        bench.send(encode(tensor, k))
        await bench.start(tensor.size, k)
        await bench.step(bench.random.randint(0, WITHIN))
        await bench.reset()
        assert not bench.get("busy")
        bench.send(encode(good, k))
        assert await bench.decode(good.size, k) == (Error.NONE, good.tolist())


@cocotb.test
async def words_that_come_slowly(dut: object) -> None:
    """A token does not wait for more than the word above its first one, nor the last word's tokens for any."""
    bench = DecoderBench(dut)
    await bench.begin("full", "full")
    for k in range(8):
        tensor = sparse(bench.numbers, 20, 0.5)
        ends = np.cumsum([8 + unary + k for unary, *_ in token_shapes(tensor, k)])
        await bench.start(tensor.size, k)
        for number, word in enumerate(word_payloads(encode(tensor, k))):
            bench.words.send(word)
            await bench.step(WITHIN // 4)
            assert len(bench.tokens.received) >= np.count_nonzero(np.append(0, ends[:-1]) < 32 * number)
        assert not bench.get("busy")
        assert bench.seen(tensor.size) == (Error.NONE, tensor.tolist())


@cocotb.test
async def speed(dut: object) -> None:
    bench = DecoderBench(dut)
    await bench.begin("full", "full")
    for k, longest_only in product(range(8), (False, True)):
        quotients = [MAX_QUOTIENT] * 20 if longest_only else bench.random.choices(range(MAX_QUOTIENT + 1), k=80)
        runs = [max_run(k) if longest_only else (quotient << k) + bench.random.randrange(1 << k) for quotient in quotients]
        tensor = np.concatenate([np.append(np.zeros(run, np.uint8), np.uint8(bench.random.randint(1, 255))) for run in runs])
        bench.words.cycles.clear()
        bench.tokens.cycles.clear()
        words = encode(tensor, k)
        bench.send(words)
        assert await bench.decode(tensor.size, k) == (Error.NONE, tensor.tolist())
        gaps = [after - before for before, after in pairwise(bench.tokens.cycles)]
        latency = bench.tokens.cycles[0] - bench.words.cycles[0]
        if SERIAL:
            expected = [2 + unary + k + begun + 7 * split for unary, begun, split in token_shapes(tensor, k)]
            expected[-1] += -size_bits(tensor, k) % 32  # of the last word, the rest
            assert [latency + 1, *gaps] == expected
        else:
            assert set(gaps) == {1}
            assert latency == 7
