"""The router's registers, at their AXI4-Lite port."""

from typing import Any

from amaranth.hdl import signed

from formal.axi import answers_once
from formal.proof import Proof
from formal.properties import Fault, Property
from skipgrid.rtl.experts.router_registers import RouterRegisters

SIZES = {"experts": 3, "cells": 2, "value_bits": 9, "fraction": 4, "counter_bits": 32}
TABLE_CYCLES = 2  # in which the table of experts answers


def table(proof: Proof) -> Any:
    """The registers, before a table of experts that answers within a few cycles."""
    m = proof.m
    m.submodules.router_registers = registers = RouterRegisters(SIZES, signed(SIZES["value_bits"]))
    access = registers.access
    waits = access.begin & ~access.done
    m.d.comb += access.done.eq(access.begin & (proof.free("table_answers") | (proof.since(waits, 2) == TABLE_CYCLES - 1)))
    m.d.comb += access.word.eq(proof.free("table_word", 32))
    return registers


def answers(proof: Proof) -> None:
    """Each access to the router's registers is answered once, and soon, unless writes come without a pause before a read.

    For any accesses, and a table of experts that answers within 2 cycles. A write goes before a read: so writes are assumed to leave it
    a gap after 8 cycles.
    """
    registers = table(proof)
    bus = registers.bus
    answers_once(proof, bus, write_cycles=12, read_cycles=20)
    starves = proof.since(bus.arvalid & ~bus.arready, 4)
    proof.grant((starves < 8) | ~(bus.awvalid & bus.wvalid))


PROPERTIES = (
    Property(
        "router-registers",
        answers,
        22,
        (
            Fault(
                "a write is taken while an answer waits",
                RouterRegisters,
                "bus.awvalid & bus.wvalid & ~bus.bvalid",
                "bus.awvalid & bus.wvalid",
            ),
            Fault("an access to the table is never over", RouterRegisters, "~access.begin | access.done", "~access.begin"),
            Fault("an answer changes while it waits", RouterRegisters, "with m.If(~bus.rvalid):", "with m.If(1):"),
        ),
    ),
)
