"""Top-K of a stream against its definition."""

from amaranth.hdl import Array, Mux, Signal

from formal.proof import Proof
from formal.properties import Fault, Property
from formal.sides import stays, take
from skipgrid.rtl.topk.streaming_topk import StreamingTopK

CELLS, VALUE_BITS, INDEX_BITS = 2, 2, 2
MOST, TENSORS = 3, 2  # elements of a tensor; tensors
CYCLES = 13  # in which both tensors' winners leave, without pauses


def winners_are_the_largest(proof: Proof) -> None:
    """The winners of each tensor are its k largest elements, the largest first, equal ones by lower index, each with its index.

    For any two tensors of one to three elements, any k, and any pauses. An element's rank, by definition, is the number of those that go
    before it: larger ones, and equal ones of lower index.
    """
    m = proof.m
    m.submodules.topk = topk = StreamingTopK(cells=CELLS, value_bits=VALUE_BITS, index_bits=INDEX_BITS)
    values = [[proof.fixed(f"value{tensor}_{index}", VALUE_BITS) for index in range(MOST)] for tensor in range(TENSORS)]
    lengths = [proof.fixed(f"length{tensor}", 2) for tensor in range(TENSORS)]
    wanted = [proof.fixed(f"k{tensor}", 2) for tensor in range(TENSORS)]
    ranks: list[list[Signal]] = []
    counts: list[Signal] = []
    for tensor, (mine, length, k) in enumerate(zip(values, lengths, wanted, strict=True)):
        proof.grant((length > 0) & (k <= CELLS))
        ranks.append([])
        for index, value in enumerate(mine):
            before = [(other < length) & ((mine[other] > value) | ((mine[other] == value) & (other < index))) for other in range(MOST)]
            ranks[-1].append(rank := Signal(range(MOST), name=f"rank{tensor}_{index}"))
            m.d.comb += rank.eq(sum(before))
        counts.append(count := Signal(2, name=f"winners{tensor}"))
        m.d.comb += count.eq(Mux(k < length, k, length))

    sent, index = Signal(range(TENSORS + 1)), Signal(range(MOST + 1))
    elements, winner = topk.elements, topk.winners.payload
    waits = proof.before(elements.valid & ~elements.ready)
    taken = elements.valid & elements.ready
    m.d.comb += [
        elements.valid.eq((proof.free("sends") | waits) & (sent < TENSORS)),
        elements.payload.value.eq(Array(Array(mine) for mine in values)[sent][index]),
        elements.payload.last.eq(index + 1 == Array(lengths)[sent]),
        topk.k.eq(Array(wanted)[sent]),
    ]
    with m.If(taken):
        m.d.sync += [index.eq(Mux(elements.payload.last, 0, index + 1)), sent.eq(sent + elements.payload.last)]

    takes = take(proof, topk.winners, "winners")
    stays(proof, topk.winners, "winners")
    tensor, place = Signal(range(TENSORS + 1)), Signal(range(MOST + 1))
    with m.If(takes):
        m.d.sync += [place.eq(Mux(winner.last, 0, place + 1)), tensor.eq(tensor + winner.last)]
    count, rank, value = (
        Array(counts)[tensor],
        Array(Array(mine) for mine in ranks)[tensor][winner.index],
        Array(Array(mine) for mine in values)[tensor][winner.index],
    )
    comes = topk.winners.valid
    proof.claim("no winners come without a tensor", ~comes | (tensor < sent))
    proof.claim("none are told of by one null word", ~(comes & (count == 0)) | (winner.null & winner.last & (place == 0)))
    some = comes & (count != 0)
    proof.claim(
        "a winner is an element of the tensor", ~some | (~winner.null & (winner.index < Array(lengths)[tensor]) & (winner.value == value))
    )
    proof.claim("its place is its rank", ~some | (rank == place))
    proof.claim("there are as many as are wanted", ~some | (winner.last == (place + 1 == count)))
    proof.claim("no element is too many", ~topk.too_long)
    pauses = proof.seen(~topk.winners.ready | (~elements.valid & (sent < TENSORS)))
    proof.claim("without pauses all winners come in time", (proof.since(1, 5) < CYCLES) | pauses | (tensor == TENSORS))
    proof.reach("all winners of both tensors have come", tensor == TENSORS)


PROPERTIES = (
    Property(
        "streaming-topk",
        winners_are_the_largest,
        14,
        (
            Fault("of equal elements the later one wins", StreamingTopK, "new.value > row[number].value", "new.value >= row[number].value"),
            Fault(
                "an element takes a place, and nobody moves on",
                StreamingTopK,
                "Mux(beats[number - 1], row[number - 1], new) if number else new",
                "new",
            ),
            Fault("k is not asked for", StreamingTopK, "held & Cat(wanted > number for number in range(self.cells))", "held"),
            Fault("the next tensor finds the cells full", StreamingTopK, "Mux(moves, 1, Cat(1, held))", "Cat(1, held)"),
        ),
    ),
)
