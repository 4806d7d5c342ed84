"""The expert router of a mixture of experts: which experts a token goes to, what each weighs, and how their loads are kept even."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .gates import adaptive_k, softmax
from .topk import topk

COUNT_MAX = (1 << 16) - 1  # of a period, of a capacity, and of what is counted in a period
UNBOUNDED = COUNT_MAX  # the capacity of an expert that is never full
PERIOD = 64  # tokens, after reset


class Overflow(Enum):
    """What a full expert is to a token: DROP lets it be chosen, and leaves the pair out; NEXT lets the next best with room be chosen."""

    DROP = "drop"
    NEXT = "next"


@dataclass(frozen=True)
class Routing:
    """The rules of a router, as its registers hold them.

    experts: those in use; scores behind them take no part. k: experts that are chosen. k_min, k_max, share, relative: which of them are
    kept, as of `adaptive_k`. overflow: see `Overflow`.
    period: tokens after which capacities are renewed and `balance` may move biases; 0 for never. balance: whether it does.
    step: by which a bias is moved, in units of the scores.
    """

    experts: int
    k: int
    k_max: int
    step: int
    k_min: int = 0
    share: int = (1 << 16) - 1
    relative: int = 0
    overflow: Overflow = Overflow.DROP
    period: int = PERIOD
    balance: bool = False


class Router:
    """A router that is built for so many experts, and its state, which every token may change.

    experts: 2 to 64. cells: the most experts a token goes to. value_bits: of a score and of a bias, both signed.
    fraction: of value_bits, those behind the point. counter_bits: of the counters, which go on at 0 behind their largest value.

    A token's way:
        1. Each score gets the bias of its expert added. With Overflow.NEXT, experts without room take no part.
        2. The k largest sums are chosen, equal ones by lower index.
        3. The weights are the softmax of the chosen experts' own scores, larger first, equal ones by lower index.
        4. Of these, `adaptive_k` keeps the first few. `pressure` lowers its k_max, but not below 1 or k_min.
        5. A pair whose expert has no room is left out and counted in `overflowed`; the other weights stay as they are. All others are
           counted in `loads`.
    An expert has room while it got fewer tokens in this period than its capacity, or if that is `UNBOUNDED`.

    After `period` tokens `balance` lowers the bias of each expert in use that got more than the mean in them, and raises that of each
    that got less, by `step` within the range of scores; then a new period begins. With period 0 this never happens, and capacities bound
    what an expert gets in all.

    Source: L. Wang and others, "Auxiliary-loss-free load balancing strategy for mixture-of-experts", 2024 (the bias and its rule).
    """

    def __init__(self, experts: int, *, cells: int = 2, value_bits: int = 8, fraction: int = 4, counter_bits: int = 32) -> None:
        self.cells, self.fraction, self.counter_bits = cells, fraction, counter_bits
        self.lowest, self.highest = -(1 << (value_bits - 1)), (1 << (value_bits - 1)) - 1
        self.rules = Routing(experts=experts, k=cells, k_max=cells, step=min(max(1, (1 << fraction) >> 3), self.highest))
        self.biases = np.zeros(experts, np.int64)
        self.capacities = np.full(experts, UNBOUNDED)
        self.loads = np.zeros(experts, np.int64)
        self.tokens = self.overflowed = 0
        self.too_many = False  # a score came for which there is no expert in use
        self._in_period = np.zeros(experts, np.int64)  # what each expert got
        self._tokens_in_period = 0

    def configure(self, **rules: int | bool | Overflow) -> None:
        """Change some of the rules; ValueError names one that the hardware cannot hold."""
        changed = replace(self.rules, **rules)  # type: ignore[arg-type]
        most = {"experts": len(self.biases), "k": self.cells, "k_min": self.cells, "k_max": self.cells, "step": self.highest}
        for name in ("experts", "k", "k_min", "k_max", "share", "relative", "period", "step"):
            if not 0 <= getattr(changed, name) <= most.get(name, COUNT_MAX):
                raise ValueError(f"{name} must lie in 0...{most.get(name, COUNT_MAX)}, not at {getattr(changed, name)}")
        self.rules = changed
        self._renew()

    def clear(self) -> None:
        """All counters begin at 0 again, and a new period begins, without a move of biases."""
        self.loads[:] = self._in_period[:] = 0
        self.tokens = self.overflowed = self._tokens_in_period = 0
        self.too_many = False

    def route(self, scores: NDArray[np.integer], pressure: int = 0) -> list[tuple[int, int]]:
        """(expert, weight) of a token with these scores, one for each expert, in the experts' order."""
        rules = self.rules
        self.too_many |= len(scores) > rules.experts
        own = np.asarray(scores[: rules.experts], np.int64)
        takes_part = np.flatnonzero(self.has_room[: len(own)] | (rules.overflow == Overflow.DROP))
        chosen = np.sort(takes_part[topk(own[takes_part] + self.biases[takes_part], rules.k)])
        chosen = chosen[topk(own[chosen], rules.k)]
        weights = softmax(own[chosen], self.fraction)
        k_max = min(rules.k_max, max(rules.k_max - pressure, rules.k_min, 1))
        kept = adaptive_k(weights, share=rules.share, relative=rules.relative, k_min=rules.k_min, k_max=k_max)
        room = self.has_room[chosen[:kept]]
        gets = chosen[:kept][room]
        self.loads[gets] += 1
        self._in_period[gets] = np.minimum(self._in_period[gets] + 1, COUNT_MAX)
        self._tokens_in_period = min(self._tokens_in_period + 1, COUNT_MAX)
        self.tokens += 1
        self.overflowed += int((~room).sum())
        for counter in ("loads", "tokens", "overflowed"):
            setattr(self, counter, getattr(self, counter) & ((1 << self.counter_bits) - 1))
        self._renew()
        return list(zip(gets.tolist(), weights[:kept][room].tolist(), strict=True))

    @property
    def has_room(self) -> NDArray[np.bool_]:
        """Whether each expert takes another token in this period."""
        return np.asarray((self._in_period < self.capacities) | (self.capacities == UNBOUNDED))

    def _renew(self) -> None:
        """End the period, if it has had its tokens."""
        rules = self.rules
        if not 0 < rules.period <= self._tokens_in_period:
            return
        if rules.balance:
            got = self._in_period[: rules.experts]
            moved = self.biases[: rules.experts] + rules.step * np.sign(got.sum() - got * rules.experts)
            self.biases[: rules.experts] = np.clip(moved, self.lowest, self.highest)
        self._in_period[:] = 0
        self._tokens_in_period = 0
