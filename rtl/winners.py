"""A stored tensor's k winners: its entries are replayed twice, first to find how large a winner is, then to keep the winners."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .activations import read_signature
from .config import MAX_RUN, Config
from .histogram_topk import HistogramTopK
from .layouts import RUN_BITS, Result, layer_layout


class TensorWinners(wiring.Component):
    """Reads the tensor in the layer's buffer, and sends it with all elements zero but the k largest.

    The order is that of `HistogramTopK`: larger first, equal ones by lower index first, by value or by magnitude. Zeros are elements of
    value 0. As a zero that wins and a loser look the same, zeros need no counter: with z zeros and p positive elements, of the entries
    max(min(k, p), k - z) win. By magnitude, zeros are the smallest, and all entries count as positive ones.

    Members:
        start: begins a tensor; the one before must have been sent. layer: steady from then on: C, H, W, row_elements, positive_max,
            winners (k) and magnitude.
        read: one row's way to the activations.
        results: of the tensor in (y, x, c) order; the last one carries `last`.

    Throughput: one entry a cycle. Each time the tensor is replayed, a feature-map row takes one cycle more; where it is sent, so do each
        1,023 zeros before a winner.
    Latency: 2 * (entries + H) + 270 cycles at most from `start` to the last result, if results are taken at once, zeros are few, and the
        counters are empty: that takes 256 cycles after a reset, and after a tensor was counted.
    Cost: that of `HistogramTopK`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "layer": In(layer_layout(config)),
                "read": Out(read_signature(config)),
                "results": Out(stream.Signature(Result)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer, read = self.config, self.layer, self.read
        m = Module()
        m.submodules.topk = topk = HistogramTopK(index_bits=config.entry_bits)

        # Replay the entries. The one at the memory's output stays there until it is taken; so does the pointer behind the next row.
        index = Signal(config.entry_bits + 1)  # of the entry at the memory's output
        row_end = Signal.like(index)  # the pointer behind the row's last entry
        pixel = Signal(config.pixel_bits)  # behind the row whose pointer is looked up next
        rows_left = Signal(config.coordinate_bits)
        elements = Signal(config.element_bits)  # of all rows before this one; at the end, of the tensor
        last_position = Signal.like(elements)  # of the tensor's last element, known when it comes again
        again, taken = Signal(), Signal()
        word, ends = Signal(), Signal()  # an entry, or the tensor's end, is at hand
        m.d.comb += [
            read.address.eq(index + (taken & ~ends)),
            read.behind_pixel.eq(pixel),
            taken.eq((topk.elements.valid & topk.elements.ready) | (topk.again.valid & topk.again.ready)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += again.eq(0)
                with m.If(self.start):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += [index.eq(0), row_end.eq(0), pixel.eq(layer.W), rows_left.eq(layer.H), elements.eq(-layer.row_elements)]
                m.next = "LOOK_UP"
            with m.State("LOOK_UP"):
                m.d.comb += read.lookup.eq(1)
                m.d.sync += pixel.eq(pixel + layer.W)
                m.next = "REPLAY"
            with m.State("REPLAY"):
                with m.If(index != row_end):
                    m.d.comb += word.eq(1)
                    m.d.sync += index.eq(index + taken)
                with m.Else():
                    m.d.comb += read.lookup.eq(1)
                    m.d.sync += [
                        row_end.eq(read.behind),
                        pixel.eq(pixel + layer.W),
                        rows_left.eq(rows_left - 1),
                        elements.eq(elements + layer.row_elements),
                    ]
                    with m.If(~rows_left.any()):
                        m.next = "ADD"
            with m.State("ADD"):  # what the number of winners follows from
                m.d.sync += last_position.eq(elements - 1)
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "END"
            with m.State("END"):
                m.d.comb += [word.eq(1), ends.eq(1)]
                with m.If(taken):
                    m.d.sync += again.eq(1)
                    m.next = "BEGIN"
                    with m.If(again):
                        m.next = "IDLE"

        # Count them, in an order of unsigned bytes.
        byte, key = read.entry.value, Signal(8)
        negative = byte > layer.positive_max
        positives = Signal.like(index)
        surplus = Signal(signed(config.element_bits + 2))  # k - zeros
        floor, wanted = Signal.like(index), Signal.like(index)
        m.d.comb += [
            key.eq(Mux(layer.magnitude, Mux(negative, -byte, byte), byte + ~layer.positive_max)),
            topk.k.eq(wanted),
            topk.elements.valid.eq(word & ~again),
            topk.again.valid.eq(word & again),
        ]
        for words in (topk.elements.payload, topk.again.payload):
            m.d.comb += [words.value.eq(key), words.null.eq(ends), words.last.eq(ends)]
        with m.If(self.start):
            m.d.sync += positives.eq(0)
        with m.Elif(taken & ~again & ~ends):
            m.d.sync += positives.eq(positives + (layer.magnitude | ~negative))
        m.d.sync += [
            surplus.eq(layer.winners + index - elements),
            floor.eq(Mux(layer.winners < positives, layer.winners, positives)),
            # More than all entries are as good as all.
            wanted.eq(Mux(surplus <= floor, floor, Mux(surplus[len(wanted) : -1].any(), ~0, surplus))),
        ]

        # Send those that are kept, each with the zeros before it; more of them than a result has room for go ahead.
        kept = data.StructLayout({"value": 8, "position": config.element_bits})
        chosen = Signal(kept)  # the word that the winner was
        sent = Signal(config.element_bits)  # elements that results have told of
        gap = Signal(config.element_bits)
        result, many = self.results.payload, Signal()
        value, null, last = Signal(8), Signal(), Signal()
        some_left = Signal()  # elements that no result has told of: a winner that is the last element was the last result
        with m.If(taken):
            m.d.sync += [chosen.value.eq(byte), chosen.position.eq(elements + Mux(ends, 0, read.entry.f))]
        m.d.comb += [
            some_left.eq(chosen.position != sent),
            many.eq(gap[RUN_BITS:].any()),
            topk.winners.ready.eq(~self.results.valid | (self.results.ready & ~many)),
            result.gap.eq(Mux(many, MAX_RUN, gap)),
            result.value.eq(value),
            result.null.eq(null | many),
            result.last.eq(last & ~many),
        ]
        with m.If(topk.winners.ready):
            m.d.sync += [
                self.results.valid.eq(topk.winners.valid & (~topk.winners.payload.null | some_left)),
                gap.eq(chosen.position - sent),
                value.eq(chosen.value),
                null.eq(topk.winners.payload.null),
                last.eq(topk.winners.payload.null | (chosen.position == last_position)),
            ]
            with m.If(topk.winners.valid):
                m.d.sync += sent.eq(chosen.position + 1)
        with m.Elif(self.results.ready):
            m.d.sync += gap.eq(gap - MAX_RUN)
        with m.If(self.start):
            m.d.sync += sent.eq(0)
        return m
