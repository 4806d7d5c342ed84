"""The loader, at the memories that it fills."""

from amaranth.hdl import Cat, Const, Signal, Value

from formal.configurations import FUNCTIONS
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import send
from skipgrid.rtl.control.loader import Loader
from skipgrid.rtl.descriptor import SLOT_WORDS
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import FUNCTION_WORDS

MEMORIES = {
    "weights": FUNCTIONS.weights,
    "channels": FUNCTIONS.channels,
    "program": FUNCTIONS.layers * SLOT_WORDS,
    "functions": FUNCTIONS.functions * FUNCTION_WORDS,
}


def stays_within_memories(proof: Proof) -> None:
    """Whatever the packets hold, nothing is stored beyond a memory, and nothing behind the error of a packet, which is reported once.

    For any words, lengths of packets, and pauses of both sides. What is stored is the word at the port, at the header's address or behind
    it, in the header's memory.
    """
    m = proof.m
    m.submodules.loader = loader = Loader(FUNCTIONS)
    m.d.comb += loader.enable.eq(proof.free("enable"))
    taken = send(proof, loader.words, "words")
    last = loader.words.payload.last
    begins = proof.before(last, init=1, when=taken)  # a packet, with the next word
    header = proof.before(loader.words.payload.data, when=taken & begins)
    writes = {name: getattr(loader, f"write_{name}") for name in MEMORIES}
    for name, size in MEMORIES.items():
        proof.claim(f"nothing is stored beyond the {name}", ~writes[name] | (loader.address < size))
        proof.reach(f"{name} are stored at their last address", writes[name] & (loader.address == size - 1))
    stores = Cat(writes.values())
    told = Signal()  # of an error in the packet
    with m.If(taken):
        m.d.sync += told.eq(~last & (told | loader.failed))
    proof.claim("one memory is written at most", (stores & (stores - 1)[: len(stores)]) == 0)
    proof.claim("what is stored is a word that is taken, and no header", ~stores.any() | (taken & ~begins))
    proof.claim("it is the word at the port", ~stores.any() | (loader.data == loader.words.payload.data))
    proof.claim("it goes to the header's address, or behind it", ~stores.any() | (loader.address >= header[:16]))
    proof.claim("it goes to the header's memory", ~stores.any() | (stores == Const(1, len(stores)) << header[-4:]))
    proof.claim("an error is named where one is reported", loader.failed == (Value.cast(loader.error) != Error.NONE.value))
    proof.claim("behind an error of a packet, nothing is stored, and no other one reported", ~told | ~(loader.failed | stores.any()))
    proof.reach("a packet behind an error is stored", proof.seen(told) & ~told & stores.any())


PROPERTIES = (
    Property(
        "loader",
        stays_within_memories,
        16,
        (
            Fault("an address too many is stored", Loader, "address >= size", "address > size"),
            Fault("an address beyond all memories wraps", Loader, "full.eq(beyond | ", "full.eq("),
            Fault(
                "a packet goes on behind its error",
                Loader,
                'm.State("DROP"), m.If(taken & self.words.payload.last)',
                'm.State("DROP"), m.If(taken)',
            ),
            Fault(
                "a header counts as data",
                Loader,
                "m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_TARGET)]",
                "m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_TARGET), self.write_program.eq(1)]",
            ),
        ),
    ),
)
