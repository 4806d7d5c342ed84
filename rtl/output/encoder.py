"""Tokens in, run-length words out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT, MAX_REMAINDER
from ..input.decoder import MAX_TOKEN_BITS, WORD_BITS
from ..layouts import Token, Word


def encoder_signature(survivors: int = 1) -> wiring.Signature:
    """The members of both forms, for `survivors` tokens a cycle."""
    return wiring.Signature(
        {
            "k": In(3),
            "stop": In(1),
            "tokens": In(stream.Signature(data.ArrayLayout(Token, survivors))),
            "words": Out(stream.Signature(Word)),
            "busy": Out(1),
        }
    )


class RunLengthEncoder(wiring.Component):
    """Encodes tensors in the code that `RunLengthDecoder` reads.

    survivors: tokens that it takes in a cycle: 1 or 2. The second one may be none.
    registered: what a token's bits are, and how those of two are put together, has stages of its own, for a higher clock.

    Members:
        k: the code's parameter, 0...7; steady from the cycle before a tensor's first token.
        stop: gives the tensor up. A packet of which a word has been offered is ended by a word with `last` and `damaged`.
        tokens: of which the tensor's last one carries `last`; no run is over the code's longest, 8 * 2 ** k - 1 (see `TokenBuilder`).
        words: 32-bit words, of which the tensor's last one carries `last`; the rest of that one is filled with zeros.
        busy: a token or word is under way.

    Throughput: `survivors` tokens a cycle, as long as they have 32 bits a cycle in the mean, and a cycle more for a tensor's end.
    Latency: 2 cycles from the token that fills a word to the word; one more where it is registered, and two more if there are two tokens.
    """

    def __init__(self, survivors: int = 1, *, registered: bool = True) -> None:
        self.survivors = survivors
        self.registered = registered
        super().__init__(encoder_signature(survivors))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moves = Signal()  # all stages but the last
        stages = self.survivors + 1 if self.registered else 1
        valid, last = Signal(stages), Signal(stages)
        m.d.comb += self.tokens.ready.eq(moves)
        with m.If(moves):
            m.d.sync += valid.eq(Cat(self.tokens.valid, valid))
            m.d.sync += last.eq(Cat(Cat(token.last for token in self.tokens.payload).any(), last))

        # The bits of each token; those of two become one code.
        codes = [self._code(m, token, moves) for token in self.tokens.payload]
        code, length = codes[0]
        if self.survivors == 2:
            (first, first_length), (second, second_length) = codes
            pair = Signal(max(1, stages - 1))
            code, length = Signal(2 * MAX_TOKEN_BITS), Signal(range(2 * MAX_TOKEN_BITS + 1))
            joined = [
                code.eq(first | Mux(pair[-1], second << first_length, 0)),
                length.eq(first_length + Mux(pair[-1], second_length, 0)),
            ]
            with m.If(moves):
                m.d.sync += pair.eq(Cat(~self.tokens.payload[1].is_none(), pair))
            if self.registered:
                with m.If(moves):
                    m.d.sync += joined
            else:
                m.d.comb += joined

        # Last stage: pack. Bits behind a word that is offered wait above it; if they are a word too, no code is taken.
        most = WORD_BITS - 1 + self.survivors * MAX_TOKEN_BITS
        held, fill = Signal(most), Signal(range(most + 1))
        last_word, damaged = Signal(), Signal()  # of the word that is offered
        ending, ends = Signal(), Signal()  # all tokens of the tensor are in; will be
        packed_fill = Signal.like(fill)
        go, takes = Signal(), Signal()
        offers, offers_last = Signal(), Signal()
        closing = Signal()  # a packet that was given up
        opened = Signal()  # a word without last was the latest one offered
        m.d.comb += [
            go.eq(~self.words.valid | self.words.ready),
            takes.eq(valid[-1] & ~closing & ~ending & ~fill[6:].any()),
            moves.eq(~valid[-1] | (go & takes)),
            packed_fill.eq(Mux(last_word, 0, Cat(fill[:5], fill[6:])) + Mux(takes, length, 0)),
            ends.eq(Mux(ending, ~last_word, takes & last[-1])),
            offers.eq(packed_fill[5:].any() | ends),
            offers_last.eq(ends & (packed_fill <= WORD_BITS)),
            self.words.payload.data.eq(held),
            self.words.payload.last.eq(last_word),
            self.words.payload.damaged.eq(damaged),
            self.busy.eq(valid.any() | closing | self.words.valid),
        ]
        with m.If(go):
            m.d.sync += [
                held.eq(Mux(self.words.valid, held[WORD_BITS:], held) | Mux(takes, code << fill[:5], 0)),
                fill.eq(packed_fill),
                ending.eq(ends),
                self.words.valid.eq(offers),
                last_word.eq(offers_last),
                damaged.eq(0),
                opened.eq(Mux(offers, ~offers_last, opened)),
            ]
            with m.If(closing):
                m.d.sync += [closing.eq(0), self.words.valid.eq(1), last_word.eq(1), damaged.eq(1), opened.eq(0)]

        # What is offered stays.
        with m.If(self.stop):
            m.d.sync += [
                valid.eq(0),
                held.eq(Mux(go, 0, held[:WORD_BITS])),
                fill.eq(0),
                ending.eq(0),
                closing.eq(opened),
                opened.eq(opened),  # whatever this cycle would have offered
            ]
            with m.If(go):
                m.d.sync += self.words.valid.eq(0)
        return m

    def _code(self, m: Module, token: data.View, moves: Value) -> tuple[Signal, Signal]:
        """A token's bits, and how many they are, in stages that move together."""
        # Quotient and remainder.
        k, shortest = Signal(3), Signal(range(9 + MAX_REMAINDER + 1))  # length of a token with quotient 0
        quotient, remainder, value = Signal(range(MAX_QUOTIENT + 1)), Signal(MAX_REMAINDER), Signal(8)
        m.d.sync += [k.eq(self.k), shortest.eq(self.k + 9)]
        parted = [
            quotient.eq(token.run >> k),
            remainder.eq(token.run & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k)),
            value.eq(token.value),
        ]
        if self.registered:
            with m.If(moves):
                m.d.sync += parted
        else:
            m.d.comb += parted

        # The bits. Seven ones are as long as six and a zero.
        unary = Signal(MAX_QUOTIENT)
        longer = Signal(range(MAX_QUOTIENT))  # than with quotient 0
        code, length = Signal(MAX_TOKEN_BITS), Signal(range(MAX_TOKEN_BITS + 1))
        m.d.comb += [
            unary.eq((1 << quotient) - 1),
            longer.eq(Mux(quotient == MAX_QUOTIENT, MAX_QUOTIENT - 1, quotient)),
        ]
        with m.If(moves):
            m.d.sync += [
                code.eq(Cat(value, unary | (remainder << longer << 1))),
                length.eq(shortest + longer),
            ]
        return code, length
