"""Pooling of sparse lists: of so many lists behind each other, one that holds the largest value at each position."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

LISTS = 3  # of a pool, at most
LISTS_BITS = LISTS.bit_length()
STRIDE_BITS = 5
VALUE = signed(9)  # y - zero point
LEAST = -256


def list_layout(position_bits: int, width: int) -> data.StructLayout:
    """A word of a sequence of lists: the values of `width` neighbouring positions, and what ends with them.

    values: y - zero point, 0 where there is no element. position: of the first one, larger than that of the word before it in its list;
    words of two lists have the same positions, or none in common. end: the list ends. last: and the sequence with it. along: of a
    sequence's last word, whatever goes along with its end.
    """
    return data.StructLayout({"values": data.ArrayLayout(VALUE, width), "position": position_bits, "end": 1, "last": 1, "along": 1})


class PoolMerger(wiring.Component):
    """Max pooling of a sequence of sparse lists: a pool is `size` lists, and the next one begins `stride` lists behind it.

    What stands at no position of a list is zero: where a pool's lists do not all have an element, the largest value is not negative. A list
    that no pool takes is dropped. Where a sequence has too few lists for its pools, empty ones stand for them.

    Each list waits in one of three memories, list after list in turn, so that those of a pool are read side by side; those that the next
    pool takes as well are read again.

    Members:
        size: 1...3. stride: 1...31. pools: in a sequence, 1 or more; all of them steady while a sequence is under way.
        source: sequences of lists. sink: likewise, of their pools; what goes along with a sequence's end is the same.

    depth: words of each memory, a power of two. A list has as many at most; those beyond are left out, but for its end.
    width: values in a word.

    Throughput: one word a cycle of the source, and one of the sink. Where pools overlap, each takes up to 3 cycles more.
    Latency: 5 cycles from a word to the one that needs no later one.
    Cost: three memories of `depth` words; two comparisons of 9 bits for each value.
    """

    def __init__(self, depth: int, position_bits: int, count_bits: int, width: int = 1) -> None:
        self.depth = depth
        self.position_bits = position_bits
        self.width = width
        lists = stream.Signature(list_layout(position_bits, width))
        super().__init__(
            {"size": In(LISTS_BITS), "stride": In(STRIDE_BITS), "pools": In(count_bits), "source": In(lists), "sink": Out(lists)}
        )

    def elaborate(self, platform: object) -> Module:
        depth, size, source, word, sink = self.depth, self.size, self.source, self.source.payload, self.sink
        m = Module()
        some = range(LISTS)
        over, along = Signal(), Signal()  # the sequence's end is there, and waits for its pools

        # In: each list that some pool takes goes to one of the memories.
        into = Signal(LISTS, init=1)  # one bit of all: the memory whose turn it is
        begun = Signal.like(self.pools)  # pools whose first list has been there
        phase, wanted = Signal(STRIDE_BITS), Signal(LISTS_BITS)  # lists since that list; that are still to come for it, without this one
        length = Signal(range(depth))  # words of this list
        fills = Signal()  # the sequence has ended, and lacks this list
        there, ends, final_list = Signal(), Signal(), Signal()  # a word; the list with it; and the sequence's lists
        begins, takes, lacks, room = Signal(), Signal(), Signal(), Signal()
        stores, complete = Signal(), Signal()  # the word; the list, with it
        wants = Mux(begins, size, wanted)
        m.d.comb += [
            there.eq(fills | (source.valid & ~(word.last & over))),
            ends.eq(fills | word.end),
            begins.eq(~phase.any() & (begun != self.pools)),
            takes.eq(wants.any()),
            lacks.eq((wants > 1) | Mux(begins, begun + 1 != self.pools, begun != self.pools)),  # lists behind this one
            stores.eq(there & takes & room & (ends | (length != depth - 1))),
            complete.eq(there & ends & (room | ~takes)),
            final_list.eq((fills | word.last) & ~lacks),
            source.ready.eq(~fills & (room | ~takes) & ~(word.last & over)),
        ]
        with m.If(complete):
            m.d.sync += [
                length.eq(0),
                phase.eq(Mux(final_list | (phase + 1 == self.stride), 0, phase + 1)),
                wanted.eq(wants - takes),
                begun.eq(Mux(final_list, 0, begun + begins)),
                fills.eq((fills | word.last) & lacks),
            ]
            with m.If(final_list):
                m.d.sync += into.eq(1)
            with m.Elif(takes):
                m.d.sync += into.eq(self._next(into))
        with m.Elif(stores):
            m.d.sync += length.eq(length + 1)

        # Of each memory, the first word that is not merged is at hand, and the one behind it at the memory's output.
        held = data.StructLayout({"values": word.shape().members["values"], "position": self.position_bits, "end": 1})
        heads = [Signal(held, name=f"head{number}", reset_less=True) for number in some]
        at_hand, free = Signal(LISTS), Signal(LISTS)
        pops, drops, rewinds = Signal(LISTS), Signal(LISTS), Signal(LISTS)
        for number, head in enumerate(heads):
            m.submodules[f"memory{number}"] = memory = Memory(shape=held, depth=depth, init=[])
            write, read = memory.write_port(), memory.read_port()
            written, begin, place = (Signal(range(2 * depth), name=f"{name}{number}") for name in ("written", "begin", "place"))
            found, follows = Signal(name=f"found{number}"), Signal(name=f"follows{number}")
            m.d.comb += [
                free[number].eq((written ^ begin) != depth),
                write.en.eq(stores & into[number]),
                write.addr.eq(written),
                write.data.values.eq(Mux(fills, 0, word.values.as_value())),
                write.data.position.eq(Mux(fills, 0, word.position)),
                write.data.end.eq(ends),
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

        # Out: the smallest position goes, from all lists that have a word there; when all have ended, the pool has.
        base = Signal(LISTS, init=1)  # the memory of the pool's first list
        index, final = Signal.like(self.pools), Signal()  # the pool, in its sequence; it is the last one
        used = Cat(1, size[1], size == LISTS)
        overlap = self.stride < size
        second = self._next(base)
        done, list_ends = Signal(LISTS), Signal(LISTS)  # lists of the pool that are merged; that end with the word at hand
        keys = [Cat(head.position, done[number]) for number, head in enumerate(heads)]
        firsts = [Cat(~used[other] | (keys[number] <= keys[other]) for other in some if other != number).all() for number in some]
        ended, goes, flows = Signal(), Signal(), Signal()
        m.d.comb += [
            list_ends.eq(Cat(head.end for head in heads)),
            final.eq(index + 1 == self.pools),
            drops.eq(Mux(final | ~overlap, -1, Mux(self.stride == 1, base, base | second))),
            flows.eq(~sink.valid | sink.ready),
            # What may be the last word of a sequence waits for that one's end.
            goes.eq(flows & (at_hand | done | ~used).all() & ~(final & ~over & (used & list_ends).any())),
            pops.eq(Mux(goes, used & ~done & Cat(firsts), 0)),
            ended.eq((~used | done | (Cat(firsts) & list_ends)).all()),
            rewinds.eq(pops & list_ends & ~drops),
        ]
        with m.If(goes):
            m.d.sync += done.eq(Mux(ended, 0, done | (pops & list_ends)))
        with m.If(goes & ended):
            m.d.sync += [
                index.eq(Mux(final, 0, index + 1)),
                base.eq(Mux(final, 1, Mux(~overlap, base, Mux(self.stride == 1, second, self._next(second))))),
            ]
            with m.If(final):
                m.d.sync += over.eq(0)
        with m.If(source.valid & source.ready & word.last):
            m.d.sync += [over.eq(1), along.eq(word.along)]

        # Then the largest values are found.
        merged, kind = Signal(), Signal(data.StructLayout({"end": 1, "last": 1, "along": 1}), reset_less=True)
        position = Signal(self.position_bits, reset_less=True)
        values = [Signal(data.ArrayLayout(VALUE, self.width), name=f"values{number}", reset_less=True) for number in some]
        with m.If(flows):
            m.d.sync += [
                merged.eq(goes),
                kind.end.eq(ended),
                kind.last.eq(ended & final),
                kind.along.eq(along),
                position.eq(Mux(pops[0], heads[0].position, Mux(pops[1], heads[1].position, heads[2].position))),
                sink.valid.eq(merged),
                sink.payload.position.eq(position),
                *(sink.payload[name].eq(kind[name]) for name in ("end", "last", "along")),
            ]
            for place in range(self.width):
                for number, head in enumerate(heads):
                    m.d.sync += values[number][place].eq(Mux(pops[number], head.values[place], Mux(used[number], 0, LEAST)))
                of_two = self._larger(values[0][place], values[1][place])
                m.d.sync += sink.payload.values[place].eq(self._larger(of_two, values[2][place]))
        return m

    @staticmethod
    def _larger(one: Value, other: Value) -> Value:
        """The larger of two values."""
        return Mux(one >= other, one, other)

    def _next(self, memory: Value) -> Value:
        """The memory behind one, of as many as a pool has lists."""
        return Mux(self.size == LISTS, memory.rotate_left(1), Mux(self.size == 2, Cat(memory[1], memory[0], 0), memory))
