"""The whole accelerator: run-length words in, run-length words out."""

from amaranth.hdl import Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .control.stage import ControlStage
from .grid.stage import GridStage
from .input.stage import InputStage
from .output.stage import OutputStage
from .parts.axi import AxiLite, AxiLiteSplit, AxiStream, from_stream, to_stream


def ports(config: Config) -> wiring.Signature:
    """The accelerator's ports."""
    members = {
        "s_axil": In(AxiLite()),
        "s_axis_load": In(AxiStream()),
        "s_axis_in": In(AxiStream()),
        "m_axis_out": Out(AxiStream(user=True)),
        "irq": Out(1),
        "busy": Out(1),
        "error": Out(1),
    }
    if config.experts:
        members["pressure"] = In(range(config.experts_chosen + 1))
    return wiring.Signature(members)


class Accelerator(wiring.Component):
    """A sparse-activation accelerator for convolutions and fully connected layers.

        s_axis_in → input: decoder, activation buffers → grid: walker, rows → output: drain, requantiser, tokens, encoder → m_axis_out
                      ↑                                    ↑ s_axis_load                            │
                      └──────────────────────────── the next layer's input ─────────────────────────┘

    `ControlStage` tells the three stages which layer it is.

    Members:
        s_axil: registers (see `REGISTERS`).
        s_axis_load: weights, channels' parameters and the program (see `Loader`); taken while no run is under way.
        s_axis_in: run-length coded tensors, one packet each; taken when the program asks for one.
        m_axis_out: run-length coded tensors, one packet each; TUSER in the last word marks one cut short by an error.
        irq: 1 from the end of a run (STATUS.busy is 0), or an error of the load port, until the next start or clear, where the register
            INTERRUPT_ENABLE lets it.
        busy, error: as in STATUS.
        pressure: lowers how many experts the router chooses (see `ExpertRouter`), where experts are built.

    Throughput: rows x lanes multiplications a cycle, all of nonzero activations. Reset is synchronous and works at any moment.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(ports(config))

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.control = control = ControlStage(config)
        m.submodules.input = input_ = InputStage(config)
        m.submodules.grid = grid = GridStage(config)
        m.submodules.output = output = OutputStage(config)

        # The data's way.
        from_stream(m, wiring.flipped(self.s_axis_in), input_.words)
        for row in range(config.rows):
            wiring.connect(m, grid.reads[row], input_.reads[row])
            wiring.connect(m, grid.sums[row], output.sums[row])
        wiring.connect(m, grid.order, output.order)
        to_stream(m, output.words, wiring.flipped(self.m_axis_out))

        # Ways across it: outputs that are the next layer's input, experts that are chosen, what is loaded.
        wiring.connect(m, output.outputs, input_.outputs)
        if config.experts:
            m.d.comb += grid.chosen.eq(output.chosen)
        m.d.comb += [grid.store.eq(control.store), output.store.eq(control.store)]

        # What the stages are told, and what they tell.
        for stage in (input_, grid, output):
            m.d.comb += stage.layer.eq(control.layer)
        m.d.comb += [
            grid.clear.eq(control.clear),
            output.clear.eq(control.clear),
            input_.start.eq(control.start),
            input_.loads.eq(control.loads),
            input_.stop.eq(control.stop),
            grid.start.eq(control.start & control.layer.computes),
            grid.clear_rows.eq(control.clear_rows),
            grid.old.eq(control.old),
            grid.rows_stored.eq(input_.rows_stored),
            output.start.eq(control.start),
            output.stop.eq(control.stop),
            output.old.eq(control.old),
            *(getattr(control, name).eq(getattr(input_, name)) for name in ("input_ready", "loaded", "stored", "failed", "error")),
            control.sent.eq(output.sent),
            control.others_busy.eq(input_.busy | output.busy),
        ]
        if config.winners:
            m.d.comb += output.threshold.eq(control.threshold)
            m.d.comb += [getattr(control, name).eq(getattr(output, name)) for name in ("decided", "smallest", "full")]
        if config.slots:
            m.d.comb += control.list_wrong.eq(grid.list_wrong)
        late = Const(0)
        if config.overlaps:
            late = input_.late
            m.d.comb += [input_.leaves.eq(control.leaves), output.late.eq(late), control.late.eq(late), control.follows.eq(input_.follows)]

        # Registers, the router's among them where it is built, and the load port.
        from_stream(m, wiring.flipped(self.s_axis_load), control.load)
        if config.experts:
            m.submodules.bus_split = bus_split = AxiLiteSplit()
            wiring.connect(m, wiring.flipped(self.s_axil), bus_split.bus)
            wiring.connect(m, bus_split.lower, control.bus)
            wiring.connect(m, bus_split.upper, output.router)
            m.d.comb += [output.pressure.eq(self.pressure), control.routed.eq(output.routed)]
        else:
            wiring.connect(m, wiring.flipped(self.s_axil), control.bus)
        m.d.comb += [self.irq.eq(control.irq), self.busy.eq(control.busy), self.error.eq(control.failed_run)]

        # What is counted.
        m.d.comb += [
            control.multiplying.eq(grid.multiplying),
            control.input_stall.eq((grid.waiting & ~late) | (input_.words.ready & ~input_.words.valid)),
            control.output_stall.eq(output.words.valid & ~output.words.ready),
            control.macs.eq(grid.macs),
            control.entries.eq(grid.entries),
            control.sum_waits.eq(grid.sum_waits),
            control.range_waits.eq(grid.range_waits),
            control.zeros.eq(input_.zeros),
            control.word_in.eq(input_.words.valid & input_.words.ready),
            control.word_out.eq(output.words.valid & output.words.ready),
        ]
        if config.some_winners:
            m.d.comb += control.winners.eq((output.waits | (grid.waiting & late)) & control.busy)
        return m
