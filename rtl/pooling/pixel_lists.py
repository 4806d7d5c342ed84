"""Elements at their places become lists: one for each pixel, in a sequence for each row."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import Config
from .pixel_places import places_layout
from .pool_merger import VALUE, list_layout


class PixelLists(wiring.Component):
    """Puts elements of neighbouring channels into one word, of as many channels as `pool_word` of the configuration says.

    Members:
        columns: pixels in a row, steady while elements pass. places: of a tensor's elements. lists: of its pixels, in a sequence for each
            row; its end goes along with the last one.

    Throughput: the elements of a cycle, or one word a cycle where they begin two. Latency: 1 cycle from the element behind a word.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        lists = list_layout(exact_log2(config.pool_channels), config.pool_word)
        super().__init__(
            {
                "columns": In(config.coordinate_bits),
                "places": In(stream.Signature(places_layout(config))),
                "lists": Out(stream.Signature(lists)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, places, lists, word = self.config, self.places, self.lists, self.lists.payload
        slot_bits = exact_log2(config.pool_word)
        m = Module()
        first, *others = places.payload.elements
        values = [Signal(VALUE, name=f"value{slot}") for slot in range(config.pool_word)]  # of the word that is not complete
        some, number = Signal(), Signal(len(first.channel) - slot_bits)  # it has elements; which word of the pixel it is
        half = Signal()  # of two elements, the first one is in it
        closes = Signal()  # the tensor has ended
        column = Signal.like(self.columns)

        # A word leaves before an element that is not of it.
        free, done = Signal(), Signal()
        begins, begins_second, both = Signal(), Signal(), Signal()
        valid = places.valid & ~closes
        is_first = valid & first.there & ~half
        numbers = [element.channel[slot_bits:] for element in places.payload.elements]
        m.d.comb += [
            free.eq(~lists.valid | lists.ready),
            begins.eq(valid & ~half & (first.ends | (first.there & some & (numbers[0] != number)))),
            both.eq(begins & begins_second),
            done.eq(~closes & ~both & (free | ~(begins | begins_second))),
            places.ready.eq(done),
        ]
        adds = [(first, is_first & (begins | ~begins_second))]
        ends = Mux(begins, first.ends, 0)
        for second in others:
            m.d.comb += begins_second.eq(valid & (second.ends | (second.there & (numbers[1] != numbers[0]))))
            adds.append((second, valid & second.there & ~both))
            ends = Mux(begins, first.ends, second.ends)
        leaves = closes | begins | begins_second
        row_ends = column + 1 == self.columns

        def placed(element: Value, slot: int) -> Value:
            """The element's value, if it stands in that slot."""
            return Mux(element.channel[:slot_bits] == slot, element.value, 0)

        with m.If(free):
            m.d.sync += [
                lists.valid.eq(leaves),
                word.position.eq(Mux(some, number, Mux(is_first & ~begins, numbers[0], 0)) << slot_bits),
                word.end.eq(closes | ends),
                word.last.eq(closes | (ends & row_ends)),
                word.along.eq(closes),
            ]
            for slot, value in enumerate(values):
                m.d.sync += word.values[slot].eq(value | Mux(is_first & ~begins, placed(first, slot), 0))
        with m.If(free | ~leaves):
            for slot, value in enumerate(values):
                new: Value = Mux(leaves, 0, value)
                for element, add in adds:
                    new = new | Mux(add, placed(element, slot), 0)
                m.d.sync += value.eq(new)
            m.d.sync += [some.eq(some & ~leaves), half.eq(both), closes.eq(done & places.valid & places.payload.last)]
            for index, (_, add) in enumerate(adds):
                with m.If(add):
                    m.d.sync += [some.eq(1), number.eq(numbers[index])]
            with m.If(closes | (leaves & ends)):
                m.d.sync += column.eq(Mux(closes | row_ends, 0, column + 1))
        return m
