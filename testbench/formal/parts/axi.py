"""The split of one AXI4-Lite port to two."""

from amaranth.lib import wiring

from formal.axi import answers_once
from formal.configurations import SMALL
from formal.experts.router_registers import table
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.control.registers import Registers
from skipgrid.rtl.parts.axi import AxiLiteSplit


def answers(proof: Proof) -> None:
    """Behind the split of an AXI4-Lite port, too, each access is answered once, and soon.

    With the accelerator's registers as the lower part and the router's as the upper one, for any accesses.
    """
    m = proof.m
    m.submodules.split = split = AxiLiteSplit()
    m.submodules.lower = lower = Registers(SMALL)
    upper = table(proof)
    wiring.connect(m, split.lower, lower.bus)
    wiring.connect(m, split.upper, upper.bus)
    m.d.comb += lower.busy.eq(proof.free("busy"))
    answers_once(proof, split.bus, write_cycles=12, read_cycles=40)


PROPERTIES = (
    Property(
        "axi-split",
        answers,
        22,
        (
            Fault("the wrong part is asked", AxiLiteSplit, "asked.eq(number)", "asked.eq(1 - number)"),
            Fault("a request is passed on while an answer is awaited", AxiLiteSplit, " & ~waits)", ")"),
            Fault(
                "the upper part's answers are lost",
                AxiLiteSplit,
                "getattr(part, answers) & waits",
                "getattr(part, answers) & waits & ~asked",
            ),
        ),
    ),
)
