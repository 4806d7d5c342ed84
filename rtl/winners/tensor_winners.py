"""The winners of a layer's output, among all of it: counted while it is stored, kept when it is sent again."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..input.memory import read_signature
from ..layouts import Result, last_positive
from ..topk.histogram_topk import HistogramTopK
from .kept_results import KeptResults

THRESHOLD_BITS = 9  # a rank, or 256, which no element reaches


def rank(byte: Value, layer: data.View) -> Value:
    """8 bits that are larger for the output that wins, by its value or its magnitude."""
    most = last_positive(layer)
    return Mux(layer.magnitude, Mux(byte > most, -byte, byte)[:8], (byte + ~most)[:8])


class TensorWinners(wiring.Component):
    """Stands between the results and the tokens, and lets a layer's k largest outputs keep their values.

    While the layer computes, its results pass, and are counted. When it chooses, they are read from the buffer where they were stored, and
    winners leave. The order is that of `HistogramTopK`: larger first, equal ones by lower index first, by value or by magnitude. Zeros are
    elements of value 0. As a zero that wins and a loser look the same, zeros need no counter: with z zeros and p positive elements, of
    the entries max(min(k, p), k - z) win. By magnitude, zeros are the smallest, and all entries count as positive ones.

    Where a threshold is kept, results that do not reach it become zeros as they pass, and nothing is read again.

    Members:
        start: the layer begins, or begins to choose. layer: steady from then on.
        threshold: what has to be reached, where layer.kept.
        source: results of the layer. sink: those of its winners, or of others what comes.
        read: one row's way to the activations.
        smallest: rank of the smallest winner, when the layer has chosen.
        waits: a result waits, and not for the sink. busy: entries are read, or wait to leave.

    Throughput: one entry a cycle. A tensor that is sent again takes a cycle more for each feature-map row, and for each 1,023 zeros
        before a winner.
    Latency: none for results that pass; from their last one, and from `start`, to the first winner 265 cycles at most.
    Cost: that of `HistogramTopK`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "layer": In(layer_layout(config)),
                "threshold": In(THRESHOLD_BITS),
                "source": In(stream.Signature(Result)),
                "sink": Out(stream.Signature(Result)),
                "read": Out(read_signature(config)),
                "smallest": Out(THRESHOLD_BITS),
                "waits": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer, source, sink, read = self.config, self.layer, self.source, self.sink, self.read
        m = Module()
        m.submodules.topk = topk = HistogramTopK(index_bits=config.entry_bits)
        m.submodules.kept = kept = KeptResults(config.element_bits)

        # Results pass. Those of a tensor whose winners are wanted are counted, all but zeros.
        result = source.payload
        counts, counting, counted = Signal(), Signal(), Signal()
        flows, passes = Signal(), Signal()  # a result may pass; it does
        entries, positives = Signal(config.entry_bits + 1), Signal(config.entry_bits + 1)
        elements = Signal(config.element_bits)
        m.d.comb += [
            counts.eq(layer.of_tensor & layer.computes & ~layer.kept),
            passes.eq(source.valid & source.ready),
            flows.eq(~counts | (topk.elements.ready & counting)),
            source.ready.eq(sink.ready & ~layer.chooses & flows),
            counted.eq(counts & passes & ~result.null & result.value.any()),
            self.waits.eq(source.valid & ~source.ready & sink.ready),
        ]
        with m.If(layer.chooses):
            wiring.connect(m, kept.results, wiring.flipped(sink))
        with m.Else():
            m.d.comb += [sink.valid.eq(source.valid & flows), sink.payload.eq(result)]
            with m.If(layer.kept & (rank(result.value, layer) < self.threshold)):
                m.d.comb += sink.payload.value.eq(0)
        with m.If(self.start & ~layer.chooses):
            m.d.sync += [entries.eq(0), positives.eq(0), elements.eq(0)]
        with m.Elif(passes):
            m.d.sync += [
                entries.eq(entries + counted),
                positives.eq(positives + (counted & (layer.magnitude | (result.value <= last_positive(layer))))),
                elements.eq(elements + result.gap + ~result.null),
            ]

        # Then the number of winners follows.
        more = layer.winners + entries - elements  # k - zeros
        surplus = Signal.like(more)
        floor, wanted = Signal.like(entries), Signal.like(entries)
        zeros_win, ends = Signal(), Signal()
        m.d.sync += [
            surplus.eq(more),
            floor.eq(Mux(layer.winners < positives, layer.winners, positives)),
            zeros_win.eq((layer.winners > positives) & (entries != elements)),
            # More than all entries are as good as all.
            wanted.eq(Mux(surplus <= floor, floor, Mux(surplus[len(wanted) : -1].any(), ~0, surplus))),
        ]
        with m.FSM():
            with m.State("COUNT"):
                m.d.comb += counting.eq(1)
                with m.If(counts & passes & result.last):
                    m.next = "ADD"
            with m.State("ADD"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "END"
            with m.State("END"):
                m.d.comb += ends.eq(1)
                m.next = "COUNT"
        element = topk.elements.payload
        m.d.comb += [
            topk.k.eq(wanted),
            topk.elements.valid.eq(counted | ends),
            element.value.eq(rank(result.value, layer)),
            element.null.eq(ends),
            element.last.eq(ends),
        ]

        # The entries are read. The one at the memory's output stays there until it is taken; so does the pointer behind the next row.
        index = Signal.like(entries)  # of the entry at the memory's output
        row_end = Signal.like(entries)  # the pointer behind the row's last entry
        pixel = Signal(config.pixel_bits)  # the last one of the row whose pointer is looked up next
        rows_left = Signal(config.coordinate_bits)
        base = Signal(config.element_bits)  # elements of all rows before this one
        again, entry = topk.again, topk.again.payload
        taken, end = Signal(), Signal()
        m.d.comb += [
            taken.eq(again.valid & again.ready),
            read.entries.address.eq(index + (taken & ~end)),
            read.pointers.end_pixel.eq(pixel),
            entry.value.eq(rank(read.entries.entry.value, layer)),
            entry.null.eq(end),
            entry.last.eq(end),
        ]
        m.d.comb += self.busy.eq(topk.winners.valid | kept.results.valid)
        with m.FSM() as reading:
            with m.State("IDLE"):
                m.d.sync += [index.eq(0), row_end.eq(0), pixel.eq(layer.stored_columns - 1), rows_left.eq(layer.stored_rows)]
                m.d.sync += base.eq(-layer.row_elements)
                with m.If(self.start & layer.chooses):
                    m.next = "LOOK_UP"
            with m.State("LOOK_UP"):
                m.d.comb += read.pointers.lookup.eq(1)
                m.d.sync += pixel.eq(pixel + layer.stored_columns)
                m.next = "READ"
            with m.State("READ"):
                with m.If(index != row_end):
                    m.d.comb += again.valid.eq(1)
                    m.d.sync += index.eq(index + taken)
                with m.Else():
                    m.d.comb += read.pointers.lookup.eq(1)
                    m.d.sync += [
                        row_end.eq(read.pointers.end),
                        pixel.eq(pixel + layer.stored_columns),
                        rows_left.eq(rows_left - 1),
                        base.eq(base + layer.row_elements),
                    ]
                    with m.If(~rows_left.any()):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [again.valid.eq(1), end.eq(1)]
                with m.If(taken):
                    m.next = "IDLE"

        with m.If(~reading.ongoing("IDLE")):
            m.d.comb += self.busy.eq(1)

        # Those that are kept leave. If the tensor's last element is, nothing follows it.
        chosen = Signal(data.StructLayout({"value": 8, "rank": 8, "position": config.element_bits}))  # the word that the winner was
        told = Signal()  # the last element was a winner
        winners, winner = topk.winners, topk.winners.payload
        word = kept.words.payload
        last_element = chosen.position == elements - 1
        with m.If(taken):
            m.d.sync += [
                chosen.value.eq(read.entries.entry.value),
                chosen.rank.eq(rank(read.entries.entry.value, layer)),
                chosen.position.eq(Mux(end, elements, base + read.entries.entry.f)),
            ]
        m.d.comb += [
            winners.ready.eq(kept.words.ready),
            kept.words.valid.eq(winners.valid & ~told),
            word.value.eq(chosen.value),
            word.position.eq(chosen.position),
            word.null.eq(winner.null),
            word.last.eq(winner.null | last_element),
        ]
        with m.If(self.start):
            m.d.sync += [told.eq(0), self.smallest.eq(1 << THRESHOLD_BITS - 1)]
            with m.If(zeros_win):
                m.d.sync += self.smallest.eq(Mux(layer.magnitude, 0, ~last_positive(layer)))
        with m.Elif(winners.valid & winners.ready & ~winner.null):
            m.d.sync += told.eq(last_element)
            with m.If(chosen.rank < self.smallest):
                m.d.sync += self.smallest.eq(chosen.rank)
        return m
