"""Functions of one value: what becomes of a requantised output is looked up."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import FUNCTION_WORDS, Result, store_layout


class FunctionTable(wiring.Component):
    """Puts in place of each result's value what the layer's table has for it; a table has a coded byte for each coded byte.

    Members:
        layer: steady while anything is under way.
        store: stores words of four bytes, the lowest byte first, `FUNCTION_WORDS` a table.
        source, sink: the same results with other values; those of a layer that is not looked up as they are.

    Throughput: `survivors` results a cycle. Latency: 2 cycles; none for a layer that is not looked up. Cost: functions x 256 bytes for each
    of the survivors.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = stream.Signature(data.ArrayLayout(Result, config.survivors))
        super().__init__(
            {"layer": In(layer_layout(config)), "store": In(store_layout(config)), "source": In(results), "sink": Out(results)}
        )

    def elaborate(self, platform: object) -> Module:
        config, source, sink, store = self.config, self.source, self.sink, self.store
        m = Module()
        advance, reads, found = Signal(), Signal(), Signal()  # results whose words are read, and whose bytes are found
        read, looked_up = (Signal(source.payload.shape(), reset_less=True, name=name) for name in ("read", "looked_up"))
        m.d.comb += advance.eq(~found | sink.ready)
        with m.If(advance):
            m.d.sync += [reads.eq(source.valid & self.layer.looked_up), found.eq(reads), read.eq(source.payload), looked_up.eq(read)]
        for number, (result, waits, ends) in enumerate(zip(source.payload, read, looked_up, strict=True)):
            m.submodules[f"table{number}"] = memory = Memory(shape=32, depth=FUNCTION_WORDS * config.functions, init=[])
            write, word = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.en.eq(store.function),
                write.addr.eq(store.address),
                write.data.eq(store.data),
                word.en.eq(advance),
                word.addr.eq(Cat(result.value[2:], self.layer.table)),
            ]
            with m.If(advance):
                m.d.sync += ends.value.eq(word.data.word_select(waits.value[:2], 8))
        m.d.comb += [sink.payload.eq(looked_up), sink.valid.eq(found), source.ready.eq(advance)]
        with m.If(~self.layer.looked_up):
            m.d.comb += [sink.payload.eq(source.payload), sink.valid.eq(source.valid), source.ready.eq(sink.ready)]
        return m
