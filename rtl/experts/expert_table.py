"""What a router knows of each expert, in one memory, and all that changes it."""

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .router_map import COUNT_BITS, COUNT_MAX, UNBOUNDED, ExpertArray

if TYPE_CHECKING:
    import enum  # Amaranth's, for type checkers, which cannot see into that one
else:
    from amaranth.lib import enum


class LookPort(wiring.Signature):
    """A way to see the table's experts.

    look, expert: ask for one. Where `looks` is 1 it is looked up in this cycle, and in the next one `bias` is valid, and `full`: whether
    it has no room.
    """

    def __init__(self, expert_bits: int, value: Shape) -> None:
        super().__init__({"look": Out(1), "expert": Out(expert_bits), "looks": In(1), "bias": In(value), "full": In(1)})


class AccessPort(wiring.Signature):
    """Software's way to the table, seen from the registers.

    begin: an access to the element `expert` of `array`, a write of `value` or a read of `word`; or with `clear`, all counters of experts
    begin at 0. It stays until `done`.
    """

    def __init__(self, expert_bits: int) -> None:
        members = {"begin": Out(1), "clear": Out(1), "write": Out(1), "array": Out(ExpertArray), "expert": Out(expert_bits)}
        super().__init__(members | {"value": Out(32), "done": In(1), "word": In(32)})


class Task(enum.Enum, shape=3):
    """What the table does with a word that it has looked up; the first four go over all experts."""

    START = 0
    CLEAR = 1
    SUM = 2
    MOVE = 3
    ADMIT = 4
    ACCESS = 5


class ExpertTable(wiring.Component):
    """Bias, capacity and loads of each expert. A word is looked up in one cycle, and stored, changed, in the next one.

    After reset, every expert gets its start: bias 0, no bound, no load. At a period's end the loads of the period are summed up, then
    each expert's is compared with their mean, and begins at 0 again.

    Parameters: experts: 2 to 64. value: the shape of a bias. counter_bits: of a load.
    Members:
        experts_in_use, balance, step: as the registers have them.
        looker: of the experts' biases. access: software's.
        admit, expert: give a token to an expert; they stay until `admitted`, with `room` if the expert takes it, which then is counted.
        renew: the period has ended. renews, clears: the cycle in which what was counted begins at 0 again, for all who count.
        sweeping: all experts are gone over; nothing else is done then.

    Throughput: one look a cycle, but for two cycles with each token that is given and each access. After reset and to clear, 2 cycles
        for each expert; at a period's end 5. Latency: 1 cycle from `admit` and `begin`, if no other task is before them.
    Cost: experts words of value + 2 * 16 + counter_bits bits, and a multiplier of 16 x the bits of experts.
    Source: L. Wang and others, "Auxiliary-loss-free load balancing strategy for mixture-of-experts", 2024.
    """

    def __init__(self, *, experts: int, value: Shape, counter_bits: int) -> None:
        self.experts, self.value = experts, value
        expert_bits = (experts - 1).bit_length()
        self.shape = data.StructLayout({"bias": value, "capacity": COUNT_BITS, "in_period": COUNT_BITS, "load": counter_bits})
        super().__init__(
            {
                "experts_in_use": In(range(experts + 1)),
                "balance": In(1),
                "step": In(value.width - 1),
                "looker": In(LookPort(expert_bits, value)),
                "admit": In(1),
                "expert": In(expert_bits),
                "admitted": Out(1),
                "room": Out(1),
                "renew": In(1),
                "renews": Out(1),
                "clears": Out(1),
                "access": In(AccessPort(expert_bits)),
                "sweeping": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.experts, init=[])
        write, read = memory.write_port(), memory.read_port()
        looker, access = self.looker, self.access
        known, changed = read.data, write.data
        task = Signal(Task, init=Task.START)
        place = Signal.like(self.expert)  # of the word that is stored
        in_use = Signal()
        total = Signal(COUNT_BITS + self.experts.bit_length())  # of the loads in this period
        above, below = Signal(), Signal()  # of the mean is this expert's load, and its bias moves
        m.d.comb += [
            read.addr.eq(looker.expert),
            read.en.eq(0),
            write.addr.eq(place),
            in_use.eq(place < self.experts_in_use),
            looker.bias.eq(known.bias),
            looker.full.eq((known.in_period >= known.capacity) & (known.capacity != UNBOUNDED)),
            self.room.eq(~looker.full),
        ]
        with m.FSM():
            with m.State("LOOK"):
                with m.If(self.sweeping):
                    m.d.comb += [read.addr.eq(place), read.en.eq(1)]
                    m.next = "STORE"
                    with m.If(task == Task.MOVE):
                        m.next = "COMPARE"
                with m.Elif(access.begin & access.clear):
                    m.d.comb += self.clears.eq(1)
                    m.d.sync += [task.eq(Task.CLEAR), place.eq(0), self.sweeping.eq(1)]
                with m.Elif(self.renew):
                    m.d.comb += self.renews.eq(1)
                    m.d.sync += [task.eq(Task.SUM), place.eq(0), self.sweeping.eq(1)]
                with m.Elif(self.admit):
                    m.d.comb += [read.addr.eq(self.expert), read.en.eq(1)]
                    m.d.sync += [task.eq(Task.ADMIT), place.eq(self.expert)]
                    m.next = "STORE"
                with m.Elif(access.begin):
                    m.d.comb += [read.addr.eq(access.expert), read.en.eq(1)]
                    m.d.sync += [task.eq(Task.ACCESS), place.eq(access.expert)]
                    m.next = "STORE"
                with m.Else():
                    m.d.comb += [read.en.eq(looker.look), looker.looks.eq(1)]
            with m.State("COMPARE"):
                m.next = "STORE"
                product = Signal(COUNT_BITS + self.experts.bit_length())
                m.d.comb += product.eq(known.in_period * self.experts_in_use)
                m.d.sync += [above.eq(self.balance & in_use & (product > total)), below.eq(self.balance & in_use & (product < total))]
            with m.State("STORE"):
                m.next = "LOOK"
                m.d.comb += changed.eq(known)
                self._store(m, task, known, changed, write.en, Mux(above, -self.step, Mux(below, self.step, 0)))
                with m.If(task == Task.SUM):
                    m.d.sync += total.eq(Mux(place.any(), total, 0) + Mux(in_use, known.in_period, 0))
                with m.If(self.sweeping):
                    self._go_on(m, task, place)
        return m

    def _store(self, m: Module, task: Signal, known: data.View, changed: data.View, stores: Value, move: Value) -> None:
        """What the word becomes; move: what its bias is changed by at a period's end."""
        access = self.access
        lowest, highest = -(1 << (self.value.width - 1)), (1 << (self.value.width - 1)) - 1
        moved = Signal(signed(self.value.width + 1))
        m.d.comb += moved.eq(known.bias + move)
        with m.Switch(task):
            with m.Case(Task.START):
                m.d.comb += [stores.eq(1), changed.eq(self.shape.const({"bias": 0, "capacity": UNBOUNDED, "in_period": 0, "load": 0}))]
            with m.Case(Task.CLEAR):
                m.d.comb += [stores.eq(1), changed.in_period.eq(0), changed.load.eq(0)]
            with m.Case(Task.MOVE):
                bias = Mux(moved < lowest, lowest, Mux(moved > highest, highest, moved))
                m.d.comb += [stores.eq(1), changed.in_period.eq(0), changed.bias.eq(bias)]
            with m.Case(Task.ADMIT):
                counted = known.in_period + (known.in_period != COUNT_MAX)
                m.d.comb += [self.admitted.eq(1), stores.eq(self.room), changed.in_period.eq(counted), changed.load.eq(known.load + 1)]
            with m.Case(Task.ACCESS):
                m.d.comb += [access.done.eq(1), stores.eq(access.write)]
                with m.Switch(access.array):
                    with m.Case(ExpertArray.LOAD):
                        m.d.comb += access.word.eq(known.load)
                    with m.Case(ExpertArray.BIAS):
                        m.d.comb += [access.word.eq(known.bias), changed.bias.eq(access.value)]
                    with m.Case(ExpertArray.CAPACITY):
                        m.d.comb += [access.word.eq(known.capacity), changed.capacity.eq(access.value)]

    def _go_on(self, m: Module, task: Signal, place: Signal) -> None:
        """To the next expert, or to what comes after all of them."""
        m.d.sync += place.eq(place + 1)
        with m.If(place == self.experts - 1):
            m.d.sync += place.eq(0)
            with m.If(task == Task.SUM):
                m.d.sync += task.eq(Task.MOVE)
            with m.Else():
                m.d.sync += self.sweeping.eq(0)
            with m.If(task == Task.CLEAR):
                m.d.comb += self.access.done.eq(1)
