"""The expert router of a mixture of experts: from a token's scores to the few experts it goes to, and their weights."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..parts.axi import AxiLite
from ..topk.scores import check_size, element_layout, weight_layout
from .chooser import ExpertChooser
from .expert_table import ExpertTable
from .gates import AdaptiveK
from .ratio import MAX_FRACTION
from .router_map import COUNT_BITS, COUNT_MAX, Overflow
from .router_registers import RouterRegisters
from .softmax import Softmax

MAX_VALUE_BITS = 24  # with the number of an expert it must fit a value of `StreamingTopK`


class ExpertRouter(wiring.Component):
    """For each token the experts it goes to, with their weights; bounds what each expert gets, and evens it out.

        scores → + bias → StreamingTopK → own scores → StreamingTopK → Softmax → AdaptiveK → is there room? → pairs
                   ↑                                                                               │
                   └──────────────────── ExpertTable: biases, capacities, loads ←──────────────────┘

    The biased scores say which experts are chosen, the scores themselves what they weigh. golden/router.py defines every bit, and the
    registers of `router_map` say how many experts are chosen and kept, what becomes of a pair whose expert is full, and whether biases
    are moved after each period.

    Parameters:
        experts: 2 to 64. cells: 1 to 8, the most experts that a token goes to. value_bits: 2 to 24 of a score, which is signed.
        fraction: 0 to 24 fractional bits of a score. counter_bits: 8 to 32 of the counters, which go on at 0.
    Members:
        s_axil: the registers. EXPERTS, BIAS, CAPACITY and the rule of overflow count as they are when a score is taken, CAPACITY also
            as a pair is put out, PERIOD, STEP and `balance` at a period's end, all others when a token's last score is taken.
        pressure: so much lower is K_MAX, but not below 1 or K_MIN, as it is when a token's last score is taken.
        scores: of each token, one for each expert in use, in their order. pairs: of each token, the largest weight first, equal scores
            by lower index; the last word is null if that one is left out. Of none, one null word tells.
        too_many: a score is taken for which there is no expert in use; it takes no part.

    Throughput: one score a cycle, but for two cycles with each pair of the token before. A token every max(n, s) + 3 * cells + 8 cycles
        at most, where n is its scores and s the Softmax's 62 * (k - 1) + 20 * k + 8. Where full experts are passed over, a token's first
        score waits until the token before has left: n + s + 3 * cells + 8. A period's end takes 5 * experts more.
        Reset takes 2 * experts cycles, while no score is taken. Latency: s + 3 * cells + 8 cycles at most from a token's last score to
        its last word.
    Cost: twice `cells` compare cells, `ExpertTable`, a memory of two words of scores for each expert, and what Softmax and AdaptiveK cost.
    Source: N. Shazeer and others, "Outrageously large neural networks: the sparsely-gated mixture-of-experts layer", ICLR 2017; L. Wang
        and others, "Auxiliary-loss-free load balancing strategy for mixture-of-experts", 2024.
    """

    def __init__(self, *, experts: int = 8, cells: int = 2, value_bits: int = 8, fraction: int = 4, counter_bits: int = 32) -> None:
        self.sizes = {
            "experts": check_size("experts", experts, 2, 64),
            "cells": check_size("cells", cells, 1, min(8, experts)),
            "value_bits": check_size("value_bits", value_bits, 2, MAX_VALUE_BITS),
            "fraction": check_size("fraction", fraction, 0, MAX_FRACTION),
            "counter_bits": check_size("counter_bits", counter_bits, 8, 32),
        }
        self.score = signed(value_bits)
        self.expert_bits = (experts - 1).bit_length()
        super().__init__(
            {
                "s_axil": In(AxiLite()),
                "pressure": In(range(cells + 1)),
                "scores": In(stream.Signature(element_layout(self.score))),
                "pairs": Out(stream.Signature(weight_layout(self.expert_bits))),
                "too_many": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        experts, cells, value_bits, fraction, counter_bits = self.sizes.values()
        score, pair = self.scores.payload, self.pairs.payload
        m = Module()
        m.submodules.registers = registers = RouterRegisters(self.sizes, self.score)
        m.submodules.table = table = ExpertTable(experts=experts, value=self.score, counter_bits=counter_bits)
        m.submodules.chooser = chooser = ExpertChooser(experts=experts, cells=cells, score=self.score)
        m.submodules.softmax = softmax = Softmax(cells=cells, value_bits=value_bits, fraction=fraction, index_bits=self.expert_bits)
        m.submodules.adaptive = adaptive = AdaptiveK(cells=cells, index_bits=self.expert_bits)
        rules = registers.rules
        wiring.connect(m, wiring.flipped(self.s_axil), registers.bus)
        wiring.connect(m, registers.access, table.access)
        wiring.connect(m, chooser.table, table.looker)
        wiring.connect(m, wiring.flipped(self.scores), chooser.scores)
        wiring.connect(m, chooser.chosen, softmax.scores)
        wiring.connect(m, softmax.weights, adaptive.weights)

        # One token is taken in while the one before is weighed; its last score waits until that has left.
        begun = Signal()  # some of a token's scores have been taken, and not the last
        under_way = Signal()  # a token's last score has been taken, and its last word is not out
        in_period = Signal(COUNT_BITS)  # tokens that have left
        had, will_have = Signal(), Signal()  # the period its tokens: so it was a cycle ago, and with the one under way
        due = Signal()  # the next token belongs to another period
        left = Signal()  # a token, a cycle ago, which is not in `had` yet
        taken, enters, leaves, overflows = Signal(), Signal(), Signal(), Signal()
        passes_over = rules.overflow == Overflow.NEXT
        m.d.comb += [
            taken.eq(self.scores.valid & self.scores.ready),
            enters.eq(taken & score.last),
            due.eq(Mux(under_way, will_have, had)),
            chooser.experts_in_use.eq(rules.experts),
            chooser.passes_over.eq(passes_over),
            chooser.k.eq(rules.k),
            chooser.enable.eq((begun | ~(due | left | (passes_over & under_way))) & ~(score.last & under_way)),
            self.too_many.eq(chooser.too_many),
            table.experts_in_use.eq(rules.experts),
            table.balance.eq(rules.balance),
            table.step.eq(rules.step),
            table.renew.eq(due & ~begun & ~under_way),
            registers.busy.eq(begun | under_way | left | due | table.sweeping | self.pairs.valid),
            registers.token.eq(leaves),
            registers.overflow.eq(overflows),
            registers.too_many.eq(self.too_many),
            registers.clears.eq(table.clears),
        ]
        with m.If(taken):
            m.d.sync += begun.eq(~score.last)
        m.d.sync += [
            left.eq(leaves),
            had.eq(rules.period.any() & (in_period >= rules.period)),
            will_have.eq(rules.period.any() & (in_period + 1 >= rules.period)),
            under_way.eq(enters | (under_way & ~leaves)),
            in_period.eq(Mux(table.clears | table.renews, 0, in_period) + (leaves & (in_period != COUNT_MAX))),
        ]

        # The weights that are kept, under rules that stay while a token is weighed.
        lowered = Signal.like(rules.k_max)
        least = Mux(rules.k_min.any(), rules.k_min, 1)
        m.d.comb += lowered.eq(Mux(rules.k_max < least + self.pressure, least, rules.k_max - self.pressure))
        with m.If(enters):
            m.d.sync += [getattr(adaptive, name).eq(rules[name]) for name in ("share", "relative", "k_min")]
            m.d.sync += adaptive.k_max.eq(Mux(rules.k_max < lowered, rules.k_max, lowered))

        # A kept pair goes out if its expert has room; what else ends a token goes out as a null word.
        kept = adaptive.kept
        m.d.comb += [
            table.admit.eq(kept.valid & ~kept.payload.null & ~self.pairs.valid),
            table.expert.eq(kept.payload.index),
            kept.ready.eq(~self.pairs.valid & (kept.payload.null | table.admitted)),
            leaves.eq(kept.valid & kept.ready & kept.payload.last),
            overflows.eq(table.admitted & ~table.room),
        ]
        with m.If(self.pairs.valid & self.pairs.ready):
            m.d.sync += self.pairs.valid.eq(0)
        with m.If(kept.valid & kept.ready):
            m.d.sync += [
                self.pairs.valid.eq(kept.payload.last | (table.admitted & table.room)),
                pair.eq(kept.payload),
                pair.null.eq(~(table.admitted & table.room)),
            ]
        return m
