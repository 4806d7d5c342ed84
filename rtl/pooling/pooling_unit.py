"""Max pooling of a layer's output: while its results pass, first among the columns, then among the rows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import Result
from ..parts.skid import SkidBuffer
from .pixel_lists import PixelLists
from .pixel_places import PixelPlaces
from .pool_merger import PoolMerger
from .pooled_results import PooledResults


class PoolingUnit(wiring.Component):
    """Stands behind the requantisers, and pools the convolution's output, of which each window has been computed once.

    Pools are up to 3 x 3. Of a row of the convolution's output each pixel is a list of channels; their pools are the pixels of a row that
    is a list for the pools among rows.

        results → places → lists → pools among columns → pools among rows → results

    Members:
        layer: steady while results pass. source: results of the layer, whose last one ends its tensor; of layers that do not pool here they
            pass. sink: those of the pooled tensor.

    Throughput: `survivors` results a cycle, and one word of `pool_word` channels a cycle: of results, of the pools among columns, and of
        those among rows. Pixels without elements, and rows, take a cycle each; pools that overlap, 3 more.
    Latency: 22 cycles from the last result of a pool to its own.
    Cost: three memories of `pool_elements` elements, and three of `pool_elements` / 4.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = stream.Signature(data.ArrayLayout(Result, config.survivors))
        super().__init__({"layer": In(layer_layout(config)), "source": In(results), "sink": Out(results)})

    def elaborate(self, platform: object) -> Module:
        config, layer, source, sink = self.config, self.layer, self.source, self.sink
        width = config.pool_word
        depths = {"columns": config.pool_channels, "rows": config.pool_elements}
        columns, rows = (PoolMerger(depth // width, exact_log2(depth), config.coordinate_bits, width) for depth in depths.values())
        m = Module()
        m.submodules.places = places = PixelPlaces(config)
        m.submodules.lists = lists = PixelLists(config)
        m.submodules.columns, m.submodules.rows = columns, rows
        m.submodules.results = results = PooledResults(config)
        skids = {}
        for name, sent in (("lists", lists.lists), ("columns", columns.sink), ("rows", rows.sink)):  # none waits for another in a cycle
            m.submodules[f"skid_{name}"] = skids[name] = SkidBuffer(sent.payload.shape())
            wiring.connect(m, sent, skids[name].source)
        wiring.connect(m, places.places, lists.places)
        wiring.connect(m, skids["lists"].sink, columns.source)
        wiring.connect(m, skids["rows"].sink, results.rows)
        m.d.comb += [
            places.layer.eq(layer),
            lists.columns.eq(layer.conv_columns),
            columns.size.eq(layer.merge_columns),
            columns.stride.eq(layer.merge_stride_columns),
            columns.pools.eq(layer.stored_columns),
            rows.size.eq(layer.merge_rows),
            rows.stride.eq(layer.merge_stride_rows),
            rows.pools.eq(layer.stored_rows),
            results.layer.eq(layer),
        ]

        # The pools of a row are pixels of one list. What goes along with the row's end says whether the tensor's follows.
        pools, pool = skids["columns"].sink, skids["columns"].sink.payload
        first = Signal(rows.position_bits)  # of the pixel
        m.d.comb += [
            rows.source.valid.eq(pools.valid),
            rows.source.payload.values.eq(pool["values"]),
            rows.source.payload.position.eq(first + pool.position),
            rows.source.payload.end.eq(pool.last),
            rows.source.payload.last.eq(pool.last & pool.along),
            pools.ready.eq(rows.source.ready),
        ]
        with m.If(pools.valid & pools.ready & pool.end):
            m.d.sync += first.eq(Mux(pool.last, 0, first + layer.stored_channels))

        m.d.comb += [places.results.payload.eq(source.payload), results.results.ready.eq(sink.ready)]
        with m.If(layer.merges):
            m.d.comb += [
                places.results.valid.eq(source.valid),
                source.ready.eq(places.results.ready),
                sink.valid.eq(results.results.valid),
                sink.payload.eq(results.results.payload),
            ]
        with m.Else():
            m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload), source.ready.eq(sink.ready)]
        return m
