"""The pooled rows become results again: elements with the zeros before them."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..config import MAX_RUN, Config
from ..descriptor import layer_layout
from ..layouts import RUN_BITS, Result
from ..parts.small import counts
from .pool_merger import list_layout


class PooledResults(wiring.Component):
    """Sends the elements of a sequence of rows, with the zeros before each.

    Members:
        layer: steady while rows pass. rows: lists of a row's elements, in one sequence, which is the tensor. results: of the tensor.

    Throughput: `survivors` results, or one word a cycle; one cycle more for each row, and for each 1,023 zeros. Latency: 3 cycles.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        rows = list_layout(exact_log2(config.pool_elements), config.pool_word)
        results = data.ArrayLayout(Result, config.survivors)
        super().__init__({"layer": In(layer_layout(config)), "rows": In(stream.Signature(rows)), "results": Out(stream.Signature(results))})

    def elaborate(self, platform: object) -> Module:
        config, layer, rows, row, results = self.config, self.layer, self.rows, self.rows.payload, self.results
        width, survivors = config.pool_word, config.survivors
        position_bits = (config.pool_elements + MAX_RUN).bit_length()  # positions are counted modulo a power of two
        m = Module()

        # A word, and which of its slots are still to be sent.
        valid, values = Signal(), Signal(row.values.shape(), reset_less=True)
        mask, at = Signal(width), Signal(position_bits, reset_less=True)  # at: the position of its first slot, in the tensor
        end, last = Signal(reset_less=True), Signal(reset_less=True)
        base, row_end = Signal(position_bits), Signal(position_bits, reset_less=True)  # of the next word's row; behind this word's
        picks, moves = Signal(), Signal()
        *below, _ = counts(mask, survivors)
        left = [mask, *(mask & Cat(count[number] for count in below) for number in range(survivors))]  # without the first, the second
        chosen = [before & ~after for before, after in pairwise(left)]
        first, second = chosen if survivors > 1 else (*chosen, Const(0, width))
        final_pick = ~left[-1].any()  # of the word
        behind_row = (base + layer.row_elements)[:position_bits]
        m.d.comb += [picks.eq(moves & final_pick), rows.ready.eq(~valid | picks)]
        with m.If(rows.ready):
            m.d.sync += [
                valid.eq(rows.valid),
                values.eq(row.values),
                mask.eq(Cat(value.any() for value in row.values)),
                at.eq(base + row.position),
                end.eq(row.end),
                last.eq(row.last),
                row_end.eq(behind_row),
            ]
            with m.If(rows.valid & row.end):
                m.d.sync += base.eq(Mux(row.last, 0, behind_row))
        with m.Elif(moves):
            m.d.sync += mask.eq(left[-1])

        # Elements that were picked, and the row's end behind them. exact: it is at once behind them.
        def slot(bits: Value) -> Value:
            """The number of the bit that is set."""
            return Cat(Cat(bit for place, bit in enumerate(bits) if place >> index & 1).any() for index in range(exact_log2(width)))

        def value(bits: Value) -> Value:
            """The coded byte in the slot whose bit is set."""
            found: Value = Const(0, 8)
            for bit, one in zip(bits, values, strict=True):
                found = found | Mux(bit, one[:8], 0)
            return found

        fields = {"there": 1, "pair": 1, "value": 8, "second": 8, "gap": exact_log2(width), "end": 1, "last": 1, "exact": 1}
        fields |= {"position": position_bits, "behind": position_bits, "row_end": position_bits}
        is_picked, picked = Signal(), Signal(data.StructLayout(fields), reset_less=True)
        behind = (at + Mux(second.any(), slot(second), slot(first)) + 1)[:position_bits]
        takes, sends = Signal(), Signal()
        m.d.comb += moves.eq(~is_picked | takes)
        with m.If(moves):
            m.d.sync += [
                is_picked.eq(valid),
                picked.there.eq(first.any()),
                picked.pair.eq(second.any()),
                picked.value.eq(value(first)),
                picked.second.eq(value(second)),
                picked.gap.eq(slot(second) + ~slot(first)),
                picked.end.eq(end & final_pick),
                picked.last.eq(last & final_pick),
                picked.exact.eq(behind == row_end),
                picked.position.eq(at + slot(first)),
                picked.behind.eq(behind),
                picked.row_end.eq(row_end),
            ]
        with m.Elif(sends):  # the end by itself
            m.d.sync += picked.there.eq(0)

        # Results: of elements, or of the zeros behind a row's last one, which wait unless they are many or the tensor's last.
        told, passed, gap = (Signal(position_bits, name=name) for name in ("told", "passed", "gap"))  # told: of how many elements
        tells, many, closes = Signal(), Signal(), Signal()
        result, *others = results.payload
        sent = Signal(
            data.StructLayout({"value": 8, "null": 1, "last": 1, "pair": 1, "second": 8, "gap": exact_log2(width)}), reset_less=True
        )
        m.d.comb += [
            passed.eq(Mux(picked.there, picked.position, picked.row_end) - told),
            closes.eq(picked.last & (~picked.there | picked.exact)),
            tells.eq(picked.there | closes | (picked.end & passed[RUN_BITS:].any())),
            many.eq(gap[RUN_BITS:].any()),  # more than a result has room for: these go ahead
            sends.eq(is_picked & (~results.valid | (results.ready & ~many))),
            takes.eq(sends & (~picked.there | ~picked.end | closes)),
            result.gap.eq(Mux(many, MAX_RUN, gap)),
            result.value.eq(sent.value),
            result.null.eq(sent.null | many),
            result.last.eq(sent.last & ~many & ~sent.pair),
        ]
        for other in others:
            m.d.comb += [
                other.gap.eq(Mux(sent.pair & ~many, sent.gap, 0)),
                other.value.eq(sent.second),
                other.null.eq(~sent.pair | many),
                other.last.eq(sent.last & sent.pair & ~many),
            ]
        with m.If(sends):
            m.d.sync += [
                results.valid.eq(tells),
                gap.eq(passed),
                sent.value.eq(picked.value),
                sent.null.eq(~picked.there),
                sent.last.eq(closes),
                sent.pair.eq(picked.there & picked.pair),
                sent.second.eq(picked.second),
                sent.gap.eq(picked.gap),
            ]
            with m.If(tells):
                m.d.sync += told.eq(Mux(closes, 0, Mux(picked.there, picked.behind, picked.row_end)))
        with m.Elif(results.ready):
            m.d.sync += [results.valid.eq(results.valid & many), gap.eq(gap - MAX_RUN)]
        return m
