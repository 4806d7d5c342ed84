"""Tokens in, run-length words out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_QUOTIENT, MAX_REMAINDER
from ..input.decoder import MAX_TOKEN_BITS, WORD_BITS
from ..layouts import Token, Word


def encoder_signature() -> wiring.Signature:
    """The members of both forms."""
    return wiring.Signature(
        {
            "k": In(3),
            "stop": In(1),
            "tokens": In(stream.Signature(Token)),
            "words": Out(stream.Signature(Word)),
            "busy": Out(1),
        }
    )


class RunLengthEncoder(wiring.Component):
    """Encodes tensors in the code that `RunLengthDecoder` reads.

    Members:
        k: the code's parameter, 0...7; steady from the cycle before a tensor's first token.
        stop: gives the tensor up. A packet of which a word has been offered is ended by a word with `last` and `damaged`.
        tokens: of which the tensor's last one carries `last`; no run is over the code's longest, 8 * 2 ** k - 1 (see `TokenBuilder`).
        words: 32-bit words, of which the tensor's last one carries `last`; the rest of that one is filled with zeros.
        busy: a token or word is under way.

    Throughput: one token a cycle, and one cycle more for a tensor's last token where it fills a word and begins another.
    Latency: 3 cycles from the token that fills a word to the word.
    """

    def __init__(self) -> None:
        super().__init__(encoder_signature())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.words.payload

        # First stage: quotient and remainder.
        token = self.tokens.payload
        k, shortest = Signal(3), Signal(range(9 + MAX_REMAINDER + 1))  # length of a token with quotient 0
        split_valid, split_ready, split_last = Signal(), Signal(), Signal()
        quotient = Signal(range(MAX_QUOTIENT + 1))
        remainder = Signal(MAX_REMAINDER)
        value = Signal(8)
        m.d.sync += [k.eq(self.k), shortest.eq(self.k + 9)]
        m.d.comb += self.tokens.ready.eq(~split_valid | split_ready)
        with m.If(self.tokens.ready):
            m.d.sync += [
                split_valid.eq(self.tokens.valid),
                quotient.eq(token.run >> k),
                remainder.eq(token.run & ~(Const(-1, MAX_REMAINDER).as_unsigned() << k)),
                value.eq(token.value),
                split_last.eq(token.last),
            ]

        # Second stage: the token's bits. Seven ones are as long as six and a zero.
        unary = Signal(MAX_QUOTIENT)
        longer = Signal(range(MAX_QUOTIENT))  # than with quotient 0
        code = Signal(MAX_TOKEN_BITS)
        length = Signal(range(MAX_TOKEN_BITS + 1))
        code_valid, code_last = Signal(), Signal()
        m.d.comb += [
            unary.eq((1 << quotient) - 1),
            longer.eq(Mux(quotient == MAX_QUOTIENT, MAX_QUOTIENT - 1, quotient)),
        ]
        with m.If(split_ready):
            m.d.sync += [
                code_valid.eq(split_valid),
                code.eq(Cat(value, unary | (remainder << longer << 1))),
                length.eq(shortest + longer),
                code_last.eq(split_last),
            ]

        # Third stage: pack.
        fill = Signal(range(WORD_BITS))
        held = Signal(WORD_BITS)
        ending = Signal()  # all tokens of the tensor are in; held is its last word
        packed = Signal(WORD_BITS + MAX_TOKEN_BITS)
        packed_fill = Signal(range(WORD_BITS + MAX_TOKEN_BITS))
        go = Signal()
        closing = Signal()  # a packet that was given up
        opened = Signal()  # a word without last was the latest one offered
        m.d.comb += [
            packed.eq(held | (code << fill)),
            packed_fill.eq(fill + length),
            go.eq(~self.words.valid | self.words.ready),
            split_ready.eq(~code_valid | (go & ~ending & ~closing)),
            self.busy.eq(split_valid | code_valid | ending | closing | self.words.valid),
        ]
        with m.If(go):
            m.d.sync += self.words.valid.eq(0)
            with m.If(closing):
                m.d.sync += [closing.eq(0), self.words.valid.eq(1), word.data.eq(0), word.last.eq(1), word.damaged.eq(1), opened.eq(0)]
            with m.Elif(ending):
                m.d.sync += [ending.eq(0), held.eq(0), fill.eq(0)]
                m.d.sync += [self.words.valid.eq(1), word.data.eq(held), word.last.eq(1), word.damaged.eq(0), opened.eq(0)]
            with m.Elif(code_valid):
                m.d.sync += [held.eq(packed), fill.eq(packed_fill)]
                with m.If((packed_fill >= WORD_BITS) | code_last):
                    m.d.sync += [
                        self.words.valid.eq(1),
                        word.data.eq(packed[:WORD_BITS]),
                        word.last.eq(code_last & (packed_fill <= WORD_BITS)),
                        word.damaged.eq(0),
                        opened.eq(~(code_last & (packed_fill <= WORD_BITS))),
                        held.eq(packed[WORD_BITS:]),
                    ]
                    with m.If(code_last):
                        m.d.sync += [fill.eq(0), ending.eq(packed_fill > WORD_BITS)]

        with m.If(self.stop):
            m.d.sync += [
                split_valid.eq(0),
                code_valid.eq(0),
                fill.eq(0),
                held.eq(0),
                ending.eq(0),
                closing.eq(opened),
                opened.eq(opened),  # whatever this cycle would have offered
            ]
            with m.If(~self.words.valid | self.words.ready):
                m.d.sync += self.words.valid.eq(0)
        return m
