"""One component by itself on an FPGA: a shift register drives its inputs and another folds its outputs, so that no pin limits it."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

FOLD = 16  # outputs that meet in one register


class Ring(wiring.Component):
    """A component between shift registers, with the ports of `System`.

    Members: rx enters the shift register; tx depends on every output. ready, busy and error are constant.
    Attribute registers: flip-flops of the ring itself, which count in a report of the component.
    """

    rx: In(1)
    tx: Out(1)
    ready: Out(1)
    busy: Out(1)
    error: Out(1)

    def __init__(self, unit: Any) -> None:
        self.unit = unit
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        for _, member, value in unit.signature.flatten(unit):
            (self.inputs if member.flow == In else self.outputs).append(Value.cast(value))
        outputs = sum(map(len, self.outputs))
        self.registers = sum(map(len, self.inputs)) + outputs + -(-outputs // FOLD) + 1
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        inputs, outputs = Cat(*self.inputs), Cat(*self.outputs)
        shifted, taken = Signal(len(inputs)), Signal(len(outputs))
        folded = Signal(-(-len(outputs) // FOLD))
        m.d.comb += [inputs.eq(shifted), self.ready.eq(1)]
        m.d.sync += [
            shifted.eq(Cat(self.rx, shifted)),
            taken.eq(outputs),
            folded.eq(Cat(taken[start : start + FOLD].xor() for start in range(0, len(taken), FOLD))),
            self.tx.eq(folded.xor()),
        ]
        return m
