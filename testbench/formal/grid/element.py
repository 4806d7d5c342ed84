"""The accumulators of a processing element's slots, over any products."""

from collections.abc import Callable

from amaranth.hdl import Mux, Signal

from formal.configurations import LISTS
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.grid.element import ProcessingElement

OLD_CYCLES = 3  # in which steps of before a reset may still come
SUM_BITS = 4


def of(config: Config) -> Callable[[Proof], None]:
    """The property, for a configuration."""

    def sums_slots(proof: Proof) -> None:
        """The sum that is drained from a slot is that of its products in the window before, in whatever order indices come.

        For any products of 0 and 1, windows, pauses and drains, and any steps in the first three cycles, as a reset may leave them.
        A slot is chosen, which may be any.
        """
        m = proof.m
        m.submodules.element = element = ProcessingElement(config)
        step, index = element.look_up, Signal(config.index_bits)
        product, old = proof.free("product"), proof.since(1, 2) < OLD_CYCLES
        m.d.comb += [element.lists.eq(1), element.weight.eq(1), index.eq(proof.free("index", config.index_bits))]
        if config.parallel:
            m.d.comb += [element.activation.eq(product), element.index.eq(index)]
        else:  # the factors come a cycle before the step
            product, index = proof.before(product), proof.before(index)
            m.d.comb += [element.activation.eq(proof.inputs["product"]), element.index.eq(proof.inputs["index"])]

        # What a list reader asks for: a window may end when the one before is drained.
        goes, ends, drains, begun, bank = proof.free("goes"), proof.free("ends"), proof.free("drains"), Signal(), Signal()
        left, slot, most = Signal(config.count_bits), Signal(config.index_bits), proof.fixed("slots", config.index_bits)
        anything = proof.free("anything", len(step.as_value()))
        with m.If(old):
            m.d.comb += [step.valid.eq(anything[0]), step.first.eq(anything[1]), step.bank.eq(anything[2])]
            m.d.comb += [step.swaps.eq(anything[3]), step.drains.eq(anything[4]), step.slot.eq(anything[5:])]
        with m.Else():
            m.d.comb += [
                step.valid.eq(goes),
                step.first.eq(~begun),
                step.bank.eq(bank),
                step.swaps.eq(goes & ends & ~left.any()),
                step.drains.eq(drains & left.any()),
                step.slot.eq(slot),
            ]
            with m.If(step.valid):
                m.d.sync += [begun.eq(~step.swaps), bank.eq(bank ^ step.swaps)]
            with m.If(step.drains):
                m.d.sync += [left.eq(left - 1), slot.eq(slot + 1)]
            with m.If(step.swaps):
                m.d.sync += [left.eq(most + 1), slot.eq(0)]
        m.d.comb += [element.accumulate.eq(proof.before(step)), element.commit.eq(proof.before(element.accumulate))]

        chosen = proof.fixed("slot", config.index_bits)
        total, before = Signal(SUM_BITS), Signal(SUM_BITS)  # of the window, and of the one before
        added = Signal(SUM_BITS)
        m.d.comb += added.eq(total + (step.valid & (index == chosen) & product))
        m.d.sync += total.eq(Mux(old | step.swaps, 0, added))
        with m.If(step.swaps):
            m.d.sync += before.eq(added)
        drained = step.drains & (slot == chosen) & ~old
        for _ in range(3):  # to the shadow
            drained = proof.before(drained)
        expected = before
        for _ in range(3):
            expected = proof.before(expected)
        proof.claim("what is drained is the slot's sum", ~drained | (element.shadow == expected))
        proof.reach("three products were added to a slot", drained & (expected == 3))
        proof.reach("a slot without products is drained behind others", drained & (expected == 0) & (chosen == 2))

    return sums_slots


FAULTS = (
    Fault(
        "a sum is added to that was not stored yet",
        ProcessingElement,
        "again.eq(~look_up.first & (~self.lists | (index == last_index)))",
        "again.eq(~look_up.first & ~self.lists)",
        "_slots",
    ),
    Fault(
        "a window has sums of the one before",
        ProcessingElement,
        "Mux(self.lists & ~look_up.first & summed.bit_select(index, 1), reads[0], 0)",
        "reads[0]",
        "_slots",
    ),
    Fault(
        "old steps leave sums",
        ProcessingElement,
        "Mux(look_up.first, 0, summed | adds)",
        "Mux(accumulate.swaps, 0, summed | adds)",
        "_slots",
    ),
    Fault("a window's last product is forgotten", ProcessingElement, "left.eq(summed | adds)", "left.eq(summed)", "_slots"),
    Fault(
        "the bank that is summed in is drained",
        ProcessingElement,
        "Cat(commit.slot, ~commit.bank)",
        "Cat(commit.slot, commit.bank)",
        "_slots",
    ),
    Fault("a pause is taken for a product", ProcessingElement, "with m.If(look_up.valid):", "with m.If(1):", "_slots"),
)
PROPERTIES = (
    Property("slots", of(LISTS), 14, FAULTS),
    Property("slots-spread", of(LISTS.replaced(form=Form.SPREAD)), 14, FAULTS[:1]),
)
