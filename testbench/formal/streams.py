"""The rule of streams, of every component that sends one: what it offers stays, as it is, until it is taken.

Of those that have a proof of their own it is proved there: `SkidBuffer`, `UnitWay`, `PixelWinners` (and `KeptResults` in it),
`StreamingTopK`, `HistogramTopK`. `WindowWalker` offers a unit to the first row that is ready, so it does not keep the rule, as its
docstring says. `PoolingUnit` offers what `PooledResults` in it does. `ExpertRouter`'s first pair comes later than can be reached here; its
parts take part.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from amaranth.hdl import Value, signed
from amaranth.lib.memory import Memory

from formal.configurations import EXPERTS, FUNCTIONS, POOLING, SERIAL, SEVERAL, SMALL, SPREAD, WINNERS, few_bins
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import surround
from skipgrid.rtl.experts.chooser import ExpertChooser
from skipgrid.rtl.experts.gates import AdaptiveK, ThresholdRelu
from skipgrid.rtl.experts.ratio import Holder, Ratio
from skipgrid.rtl.experts.softmax import Softmax
from skipgrid.rtl.experts.sparsemax import Sparsemax
from skipgrid.rtl.experts.weigher import ExpertWeigher
from skipgrid.rtl.grid.fetcher import RangeFetcher
from skipgrid.rtl.grid.serial_fetcher import SerialRangeFetcher
from skipgrid.rtl.input.decoder import RunLengthDecoder
from skipgrid.rtl.input.serial_decoder import SerialDecoder
from skipgrid.rtl.input.serial_writer import SerialActivationWriter
from skipgrid.rtl.input.writer import ActivationWriter
from skipgrid.rtl.layouts import Result
from skipgrid.rtl.output.drain import Drain
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.functions import FunctionTable
from skipgrid.rtl.output.narrow import Narrow
from skipgrid.rtl.output.requantise import Requantiser
from skipgrid.rtl.output.serial_drain import SerialDrain
from skipgrid.rtl.output.serial_encoder import SerialEncoder
from skipgrid.rtl.output.serial_requantise import SerialRequantiser
from skipgrid.rtl.output.sums import SumBytes
from skipgrid.rtl.output.tokens import TokenBuilder
from skipgrid.rtl.parts.skid import SkidBuffer
from skipgrid.rtl.pooling.pixel_lists import PixelLists
from skipgrid.rtl.pooling.pixel_places import PixelPlaces
from skipgrid.rtl.pooling.pool_merger import PoolMerger
from skipgrid.rtl.pooling.pooled_results import PooledResults
from skipgrid.rtl.topk.streaming_topk import StreamingTopK
from skipgrid.rtl.winners.joiner import Joiner
from skipgrid.rtl.winners.packer import Doubler, Packer
from skipgrid.rtl.winners.tensor_winners import TensorWinners

STEADY = (
    "layer",
    "k",
    "threshold",
    "C",
    "H",
    "W",
    "other_entries",
    "other_pixels",
    "other_entries_went",
    "other_pixels_went",
    "size",
    "stride",
    "pools",
    "columns",
)  # while anything is under way
ELEMENT_BITS = 12
QUICK = (
    "decoder",
    "serial-decoder",
    "narrow",
    "pixel-places",
    "pixel-lists",
    "packer",
    "doubler",
    "joiner",
    "pool-merger",
    "pooled-results",
    "sums",
    "functions",
    "tokens",
    "tokens-two",
    "encoder",
    "encoder-two",
    "serial-encoder",
    "threshold-relu",
    "holder",
    "ratio",
)
SCORE: dict[str, Any] = {"value_bits": 4, "signed": True, "fraction": 1, "index_bits": 2}

Connect = Callable[[Proof, Any], Container[str]]  # connects some members, and returns which


def of(kind: Any, arguments: Sequence[Any], options: Mapping[str, Any], connect: Connect | None) -> Callable[[Proof], None]:
    """The property, for a component; all that is not connected may be anything."""

    def keeps(proof: Proof) -> None:
        proof.m.submodules.component = component = kind(*arguments, **options)
        surround(proof, component, fixed=STEADY, apart=connect(proof, component) if connect else ())

    keeps.__doc__ = f"What `{kind.__name__}` offers stays, as it is, until it is taken."
    return keeps


def rule(
    name: str,
    kind: Any,
    depth: int,
    old: str,
    new: str,
    *arguments: Any,
    connect: Connect | None = None,
    inside: Any = None,
    within: Callable[[], AbstractContextManager[Any]] = nullcontext,
    **options: Any,
) -> Property:
    """Of a component, with a fault that breaks it: `new` in place of `old`, in the component or in one `inside` it."""
    fault = Fault("what waits is overtaken", inside or kind, old, new)
    return Property(f"stream-{name}", of(kind, arguments, options, connect), depth, (fault,), name in QUICK, within=within)


def starts_when_idle(proof: Proof, component: Any) -> Container[str]:
    """It is started, or forgets what it holds, when it is not busy, and is not stopped: a stop may give up what it offers."""
    for name in ("start", "drop"):
        if hasattr(component, name):
            proof.m.d.comb += getattr(component, name).eq(proof.free(name) & ~component.busy)
    if hasattr(component, "elements"):
        proof.m.d.comb += component.elements.eq(proof.free("elements", ELEMENT_BITS) | 1)
    return ("start", "drop", "elements", "stop")


def looks_up(proof: Proof, fetcher: Any) -> Container[str]:
    """Pointers come from a memory that holds anything, a cycle after the pixels; of these, the lowest two bits count."""
    m, reads = proof.m, fetcher.pointers
    m.submodules.pointers = pointers = Memory(shape=len(reads.start), depth=4, init=[])
    for pixel, pointer in ((reads.start_pixel, reads.start), (reads.end_pixel, reads.end)):
        read = pointers.read_port()
        m.d.comb += [read.addr.eq(pixel), read.en.eq(reads.lookup), pointer.eq(read.data)]
    return ("pointers",)


def sums_stay(proof: Proof, drain: Any) -> Container[str]:
    """A row's sums stay until they are taken; the layer begins in the first cycle."""
    m, sums = proof.m, drain.sums[0]
    waits = proof.before(sums.valid & ~(sums.advance | sums.drained))
    values = Value.cast(sums.values)
    m.d.comb += [sums.valid.eq(waits | proof.free("valid")), drain.start.eq(proof.first)]
    m.d.comb += values.eq(proof.free("values", len(values)))
    proof.grant(~waits | (values == proof.before(values)))
    return ("sums", "start")


def holds(proof: Proof, holder: Any) -> Container[str]:
    """Words are stored while there is room, and none, nor another end, while they are sent."""
    stores, sends = proof.free("store"), proof.free("send")
    proof.m.d.comb += [
        holder.store.eq(stores & ~holder.sending & (holder.count < holder.depth)),
        holder.send.eq(sends & ~holder.sending),
    ]
    return ("store", "send")


def chooses(proof: Proof, winners: Any) -> Container[str]:
    """The next layer may begin, or not, as soon as it is known who wins; its results wait."""
    chosen = proof.seen(winners.decided)
    proof.m.d.comb += winners.late.eq(chosen & proof.fixed("overlaps"))
    proof.reach("a winner waits, and is taken", chosen & winners.sink.valid & winners.sink.ready & proof.before(winners.sink.valid))
    return ("late",)


SKID = ("moves = ~self.sink.valid | self.sink.ready", "moves = Signal(init=1)")
SHORT_SKID = ("self.held.eq(self.sink.valid & ~self.sink.ready)", "self.held.eq(0)")
FLOWS = ("flows.eq(~sink.valid | sink.ready)", "flows.eq(1)")
SENDS = ("with m.If(self.weights.ready):", "with m.If(1):")
PROPERTIES = (
    rule(
        "decoder",
        RunLengthDecoder,
        20,
        "moves.eq(~counted | self.tokens.ready)",
        "moves.eq(1)",
        ELEMENT_BITS,
        connect=starts_when_idle,
    ),
    rule(
        "serial-decoder",
        SerialDecoder,
        28,
        "wanted.eq(~(complete & more))",
        "wanted.eq(1)",
        ELEMENT_BITS,
        connect=starts_when_idle,
    ),
    rule("writer", ActivationWriter, 12, "~self.pending | self.writes.ready", "1", SMALL, connect=starts_when_idle),
    rule("writer-several", ActivationWriter, 12, "~self.pending | self.writes.ready", "1", SEVERAL, connect=starts_when_idle),
    rule(
        "serial-writer",
        SerialActivationWriter,
        12,
        "self.pending & self.writes.ready & ~self.failed",
        "self.pending & ~self.failed",
        SERIAL,
        connect=starts_when_idle,
    ),
    rule("fetcher", RangeFetcher, 14, "fifo.r_en.eq(self.ranges.ready)", "fifo.r_en.eq(1)", SMALL),
    rule("fetcher-spread", RangeFetcher, 15, "fifo.r_en.eq(self.ranges.ready)", "fifo.r_en.eq(1)", SPREAD),
    rule(
        "serial-fetcher",
        SerialRangeFetcher,
        12,
        "~self.ranges.valid | self.ranges.ready",
        "1",
        SERIAL,
        connect=looks_up,
    ),
    rule("drain", Drain, 14, *SHORT_SKID, SMALL, inside=SkidBuffer),
    rule("drain-spread", Drain, 14, *SKID, SPREAD, inside=SkidBuffer),
    rule("drain-two", Drain, 14, *SHORT_SKID, SEVERAL, inside=SkidBuffer),
    rule("serial-drain", SerialDrain, 14, "~(survives | ends) | self.candidates.ready", "1", SERIAL, connect=sums_stay),
    rule("requantiser", Requantiser, 16, '~carried["valid"] | self.results.ready', "1", SMALL),
    rule("serial-requantiser", SerialRequantiser, 40, "with m.If(self.results.ready):", "with m.If(1):", SERIAL),
    rule("sums", SumBytes, 8, "takes & last_byte & last_place", "last_byte & last_place", SEVERAL),
    rule("functions", FunctionTable, 10, "~found | sink.ready", "1", FUNCTIONS),
    rule("narrow", Narrow, 8, "with m.If(~holds):", "with m.If(1):", Result, 2),
    rule("pixel-places", PixelPlaces, 8, "moves.eq(~places.valid | places.ready)", "moves.eq(1)", POOLING),
    rule("pixel-lists", PixelLists, 8, "free.eq(~lists.valid | lists.ready)", "free.eq(1)", POOLING),
    rule("pool-merger", PoolMerger, 12, *FLOWS, 4, 3, 2, 2),
    rule("pooled-results", PooledResults, 10, "~results.valid | (results.ready & ~many)", "1", POOLING),
    rule("tokens", TokenBuilder, 12, "go.eq(~self.tokens.valid | self.tokens.ready)", "go.eq(1)"),
    rule("tokens-two", TokenBuilder, 12, "go.eq(~self.tokens.valid | self.tokens.ready)", "go.eq(1)", 2),
    rule("tokens-two-short", TokenBuilder, 12, "go.eq(~self.tokens.valid | self.tokens.ready)", "go.eq(1)", 2, registered=False),
    rule("encoder", RunLengthEncoder, 12, "go.eq(~self.words.valid | self.words.ready)", "go.eq(1)"),
    rule("encoder-two", RunLengthEncoder, 12, "go.eq(~self.words.valid | self.words.ready)", "go.eq(1)", 2),
    rule("encoder-two-short", RunLengthEncoder, 12, "go.eq(~self.words.valid | self.words.ready)", "go.eq(1)", 2, registered=False),
    rule("serial-encoder", SerialEncoder, 50, "emits & ~full & (step | filling)", "emits & (step | filling)"),
    rule("packer", Packer, 8, "sink.ready | ~sink.valid", "1", 2),
    rule("doubler", Doubler, 8, "sink.ready | ~ends", "1", 2),
    rule("joiner", Joiner, 8, "with m.If(sink.valid & sink.ready):", "with m.If(sink.valid):", 2),
    rule(
        "tensor-winners",
        TensorWinners,
        22,
        "moves.eq(~held | joiner.source.ready)",
        "moves.eq(1)",
        WINNERS,
        connect=chooses,
        within=few_bins,
    ),
    rule(
        "tensor-winners-two",
        TensorWinners,
        22,
        "moves.eq(~held | joiner.source.ready)",
        "moves.eq(1)",
        WINNERS.replaced(scan=2, survivors=2),
        connect=chooses,
        within=few_bins,
    ),
    rule("threshold-relu", ThresholdRelu, 8, "~self.winners.valid | self.winners.ready", "1", value_bits=4, index_bits=2),
    rule("adaptive-k", AdaptiveK, 8, "~self.kept.valid | self.kept.ready", "1", cells=2, index_bits=2),
    rule("holder", Holder, 12, "self.words.valid & self.words.ready", "self.words.valid", 8, 2, connect=holds),
    rule("ratio", Ratio, 24, *SENDS, 8, 2),
    rule("softmax", Softmax, 26, *SENDS, inside=Ratio, cells=2, **SCORE),
    rule("sparsemax", Sparsemax, 26, *SENDS, inside=Ratio, cells=2, **SCORE),
    rule(
        "chooser",
        ExpertChooser,
        14,
        "complete & (~self.winners.valid | (self.winners.ready & winner.last))",
        "complete",
        inside=StreamingTopK,
        experts=3,
        cells=2,
        score=signed(3),
    ),
    rule("weigher", ExpertWeigher, 10, "~weighed.valid | weighed.ready", "1", EXPERTS),
)
