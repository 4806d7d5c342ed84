"""The registers, at their AXI4-Lite port."""

from collections.abc import Callable

from formal.axi import answers_once
from formal.configurations import SMALL, SPREAD
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.config import Config
from skipgrid.rtl.control.counters import BETWEEN_TURNS
from skipgrid.rtl.control.registers import Registers

INPUTS = ("ready", "busy", "done", "failed", "multiplying", "input_stall", "output_stall", "word_in", "word_out")


def of(config: Config) -> Callable[[Proof], None]:
    """The property, for a configuration's registers."""

    def answers(proof: Proof) -> None:
        """Each access to the registers is answered once, and soon; a start, stop or clear is a pulse that a write has asked for.

        For any accesses, states of the accelerator, and counts. Layers do not end, as these take the counters' turns.
        """
        m = proof.m
        m.submodules.registers = registers = Registers(config)
        m.d.comb += [getattr(registers, name).eq(proof.free(name)) for name in INPUTS]
        bus = registers.bus
        answers_once(proof, bus, write_cycles=1, read_cycles=3 + config.spread + BETWEEN_TURNS)
        written = proof.before(bus.awvalid & bus.awready)
        for name in ("start", "stop", "clear"):
            pulse = getattr(registers, name)
            proof.claim(f"{name} follows a write", ~pulse | written)
            proof.claim(f"{name} comes with the answer OKAY", ~pulse | (bus.bvalid & (bus.bresp == 0)))
            proof.reach(name, pulse)
        busy = proof.before(registers.busy)
        proof.claim("nothing starts, and nothing is cleared, while busy", ~((registers.start | registers.clear) & busy))
        proof.claim("nothing starts right behind a start", ~(registers.start & proof.before(registers.start)))
        proof.claim("start and stop do not come together", ~(registers.start & registers.stop))

    return answers


ANSWERS_LOST = (
    Fault("a write is taken while an answer waits", Registers, " & (~bus.bvalid | bus.bready)", ""),
    Fault("a read is taken while an answer waits", Registers, "~reading & ~bus.rvalid", "~reading"),
    Fault("an answer does not wait", Registers, "with m.If(bus.rready):", "with m.If(1):"),
)
PROPERTIES = (
    Property(
        "registers",
        of(SMALL),
        26,
        (*ANSWERS_LOST, Fault("a start is taken while busy", Registers, "(self.busy | self.start | stop)", "(self.start | stop)")),
    ),
    Property(
        "registers-spread",
        of(SPREAD),
        26,
        (Fault("counters are never found", Registers, "counters.read.eq(answering", "counters.read.eq(0 & answering"),),
    ),
)
