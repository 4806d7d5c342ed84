"""The expert router on a skewed stream: how even its load becomes, with every word compared with the golden model's."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden import Router
from skipgrid.host.simulation.router import Routed, SimulatedRouter
from skipgrid.rtl.experts.router_map import REGISTERS, ExpertArray

EXPERTS, CELLS, FRACTION = 8, 2, 4
TOKENS = 16_384
WINDOW = slice(3_072, 4_096)  # tokens over which loads are measured
TIMES = 10  # so much likelier is the favoured one
BALANCE = REGISTERS["CONTROL"].mask("balance")


class Favour(Enum):
    """How one expert is favoured ten to one.

    LOGITS: scores are such that softmax would draw an expert, and the favoured one is ten times as likely as each other to have the
    largest (noise of Gumbel's distribution, plus log 10). DRAWS: scores lie anywhere, and the favoured one's is the best of ten.
    TOP: in ten of eleven tokens the favoured one's score is larger than all others, by any distance up to a quarter of the range.
    """

    LOGITS = "logits"
    DRAWS = "draws"
    TOP = "top"


@dataclass(frozen=True)
class RouterResult:
    """What was measured on a stream that favours one expert.

    tokens: of the stream, which is sent twice: with the rule that moves biases switched off, and on.
    busiest_over_mean_before: the busiest expert's load over the mean, in the 1,024 tokens before the 4,096th, rule off.
    busiest_over_mean_after: the same tokens, with the rule on since the first token, and PERIOD and STEP as after reset.
    lost: tokens that did not come out, and pairs that came out uncounted. repeated: tokens and pairs that came out again, and pairs
    that were counted but did not come. Both of the two runs.
    bit_exact: all words that came out, and the counters and biases at the end, are those of the golden model.
    """

    favour: str
    tokens: int
    busiest_over_mean_before: float
    busiest_over_mean_after: float
    lost: int
    repeated: int
    bit_exact: bool


def make_scores(tokens: int, seed: int, favour: Favour) -> NDArray[np.int8]:
    """Scores (tokens, experts) of a stream in which any one expert is favoured."""
    rng = np.random.default_rng(seed)
    favoured = rng.integers(EXPERTS)
    scores: NDArray[Any]
    if favour == Favour.LOGITS:
        logits = rng.gumbel(size=(tokens, EXPERTS))
        logits[:, favoured] += np.log(TIMES)
        scores = np.round(logits * (1 << FRACTION))
    elif favour == Favour.DRAWS:
        draws = rng.integers(-128, 128, (tokens, TIMES, EXPERTS))
        scores = draws[:, 0].copy()
        scores[:, favoured] = draws[:, :, favoured].max(axis=1)
    else:
        scores = rng.integers(-128, 64, (tokens, EXPERTS))
        top = rng.random(tokens) < TIMES / (TIMES + 1)
        scores[top, favoured] = scores[top].max(axis=1) + rng.integers(1, 64, top.sum())
    return np.clip(scores, -128, 127).astype(np.int8)


def bench_router(seed: int = 0, favour: Favour = Favour.LOGITS) -> RouterResult:
    """Measure the router, as it is built by default, on a stream of 16,384 tokens; every seed is another one."""
    scores = make_scores(TOKENS, seed, favour)
    ratios: list[float] = []
    lost, repeated, exact = 0, 0, True
    for balance in (False, True):
        unit, golden = SimulatedRouter(experts=EXPERTS, cells=CELLS, fraction=FRACTION), Router(EXPERTS, cells=CELLS, fraction=FRACTION)
        unit.write("CONTROL", BALANCE * balance)
        golden.configure(balance=balance)
        routed = unit.run(list(scores))
        expected = [golden.route(token) for token in scores]
        counted = unit.read_all(ExpertArray.LOAD)
        missing, again = _account(routed, counted)
        lost, repeated = lost + missing, repeated + again
        exact &= [each.pairs for each in routed] == expected
        exact &= counted == golden.loads.tolist() and unit.read_all(ExpertArray.BIAS) == golden.biases.tolist()
        exact &= (unit.read("TOKENS"), unit.read("OVERFLOWED")) == (golden.tokens, golden.overflowed)
        ratios.append(busiest_over_mean(routed[WINDOW]))
    before, after = ratios
    return RouterResult(favour.value, TOKENS, before, after, lost, repeated, exact)


def busiest_over_mean(routed: list[Routed]) -> float:
    """The load of the expert that got the most of these tokens, over the mean of all."""
    loads = Counter(expert for each in routed for expert, _ in each.pairs)
    return max(loads.values()) * EXPERTS / sum(loads.values())


def _account(routed: list[Routed], counted: list[int]) -> tuple[int, int]:
    """What is lost and what is repeated, without a look at the golden model."""
    came = Counter(expert for each in routed for expert, _ in each.pairs)
    difference = [count - came[expert] for expert, count in enumerate(counted)]
    lost = max(0, TOKENS - len(routed)) - sum(min(0, each) for each in difference)
    twice = sum(len(each.pairs) - len({expert for expert, _ in each.pairs}) for each in routed)
    return lost, max(0, len(routed) - TOKENS) + twice + sum(max(0, each) for each in difference)
