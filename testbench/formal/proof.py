"""What a proof is made of: a component whose inputs may be anything, what is claimed of it, and what is taken for granted."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Proof:
    """A bench whose inputs take all values that there are, in every cycle: a claim holds for all of them, or there is a trace.

    It begins where a reset ends, with anything in the memories. A reset does not come again.

    m: the bench's module; components under proof are its submodules.
    inputs: by name. claims, goals: by the sentence that says what they are.
    """

    def __init__(self) -> None:
        self.m = Module()
        self.m.domains.sync = ClockDomain(reset_less=True)
        self.inputs: dict[str, Signal] = {}
        self.claims: dict[str, Value] = {}
        self.goals: dict[str, Value] = {}
        self.granted: list[Value] = []
        self.first = Signal(init=1)  # the first cycle after the reset
        self.m.d.sync += self.first.eq(0)

    def free(self, name: str, shape: ShapeLike = 1) -> Signal:
        """Bits that are anything in every cycle."""
        assert name not in self.inputs, f"there are two inputs {name}"
        self.inputs[name] = signal = Signal(Shape.cast(shape).width, name=name)
        return signal

    def fixed(self, name: str, shape: ShapeLike = 1) -> Value:
        """Bits that are anything, and the same in all cycles."""
        chosen = self.free(name, shape)
        return Mux(self.first, chosen, self.before(chosen, when=self.first))

    def before(self, value: Any, *, init: int = 0, when: Any = 1) -> Signal:
        """A value as it was a cycle before, or in the last cycle before this one in which `when` was 1; `init` before that."""
        bits = Value.cast(value)
        register = Signal(len(bits), init=init, name="before")
        with self.m.If(when):
            self.m.d.sync += register.eq(bits)
        return register

    def seen(self, bit: Any) -> Signal:
        """Whether a bit was 1 in any cycle before this one."""
        return self.before(1, when=bit)

    def count(self, bit: Any, bits: int) -> Signal:
        """In how many cycles before this one a bit was 1, modulo 2 ** bits."""
        number = Signal(bits, name="count")
        self.m.d.sync += number.eq(number + bit)
        return number

    def since(self, bit: Any, bits: int) -> Signal:
        """For how many cycles before this one a bit was 1 without a break, 2 ** bits - 1 at most."""
        number = Signal(bits, name="since")
        self.m.d.sync += number.eq(Mux(bit, number + ~number.all(), 0))
        return number

    def grant(self, condition: Any) -> None:
        """Take for granted that this holds: of a trace, what comes once it does not is not looked at."""
        self.granted.append(Value.cast(condition).any())

    def claim(self, sentence: str, condition: Any) -> None:
        """This holds in all cycles up to the property's depth."""
        assert sentence not in self.claims, f"there are two claims {sentence!r}"
        self.claims[sentence] = Value.cast(condition).any()

    def reach(self, sentence: str, condition: Any) -> None:
        """This is so in some cycle of some trace: where it never is, claims hold because nothing happens."""
        assert sentence not in self.goals, f"there are two goals {sentence!r}"
        self.goals[sentence] = Value.cast(condition).any()

    def top(self) -> wiring.Component:
        """What is synthesised: a bit of `fails` for each claim, and one of `reached` for each goal."""
        return _Top(self)


class _Top(wiring.Component):
    """The bench, with the inputs that it has asked for as ports."""

    def __init__(self, proof: Proof) -> None:
        self.proof = proof
        inputs = {name: In(signal.shape()) for name, signal in proof.inputs.items()}
        super().__init__({"clk": In(1), **inputs, "fails": Out(len(proof.claims)), "reached": Out(len(proof.goals))})

    def elaborate(self, platform: object) -> Module:
        proof, m = self.proof, self.proof.m
        m.d.comb += [ClockSignal().eq(self.clk), *(signal.eq(getattr(self, name)) for name, signal in proof.inputs.items())]
        granted, so_far = Signal(), Signal(init=1)
        m.d.comb += [
            granted.eq(so_far & Cat(proof.granted).all()),
            self.fails.eq(Cat(granted & ~claim for claim in proof.claims.values())),
            self.reached.eq(Cat(granted & goal for goal in proof.goals.values())),
        ]
        m.d.sync += so_far.eq(granted)
        return m
