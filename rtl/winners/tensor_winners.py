"""The winners of a layer's output, among all of it: results wait until it is known which of them win."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import layer_layout
from ..layouts import Result, last_positive
from .joiner import Joiner
from .packer import Doubler, Packer, RankedResult
from .rising_threshold import RANK_BITS, RisingThreshold

THRESHOLD_BITS = RANK_BITS + 1  # a rank, or 256, which no element reaches


def rank(byte: Value, layer: data.View) -> Value:
    """8 bits that are larger for the output that wins, by its value or its magnitude."""
    most = last_positive(layer)
    return Mux(layer.magnitude, Mux(byte > most, -byte, byte)[:8], (byte + ~most)[:8])


class TensorWinners(wiring.Component):
    """Stands between the results and the tokens, and lets a layer's k largest outputs keep their values.

    A layer's results wait in a memory while `RisingThreshold` looks for the smallest winner. When it is known they leave, and losers leave
    as zeros: what is smaller, and of those that equal it, all behind the first ones that make up k. Larger is what has the larger value
    or magnitude; zeros are elements of value 0. Meanwhile the next layer may begin on what has left; so that it soon can, `Joiner` joins
    losers with what is behind them.

    Where a threshold is kept, results that do not reach it become zeros as they pass, and none of them waits.

    Members:
        layer: steady while its results come. late: those of the layer before are still being stored, and this one's results wait for that.
        threshold: what has to be reached, where layer.kept.
        source: results of the layer, `survivors` a cycle. sink: those of its winners, or of others what comes.
        decided: for one cycle, it is known who wins, and they begin to leave. smallest: from then on, rank of the smallest winner.
        waits: results wait for being chosen among, or leave while their layer has not ended.
        full: for one cycle or more, a tensor's results are more than the memory holds.

    Throughput: `survivors` results a cycle into the memory; out of it, `survivors` to twice as many, as `Joiner` says.
    Latency: none for results that pass; from a tensor's last result to its first winner 6 cycles, and one for each rank by which the
        threshold has still to rise, 256 at most.
    Cost: that of `RisingThreshold` and of `Joiner`, and a memory of `winners` results of 28 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        results = stream.Signature(data.ArrayLayout(Result, config.survivors))
        super().__init__(
            {
                "layer": In(layer_layout(config)),
                "late": In(1),
                "threshold": In(THRESHOLD_BITS),
                "source": In(results),
                "sink": Out(results),
                "decided": Out(1),
                "smallest": Out(THRESHOLD_BITS),
                "waits": Out(1),
                "full": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layer, source, sink = self.config, self.layer, self.source, self.sink
        m = Module()
        m.submodules.rising = rising = RisingThreshold(config.survivors, config.element_bits)
        m.submodules.packer = packer = Packer(config.survivors)
        m.submodules.doubler = doubler = Doubler(config.survivors)
        places = range(2 * config.survivors)  # of a word in the memory
        word = data.ArrayLayout(RankedResult, len(places))
        m.submodules.memory = memory = SyncFIFOBuffered(width=word.size, depth=config.winners // len(places))
        m.submodules.joiner = joiner = Joiner(config.survivors)
        wiring.connect(m, packer.sink, doubler.source)

        # Results of a tensor whose winners are wanted are counted, and wait. Others pass.
        chooses, comes = Signal(), Signal()
        stored = packer.source.payload
        m.d.comb += [
            chooses.eq(layer.of_tensor & layer.computes & ~layer.kept),
            comes.eq(packer.source.valid & packer.source.ready),
            packer.source.valid.eq(source.valid & chooses & rising.ready),
            memory.w_data.eq(doubler.sink.payload),
            memory.w_en.eq(doubler.sink.valid),
            doubler.sink.ready.eq(memory.w_rdy),
            rising.k.eq(layer.winners),
            rising.zero.eq(Mux(layer.magnitude, 0, ~last_positive(layer))),  # its rank
            rising.passes.eq(comes),
            rising.ranked.zeros.eq(sum(result.gap + (~result.null & ~result.value.any()) for result in source.payload)),
            rising.ranked.last.eq(Cat(result.last for result in source.payload).any()),
        ]
        for lane, result in enumerate(source.payload):
            m.d.comb += [
                stored[lane].result.eq(result),
                stored[lane].rank.eq(rank(result.value, layer)),
                rising.ranked.ranks[lane].eq(stored[lane].rank),
                rising.ranked.some[lane].eq(~result.null & result.value.any()),
            ]

        # They leave: in a first stage those of a word are compared with the threshold.
        leaves, over = Signal(), Signal()  # a tensor leaves; its last word has been read
        threshold, known = Signal(THRESHOLD_BITS), Signal(THRESHOLD_BITS)  # of the tensor that leaves; as it is kept
        results, held = Signal(data.ArrayLayout(Result, len(places))), Signal()
        larger, equal = Signal(len(places)), Signal(len(places))
        read = data.View(word, memory.r_data)
        moves, last = Signal(), Signal()
        m.d.comb += [
            joiner.source.valid.eq(held),
            joiner.sink.ready.eq(sink.ready),
            moves.eq(~held | joiner.source.ready),
            last.eq(Cat(result.last for result in results).any()),
            threshold.eq(Mux(self.decided, rising.threshold, known)),
            memory.r_en.eq((leaves | self.decided) & moves & ~over),
            self.decided.eq(rising.known & ~leaves & ~self.late),
            self.smallest.eq(known),
            rising.taken.eq(self.decided),
        ]
        with m.If(moves):
            m.d.sync += [held.eq(memory.r_en & memory.r_rdy), *(results[place].eq(read[place].result) for place in places)]
            for place in places:
                some = ~read[place].result.null & read[place].result.value.any()
                m.d.sync += [
                    larger[place].eq(some & (read[place].rank > threshold)),
                    equal[place].eq(some & (read[place].rank == threshold)),
                ]
            with m.If(memory.r_en & memory.r_rdy):
                m.d.sync += over.eq(Cat(item.result.last for item in read).any())
            with m.If(held & last):
                m.d.sync += [leaves.eq(0), over.eq(0)]

        # In a second one ties are told apart.
        ties = Signal(signed(config.element_bits + 1))  # elements that equal the threshold and still win, less one
        wins = Signal(len(places))
        before: Value = Const(0)  # ties in the word before this place
        for place in places:
            m.d.comb += wins[place].eq(larger[place] | (equal[place] & (ties >= before)))
            before = before + equal[place]
        with m.If(self.decided):
            m.d.sync += [leaves.eq(1), known.eq(rising.threshold), ties.eq(~rising.ties)]
        with m.Elif(held & moves & ~ties[-1]):
            m.d.sync += ties.eq(ties - before)
        for place, item in enumerate(joiner.source.payload):
            m.d.comb += [item.result.eq(results[place]), item.wins.eq(wins[place])]

        # What the sink gets.
        passes = ~chooses & ~self.late
        m.d.comb += [
            source.ready.eq(Mux(chooses, rising.ready & packer.source.ready, passes & sink.ready)),
            sink.valid.eq(held | (source.valid & passes)),
            sink.payload.eq(Mux(held, joiner.sink.payload, source.payload)),
        ]
        for lane, result in enumerate(stored):
            with m.If(~held & layer.kept & (result.rank < self.threshold)):
                m.d.comb += sink.payload[lane].value.eq(0)

        # What is said of it.
        waiting = Signal()  # all results of a tensor have come, and it is not known who wins
        with m.If(comes & rising.ranked.last):
            m.d.sync += waiting.eq(1)
        with m.Elif(self.decided):
            m.d.sync += waiting.eq(0)
        m.d.comb += [
            self.waits.eq(waiting | (leaves & ~self.late) | (source.valid & chooses & ~source.ready)),
            self.full.eq(packer.source.valid & ~packer.source.ready & ~leaves),
        ]
        return m
