"""The processing element: a lane's multiplier, accumulator and shadow."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from .multiply import Multiplier, MultiplyAccumulate


def step_layout(config: Config) -> data.StructLayout:
    """What all lanes of a row do with the product of one cycle.

    valid: there is one. first: it begins a window, so the accumulator begins with it. end: it ends the window, whose
    accumulator then goes to the shadow; first_window: as its first value, otherwise only if it is larger.

    Where lists are built, and the layer has lists: bank: in which the window is summed. swaps, in place of end: it ends the window.
    drains: the sum of `slot` in the other bank, of the window before, goes to the shadow.
    """
    lists = {"bank": 1, "swaps": 1, "drains": 1, "slot": config.index_bits} if config.slots else {}
    return data.StructLayout({"valid": 1, "first": 1, "end": 1, "first_window": 1, **lists})


class ProcessingElement(wiring.Component):
    """Multiplies, accumulates, and keeps the largest accumulator of a pool's windows in its shadow until it is shifted out.

    Where the form is serial, windows are a cycle apart, in which the accumulator is emptied, so that one DSP can be all of the arithmetic.
    Where ways are short, the product has no register. soft: the multiplier is made of look-up tables; not where serial.

    Where lists are built it has an accumulator for each of the `slots` as well, in two banks: a product is added to that of its index,
    which begins with 0 in each window. They stand in LUT RAM, twice, to be added to and to be drained; a sum that is added to in two cycles
    that follow each other is taken from the register of the last one.

    Members:
        activation: a - zero_point. weight: its weight.
        accumulate: what to do with their product, two cycles later, or one where it has no register. commit: the same step, one cycle
            later still. Where lists are built, look_up: the same step, a cycle before accumulate; lists: the layer has lists; index: of
            the weight's slot, with the weight.
        empty: where serial, the accumulator becomes 0, in the cycle of the commit that ends a window, and after a reset.
        shadow: the largest accumulator. shift: it becomes `next_shadow`, that of a lane further on; a commit comes first.

    Throughput: one product a cycle. Latency: 4 cycles from the last product's factors to the shadow, 3 where short.
    Cost: a `Multiplier` and 64 registers; where serial, a `MultiplyAccumulate` and 32 registers; where lists are built, 4 x slots x 32 bits
    with an asynchronous read port (LUT RAM) and 32 + 2 x slots registers more.
    """

    def __init__(self, config: Config, *, soft: bool = False) -> None:
        self.config = config
        self.soft = soft
        step = step_layout(config)
        super().__init__(
            {
                "activation": In(signed(9)),
                "weight": In(signed(8)),
                "accumulate": In(step),
                "commit": In(step),
                **({"empty": In(1)} if config.serial else {}),
                **({"lists": In(1), "index": In(config.index_bits), "look_up": In(step)} if config.slots else {}),
                "shift": In(1),
                "next_shadow": In(signed(32)),
                "shadow": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        accumulator = Signal(signed(32), reset_less=True)
        config = self.config
        if config.serial:
            m.submodules.multiply = multiply = MultiplyAccumulate()
            m.d.comb += [
                multiply.activation.eq(self.activation),
                multiply.weight.eq(self.weight),
                multiply.accumulate.eq(self.accumulate.valid),
                multiply.empty.eq(self.empty),
                accumulator.eq(multiply.accumulator),
            ]
        else:
            m.submodules.multiplier = multiplier = Multiplier(soft=self.soft, registered=not config.parallel)
            m.d.comb += [multiplier.activation.eq(self.activation), multiplier.weight.eq(self.weight)]
            total = Mux(self.accumulate.first, 0, accumulator) + multiplier.product
            if config.slots:
                total = Signal(signed(32))
                before, drained = self._slots(m, accumulator, total)
                m.d.comb += total.eq(before + multiplier.product)
            with m.If(self.accumulate.valid):
                m.d.sync += accumulator.eq(total)
        # Its complement is kept: then the comparison is an addition, without an inverter for each bit.
        complement = Signal(32, reset_less=True)
        carry = Signal(33)
        larger = Signal()
        sign = 1 << 31  # inverted, signed numbers compare as unsigned ones
        m.d.comb += [
            self.shadow.eq(~complement),
            carry.eq((accumulator.as_unsigned() ^ sign) + (complement ^ sign)),
            larger.eq(carry[32]),
        ]
        with m.If(self.commit.valid & self.commit.end & (self.commit.first_window | larger)):
            m.d.sync += complement.eq(~accumulator)
        if config.slots:
            with m.Elif(self.commit.drains):
                m.d.sync += complement.eq(~drained)
        with m.Elif(self.shift):
            m.d.sync += complement.eq(~self.next_shadow)
        return m

    def _slots(self, m: Module, accumulator: Signal, total: Signal) -> tuple[Value, Value]:
        """The accumulators of all slots: what a product is added to, and the sum that is drained.

        accumulator: the last sum, total: the next one, which is stored.
        """
        config = self.config
        slots = config.slots
        look_up, accumulate, commit = self.look_up, self.accumulate, self.commit
        index = self.index
        if not config.parallel:  # it waits with the product
            index = Signal(config.index_bits, reset_less=True)
            m.d.sync += index.eq(self.index)
        last_index = Signal(config.index_bits, reset_less=True)
        # Slots that have sums: of this window, and of the one that is drained. A window's first look-up empties them, and not a reset.
        summed, left = Signal(slots, reset_less=True), Signal(slots, reset_less=True)
        adds = Signal(slots)  # a sum is stored
        again = Signal(reset_less=True)  # it adds to the last sum
        old = Signal(signed(32), reset_less=True)
        reads = []
        for name, address in (("sums", Cat(index, look_up.bank)), ("drained", Cat(commit.slot, ~commit.bank))):
            m.submodules[name] = memory = Memory(shape=signed(32), depth=2 * slots, init=[])
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(self.lists & accumulate.valid),
                write.addr.eq(Cat(last_index, accumulate.bank)),
                write.data.eq(total),
                read.addr.eq(address),
            ]
            reads.append(read.data)
        m.d.comb += adds.eq((self.lists & accumulate.valid) << last_index)
        m.d.sync += [
            again.eq(~look_up.first & (~self.lists | (index == last_index))),
            old.eq(Mux(self.lists & ~look_up.first & summed.bit_select(index, 1), reads[0], 0)),
            summed.eq(Mux(look_up.first, 0, summed | adds)),  # where rows are spread, a reset has old steps behind it
        ]
        with m.If(look_up.valid):
            m.d.sync += last_index.eq(index)
        with m.If(accumulate.swaps):
            m.d.sync += left.eq(summed | adds)
        with m.Elif(commit.drains):
            m.d.sync += left.eq(left >> 1)
        return Mux(again, accumulator, old), Mux(left[0], reads[1], 0).as_signed()
