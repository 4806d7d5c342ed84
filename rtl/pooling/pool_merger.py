"""Pooling of sparse lists: of so many lists behind each other, one that holds the largest value at each position."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

LISTS = 3  # of a pool, at most
LISTS_BITS = LISTS.bit_length()
STRIDE_BITS = 5


def list_layout(position_bits: int) -> data.StructLayout:
    """A word of a sequence of lists: an element, or an end.

    value: of an element, y - zero point, which is not 0; of a sequence's end, whatever goes along with it. position: of an element, larger
    than that of the one before it in its list. end: there is no element, but its list ends. last: nor a list, but the sequence ends.
    """
    return data.StructLayout({"value": signed(9), "position": position_bits, "end": 1, "last": 1})


class PoolMerger(wiring.Component):
    """Max pooling of a sequence of sparse lists: a pool is `size` lists, and the next one begins `stride` lists behind it.

    What stands at no position of a list is zero: where a pool's lists do not all have an element, the largest value is not negative. A list
    that no pool takes is dropped. Where a sequence has too few lists for its pools, empty ones stand for them.

    Each list waits in one of three memories, list after list in turn, so that those of a pool are read side by side; those that the next
    pool takes as well are read again.

    Members:
        size: 1...3. stride: 1...31. pools: in a sequence, 1 or more; all of them steady while a sequence is under way.
        source: sequences of lists. sink: likewise, of their pools; what goes along with a sequence's end is the same.

    depth: of each memory, a power of two. A list has fewer elements, of positions below it; those beyond are left out.

    Throughput: one word a cycle of the source, and one of the sink: an element, or an end. Where pools overlap, each takes 3 cycles more.
    Latency: 5 cycles from a word to the element that needs no later one.
    Cost: three memories of `depth` words.
    """

    def __init__(self, depth: int, count_bits: int) -> None:
        self.depth = depth
        self.position_bits = exact_log2(depth)
        lists = stream.Signature(list_layout(self.position_bits))
        super().__init__(
            {"size": In(LISTS_BITS), "stride": In(STRIDE_BITS), "pools": In(count_bits), "source": In(lists), "sink": Out(lists)}
        )

    def elaborate(self, platform: object) -> Module:
        bits, size, source, word, sink = self.position_bits, self.size, self.source, self.source.payload, self.sink
        m = Module()
        some = range(LISTS)
        over, over_value = Signal(), Signal(signed(9))  # the sequence's end waits for its pools

        # In: each list that some pool takes goes to one of the memories.
        into = Signal(LISTS, init=1)  # one bit of all: the memory whose turn it is
        begun = Signal.like(self.pools)  # pools whose first list has been there
        phase, wanted = Signal(STRIDE_BITS), Signal(LISTS_BITS)  # lists since that list; that are still to come for it, without this one
        length = Signal(bits)  # elements of this list
        begins, takes, lacks, room = Signal(), Signal(), Signal(), Signal()
        stores, complete = Signal(), Signal()  # the word; the list, with it
        wants = Mux(begins, size, wanted)
        m.d.comb += [
            begins.eq(~phase.any() & (begun != self.pools)),
            takes.eq(wants.any()),
            lacks.eq(takes | (begun != self.pools)),
            stores.eq(source.valid & takes & room & (word.end | ~length.all())),
            complete.eq(source.valid & word.end & (~word.last | lacks) & (room | ~takes)),
            source.ready.eq(Mux(word.end & word.last, ~lacks & ~over, room | ~takes)),
        ]
        with m.If(complete):
            m.d.sync += [
                length.eq(0),
                phase.eq(Mux(phase + 1 == self.stride, 0, phase + 1)),
                wanted.eq(wants - takes),
                begun.eq(begun + begins),
            ]
            with m.If(takes):
                m.d.sync += into.eq(self._next(into))
        with m.Elif(stores):
            m.d.sync += length.eq(length + 1)
        with m.If(source.valid & source.ready & word.end & word.last):
            m.d.sync += [phase.eq(0), begun.eq(0), into.eq(1), over.eq(1), over_value.eq(word.value)]

        # Of each memory, the first word that is not merged is at hand, and the one behind it at the memory's output.
        held = data.StructLayout({"value": signed(9), "position": bits, "end": 1})
        heads = [Signal(held, name=f"head{number}", reset_less=True) for number in some]
        at_hand, free = Signal(LISTS), Signal(LISTS)
        pops, drops, rewinds = Signal(LISTS), Signal(LISTS), Signal(LISTS)
        for number, head in enumerate(heads):
            m.submodules[f"memory{number}"] = memory = Memory(shape=held, depth=self.depth, init=[])
            write, read = memory.write_port(), memory.read_port()
            written, begin, place = (Signal(bits + 1, name=f"{name}{number}") for name in ("written", "begin", "place"))
            found, follows = Signal(name=f"found{number}"), Signal(name=f"follows{number}")
            m.d.comb += [
                free[number].eq((written ^ begin) != self.depth),
                write.en.eq(stores & into[number]),
                write.addr.eq(written),
                write.data.value.eq(word.value),
                write.data.position.eq(word.position),
                write.data.end.eq(word.end),
                follows.eq(found & (~at_hand[number] | pops[number])),
                read.addr.eq(place),
                read.en.eq((place != written) & (~found | follows)),
            ]
            with m.If(write.en):
                m.d.sync += written.eq(written + 1)
            with m.If(pops[number] & drops[number]):
                m.d.sync += begin.eq(begin + 1)
            with m.If(rewinds[number]):
                m.d.sync += [place.eq(begin), found.eq(0), at_hand[number].eq(0)]
            with m.Else():
                m.d.sync += [
                    place.eq(place + read.en),
                    found.eq(read.en | (found & ~follows)),
                    at_hand[number].eq(follows | (at_hand[number] & ~pops[number])),
                ]
            with m.If(follows):
                m.d.sync += head.eq(read.data)
        m.d.comb += room.eq((into & free).any())

        # Out: the smallest position goes, from all lists that have an element there; when all have ended, the pool has.
        base = Signal(LISTS, init=1)  # the memory of the pool's first list
        index, final = Signal.like(self.pools), Signal()  # the pool, in its sequence; it is the last one
        closes = Signal()  # all pools have gone, and the sequence's end follows
        used = Cat(1, size[1], size == LISTS)
        overlap = self.stride < size
        second = self._next(base)
        keys = [Cat(head.position, head.end) for head in heads]
        firsts = [Cat(~used[other] | (keys[number] <= keys[other]) for other in some if other != number).all() for number in some]
        ended, goes, flows = Signal(), Signal(), Signal()
        closed = Signal()
        m.d.comb += [
            final.eq(index + 1 == self.pools),
            drops.eq(Mux(final | ~overlap, -1, Mux(self.stride == 1, base, base | second))),
            ended.eq(Cat(~used[number] | head.end for number, head in enumerate(heads)).all()),
            flows.eq(~sink.valid | sink.ready),
            goes.eq(flows & (at_hand | ~used).all() & ~closes),
            closed.eq(flows & closes & over),
            pops.eq(Mux(goes, used & (Cat(firsts) | ended.replicate(LISTS)), 0)),
            rewinds.eq(Mux(goes & ended, used & ~drops, 0)),
        ]
        with m.If(goes & ended):
            m.d.sync += [
                index.eq(Mux(final, 0, index + 1)),
                closes.eq(final),
                base.eq(Mux(final, 1, Mux(~overlap, base, Mux(self.stride == 1, second, self._next(second))))),
            ]
        with m.If(closed):
            m.d.sync += [closes.eq(0), over.eq(0)]

        # Then the largest value is found.
        kinds = data.StructLayout({"valid": 1, "end": 1, "last": 1, "whole": 1})
        kind, position = Signal(kinds), Signal(bits, reset_less=True)
        from_, values = Signal(LISTS, reset_less=True), [Signal(signed(9), name=f"value{number}", reset_less=True) for number in some]
        largest, lost = Signal(signed(9)), Signal()
        reached = {(one, other): values[one] >= values[other] for one in some for other in range(one + 1, LISTS)}
        m.d.comb += largest.eq(values[2])
        with m.If(from_[0] & (~from_[1] | reached[0, 1]) & (~from_[2] | reached[0, 2])):
            m.d.comb += largest.eq(values[0])
        with m.Elif(from_[1] & (~from_[2] | reached[1, 2])):
            m.d.comb += largest.eq(values[1])
        m.d.comb += lost.eq((largest < 0) & ~kind.whole & ~kind.end)
        with m.If(flows):
            m.d.sync += [
                kind.valid.eq(goes | closed),
                kind.end.eq(ended | closes),
                kind.last.eq(closes),
                kind.whole.eq(pops == used),
                position.eq(Mux(pops[0], heads[0].position, Mux(pops[1], heads[1].position, heads[2].position))),
                from_.eq(Mux(closes, 1, pops)),
                values[0].eq(Mux(closes, over_value, heads[0].value)),
                *(values[number].eq(heads[number].value) for number in some[1:]),
                sink.valid.eq(kind.valid & ~lost),
                sink.payload.value.eq(largest),
                sink.payload.position.eq(position),
                sink.payload.end.eq(kind.end),
                sink.payload.last.eq(kind.last),
            ]
        return m

    def _next(self, memory: Value) -> Value:
        """The memory behind one, of as many as a pool has lists."""
        return Mux(self.size == LISTS, memory.rotate_left(1), Mux(self.size == 2, Cat(memory[1], memory[0], 0), memory))
