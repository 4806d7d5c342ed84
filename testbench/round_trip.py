"""Encoder and decoder, one behind the other: what goes in must come out."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.input.decoder import RunLengthDecoder
from skipgrid.rtl.input.serial_decoder import SerialDecoder
from skipgrid.rtl.layouts import Token
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.serial_encoder import SerialEncoder


class RoundTrip(wiring.Component):
    """The decoder behind the encoder; start begins a tensor of `elements` elements with code parameter `k`.

    serial: of the forms that take a bit a cycle.
    """

    def __init__(self, *, serial: bool) -> None:
        self.serial = serial
        tokens = stream.Signature(Token)
        inputs = {"start": In(1), "elements": In(32), "k": In(3), "sent": In(tokens)}
        super().__init__(inputs | {"back": Out(tokens), "busy": Out(1), "failed": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder = encoder = SerialEncoder() if self.serial else RunLengthEncoder()
        m.submodules.decoder = decoder = SerialDecoder() if self.serial else RunLengthDecoder()
        m.d.comb += [
            encoder.tokens.payload[0].eq(self.sent.payload),
            encoder.tokens.valid.eq(self.sent.valid),
            self.sent.ready.eq(encoder.tokens.ready),
        ]
        wiring.connect(m, encoder.words, decoder.words)
        wiring.connect(m, decoder.tokens, wiring.flipped(self.back))
        m.d.comb += [
            encoder.k.eq(self.k),
            decoder.k.eq(self.k),
            decoder.start.eq(self.start),
            decoder.elements.eq(self.elements),
            self.busy.eq(decoder.busy | encoder.busy),
            self.failed.eq(decoder.failed),
        ]
        return m
