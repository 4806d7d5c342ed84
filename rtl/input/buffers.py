"""The two activation buffers: which tensor lies in which, and who writes it."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..errors import Error
from ..layouts import Token, tokens_layout
from .serial_writer import SerialActivationWriter
from .writer import ActivationWriter, write_layout

Writer = ActivationWriter | SerialActivationWriter


def buffers_signature(config: Config) -> wiring.Signature:
    """The members of both forms.

    Members:
        layer: steady while anything is under way.
        start: it begins. loads: its input comes from the stream. stop: what is being stored is given up.
        loaded_tokens: of the layer's input, for its buffer. computed_tokens: of its output, for the other buffer.
        write, write_enable, write_buffer: for the memory.
        rows: feature-map rows of the input that are complete. input_ready: a tensor of the input's shape is held.
        loaded, stored: the input, or the output, is complete.
        Where layers overlap, leaves: the layer has ended, and its output is still being stored. late: so it is. follows: in the buffer of
            what is now the layer's input; `layer` may be the next one as soon as `late` is 1.
        zeros: of the tokens that are taken, or passed one by one, in this cycle.
        failed, error: as of `ActivationWriter`.
    """
    return wiring.Signature(
        {
            "layer": In(layer_layout(config)),
            "start": In(1),
            "loads": In(1),
            "stop": In(1),
            "loaded_tokens": In(stream.Signature(Token)),
            "computed_tokens": In(stream.Signature(tokens_layout(config))),
            "write": Out(write_layout(config)),
            "write_enable": Out(1),
            "write_buffer": Out(1),
            "rows": Out(config.coordinate_bits),
            "input_ready": Out(1),
            "loaded": Out(1),
            "stored": Out(1),
            **({"leaves": In(1), "late": Out(1), "follows": Out(1)} if config.overlaps else {}),
            "zeros": Out(range(config.zeros_at_once + 1)),
            "failed": Out(1),
            "error": Out(Error),
        }
    )


class ActivationBuffers(wiring.Component):
    """One writer for each buffer, so that a layer's output is stored while its input is still loaded.

    Members: see `buffers_signature`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(buffers_signature(config))

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        m = Module()
        loaded_tokens = _alone(m, config, self.loaded_tokens)
        m.submodules.writer0 = writer0 = ActivationWriter(config)
        m.submodules.writer1 = writer1 = ActivationWriter(config)
        writers = (writer0, writer1)
        filled = Signal()  # the buffer for computed tokens
        late = Signal()
        if config.overlaps:
            with m.If(~late):
                m.d.sync += filled.eq(~layer.buffer)
            with m.If(self.stop | Mux(filled, writer1.complete, writer0.complete)):
                m.d.sync += late.eq(0)
            with m.Elif(self.leaves):
                m.d.sync += late.eq(1)
            m.d.comb += [self.late.eq(late), self.follows.eq(late & (layer.buffer == filled))]
        else:
            m.d.comb += filled.eq(~layer.buffer)
        turn = Signal()  # of a buffer to write, when both want to
        m.d.sync += turn.eq(~turn)
        for number, (writer, other) in enumerate(zip(writers, reversed(writers), strict=True)):
            m.d.comb += [
                writer.stop.eq(self.stop),
                writer.other_entries.eq(other.entries),
                writer.other_pixels.eq(other.pixels),
                writer.other_entries_went.eq(other.entries_went),
                writer.other_pixels_went.eq(other.pixels_went),
                writer.writes.ready.eq(~other.pending | (turn == number)),
            ]
            with m.If(layer.buffer == number):
                m.d.comb += [
                    writer.start.eq(self.start & self.loads),
                    *_shape(writer, layer.C, layer.H, layer.W),
                    self.rows.eq(writer.rows),
                    self.input_ready.eq((writer.complete | (late & (filled == number))) & _holds(writer, layer)),
                    self.loaded.eq(writer.complete),
                ]
            with m.Else():
                m.d.comb += [
                    writer.drop.eq(self.start & self.loads),
                    writer.start.eq(self.start & layer.computes & ~layer.to_stream),
                    *_shape(writer, layer.stored_channels, layer.stored_rows, layer.stored_columns),
                    self.stored.eq(writer.complete),
                ]
            with m.If(filled == number):
                m.d.comb += _connect(self.computed_tokens, writer.tokens)
            with m.Else():
                m.d.comb += _connect(loaded_tokens, writer.tokens)
            with m.If(writer.writes.valid & writer.writes.ready):
                m.d.comb += [self.write_enable.eq(1), self.write_buffer.eq(number), self.write.eq(writer.writes.payload)]
        m.d.comb += [
            self.zeros.eq(_zeros(loaded_tokens) + _zeros(self.computed_tokens)),
            self.failed.eq(Cat(writer.failed for writer in writers).any()),
            self.error.eq(Mux(writer0.failed, writer0.error, writer1.error)),
        ]
        return m


class SerialActivationBuffers(wiring.Component):
    """One writer for both buffers, so that a tensor is stored, then the next one.

    A layer's input from the stream and its output into a buffer at the same time are not possible.

    Members: see `buffers_signature`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(buffers_signature(config))

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        m = Module()
        loaded_tokens = _alone(m, config, self.loaded_tokens)
        m.submodules.writer = writer = SerialActivationWriter(config)
        place = Signal()  # the buffer that the writer writes, or has written
        # What is known of the tensor in the other buffer, which is the writer's tensor before.
        names = ("complete", "held_C", "held_H", "held_W", "entries", "pixels")
        other = Signal(data.StructLayout({name: len(getattr(writer, name)) for name in names}))
        stores = layer.computes & ~layer.to_stream & ~self.loads
        is_input = place == layer.buffer
        m.d.comb += [
            writer.stop.eq(self.stop),
            writer.start.eq(self.start & (self.loads | stores)),
            writer.other_entries.eq(other.entries),
            writer.other_pixels.eq(other.pixels),
            writer.writes.ready.eq(1),
            self.write.eq(writer.writes.payload),
            self.write_enable.eq(writer.writes.valid),
            self.write_buffer.eq(place),
            self.rows.eq(Mux(is_input, writer.rows, other.held_H)),
            self.input_ready.eq(Mux(is_input, writer.complete & _holds(writer, layer), other.complete & _holds(other, layer))),
            self.loaded.eq(writer.complete),
            self.stored.eq(writer.complete),
            self.zeros.eq(writer.skips),
            self.failed.eq(writer.failed),
            self.error.eq(writer.error),
        ]
        with m.If(self.loads):
            m.d.comb += [*_shape(writer, layer.C, layer.H, layer.W), *_connect(loaded_tokens, writer.tokens)]
            with m.If(self.start):
                m.d.sync += [place.eq(layer.buffer), other.eq(0)]
        with m.Else():
            m.d.comb += _shape(writer, layer.stored_channels, layer.stored_rows, layer.stored_columns)
            m.d.comb += _connect(self.computed_tokens, writer.tokens)
            with m.If(self.start & stores & is_input):
                m.d.sync += [place.eq(~layer.buffer), *(other[name].eq(getattr(writer, name)) for name in names)]
        return m


def _shape(writer: Writer, C: Value, H: Value, W: Value) -> list[object]:
    return [writer.C.eq(C), writer.H.eq(H), writer.W.eq(W)]


def _connect(source: object, sink: object) -> list[object]:
    return [sink.payload.eq(source.payload), sink.valid.eq(source.valid), source.ready.eq(sink.ready)]  # type: ignore[attr-defined]


def _alone(m: Module, config: Config, tokens: wiring.PureInterface) -> wiring.PureInterface:
    """A stream of one token a cycle, as one of as many as a writer takes."""
    several = stream.Signature(tokens_layout(config)).create(path=("loaded",))
    m.d.comb += [several.payload[0].eq(tokens.payload), several.valid.eq(tokens.valid), tokens.ready.eq(several.ready)]
    return several


def _holds(held: object, layer: object) -> Value:
    """Whether the tensor held has the shape of the layer's input."""
    return (held.held_C == layer.C) & (held.held_H == layer.H) & (held.held_W == layer.W)  # type: ignore[attr-defined]


def _zeros(tokens: wiring.PureInterface) -> Value:
    """How many are passed in this cycle."""
    return Mux(tokens.valid & tokens.ready, sum(token.run for token in tokens.payload), 0)
