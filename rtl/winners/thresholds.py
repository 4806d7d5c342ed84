"""Thresholds that are kept from one tensor to later ones, so that its winners need not be chosen anew."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import Descriptor
from .tensor_winners import THRESHOLD_BITS

PERIOD_BITS = data.StructLayout.cast(Descriptor)["period"].width


class KeptThresholds(wiring.Component):
    """For each descriptor, the rank of the smallest winner of some tensor, and for how many further tensors it still holds.

    Members:
        number: of the descriptor, at least 2 cycles before what follows from it is used. period: of its winners, in tensors.
        kept, threshold: there is a threshold for the descriptor's next tensor.
        ended: its tensor is complete: chosen with `smallest`, which is kept if the period is more than 1, or by the threshold.
        forget: for all descriptors, winners are chosen anew.

    Source: M. Raihan and T. Aamodt, "Sparse weight activation training" (SWAT), NeurIPS 2020, for the period.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "number": In((config.layers - 1).bit_length()),
                "period": In(PERIOD_BITS),
                "kept": Out(1),
                "threshold": Out(THRESHOLD_BITS),
                "ended": In(1),
                "smallest": In(THRESHOLD_BITS),
                "forget": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = data.StructLayout({"threshold": THRESHOLD_BITS, "tensors": PERIOD_BITS})
        m.submodules.memory = memory = Memory(shape=held, depth=self.config.layers, init=[])
        write, read = memory.write_port(), memory.read_port()
        known = Signal(self.config.layers)
        m.d.comb += [
            read.addr.eq(self.number),
            self.kept.eq(known.bit_select(self.number, 1) & read.data.tensors.any()),
            self.threshold.eq(read.data.threshold),
            write.addr.eq(self.number),
            write.en.eq(self.ended),
            write.data.threshold.eq(Mux(self.kept, self.threshold, self.smallest)),
            write.data.tensors.eq(Mux(self.kept, read.data.tensors, self.period) - 1),
        ]
        with m.If(self.forget):
            m.d.sync += known.eq(0)
        with m.Elif(self.ended):
            m.d.sync += known.bit_select(self.number, 1).eq(1)
        return m
