"""Both encoders against golden.encode and golden.decode: every k, full last words, stops, and its speed."""

from itertools import pairwise

import cocotb
import numpy as np
from amaranth.lib import data

from skipgrid.golden import decode, encode, max_run, size_bits
from skipgrid.rtl.layouts import Token, Word
from streams import PROFILES, Bench, Scoreboard, arrays, config, rounds
from tensors import Coded, covered, edge_tensors, elements_of, random_tokens, sparse, token_payloads, token_shapes

SERIAL, SURVIVORS = config().serial, config().survivors
WITHIN = 800 if SERIAL else 60  # cycles that most tensors of 40 elements take


class EncoderBench(Bench):
    """An encoder between a driver of tokens and a monitor of words."""

    async def begin(self, tokens: str = "random", words: str = "random") -> None:
        self.tokens = self.source("tokens", data.ArrayLayout(Token, SURVIVORS), tokens)
        self.words = self.sink("words", Word, words)
        self.taken: list[dict[str, int]] = []
        self.tokens.listeners.append(self.taken.extend)
        await self.reset()

    async def encode(self, payloads: list[dict[str, int]], k: int) -> list[dict[str, int]]:
        """The words that tokens become."""
        self.words.received.clear()
        self.taken.clear()
        self.set(k=k)
        await self.step()
        self.tokens.send(*arrays(payloads, SURVIVORS, None if self.tokens.profile == "full" else self.random))
        await self.until(lambda: not self.tokens.queue and not self.get("busy"), "the tensor is encoded")
        return self.words.received

    async def check(self, tensor: Coded, payloads: list[dict[str, int]], k: int, *, exact: bool) -> None:
        """Encode, and compare with the model: word for word if `exact`, otherwise what the words decode to."""
        words = await self.encode(payloads, k)
        elements = elements_of(self.taken, covered(self.taken))
        assert elements == tensor.tolist()
        data = np.array([word["data"] for word in words], np.uint32)
        assert [word["last"] for word in words] == [0] * (len(words) - 1) + [1]
        assert not any(word["damaged"] for word in words)
        assert decode(data, len(elements), k).tolist() == elements
        if exact:
            assert data.tolist() == encode(np.array(elements, np.uint8), k).tolist()


@cocotb.test
async def every_k_and_edge(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin()
    for k in range(8):
        tensors = edge_tensors(k, bench.numbers) + [sparse(bench.numbers, 80, zeros) for zeros in (0, 0.3, 0.7, 0.97)]
        for tensor in tensors:
            bench.tokens.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            bench.words.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
            await bench.check(tensor, token_payloads(tensor, k), k, exact=True)
            await bench.check(tensor, random_tokens(tensor, k, bench.random), k, exact=False)


@cocotb.test
async def every_pace(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin()
    for tokens in PROFILES:
        for words in PROFILES:
            bench.tokens.behave(tokens)
            bench.words.behave(words)
            tensor = sparse(bench.numbers, bench.random.randint(1, 100), bench.random.random())
            k = bench.random.randrange(8)
            await bench.check(tensor, token_payloads(tensor, k), k, exact=True)


@cocotb.test
async def the_last_word_exactly_full(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin()
    found = 0
    while found < 40:
        k = bench.random.randrange(8)
        tensor = sparse(bench.numbers, bench.random.randint(2, 40), bench.random.random())
        over = size_bits(tensor, k) % 32
        if over in (0, 1, 31):
            found += 1
            bench.words.behave(bench.random.choice(PROFILES))
            await bench.check(tensor, token_payloads(tensor, k), k, exact=True)


@cocotb.test
async def stopped_then_a_right_one(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin()
    outcomes = {"nothing": 0, "damaged": 0, "whole": 0}
    board = Scoreboard("words before a stop")
    for _ in rounds(150, outcomes):
        k = bench.random.randrange(8)
        tensor, good = sparse(bench.numbers, bench.random.randint(1, 40), 0.5), sparse(bench.numbers, 12, 0.5)
        bench.tokens.behave(bench.random.choice(PROFILES))
        bench.words.behave(bench.random.choice(PROFILES))
        bench.words.received.clear()
        bench.set(k=k)
        await bench.step()
        bench.tokens.send(*arrays(token_payloads(tensor, k), SURVIVORS, bench.random))
        await bench.step(bench.random.randint(1, WITHIN))
        bench.set(stop=1)
        await bench.step()
        bench.set(stop=0)
        bench.tokens.forget()
        await bench.until(lambda: not bench.get("busy"), "a stopped packet ends")
        words = bench.words.received
        whole = encode(tensor, k).tolist()
        if not words:
            outcomes["nothing"] += 1
        else:
            assert [word["last"] for word in words] == [0] * (len(words) - 1) + [1]
            kind = "damaged" if words[-1]["damaged"] else "whole"
            outcomes[kind] += 1
            sent = words[:-1] if kind == "damaged" else words
            assert not any(word["damaged"] for word in words[:-1])
            board.expect(whole[: len(sent)] if kind == "damaged" else whole)
            board.see([word["data"] for word in sent])
        await bench.check(good, token_payloads(good, k), k, exact=True)
    board.finish()


@cocotb.test
async def reset_at_any_moment(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin()
    for _ in range(20):
        k = bench.random.randrange(8)
        tensor, good = sparse(bench.numbers, 40, 0.5), sparse(bench.numbers, 12, 0.5)
        await bench.cut(bench.check(tensor, token_payloads(tensor, k), k, exact=True), WITHIN)
        assert not bench.get("busy")
        await bench.check(good, token_payloads(good, k), k, exact=True)


@cocotb.test
async def speed(dut: object) -> None:
    bench = EncoderBench(dut)
    await bench.begin("full", "full")
    longest = np.tile(np.append(np.zeros(max_run(7), np.uint8), np.uint8(255)), 40)  # tokens of 22 bits
    full = np.array([9, 7], np.uint8)  # two tokens of 16 bits with k = 7
    for k, tensor in ((7, longest), (0, sparse(bench.numbers, 100, 0)), (3, sparse(bench.numbers, 400, 0.8)), (7, full)):
        bench.tokens.cycles.clear()
        bench.words.cycles.clear()
        await bench.check(tensor, token_payloads(tensor, k), k, exact=True)
        cycles = bench.tokens.cycles
        gaps = [after - before for before, after in pairwise(cycles)]
        latency = bench.words.cycles[-1] - cycles[-1]
        if SERIAL:
            assert gaps == [18 + 2 * k + 2 * begun for _, begun, _ in token_shapes(tensor, k)[1:]]
            assert latency == 2 + -size_bits(tensor, k) % 32
        elif SURVIVORS == 1:
            assert set(gaps) == {1}
            assert latency - config().spread in ((2,) if tensor is full else (2, 3))
        else:
            assert cycles[-1] - cycles[0] <= max(len(cycles) - 1, size_bits(tensor, k) // 32)
            assert latency - 2 * config().spread in ((2,) if tensor is full else (2, 3, 4))


@cocotb.test(skip=SURVIVORS == 1)
async def as_many_tokens_as_fit(dut: object) -> None:
    """Two a cycle while they have 32 bits in the mean, whatever their order; then a word a cycle."""
    bench = EncoderBench(dut)
    await bench.begin("full", "full")
    short, long = [np.array([5], np.uint8)] * 2, [np.append(np.zeros(max_run(7), np.uint8), np.uint8(255))] * 2  # 16 bits and 22 with k = 7
    for parts in (short * 50, (long + short * 3) * 10, long * 40):
        tensor = np.concatenate(parts)
        bench.tokens.cycles.clear()
        bench.words.cycles.clear()
        await bench.check(tensor, token_payloads(tensor, 7), 7, exact=True)
        words = len(bench.words.cycles)
        assert len(bench.tokens.cycles) == len(parts) // 2
        assert bench.words.cycles[-1] - bench.words.cycles[0] == words - 1
