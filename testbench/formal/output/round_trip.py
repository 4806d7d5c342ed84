"""Encoder and decoder, one behind the other: what goes in must come out."""

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value
from amaranth.lib import wiring

from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import stays, take
from skipgrid.rtl.config import MAX_QUOTIENT
from skipgrid.rtl.input.decoder import RunLengthDecoder
from skipgrid.rtl.input.serial_decoder import SerialDecoder
from skipgrid.rtl.layouts import RUN_BITS
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.serial_encoder import SerialEncoder

VALUE_BITS = 8
START = 1  # the cycle in which the decoder begins: the encoder wants k a cycle before the first token


def of(encoder_form: Any, decoder_form: Any, tokens: int, *, cycles: int, pauses: bool = True) -> Callable[[Proof], None]:
    """The property, for a tensor of so many tokens, which without pauses is back within so many cycles."""
    element_bits = (tokens << RUN_BITS).bit_length()

    def comes_back(proof: Proof) -> None:
        """What the encoder makes of a tensor's tokens, the decoder turns into the same tokens, for every k.

        For any tokens: runs up to the code's longest, with or without a value; one by one, or two at once where the encoder takes so
        many; and any pauses of what takes the tokens.
        """
        m = proof.m
        m.submodules.encoder = encoder = encoder_form()
        m.submodules.decoder = decoder = decoder_form(element_bits)
        wiring.connect(m, encoder.words, decoder.words)
        k = proof.fixed("k", 3)
        words = [proof.fixed(f"token{number}", RUN_BITS + VALUE_BITS) for number in range(tokens)]
        elements: Any = 0
        for word in words:
            run, value = word[:RUN_BITS], word[RUN_BITS:]
            proof.grant((run < (MAX_QUOTIENT + 1 << k)) & word.any())
            elements = elements + run + value.any()
        cycle = proof.since(1, 8)
        sent, back = Signal(range(tokens + 1)), Signal(range(tokens + 1))
        tensor = Array(Cat(word, number == tokens - 1) for number, word in enumerate(words))
        pair: Value = Const(0)  # the first two go at once
        if encoder.tokens.payload.shape().length == 2:
            pair = proof.fixed("pair") & (sent == 0)
        if pauses:
            take(proof, decoder.tokens, "tokens")
            stays(proof, decoder.tokens, "tokens")
        else:
            m.d.comb += decoder.tokens.ready.eq(1)
        m.d.comb += [
            encoder.k.eq(k),
            decoder.k.eq(k),
            decoder.elements.eq(elements),
            decoder.start.eq(cycle == START),
            encoder.tokens.valid.eq((cycle > START) & (sent != tokens)),
            *(
                Value.cast(token).eq(word)
                for token, word in zip(encoder.tokens.payload, (tensor[sent], Mux(pair, Cat(words[-1], 1), 0)), strict=False)
            ),
        ]
        m.d.sync += [
            sent.eq(sent + Mux(encoder.tokens.valid & encoder.tokens.ready, pair + 1, 0)),
            back.eq(back + (decoder.tokens.valid & decoder.tokens.ready)),
        ]
        proof.claim("no more tokens come back", ~decoder.tokens.valid | (back != tokens))
        proof.claim("each token comes back as it was", ~decoder.tokens.valid | (Value.cast(decoder.tokens.payload) == tensor[back]))
        proof.claim("the decoder finds no error", ~decoder.failed)
        done = (back == tokens) & ~decoder.busy & ~encoder.busy
        proof.claim("without pauses all is back in time", (cycle < cycles) | proof.seen(~decoder.tokens.ready) | done)
        proof.reach("all is back, from as many words as there are tokens", done & (proof.count(encoder.words.valid, 4) >= tokens))

    return comes_back


WRONG = (
    Fault(
        "the longest unary part is ended",
        RunLengthEncoder,
        "Mux(quotient == MAX_QUOTIENT, MAX_QUOTIENT - 1, quotient)",
        "quotient",
        "_code",
    ),
    Fault("bits that cross into another word are lost", RunLengthEncoder, "held[WORD_BITS:], held)", "0, held)"),
    Fault("the remainder is not cut off", RunLengthDecoder, "& ~(Const(-1, MAX_REMAINDER).as_unsigned() << k)", "& 0x7F"),
    Fault("the run is counted without its value", RunLengthDecoder, "Cat(~nonzero, ~run, 1)", "Cat(1, ~run, 1)"),
)
WRONG_SERIAL = (
    Fault("the longest unary part is ended", SerialEncoder, "Mux(unary_ends, ~longest, source)", "Mux(unary_ends, 1, source)"),
    Fault("the remainder takes a bit more", SerialDecoder, "place == k", "place == k + 1"),
)
PROPERTIES = (
    Property("round-trip", of(RunLengthEncoder, RunLengthDecoder, 2, cycles=26), 28, WRONG),
    Property("round-trip-two", of(partial(RunLengthEncoder, 2, registered=False), RunLengthDecoder, 2, cycles=25, pauses=False), 27, WRONG),
    Property("round-trip-serial", of(SerialEncoder, SerialDecoder, 1, cycles=98, pauses=False), 100, WRONG_SERIAL),
)
