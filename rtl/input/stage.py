"""The input: words become tokens, and tokens become entries of the activation memory, which the rows read."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..errors import Error
from ..layouts import Word, tokens_layout
from .buffers import ActivationBuffers, SerialActivationBuffers
from .decoder import RunLengthDecoder
from .memory import ActivationMemory, read_signature
from .serial_decoder import SerialDecoder


class InputStage(wiring.Component):
    """From words to entries: a tensor from the stream, or the layer's own output, goes into one of two activation buffers.

        words → decoder → buffers → memory → reads
                  outputs ↗

    Members:
        layer: steady while anything is under way. start: it begins. loads: its input comes from the stream.
        stop: what is under way is given up.
        words: of a tensor from the stream. outputs: tokens of the layer's output, for the other buffer.
        reads: each row's way to entries and pointers of the layer's input.
        rows_stored: feature-map rows of the input that are complete. input_ready: a tensor of the input's shape is held.
        loaded, stored: the input, or the output, is complete. Where layers overlap, leaves, late, follows: as of `buffers_signature`.
        busy: a tensor from the stream is under way. zeros: that were passed over in this cycle.
        failed, error: for one cycle, as of the decoder and of the activation writer.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(layer_layout(config)),
                "start": In(1),
                "loads": In(1),
                "stop": In(1),
                "words": In(stream.Signature(Word)),
                "outputs": In(stream.Signature(tokens_layout(config))),
                "reads": In(read_signature(config)).array(config.rows),
                "rows_stored": Out(config.coordinate_bits),
                "input_ready": Out(1),
                "loaded": Out(1),
                "stored": Out(1),
                **({"leaves": In(1), "late": Out(1), "follows": Out(1)} if config.overlaps else {}),
                "busy": Out(1),
                "zeros": Out(range(config.zeros_at_once + 1)),
                "failed": Out(1),
                "error": Out(Error),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer = self.config, self.layer
        decoder = (SerialDecoder if config.serial else RunLengthDecoder)(config.element_bits)
        buffers = (SerialActivationBuffers if config.serial else ActivationBuffers)(config)
        memory = ActivationMemory(config)
        m = Module()
        m.submodules.decoder, m.submodules.buffers, m.submodules.memory = decoder, buffers, memory

        wiring.connect(m, wiring.flipped(self.words), decoder.words)
        wiring.connect(m, decoder.tokens, buffers.loaded_tokens)
        wiring.connect(m, wiring.flipped(self.outputs), buffers.computed_tokens)
        for read, row in zip(self.reads, memory.reads, strict=True):
            wiring.connect(m, wiring.flipped(read), row)

        m.d.comb += [
            decoder.start.eq(self.start & self.loads),
            decoder.elements.eq(layer.elements),
            decoder.k.eq(layer.k_in),
            decoder.stop.eq(self.stop),
            buffers.layer.eq(layer),
            buffers.start.eq(self.start),
            buffers.loads.eq(self.loads),
            buffers.stop.eq(self.stop),
            memory.write.eq(buffers.write),
            memory.write_enable.eq(buffers.write_enable),
            memory.write_buffer.eq(buffers.write_buffer),
            memory.read_buffer.eq(layer.buffer),
            self.rows_stored.eq(buffers.rows),
            self.input_ready.eq(buffers.input_ready),
            self.loaded.eq(buffers.loaded & ~decoder.busy),
            self.stored.eq(buffers.stored),
            self.busy.eq(decoder.busy),
            self.zeros.eq(buffers.zeros),
            self.failed.eq(decoder.failed | buffers.failed),
            self.error.eq(Mux(decoder.failed, decoder.error, buffers.error)),
        ]
        if config.overlaps:
            m.d.comb += [buffers.leaves.eq(self.leaves), self.late.eq(buffers.late), self.follows.eq(buffers.follows)]
        return m
