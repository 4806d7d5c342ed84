"""The sequencer, over any program."""

from collections.abc import Callable

from amaranth.hdl import Cat, Signal, Value

from formal.configurations import SMALL
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.config import Config
from skipgrid.rtl.control.sequencer import Sequencer
from skipgrid.rtl.descriptor import FIELD
from skipgrid.rtl.errors import Error

ANSWER_CYCLES = 2  # in which the datapath ends a layer, and in which it settles
WIDE = SMALL.replaced(wide_program=True)


def of(config: Config, most: int) -> Callable[[Proof], None]:
    """The property, for a configuration, and the cycles that its runs take at most."""

    def ends(proof: Proof) -> None:
        """Whatever the program memory holds, a run ends, done or failed with a named error, and no layer begins whose sizes are wrong.

        For any program, written before or between runs, from any first descriptor; with a datapath that ends a layer, or reports a
        fault, within 2 cycles, settles within 2, and stores what is left of the layer before within 2; with errors of the load port, and
        clears, whenever nothing runs.
        """
        m = proof.m
        m.submodules.sequencer = sequencer = Sequencer(config)
        begins, drops, settled = sequencer.layer_start, sequencer.layer_stop, sequencer.settled
        idle = ~sequencer.busy
        for name in ("start", "clear", "refetch", "load_fault", "program_write"):
            m.d.comb += getattr(sequencer, name).eq(proof.free(name) & idle)
        for name in ("program", "program_address", "program_data", "input_ready"):
            m.d.comb += getattr(sequencer, name).eq(proof.free(name, getattr(sequencer, name).shape()))
        if config.winners:
            m.d.comb += sequencer.kept.eq(proof.free("kept"))
        if config.overlaps:
            stored = proof.since(sequencer.late, 2) >= ANSWER_CYCLES
            m.d.comb += [sequencer.late.eq(proof.free("late") & ~stored), sequencer.follows.eq(proof.free("follows") & sequencer.late)]

        code = proof.free("fault_code", len(Value.cast(sequencer.fault_code)))
        m.d.comb += Value.cast(sequencer.fault_code).eq(code)
        proof.grant((code > 0) & (code <= max(error.value for error in Error)))

        runs = Signal()  # a layer
        must_end = proof.since(runs, 2) >= ANSWER_CYCLES
        faulty = proof.free("fault")
        m.d.comb += [
            sequencer.layer_done.eq(runs & ~begins & (proof.free("layer_done") | (must_end & ~faulty))),
            sequencer.fault.eq(runs & faulty),
            settled.eq(proof.free("settled") | (proof.since(~settled, 2) >= ANSWER_CYCLES)),
        ]
        m.d.sync += runs.eq((runs | begins) & ~sequencer.layer_done & ~sequencer.fault & ~drops)

        ended = proof.before(sequencer.busy) & idle
        proof.claim(f"a run takes {most} cycles at most", proof.since(sequencer.busy, 7) <= most)
        proof.claim("a run that has ended is done, or has failed", ~ended | (sequencer.done ^ sequencer.failed))
        proof.claim("done and failed do not stand together", ~(sequencer.done & sequencer.failed))
        proof.claim("an error is named where it failed", (Value.cast(sequencer.error) != Error.NONE.value) == sequencer.failed)
        proof.claim("a layer begins in a run alone", ~begins | sequencer.busy | sequencer.start)
        proof.claim("something is dropped in a run alone", ~drops | sequencer.busy)
        proof.claim("no layer begins after an error", ~(begins & sequencer.failed & ~sequencer.start))
        layer = sequencer.layer
        used = layer.groups * config.lanes
        proof.claim("no layer begins that is empty", ~begins | ~Cat(~layer[name].any() for name in ("elements", "C", "H", "W")).any())
        computes = begins & layer.computes
        sizes = ("out_rows", "out_columns", "K", "R", "S", "pool_rows", "pool_columns", "span_rows", "groups", "last_lanes")
        empty = Cat(~layer[name].any() for name in sizes if FIELD[name].least)
        proof.claim("no layer begins that computes nothing", ~computes | ~empty.any())
        proof.claim("lanes and groups are those of its channels", ~computes | (used + layer.last_lanes == layer.K + config.lanes))
        proof.claim("its last group has no more lanes than there are", ~computes | (layer.last_lanes <= config.lanes))
        proof.claim("its channels are there", ~computes | (layer.channels_base + used <= config.channels))
        proof.claim("a feature-map row of it fits", ~computes | (config.features >= layer.C))
        for sentence, way in (("a run is done", sequencer.done), ("a run fails", sequencer.failed)):
            proof.reach(sentence, ended & way)
        proof.reach("a run of two layers is done", ended & sequencer.done & (proof.count(begins, 2) == 2))

    return ends


PROPERTIES = (
    Property(
        "sequencer",
        of(WIDE, 46),
        50,
        (
            Fault("a program may be without an end", Sequencer, "self.number == config.layers - 1", "0"),
            Fault("a descriptor is run whatever is wrong with it", Sequencer, "with m.Elif(checked != Error.NONE):", "with m.Elif(0):"),
            Fault(
                "done stays at an error", Sequencer, "m.d.sync += [self.done.eq(0), self.failed.eq(1), ", "m.d.sync += [self.failed.eq(1), "
            ),
            Fault("an error has no name", Sequencer, "self.error.eq(code), ", ""),
        ),
    ),
    Property(
        "sequencer-winners",
        of(WIDE.replaced(winners=128), 52),
        56,
        (Fault("a layer waits for what is never stored", Sequencer, "waits.eq(self.late & ~(reads", "waits.eq(~(reads"),),
    ),
)
