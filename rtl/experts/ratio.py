"""From terms to weights: what a few words of a tensor are of their sum, known when the tensor has ended."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..topk.scores import WEIGHT_FRACTION, check_size, value_shape, weight_layout, winner_layout

MAX_FRACTION = 24  # fractional bits of a score


class Holder(wiring.Component):
    """Holds a few words of a tensor, and sends them when it has ended.

    Members:
        store, word: hold one more word, while fewer than `depth` are held. count: so many are.
        send: the tensor has ended, also with the word that is stored in this cycle. sending: from then on until all are taken.
        words: those held, in order; one null word if there are none.

    Throughput: one word stored a cycle, one sent in two cycles. Cost: depth words of memory.
    """

    def __init__(self, shape: data.Layout, depth: int) -> None:
        self.shape, self.depth = shape, depth
        super().__init__(
            {
                "store": In(1),
                "word": In(shape),
                "count": Out(range(depth + 1)),
                "send": In(1),
                "sending": Out(1),
                "words": Out(stream.Signature(data.StructLayout({"word": shape, "null": 1, "last": 1}))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.shape, depth=max(2, self.depth), init=[])
        write, read = memory.write_port(), memory.read_port()
        number = Signal.like(self.count)
        sent = self.words.payload
        m.d.comb += [
            write.addr.eq(self.count),
            write.data.eq(self.word),
            write.en.eq(self.store),
            read.addr.eq(number),
            read.en.eq(~self.words.valid),
            sent.word.eq(read.data),
            sent.null.eq(~self.count.any()),
            sent.last.eq(number + 1 >= self.count),
        ]
        m.d.sync += self.count.eq(self.count + self.store)
        with m.If(self.send):
            m.d.sync += self.sending.eq(1)
        with m.If(self.sending & ~self.words.valid):
            m.d.sync += self.words.valid.eq(1)
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [self.words.valid.eq(0), number.eq(number + 1)]
            with m.If(sent.last):
                m.d.sync += [self.sending.eq(0), number.eq(0), self.count.eq(0)]
        return m


def term_layout(bits: int, index_bits: int) -> data.StructLayout:
    """A numerator that is not more than its denominator."""
    return data.StructLayout({"numerator": bits, "denominator": bits, "index": index_bits, "null": 1, "last": 1})


class Ratio(wiring.Component):
    """Weights: numerator / denominator to 15 fractional bits, halves rounded up.

    Members: terms: of `bits` bits; null ones pass. weights: in the same order.

    Throughput: one weight in 19 cycles. Cost: a subtractor of bits + 1 bits. Source: restoring division, a bit a cycle.
    """

    def __init__(self, bits: int, index_bits: int) -> None:
        self.bits = bits
        super().__init__(
            {"terms": In(stream.Signature(term_layout(bits, index_bits))), "weights": Out(stream.Signature(weight_layout(index_bits)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        term, weight = self.terms.payload, self.weights.payload
        steps = WEIGHT_FRACTION + 2  # the integer's bit, the fraction's, and one to round by
        remainder = Signal(self.bits + 1)
        quotient = Signal(steps)
        step = Signal(range(steps))
        fits = Signal()
        m.d.comb += [
            fits.eq(remainder >= term.denominator),
            weight.weight.eq((quotient + 1) >> 1),
            *(weight[name].eq(term[name]) for name in ("index", "null", "last")),
        ]
        with m.FSM():
            with m.State("BEGIN"):
                m.d.sync += [remainder.eq(term.numerator), step.eq(0)]
                with m.If(self.terms.valid):
                    m.next = "DIVIDE"
            with m.State("DIVIDE"):
                m.d.sync += [
                    remainder.eq((remainder - Mux(fits, term.denominator, 0)) << 1),
                    quotient.eq(Cat(fits, quotient)),
                    step.eq(step + 1),
                ]
                with m.If(step == steps - 1):
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.weights.valid.eq(1), self.terms.ready.eq(self.weights.ready)]
                with m.If(self.weights.ready):
                    m.next = "BEGIN"
        return m


class Normaliser(wiring.Component):
    """What gates that weigh the chosen scores have in common: their parameters, their streams, and the way of terms to weights.

    Parameters:
        cells: 1 to 64. value_bits, signed, index_bits: as of `StreamingTopK`. fraction: 0 to 24 fractional bits of a score.
    Members: scores: tensors, in falling order. weights: of each.
    """

    def __init__(self, *, cells: int = 8, value_bits: int = 8, signed: bool = True, fraction: int = 4, index_bits: int = 8) -> None:
        self.cells = check_size("cells", cells, 1, 64)
        self.value = value_shape(value_bits, signed=signed)
        self.fraction = check_size("fraction", fraction, 0, MAX_FRACTION)
        self.index_bits = check_size("index_bits", index_bits, 1, 32)
        super().__init__(
            {
                "scores": In(stream.Signature(winner_layout(self.value, self.index_bits))),
                "weights": Out(stream.Signature(weight_layout(self.index_bits))),
            }
        )

    def _weigh(self, m: Module, holder: Holder, ratio: Ratio, numerator: Value, denominator: Value) -> None:
        """Send a weight for each word that is held; numerator: of the word that is sent."""
        words, term = holder.words, ratio.terms.payload
        m.d.comb += [
            term.numerator.eq(numerator),
            term.denominator.eq(denominator),
            term.index.eq(words.payload.word.index),
            term.null.eq(words.payload.null),
            term.last.eq(words.payload.last),
            ratio.terms.valid.eq(words.valid),
            words.ready.eq(ratio.terms.ready),
        ]
        wiring.connect(m, ratio.weights, wiring.flipped(self.weights))
