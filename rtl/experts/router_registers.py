"""The expert router's registers behind AXI4-Lite."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..parts.axi import OKAY, SLVERR, AxiLite, packed
from ..register_map import ADDRESS_BITS, VERSION_WORD
from ..topk.scores import WEIGHT
from .expert_table import AccessPort
from .router_map import ARRAYS, ARRAYS_BASE, COUNT_BITS, COUNT_MAX, IDENTIFICATION, PERIOD, REGISTERS, ExpertArray, Overflow


def rules_layout(experts: int, cells: int, value: Shape) -> data.StructLayout:
    """What a router does, as its registers of these names say."""
    names = ("k", "k_min", "k_max")
    return data.StructLayout(
        {"balance": 1, "overflow": Overflow, "experts": range(experts + 1)}
        | dict.fromkeys(names, range(cells + 1))
        | {"share": WEIGHT, "relative": WEIGHT, "period": COUNT_BITS, "step": value.width - 1}
    )


class RouterRegisters(wiring.Component):
    """AXI4-Lite registers as `router_map` lists them.

    Writes take all four bytes; other strobes, addresses that are missing or of the wrong access, and values that a register cannot hold
    are answered with SLVERR and change nothing. One access at a time; a write goes before a read.

    Parameters: sizes: as of `ExpertRouter`. value: the shape of a bias.
    Members:
        bus: the AXI4-Lite port. access: the way to what is kept of each expert.
        rules: as they were written. busy: for STATUS.
        token, overflow: count one more. too_many: noted in STATUS. clears: all three begin at 0 again.

    Latency: 4 cycles from an address to its answer; for what is kept of an expert, 5 and those in which the table is busy.
    """

    def __init__(self, sizes: Mapping[str, int], value: Shape) -> None:
        self.sizes, self.value = sizes, value
        experts, cells, fraction = (sizes[name] for name in ("experts", "cells", "fraction"))
        self.rules_shape = rules_layout(experts, cells, value)
        most_step = (1 << (value.width - 1)) - 1
        start = {"experts": experts, "k": cells, "k_max": cells, "share": COUNT_MAX, "period": PERIOD}
        start["step"] = min(max(1, (1 << fraction) >> 3), most_step)
        self.most = {"EXPERTS": experts, "K": cells, "K_MIN": cells, "K_MAX": cells, "STEP": most_step}
        self.most |= dict.fromkeys(("SHARE", "RELATIVE", "PERIOD"), COUNT_MAX)
        super().__init__(
            {
                "bus": In(AxiLite()),
                "access": Out(AccessPort((experts - 1).bit_length())),
                "rules": Out(self.rules_shape, init=start),
                "busy": In(1),
                "token": In(1),
                "overflow": In(1),
                "too_many": In(1),
                "clears": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, access, rules = self.bus, self.access, self.rules

        tokens, overflowed = (Signal(self.sizes["counter_bits"], name=name) for name in ("tokens", "overflowed"))
        too_many = Signal()
        m.d.sync += [
            tokens.eq(Mux(self.clears, 0, tokens) + self.token),
            overflowed.eq(Mux(self.clears, 0, overflowed) + self.overflow),
            too_many.eq((too_many & ~self.clears) | self.too_many),
        ]

        address, value = Signal(ADDRESS_BITS), Signal(32)
        write, read = Signal(), Signal()
        writing, whole = Signal(), Signal()
        m.d.comb += [write.eq(bus.awvalid & bus.wvalid & ~bus.bvalid), read.eq(bus.arvalid & ~bus.rvalid & ~write)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)

        of_expert = Signal()
        odd, expert, array, base = address[:2], address[2:8], address[8:10], address[10:]
        holds = Signal()  # the register is there, may be written, and can hold the value
        permitted, asks_table = Signal(), Signal()
        control = REGISTERS["CONTROL"]
        balance, overflow, clear = (value[control.bits(name)] for name in ("balance", "overflow", "clear"))
        sign = value[self.value.width - 1 :]
        m.d.comb += [
            access.expert.eq(expert),
            access.array.eq(ExpertArray(array)),
            access.write.eq(writing),
            access.value.eq(value),
            access.clear.eq(~of_expert),
            of_expert.eq((base == ARRAYS_BASE >> 10) & ~array.all() & (expert < self.sizes["experts"]) & (odd == 0)),
        ]
        with m.Switch(address):
            for name, most in self.most.items():
                with m.Case(REGISTERS[name].address):
                    m.d.comb += holds.eq(value <= most)
            with m.Case(REGISTERS["CONTROL"].address):
                m.d.comb += holds.eq(value < 1 << control.width)
            with m.Default(), m.If(of_expert), m.Switch(access.array):
                with m.Case(ExpertArray.BIAS):
                    m.d.comb += holds.eq(sign.all() | ~sign.any())
                with m.Case(ExpertArray.CAPACITY):
                    m.d.comb += holds.eq(value <= COUNT_MAX)

        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += [bus.awready.eq(write), bus.wready.eq(write), bus.arready.eq(read)]
                m.d.sync += [writing.eq(write), address.eq(Mux(write, bus.awaddr, bus.araddr))]
                m.d.sync += [value.eq(bus.wdata), whole.eq(bus.wstrb.all())]
                with m.If(write | read):
                    m.next = "CHECK"
            with m.State("CHECK"):
                clears = writing & clear & (address == REGISTERS["CONTROL"].address)
                m.d.sync += [permitted.eq(~writing | (whole & holds)), asks_table.eq(of_expert | clears)]
                m.next = "ACT"
            with m.State("ACT"):
                m.d.comb += access.begin.eq(permitted & asks_table)
                with m.If(~access.begin | access.done):
                    m.next = "TAKE"
                    with m.If(writing):
                        m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Mux(permitted, OKAY, SLVERR))]
                    with m.Else():
                        m.d.sync += bus.rvalid.eq(1)
                    with m.If(writing & permitted), m.Switch(address):
                        with m.Case(REGISTERS["CONTROL"].address):
                            m.d.sync += [rules.balance.eq(balance), rules.overflow.eq(Overflow(overflow))]
                        for name in self.most:
                            with m.Case(REGISTERS[name].address):
                                m.d.sync += rules[name.lower()].eq(value)

        answers = {
            "IDENTIFICATION": IDENTIFICATION,
            "VERSION": VERSION_WORD,
            "SIZES": packed(REGISTERS["SIZES"], self.sizes),
            "CONTROL": packed(control, {"balance": rules.balance, "overflow": rules.overflow}),
            "STATUS": packed(REGISTERS["STATUS"], {"busy": self.busy, "too_many": too_many}),
            **{name: rules[name.lower()] for name in self.most},
            "TOKENS": tokens,
            "OVERFLOWED": overflowed,
        }
        with m.If(~bus.rvalid):
            m.d.sync += [bus.rdata.eq(access.word), bus.rresp.eq(Mux(of_expert, OKAY, SLVERR))]
            with m.Switch(address):
                for name, answer in answers.items():
                    with m.Case(REGISTERS[name].address):
                        m.d.sync += [bus.rdata.eq(answer), bus.rresp.eq(OKAY)]
        return m


assert all(register.address == ARRAYS_BASE + (array.value << 8) < 1 << ADDRESS_BITS for array, register in ARRAYS.items())
