"""Where results lie: zeros are told as gaps, which may reach into the next pixels."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import RUN_BITS, Result, last_positive
from .pool_merger import VALUE


def places_layout(config: Config) -> data.StructLayout:
    """Elements in order, and the pixel that may end before one of them.

    elements: there is an element, its y - zero point, and its channel; ends: the pixel before it ends, be there an element or not. At most
    one of them says so, and where there is only one element it is the first. last: the tensor ends behind them.
    """
    element = data.StructLayout({"there": 1, "ends": 1, "value": VALUE, "channel": exact_log2(config.pool_channels)})
    return data.StructLayout({"elements": data.ArrayLayout(element, config.survivors), "last": 1})


class PixelPlaces(wiring.Component):
    """Finds the pixel and the channel of each result.

    Members:
        layer: steady while results pass. results: of the layer's tensor. places: of its elements.

    Throughput: `survivors` results a cycle; one cycle more where they lie in more than two pixels, and where the first of two is zero.
    Latency: 2 cycles. Cost: six additions for each of the survivors, three of them between two cycles.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = data.ArrayLayout(Result, config.survivors)
        super().__init__(
            {
                "layer": In(layer_layout(config)),
                "results": In(stream.Signature(results)),
                "places": Out(stream.Signature(places_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer, results, places = self.config, self.layer, self.results, self.places
        m = Module()
        some = range(config.survivors)
        channels = layer.stored_channels[: exact_log2(config.pool_channels)]
        shape = signed(max(len(channels), RUN_BITS + 1) + 3)

        # What is held: results, and of each how far it lies behind the result before these, less the channels of none, one or two pixels.
        holds, held = Signal(config.survivors), [Signal(Result, name=f"held{number}", reset_less=True) for number in some]
        ways = [[Signal(shape, name=f"way{number}_{pixels}", reset_less=True) for pixels in range(3)] for number in some]
        moves, takes_all, takes_one = Signal(), Signal(), Signal()
        m.d.comb += [moves.eq(~places.valid | places.ready), results.ready.eq(~holds.any() | (moves & takes_all))]
        with m.If(results.ready):
            way: Value = Value.cast(0)
            for number, result in enumerate(results.payload):
                way = way + result.gap + ~result.null
                m.d.sync += [holds[number].eq(results.valid & ~result.is_none()), held[number].eq(result)]
                m.d.sync += [ways[number][pixels].eq(way - (0, channels, channels << 1)[pixels]) for pixels in range(3)]
        with m.Elif(moves & takes_one):
            for number in some[1:]:
                m.d.sync += [holds.eq(1), held[0].eq(held[number]), *(old.eq(new) for old, new in zip(*ways, strict=True))]

        # A result's channel, as it is in this pixel, in the next one, and in the one behind that: the first one that is not too large.
        before = Signal(shape, init=-1)  # channel of the result before these, in this pixel: less than -1 behind pixels that have ended
        channel = [[Signal(shape, name=f"channel{number}_{pixels}") for pixels in range(3)] for number in some]
        crosses, far, place = Signal(config.survivors), Signal(config.survivors), [Signal(shape, name=f"place{number}") for number in some]
        element = [held[number].value.any() & ~held[number].null for number in some]
        for number in some:
            m.d.comb += [
                *(of_pixel.eq(before + way) for of_pixel, way in zip(channel[number], ways[number], strict=True)),
                crosses[number].eq(~channel[number][1][-1]),
                far[number].eq(~channel[number][2][-1]),
                place[number].eq(Mux(crosses[number], channel[number][1], channel[number][0])),
            ]
        pair = holds[1] if config.survivors > 1 else Value.cast(0)
        m.d.comb += [
            takes_all.eq(Mux(pair, element[0] & ~far[-1], ~far[0])),
            takes_one.eq(pair & ~takes_all & ~far[0]),
        ]
        last = Mux(pair, held[-1].last, held[0].last)
        with m.If(holds.any() & moves):
            with m.If(takes_all):
                m.d.sync += before.eq(Mux(last, -1, Mux(pair, place[-1], place[0])))
            with m.Elif(crosses[0]):
                m.d.sync += before.eq(before - channels)
        with m.If(moves):
            m.d.sync += [places.valid.eq(holds.any()), places.payload.last.eq(takes_all & last)]
            for number, found in enumerate(places.payload.elements):
                taken = (pair & takes_all) if number else takes_all | takes_one
                value = held[number].value
                m.d.sync += [
                    found.there.eq(taken & element[number]),
                    found.ends.eq(taken & crosses[number] & ~crosses[0] if number else crosses[0]),
                    found.value.eq(Mux(value > last_positive(layer), value - 256, value)),
                    found.channel.eq(place[number]),
                ]
        return m
