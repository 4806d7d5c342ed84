"""The winners of each pixel of a layer's output, among its channels: chosen while the results pass."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..config import MAX_RUN, Config
from ..descriptor import layer_layout
from ..layouts import Result, last_positive
from ..topk.streaming_topk import StreamingTopK
from .kept_results import KeptResults
from .tensor_winners import rank


class PixelWinners(wiring.Component):
    """Stands between the results and the tokens, and lets the k largest channels of each pixel keep their values.

    A pixel's results other than zero wait in a memory while `StreamingTopK` sorts them. Its last winner then tells them from the losers:
    those that are as large and come no later win too. Meanwhile the next pixel comes in. What is larger, and how zeros take part, is as
    in `TensorWinners`, within the pixel.

    Members:
        layer: steady while results pass. source: results of the layer; of others they pass. sink: those of its winners.
        waits: a result waits, and not for the sink.

    Throughput: one result a cycle, and one cycle more for each pixel. Latency: n + k + 6 cycles at most from the first of a pixel's n
        results to the first winner.
    Cost: that of `StreamingTopK`, and a memory of as many results as a pixel has channels.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = stream.Signature(Result)
        super().__init__({"layer": In(layer_layout(config)), "source": In(results), "sink": Out(results), "waits": Out(1)})

    def elaborate(self, platform: object) -> Module:
        config, layer, source, sink = self.config, self.layer, self.source, self.sink
        m = Module()
        m.submodules.topk = topk = StreamingTopK(cells=config.pixel_winners, index_bits=config.channel_bits)
        # end: of the pixel, behind its results. last: of the tensor.
        waiting = data.StructLayout({"value": 8, "channel": config.channel_bits, "end": 1, "last": 1})
        m.submodules.memory = memory = SyncFIFOBuffered(width=waiting.size, depth=config.channels + 2)
        # What goes to a stream may have any number of elements. Each pixel's end is a word, so that is how far words lie apart.
        position_bits = (config.channels + MAX_RUN).bit_length()
        m.submodules.kept = kept = KeptResults(position_bits)

        # Results are told apart by pixels: zeros before a result may reach into the next ones.
        result = source.payload
        channel = Signal(range(config.channels + 1))  # of the result that comes next, without the zeros before it
        begun = Signal.like(result.gap)  # zeros before it that are in the pixels before this one
        left, room = result.gap - begun, layer.K - channel
        complete = Signal()  # the pixel's last channel was a result
        some, ends, goes = Signal(), Signal(), Signal()
        at_end = Signal()  # the tensor's last element was a zero, and no word has told of it
        word = Signal(waiting)
        m.d.comb += [
            ends.eq(complete | (source.valid & (left >= room))),
            some.eq(source.valid & ~ends & ~result.null & result.value.any()),
            goes.eq(layer.of_pixel & topk.elements.ready & memory.w_rdy),
            word.value.eq(result.value),
            word.channel.eq(channel + left),
            word.end.eq(ends),
            word.last.eq(Mux(ends, at_end | (source.valid & result.null & result.last & (left == room)), result.last)),
            memory.w_data.eq(word),
        ]
        with m.If(layer.of_pixel):
            m.d.comb += [
                memory.w_en.eq(topk.elements.ready & (ends | some)),
                topk.elements.valid.eq(memory.w_rdy & (ends | some)),
                source.ready.eq(goes & ~ends),
                self.waits.eq(source.valid & ~source.ready & ~(sink.valid & ~sink.ready)),
            ]
            wiring.connect(m, kept.results, wiring.flipped(sink))
            with m.If(goes & ends):
                m.d.sync += [channel.eq(0), begun.eq(begun + room), complete.eq(0), at_end.eq(0)]
            with m.Elif(goes & source.valid):
                m.d.sync += [channel.eq(channel + left + ~result.null), begun.eq(0), complete.eq(~result.null & (left + 1 == room))]
                m.d.sync += at_end.eq(result.last & ~result.null & ~some)
        with m.Else():
            wiring.connect(m, wiring.flipped(source), wiring.flipped(sink))

        # The pixel's winners are sorted; only the last one counts.
        entries, positives = Signal(range(config.channels + 1)), Signal(range(config.channels + 1))
        surplus = layer.winners + entries - layer.K  # k - zeros
        floor = Signal(len(entries))
        with m.If(goes & ends):
            m.d.sync += [entries.eq(0), positives.eq(0)]
        with m.Elif(goes & some):
            m.d.sync += [
                entries.eq(entries + 1),
                positives.eq(positives + (layer.magnitude | (result.value <= last_positive(layer)))),
            ]
        m.d.comb += [
            floor.eq(Mux(layer.winners < positives, layer.winners, positives)),
            topk.k.eq(Mux(surplus > floor, surplus, floor)),
            topk.elements.payload.value.eq(rank(result.value, layer)),
            topk.elements.payload.null.eq(ends),
            topk.elements.payload.last.eq(ends),
        ]
        smallest = data.StructLayout({"rank": 8, "index": config.channel_bits, "some": 1})
        found, found_all = Signal(smallest), Signal()
        decides, decided = Signal(smallest), Signal()  # for the pixel that leaves
        leaves, finished = Signal(), Signal()
        winner = topk.winners.payload
        m.d.comb += topk.winners.ready.eq(~found_all)
        with m.If(topk.winners.valid & ~found_all):
            m.d.sync += [found.rank.eq(winner.value), found.index.eq(winner.index), found.some.eq(~winner.null), found_all.eq(winner.last)]
        with m.If(finished):
            m.d.sync += decided.eq(0)
        with m.If(found_all & (~decided | finished)):
            m.d.sync += [decides.eq(found), decided.eq(1), found_all.eq(0)]

        # Then the pixel leaves the memory.
        entry = data.View(waiting, memory.r_data)
        index = Signal(config.channel_bits)
        base = Signal(position_bits)  # elements of the pixels before this one
        over = Signal()  # the tensor's last element has left
        reached, wins = Signal(8), Signal()
        m.d.comb += [
            leaves.eq(memory.r_rdy & decided & kept.words.ready),
            finished.eq(leaves & entry.end),
            memory.r_en.eq(leaves),
            reached.eq(rank(entry.value, layer)),
            wins.eq(
                decides.some & ~entry.end & ((reached > decides.rank) | ((reached == decides.rank) & (index <= decides.index))),
            ),
            kept.words.valid.eq(memory.r_rdy & decided & ~over),
            kept.words.payload.value.eq(entry.value),
            kept.words.payload.null.eq(~wins),
            kept.words.payload.last.eq(entry.last),
            # Behind an element that has lost, or the pixel.
            kept.words.payload.position.eq(base + Mux(entry.end, layer.K, entry.channel + ~wins)),
        ]
        with m.If(finished):
            m.d.sync += [index.eq(0), over.eq(0), base.eq(Mux(entry.last | over, 0, base + layer.K))]
        with m.Elif(leaves):
            m.d.sync += [index.eq(index + 1), over.eq(entry.last)]
        return m
