"""Coded tensors for the benches, and what the golden model says about streams of them."""

import random
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import CodecError, decode, encode, max_run, tokens, untokens
from skipgrid.rtl.errors import Error

Coded = NDArray[np.uint8]
Outcome = tuple[Error, list[int]]
STREAM_ERRORS = {
    "ended early": Error.STREAM_ENDED_EARLY,
    "ran over": Error.STREAM_RAN_OVER,
    "bits left": Error.STREAM_BITS_LEFT,
}


def sparse(rng: np.random.Generator, size: int, zeros: float) -> Coded:
    """Coded bytes of which about this share are zeros."""
    return np.where(rng.random(size) < zeros, 0, rng.integers(1, 256, size)).astype(np.uint8)


def edge_tensors(k: int, rng: np.random.Generator) -> list[Coded]:
    """Tensors at the edges of the code: one element, all zero, all dense, runs about the longest of a token, ends in zeros."""
    longest = max_run(k)
    found = [np.zeros(1, np.uint8), np.array([7], np.uint8), np.zeros(longest + 3, np.uint8), sparse(rng, 40, 0)]
    for run in (longest - 1, longest, longest + 1, 2 * longest, 2 * longest + 1):
        found += [np.append(np.zeros(run, np.uint8), np.uint8(value)) for value in (0, 255)]
    found.append(np.append(sparse(rng, 20, 0.5), np.zeros(longest + 1, np.uint8)))
    return found


def token_payloads(coded: Coded, k: int) -> list[dict[str, int]]:
    """A tensor as the token stream inside the accelerator: no run over the longest of k, the last token with `last`."""
    payloads = [{"run": run, "value": value} for run, value in tokens(coded, k).tolist()]
    payloads[-1]["last"] = 1
    return payloads


def random_tokens(coded: Coded, k: int, rng: random.Random) -> list[dict[str, int]]:
    """The same, with runs cut at random places and tokens that stand for nothing in between."""
    payloads = []
    for token in token_payloads(coded, k):
        run = token["run"]
        while rng.random() < 0.3:
            part = rng.randint(0, run if token["value"] else run - 1)  # the last token must stand for something
            payloads.append({"run": part, "value": 0})
            run -= part
        payloads.append(token | {"run": run})
    return payloads


def in_cycles(tokens: list[dict[str, int]], places: int, rng: random.Random | None = None) -> list[list[dict[str, int]]]:
    """The same, so many in a cycle; with random numbers, some places, and all of some cycles, have none."""
    cycles: list[list[dict[str, int]]] = []
    waiting = deque(tokens)
    while waiting:
        cycles.append(
            [waiting.popleft() if waiting and not (rng and rng.random() < 0.3) else {"run": 0, "value": 0} for _ in range(places)]
        )
    return cycles


def token_shapes(coded: Coded, k: int) -> list[tuple[int, int, bool]]:
    """Of each token in the canonical encoding: the bits of its unary part, how many words it begins, and whether its value is in two."""
    shapes, start = [], 0
    for run, _ in tokens(coded, k).tolist():
        unary = min((run >> k) + 1, 7)
        end = start + 8 + unary + k
        shapes.append((unary, -(-end // 32) - -(-start // 32), start % 32 > 24))
        start = end
    return shapes


def elements_of(payloads: list[dict[str, int]], count: int) -> list[int]:
    """The elements that tokens stand for; CodecError if they are not `count`."""
    elements: list[int] = untokens([(token["run"], token["value"]) for token in payloads], count).tolist()
    return elements


def covered(payloads: list[dict[str, int]]) -> int:
    """How many elements tokens stand for."""
    return sum(token["run"] + bool(token["value"]) for token in payloads)


def word_payloads(words: NDArray[np.uint32]) -> list[dict[str, int]]:
    """A packet as the word stream inside the accelerator."""
    return [{"data": int(word), "last": int(index == len(words) - 1)} for index, word in enumerate(words)]


def outcome(words: list[int], count: int, k: int) -> Outcome:
    """What the golden model makes of a packet: its error, and without one its elements."""
    try:
        return Error.NONE, decode(np.array(words, np.uint32), count, k).tolist()
    except CodecError as error:
        return STREAM_ERRORS[error.kind], []


def damaged(coded: Coded, k: int, rng: np.random.Generator) -> dict[str, Any]:
    """Packets of a tensor of coded.size elements, spoilt in every way that the contract names."""
    words = encode(coded, k)
    longer = np.concatenate([coded, sparse(rng, 30, 0.5)])
    full = np.concatenate([words, rng.integers(0, 2**32, 5, dtype=np.uint32)])
    return {
        "cut": words[: max(1, len(words) // 2)],
        "one word": words[:1],
        "without its end": encode(coded[: max(1, coded.size // 2)], k),
        "runs over": encode(np.concatenate([coded[:-1], np.zeros(5, np.uint8), np.array([9], np.uint8)]), k),
        "longer": encode(longer, k),
        "words behind": full,
        "an empty word behind": np.append(words, np.uint32(0)),
        "a bit behind": np.append(words[:-1], words[-1] | np.uint32(1 << 31)),
        "random": rng.integers(0, 2**32, rng.integers(1, 9), dtype=np.uint32),
    }
