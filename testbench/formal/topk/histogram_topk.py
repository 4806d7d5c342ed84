"""Top-K by counting against its definition."""

from amaranth.hdl import Array, Mux, Signal, Value, signed

from formal.configurations import few_bins
from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import stays, take
from skipgrid.rtl.topk.histogram_topk import HistogramTopK

VALUE_BITS, INDEX_BITS = 2, 2  # as few_bins has it
MOST = 3  # elements of the tensor


def winners_are_the_largest(proof: Proof) -> None:
    """The winners of a tensor are its k largest elements, equal ones by lower index, in the order of their indices.

    For any tensor of one to three elements, any order, any k, and any pauses of all sides, with values of 2 bits in place of 8.
    """
    m = proof.m
    m.submodules.topk = topk = HistogramTopK(index_bits=INDEX_BITS)
    values = [proof.fixed(f"value{index}", VALUE_BITS) for index in range(MOST)]
    length, k, order = proof.fixed("length", 2), proof.fixed("k", 2), proof.fixed("order", 2)
    proof.grant(length != 0)
    m.d.comb += [topk.k.eq(k), Value.cast(topk.order).eq(order)]

    # The definition. The order has two bits: whether values have a sign, and whether it is left out.
    keys = [Signal(signed(VALUE_BITS + 2), name=f"key{index}") for index in range(MOST)]
    wins = [Signal(name=f"wins{index}") for index in range(MOST)]
    for value, key in zip(values, keys, strict=True):
        with_sign = Value.cast(value).as_signed()
        m.d.comb += key.eq(Mux(order[0], Mux(order[1] & (with_sign < 0), -with_sign, with_sign), value))
    for index, key in enumerate(keys):
        ahead = [(other < length) & ((keys[other] > key) | ((keys[other] == key) & (other < index))) for other in range(MOST)]
        m.d.comb += wins[index].eq(sum(ahead) < k)

    # The tensor comes, and comes again.
    for name in ("elements", "again"):
        stream = getattr(topk, name)
        index = Signal(range(MOST + 1), name=f"index_{name}")
        waits = proof.before(stream.valid & ~stream.ready)
        m.d.comb += [
            stream.valid.eq((proof.free(f"{name}_offers") | waits) & (index != length)),
            stream.payload.value.eq(Array(values)[index]),
            stream.payload.last.eq(index + 1 == length),
        ]
        m.d.sync += index.eq(index + (stream.valid & stream.ready))

    takes = take(proof, topk.winners, "winners")
    stays(proof, topk.winners, "winners")
    comes, winner = topk.winners.valid, topk.winners.payload
    ended, next_index = Signal(), Signal(range(MOST + 1))
    with m.If(takes):
        m.d.sync += [ended.eq(winner.last), next_index.eq(winner.index + 1)]
    some = comes & ~winner.null
    proof.claim("winners come in order, each once", ~some | (winner.index >= next_index))
    proof.claim("a winner is an element that wins", ~some | ((winner.index < length) & Array(wins)[winner.index]))
    proof.claim("it comes with its value", ~some | (winner.value == Array(values)[winner.index]))
    left_out = [
        Value.cast(one) & (index >= next_index) & (index < length) & ~(some & (index == winner.index)) for index, one in enumerate(wins)
    ]
    passed_over = [one & ((index < winner.index) | winner.last) for index, one in enumerate(left_out)]
    proof.claim("no winner is left out", ~comes | ~Value.cast(sum(passed_over)).any())
    proof.claim("nothing follows the last word", ~comes | ~ended)
    proof.claim("no element is too many", ~topk.too_long)
    proof.reach("two winners of three have come", ended & (length == 3) & (k == 2))


PROPERTIES = (
    Property(
        "histogram-topk",
        winners_are_the_largest,
        22,
        (
            Fault("of equal elements all win", HistogramTopK, "ties.eq(ties - (keep & equal))", "ties.eq(ties)"),
            Fault("larger values do not count", HistogramTopK, "ties.eq(ties - counted)", "ties.eq(ties)"),
            Fault("a bin that is counted twice in a row is counted once", HistogramTopK, "transparent_for=(write,)", ""),
            Fault("a winner is overwritten", HistogramTopK, "known & (~self.winners.valid | self.winners.ready)", "known"),
        ),
        within=few_bins,
    ),
)
