"""Max pooling of a layer's output: while its results pass, first among the columns, then among the rows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_RUN, Config
from ..descriptor import layer_layout
from ..layouts import Result, last_positive
from ..parts.skid import SkidBuffer
from ..winners.kept_results import KeptResults
from .pool_merger import PoolMerger, list_layout


class PoolingUnit(wiring.Component):
    """Stands behind the requantiser, and pools the convolution's output, of which each window has been computed once.

    Pools are up to 3 x 3. Of a row of the convolution's output each pixel is a list of channels; their pools are the pixels of a row that
    is a list for the pools among rows.

    Members:
        layer: steady while results pass. source: results of the layer, whose last one ends its tensor; of layers that do not pool here they
            pass. sink: those of the pooled tensor.

    Throughput: one result a cycle, one cycle more for each pixel and each row of the source, and one element or end a cycle of the pools
        among columns, and among rows.
    Latency: 18 cycles from the last result of a pool to its own.
    Cost: three memories of `pool_elements` elements, and three of `pool_elements` / 4.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = stream.Signature(Result)
        super().__init__({"layer": In(layer_layout(config)), "source": In(results), "sink": Out(results)})

    def elaborate(self, platform: object) -> Module:
        config, layer, source, sink = self.config, self.layer, self.source, self.sink
        m = Module()
        m.submodules.columns = columns = PoolMerger(depth=config.pool_channels, count_bits=config.coordinate_bits)
        m.submodules.rows = rows = PoolMerger(depth=config.pool_elements, count_bits=config.coordinate_bits)
        m.submodules.skid_columns = skid_columns = SkidBuffer(columns.sink.payload.shape())
        m.submodules.skid_rows = skid_rows = SkidBuffer(rows.sink.payload.shape())
        wiring.connect(m, columns.sink, skid_columns.source)  # none of the two waits for the other, nor for the sink, in the same cycle
        wiring.connect(m, rows.sink, skid_rows.source)
        m.submodules.kept = kept = KeptResults((config.pool_elements + MAX_RUN).bit_length())
        m.d.comb += [
            columns.size.eq(layer.merge_columns),
            columns.stride.eq(layer.merge_stride_columns),
            columns.pools.eq(layer.stored_columns),
            rows.size.eq(layer.merge_rows),
            rows.stride.eq(layer.merge_stride_rows),
            rows.pools.eq(layer.stored_rows),
        ]
        self._lists(m, columns)
        channels = layer.stored_channels[: columns.position_bits]

        # A row's pools are pixels of a list. A row's end is one of a list; what goes along with it says whether the tensor's follows.
        pool, element = skid_columns.sink, skid_columns.sink.payload
        first = Signal(rows.position_bits)  # of the pixel
        follows = Signal()  # the tensor's end, behind the last row's
        skipped = element.end & ~element.last  # a pixel's end
        m.d.comb += [
            rows.source.valid.eq(pool.valid & ~skipped),
            rows.source.payload.value.eq(element.value),
            rows.source.payload.position.eq(first + element.position),
            rows.source.payload.end.eq(element.end),
            rows.source.payload.last.eq(follows),
            pool.ready.eq(skipped | (rows.source.ready & ~(element.end & element.value[0] & ~follows))),
        ]
        with m.If(pool.valid & skipped):
            m.d.sync += first.eq(first + channels)
        with m.If(rows.source.valid & rows.source.ready & element.end):
            m.d.sync += [first.eq(0), follows.eq(element.value[0] & ~follows)]

        # What leaves waits for the word behind it: if that is the tensor's end, and no zeros lie between them, it is the last one.
        leaves, word, result = skid_rows.sink, skid_rows.sink.payload, kept.words.payload
        waits, value = Signal(), Signal(8)
        behind = Signal(kept.position_bits)  # the position behind the one that waits
        base, row_end = Signal(kept.position_bits), Signal(kept.position_bits)  # the positions of the row's beginning, and behind it
        begins = Signal()  # the row, so that its end is not known yet
        at_end = waits & (behind == Mux(word.last, base, row_end))
        tells, taken = Signal(), Signal()  # of the one that waits, or of zeros; the word is done with
        m.d.sync += [row_end.eq(base + layer.row_elements), begins.eq(taken & word.end)]
        m.d.comb += [
            tells.eq(Mux(word.end, ~at_end | word.last, waits)),
            leaves.ready.eq((~tells | kept.words.ready) & ~begins & (~word.end | ~waits | at_end)),
            taken.eq(leaves.valid & leaves.ready),
            kept.words.valid.eq(leaves.valid & tells & ~begins),
            result.value.eq(value),
            result.position.eq(Mux(waits, behind - 1, Mux(word.last, base, row_end))),
            result.null.eq(~waits),
            result.last.eq(word.end & word.last & (~waits | at_end)),
        ]
        with m.If(kept.words.valid & kept.words.ready):
            m.d.sync += waits.eq(0)
        with m.If(taken & ~word.end):
            m.d.sync += [waits.eq(1), value.eq(word.value), behind.eq(base + word.position + 1)]
        with m.If(taken & word.end):
            m.d.sync += base.eq(Mux(word.last, 0, row_end))

        with m.If(layer.merges):
            wiring.connect(m, kept.results, wiring.flipped(sink))
        with m.Else():
            m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload), source.ready.eq(sink.ready)]
        return m

    def _lists(self, m: Module, columns: PoolMerger) -> None:
        """Results become lists, one for each pixel, and a sequence for each row, which says whether the tensor ends with it.

        Zeros before a result may reach into the next pixels.
        """
        layer, source, result = self.layer, self.source, self.source.payload
        m.submodules.skid_lists = skid = SkidBuffer(columns.source.payload.shape())
        wiring.connect(m, skid.sink, columns.source)
        lists, word = skid.source, skid.source.payload
        channel = Signal(columns.position_bits)  # of the element that comes next
        column = Signal.like(layer.conv_columns)
        begun = Signal.like(result.gap)  # zeros before the result that have been told of
        left, room = result.gap - begun, layer.stored_channels[: columns.position_bits] - channel
        complete, row_complete = Signal(), Signal()  # the pixel's last channel was a result; the row's last pixel has ended
        closes = Signal()  # the tensor's last result is taken
        ends, over, free, takes = Signal(), Signal(), Signal(), Signal()
        listed = Signal(list_layout(columns.position_bits))
        valid = Signal()
        m.d.comb += [
            free.eq(~lists.valid | lists.ready),
            ends.eq(complete | closes | (source.valid & (left >= room))),
            over.eq(source.valid & result.null & result.last & (left == 0)),  # the result has nothing left to tell, but that all is over
            takes.eq(layer.merges & free & Mux(row_complete, ~closes & over, ~ends)),
        ]
        with m.If(row_complete):
            m.d.comb += [valid.eq(closes | source.valid), listed.value.eq(closes | over), listed.last.eq(1), listed.end.eq(1)]
        with m.Elif(ends):
            m.d.comb += [valid.eq(1), listed.end.eq(1)]
        with m.Else():
            m.d.comb += [
                valid.eq(source.valid & ~result.null & result.value.any()),
                listed.value.eq(Mux(result.value > last_positive(layer), result.value - 256, result.value)),
                listed.position.eq(channel + left),
            ]
        with m.If(layer.merges):
            m.d.comb += source.ready.eq(takes)
            with m.If(free):
                m.d.sync += [lists.valid.eq(valid), word.eq(listed)]
        with m.If(layer.merges & free):
            with m.If(row_complete & valid):
                m.d.sync += [row_complete.eq(0), closes.eq(0), column.eq(0)]
            with m.Elif(~row_complete & ends):
                m.d.sync += [channel.eq(0), complete.eq(0), column.eq(column + 1)]
                m.d.sync += row_complete.eq(closes | (column + 1 == layer.conv_columns))
                with m.If(~complete & ~closes):
                    m.d.sync += begun.eq(begun + room)
        with m.If(takes & source.valid):
            m.d.sync += begun.eq(0)
            with m.If(~row_complete):
                m.d.sync += [
                    channel.eq(channel + left + ~result.null),
                    complete.eq(~result.null & (left + 1 == room)),
                    closes.eq(result.last),
                ]
