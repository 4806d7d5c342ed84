"""The winners of each pixel against their definition."""

from collections.abc import Callable

from amaranth.hdl import Array, Cat, Const, Mux, Signal, signed

from formal.configurations import SMALL
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import stays
from skipgrid.rtl.winners.kept_results import KeptResults
from skipgrid.rtl.winners.pixel_winners import PixelWinners

HIGH = 127  # the largest coded byte of a positive output; those above it are negative
PLACES = 16  # of arrays: more than a place in a tensor and a gap can be


def of(channels: int, pixels: int, cells: int, cycles: int) -> Callable[[Proof], None]:
    """The property, for a tensor of this size, and as many winners as there are cells; without pauses it passes within so many cycles."""
    elements = channels * pixels

    def keep_their_values(proof: Proof) -> None:
        """Of each pixel, the k largest outputs keep their values, and all others become zeros, in a tensor that is as long as before.

        For any outputs of two bits (0, 1, 127 and -1), by value or by magnitude, any k, any way in which results leave zeros out, and any
        pauses. An output's rank is the number of those in its pixel that go before it: larger ones, and equal ones of lower channel.
        """
        m = proof.m
        m.submodules.winners = winners = PixelWinners(SMALL.replaced(pixel_winners=cells, channels=4))
        layer, source, sink = winners.layer, winners.source, winners.sink
        k, magnitude = proof.fixed("k", range(cells + 1)), proof.fixed("magnitude")
        proof.grant(k <= cells)
        fields = {"of_pixel": 1, "computes": 1, "K": channels, "winners": k, "magnitude": magnitude, "high": HIGH}
        m.d.comb += [layer[name].eq(value) for name, value in fields.items()]

        # The tensor: coded bytes, and by the definition, what becomes of them.
        values = [Signal(8, name=f"value{place}") for place in range(elements)]
        wanted = [Signal(8, name=f"wanted{place}") for place in range(elements)]
        orders = [Signal(signed(9), name=f"order{place}") for place in range(elements)]
        for place, (value, order) in enumerate(zip(values, orders, strict=True)):
            coded = proof.fixed(f"coded{place}", 2)
            m.d.comb += value.eq(Array([0, 1, 127, 255])[coded])
            output = Mux(value > HIGH, value - 256, value)
            m.d.comb += order.eq(Mux(magnitude & (output < 0), -output, output))
        for place in range(elements):
            first = place - place % channels
            ahead = [
                (orders[other] > orders[place]) | ((orders[other] == orders[place]) & (other < place))
                for other in range(first, first + channels)
                if other != place
            ]
            rank = sum(ahead, Const(0))
            m.d.comb += wanted[place].eq(Mux(rank < k, values[place], 0))

        # Results that tell of it, from a place on: some zeros, then a value, or at the tensor's end none.
        place, gap, null = Signal(range(elements + 1)), proof.free("gap", 2), proof.free("null")
        result, after, behind = source.payload, Signal(range(PLACES)), Signal(range(PLACES))
        waits = proof.before(source.valid & ~source.ready)
        m.d.comb += [
            after.eq(place + result.gap),
            behind.eq(after + ~result.null),
            source.valid.eq((proof.free("source_offers") | waits) & (place < elements)),
            result.gap.eq(Mux(waits, proof.before(result.gap), gap)),
            result.null.eq(Mux(waits, proof.before(result.null), null)),
            result.value.eq(Mux(result.null, 0, Array(values + [Const(0, 8)] * (PLACES - elements))[after])),
            result.last.eq(behind == elements),
        ]
        zeros = Cat((number < place) | (number >= after) | (value == 0) for number, value in enumerate(values)).all()
        proof.grant(~source.valid | (zeros & (behind <= elements) & (~result.null | (result.last & result.gap.any()))))
        with m.If(source.valid & source.ready):
            m.d.sync += place.eq(behind)

        # What leaves.
        told, ended, winner = Signal(range(PLACES)), Signal(), sink.payload
        m.d.comb += sink.ready.eq(proof.free("sink_takes"))
        stays(proof, sink, "sink")
        at, until = Signal(range(PLACES)), Signal(range(PLACES))
        m.d.comb += [at.eq(told + winner.gap), until.eq(at + ~winner.null)]
        with m.If(sink.valid & sink.ready):
            m.d.sync += [told.eq(until), ended.eq(winner.last)]
        passed = Cat((number < told) | (number >= at) | (value == 0) for number, value in enumerate(wanted)).all()
        proof.claim("nothing follows the tensor's last word", ~sink.valid | ~ended)
        proof.claim("no word reaches beyond the tensor", ~sink.valid | (winner.gap + told + ~winner.null <= elements))
        proof.claim("the last word ends it", ~sink.valid | (winner.last == (until == elements)))
        proof.claim("what a word passes over are zeros", ~sink.valid | passed)
        proof.claim(
            "a winner keeps its value",
            ~sink.valid | winner.null | (winner.value == Array(wanted + [Const(0, 8)] * (PLACES - elements))[at]),
        )
        pauses = proof.seen(~sink.ready | (~source.valid & (place < elements)))
        proof.claim("without pauses all has passed in time", (proof.since(1, 6) < cycles) | pauses | ended)
        proof.reach("the tensor has passed", ended)
        proof.reach("one of its winners is smaller than a loser by value", ended & magnitude & Cat(value == 255 for value in wanted).any())

    return keep_their_values


FAULTS = (
    Fault("of equal outputs the later one wins", PixelWinners, "(index <= decides.index)", "(index >= decides.index)"),
    Fault("zeros take no part", PixelWinners, "Mux(surplus > floor, surplus, floor)", "floor"),
    Fault("a tensor's last zero is not told of", PixelWinners, "last.eq(Mux(ends, at_end | ", "last.eq(Mux(ends, "),
    Fault("zeros in the next pixel are forgotten", PixelWinners, "begun.eq(begun + room)", "begun.eq(0)"),
    Fault("a kept element is told of late", KeptResults, "word.position + ~word.null", "word.position"),
)
PROPERTIES = (
    Property("pixel-winners", of(2, 2, 1, 15), 16, FAULTS, heavy=True),
    Property("pixel-winners-two", of(3, 1, 2, 14), 15, FAULTS[1:2]),
)
