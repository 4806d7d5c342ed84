"""From a token's scores to the few experts that are chosen for it, in the order of their scores."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..topk.scores import element_layout, winner_layout
from ..topk.streaming_topk import StreamingTopK
from .expert_table import LookPort


class ExpertChooser(wiring.Component):
    """The k experts with the largest biased scores, equal ones by lower index; larger scores first, equal ones again by lower index.

    A score meets its expert's bias when that has been looked up. The chosen have their own scores looked up, from one
    of two places for each expert, because the next token's scores come meanwhile; a second row of cells puts them in order.

    Parameters: experts, cells: as of `ExpertRouter`. score: the shape of a score and of a bias.
    Members:
        experts_in_use: scores behind them take no part. passes_over: experts without room take no part. All as a score is taken.
        k: as it is when a token's last score is taken.
        enable: a score may be taken. A token's last one may be taken when all that was chosen for the one before has been taken.
        scores: of each token. chosen: the scores and experts; of none, one null word tells.
        too_many: a score is taken for which there is no expert in use.
        table: where biases are looked up.

    Throughput: one score a cycle in which the table looks them up.
    Latency: 8 + cells cycles at most from a token's last score to the first of the chosen, of which one comes a cycle.
    Cost: two `StreamingTopK` of so many cells, and 2 * experts words of memory.
    """

    def __init__(self, *, experts: int, cells: int, score: Shape) -> None:
        self.experts, self.cells, self.score = experts, cells, score
        self.expert_bits = (experts - 1).bit_length()
        super().__init__(
            {
                "experts_in_use": In(range(experts + 1)),
                "passes_over": In(1),
                "k": In(range(cells + 1)),
                "enable": In(1),
                "scores": In(stream.Signature(element_layout(score))),
                "chosen": Out(stream.Signature(winner_layout(score, self.expert_bits))),
                "too_many": Out(1),
                "table": Out(LookPort(self.expert_bits, score)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, score, table = self.score.width, self.scores.payload, self.table
        biased = signed(width + 2)  # one bit more than a sum needs, for a value below all sums
        absent = -(1 << (width + 1))
        m.submodules.choice = choice = StreamingTopK(cells=self.cells, value_bits=biased.width, signed=True, index_bits=self.expert_bits)
        m.submodules.scores = memory = Memory(shape=self.score, depth=2 << self.expert_bits, init=[])
        write, read = memory.write_port(), memory.read_port()

        # A score is taken when its expert is looked up.
        number = Signal(range(self.experts + 1))  # of the score's expert
        place = Signal()  # of this token's scores
        in_use, taken = Signal(), Signal()
        k = Signal.like(self.k)
        m.d.comb += [
            in_use.eq(number < self.experts_in_use),
            table.expert.eq(number),
            table.look.eq(self.scores.valid & self.enable & ~score.null & in_use),
            self.scores.ready.eq(self.enable & (table.looks | score.null | ~in_use)),
            taken.eq(self.scores.valid & self.scores.ready),
            self.too_many.eq(taken & ~score.null & ~in_use),
            write.addr.eq(Cat(number[: self.expert_bits], place)),
            write.data.eq(score.value),
            write.en.eq(taken & in_use),
        ]
        came = stream.Signature(score.shape()).create()
        passed_over = Signal()  # if its expert has no room
        m.d.sync += [came.valid.eq(taken), came.payload.eq(score), came.payload.null.eq(score.null | ~in_use)]
        with m.If(taken):
            m.d.sync += [passed_over.eq(self.passes_over), number.eq(Mux(score.last, 0, number + (~score.null & in_use)))]
            with m.If(score.last):
                m.d.sync += [place.eq(~place), k.eq(self.k)]
        # From here on nobody has to wait: when a token's last score comes, all rows have been emptied.
        element = choice.elements
        m.d.sync += [
            element.valid.eq(came.valid),
            element.payload.value.eq(Mux(passed_over & table.full, absent, came.payload.value + table.bias)),
            element.payload.null.eq(came.payload.null),
            element.payload.last.eq(came.payload.last),
        ]
        m.d.comb += [choice.k.eq(k), choice.winners.ready.eq(1)]

        # The chosen, with their own scores. No two are equal, as the lower bits tell the experts apart: a lower one is larger there.
        winner = choice.winners.payload
        m.submodules.order = order = StreamingTopK(
            cells=self.cells, value_bits=width + self.expert_bits, signed=True, index_bits=max(1, (self.cells - 1).bit_length())
        )
        found = Signal.like(winner)
        m.d.comb += [read.addr.eq(Cat(winner.index, ~place)), read.en.eq(choice.winners.valid)]
        m.d.sync += [order.elements.valid.eq(choice.winners.valid), found.eq(winner)]
        m.d.comb += [
            order.k.eq(self.cells),
            order.elements.payload.value.eq(Cat(~found.index, read.data).as_signed()),
            order.elements.payload.null.eq(found.null | (found.value == absent)),
            order.elements.payload.last.eq(found.last),
        ]
        first = order.winners.payload
        ordered = data.View(data.StructLayout({"below": self.expert_bits, "score": self.score}), first.value)
        m.d.comb += [
            self.chosen.valid.eq(order.winners.valid),
            self.chosen.payload.value.eq(ordered.score),
            self.chosen.payload.index.eq(~ordered.below),
            self.chosen.payload.null.eq(first.null),
            self.chosen.payload.last.eq(first.last),
            order.winners.ready.eq(self.chosen.ready),
        ]
        return m
