"""The load port: packets that fill the memories: weights and their lists, channels' parameters, the program and functions' tables."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..descriptor import SLOT_WORDS
from ..errors import Error
from ..layouts import FUNCTION_WORDS, LANES_A_WORD, LoadHeader, LoadTarget, Word, index_words

CHANNEL_WORDS = {"bias": "int32", "scale": "float32", "upper": "int32", "lower": "int32"}  # of a channel, in this order


class Loader(wiring.Component):
    """Takes packets of a header word and data words, and stores the data from the header's address up.

    Weights: lanes / 4 words an address, four int8 lanes each, the lowest first; an address holds one (r, s, c) of one group.
    Channels: four words a channel: bias (int32), scale (float32), upper and lower bound (int32). Program: one word an address, 32
    addresses a layer, of which the descriptor takes the first. Where functions are built: one word an address, 64 addresses a table. Where
    lists are built: one word a list, the address of its first weights and, from bit 16 up, how many addresses it has; of indices
    lanes / 8 words an address, rounded up, eight lanes' numbers of slots each, of four bits, the lowest first.

    Members:
        words: the packets; the last word carries `last`. Taken only while `enable`.
        loading: weights, or lists of them, are being stored.
        index: which word of the address (of the channel) it is, one bit each.
        address, data: where and what. write_weights, write_channels, write_program, write_functions, write_lists, write_indices: store it.
        failed: for one cycle; `error` is LOAD_TARGET, LOAD_ADDRESS (beyond the memory), or LOAD_CUT (the packet ends inside an
            address's words, or has only a header). What came before is stored, the rest of the packet is dropped.

    Throughput: one word a cycle.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.weight_words = config.lanes // LANES_A_WORD
        super().__init__(
            {
                "enable": In(1),
                "words": In(stream.Signature(Word)),
                "loading": Out(1),
                "index": Out(max(self.weight_words, len(CHANNEL_WORDS))),
                "address": Out(16),
                "data": Out(32),
                "write_weights": Out(1),
                "write_channels": Out(1),
                "write_program": Out(1),
                **({"write_functions": Out(1)} if config.functions else {}),
                **({"write_lists": Out(1), "write_indices": Out(1)} if config.slots else {}),
                "failed": Out(1),
                "error": Out(Error),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        sizes = {
            LoadTarget.WEIGHTS: (config.weights, self.weight_words),
            LoadTarget.CHANNELS: (config.channels, len(CHANNEL_WORDS)),
            LoadTarget.PROGRAM: (config.layers * SLOT_WORDS, 1),
        }
        enables = {
            LoadTarget.WEIGHTS: self.write_weights,
            LoadTarget.CHANNELS: self.write_channels,
            LoadTarget.PROGRAM: self.write_program,
        }
        if config.functions:
            sizes[LoadTarget.FUNCTIONS] = config.functions * FUNCTION_WORDS, 1
            enables[LoadTarget.FUNCTIONS] = self.write_functions
        of_weights = [LoadTarget.WEIGHTS]
        if config.slots:
            sizes |= {LoadTarget.LISTS: (config.weights, 1), LoadTarget.INDICES: (config.weights, index_words(config))}
            enables |= {LoadTarget.LISTS: self.write_lists, LoadTarget.INDICES: self.write_indices}
            of_weights += [LoadTarget.LISTS, LoadTarget.INDICES]
        header = Signal(LoadHeader)
        address_bits = max(size for size, _ in sizes.values()).bit_length()
        address = Signal(address_bits)
        beyond = Signal()  # the header's address is beyond every memory
        target = Signal(LoadTarget)
        taken, full, last_index = Signal(), Signal(), Signal()
        m.d.comb += [
            self.words.ready.eq(self.enable),
            taken.eq(self.words.valid & self.words.ready),
            header.eq(self.words.payload.data),
            self.address.eq(address),
            self.data.eq(self.words.payload.data),
        ]
        with m.Switch(target):
            for which, (size, words) in sizes.items():
                with m.Case(which):
                    m.d.comb += [full.eq(beyond | (address >= size)), last_index.eq(self.index[words - 1])]

        with m.FSM():
            with m.State("HEADER"):
                m.d.sync += self.index.eq(1)
                with m.If(taken):
                    m.d.sync += [target.eq(header.target), address.eq(header.address), beyond.eq(header.address[address_bits:].any())]
                    with m.If(self.words.payload.last):
                        m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_CUT)]
                    with m.Elif(~Cat(header.target == which for which in sizes).any()):
                        m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_TARGET)]
                        m.next = "DROP"
                    with m.Else():
                        m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += self.loading.eq(Cat(target == which for which in of_weights).any())
                with m.If(taken):
                    with m.If(full):
                        m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_ADDRESS)]
                        m.next = "DROP"
                    with m.Else():
                        for which, enable in enables.items():
                            m.d.comb += enable.eq(target == which)
                    m.d.sync += self.index.eq(self.index << 1)
                    with m.If(last_index):
                        m.d.sync += [self.index.eq(1), address.eq(address + 1)]
                    with m.If(self.words.payload.last):
                        with m.If(~last_index & ~full):
                            m.d.comb += [self.failed.eq(1), self.error.eq(Error.LOAD_CUT)]
                        m.next = "HEADER"
            with m.State("DROP"), m.If(taken & self.words.payload.last):
                m.next = "HEADER"
        return m
