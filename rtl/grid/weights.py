"""The memories of weights, and of what goes with each: for every lane, read by two rows at once."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..layouts import LANES_A_WORD, index_words, store_layout
from ..parts.far import near
from ..parts.vendors import is_ecp5, is_ultraplus

WORD_BITS = 8 * LANES_A_WORD
SPRAMS = 4  # of an iCE40 UltraPlus
SPRAM_ADDRESS_BITS, SPRAM_BITS = 14, 16
DP16KD_ADDRESS_BITS, DP16KD_BITS = 14, 18
DP16KD_WIDTHS = (1, 2, 4, 9, 18)  # each with half the addresses of the one before; the ninth bit of a byte stays unused


def latency(config: Config) -> int:
    """Cycles from an address to its weights: of the memory.

    Where rows are spread, the blocks are, too: the address takes a cycle to them, their weights one through a register behind the memory,
    and one to the multipliers.
    """
    return 4 if config.spread else 1


def _pins(name: str, value: Value, width: int) -> dict[str, Value]:
    """The connections of a primitive that has a pin for each bit; those beyond the value's width are 0."""
    return {f"{name}{bit}": value[bit] if bit < len(value) else Const(0) for bit in range(width)}


class WeightBlock(wiring.Component):
    """int8 weights of four lanes, for one row or for a pair of rows; or other words of some width.

    Members:
        loading: the memory is written, not read. It is written at the address of the first port.
        write_enable: only while loading. write_data: int8 weights of the four lanes.
        addresses, words: for each row; words follow the address by a cycle in which the memory is not loading, by 2 where rows are spread.

    Cost: on iCE40 UltraPlus two SPRAMs; on ECP5 as many DP16KD as the bits need, whose output registers are the second cycle;
        elsewhere, and for memories that these do not fit, what synthesis finds.
    Source: Lattice FPGA-TN-02022 (SPRAM), FPGA-TN-02204 (DP16KD).
    """

    def __init__(self, config: Config, width: int = WORD_BITS) -> None:
        self.config = config
        self.width = width
        super().__init__(
            {
                "loading": In(1),
                "write_enable": In(1),
                "write_data": In(width),
                "addresses": In(config.weight_bits).array(config.weight_ports),
                "words": Out(width).array(config.weight_ports),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        words = [Signal(self.width, name=f"word{port}") for port in range(config.weight_ports)]
        registered = not config.spread  # that is all there is to do
        sprams = WORD_BITS // SPRAM_BITS * (config.lanes // LANES_A_WORD)
        if is_ecp5(platform) and config.weight_bits <= DP16KD_ADDRESS_BITS:
            self._dp16kd(m, words)
            registered = True
        elif is_ultraplus(platform) and config.rows == 1 and config.weight_bits <= SPRAM_ADDRESS_BITS and sprams <= SPRAMS:
            self._spram(m, words[0])
        else:
            self._generic(m, words)
        for mine, word in zip(self.words, words, strict=True):
            if registered:
                m.d.comb += mine.eq(word)
            else:
                register = Signal(self.width, reset_less=True)
                m.d.sync += register.eq(word)
                m.d.comb += mine.eq(register)
        return m

    def _generic(self, m: Module, words: list[Signal]) -> None:
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.config.weights, init=[])
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.addresses[0]),
            write.data.eq(self.write_data),
        ]
        for address, word in zip(self.addresses, words, strict=True):
            read = memory.read_port()
            m.d.comb += [read.addr.eq(address), read.en.eq(~self.loading), word.eq(read.data)]

    def _spram(self, m: Module, word: Signal) -> None:
        for low in range(0, WORD_BITS, SPRAM_BITS):
            m.submodules[f"spram{low}"] = Instance(
                "SB_SPRAM256KA",
                i_CLOCK=ClockSignal(),
                i_CHIPSELECT=1,
                i_WREN=self.write_enable,
                i_MASKWREN=0b1111,
                i_ADDRESS=self.addresses[0].as_unsigned(),
                i_DATAIN=self.write_data[low : low + SPRAM_BITS],
                o_DATAOUT=word[low : low + SPRAM_BITS],
                i_STANDBY=0,
                i_SLEEP=0,
                i_POWEROFF=1,  # active low
            )

    def _dp16kd(self, m: Module, words: list[Signal]) -> None:
        unused = DP16KD_ADDRESS_BITS - self.config.weight_bits  # address bits
        shape = min(unused, len(DP16KD_WIDTHS) - 1)
        bits = 1 << shape
        bytes_written = 0b11 if DP16KD_WIDTHS[shape] == DP16KD_BITS else 0  # the lowest address bits of the widest shape
        for low in range(0, self.width, bits):
            connections: dict[str, object] = {}
            for port, name in enumerate("AB"):
                used, writes = port < len(words), port == 0
                write = self.write_enable & writes
                address = Cat(Const(bytes_written, shape), self.addresses[port] if used else 0)
                output = Signal(DP16KD_BITS, name=f"output{name}{low}")
                connections |= {
                    f"p_DATA_WIDTH_{name}": DP16KD_WIDTHS[shape],
                    f"p_REGMODE_{name}": "OUTREG" if self.config.spread else "NOREG",
                    f"i_CLK{name}": ClockSignal(),
                    f"i_CE{name}": 1,
                    f"i_OCE{name}": 1,
                    f"i_WE{name}": write,
                    f"i_RST{name}": 0,
                }
                connections |= {f"i_CS{name}{bit}": 0 for bit in range(3)}
                connections |= _pins(f"i_AD{name}", address, DP16KD_ADDRESS_BITS)
                connections |= _pins(f"i_DI{name}", self.write_data[low : low + bits], DP16KD_BITS)
                connections |= _pins(f"o_DO{name}", output, DP16KD_BITS)
                if used:
                    m.d.comb += words[port][low : low + bits].eq(output)  # of the last block, as many as there are
            m.submodules[f"block{low}"] = Instance("DP16KD", **connections)


class LaneMemory(wiring.Component):
    """A part of each of all lanes, in blocks of one word, for one row or for a pair of rows.

    Reading stops while it is loaded, and loading takes the address of the first port; so one true dual-port block is enough (or one
    single-port block, for a single row), without a bypass.

    Members:
        store: a word is written where its bit of `field` says so, or while loading none are read.
        addresses, and what the field is called: for each row; all lanes' parts follow the address by `latency(config)` cycles.
    """

    def __init__(self, config: Config, field: str, blocks: int) -> None:
        self.config = config
        self.field = field
        self.blocks = blocks
        super().__init__(
            {
                "store": In(store_layout(config)),
                "addresses": In(config.weight_bits).array(config.weight_ports),
                field: Out(WORD_BITS * blocks).array(config.weight_ports),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, store = self.config, self.store
        m = Module()
        words: list[list[Value]] = [[] for _ in range(config.weight_ports)]
        blocks = self.blocks
        for number in range(blocks):
            m.submodules[f"lanes{config.lanes // blocks * number}"] = block = WeightBlock(config)
            to_block: list[tuple[Signal, Value]] = [
                (block.loading, store.loading),
                (block.write_enable, store[self.field][number]),
                (block.write_data, store.data),
            ]
            for port in range(config.weight_ports):
                address = (
                    Mux(store.loading, store.address[: config.weight_bits], self.addresses[port]) if port == 0 else self.addresses[port]
                )
                to_block.append((block.addresses[port], address))
            for sink, value in to_block:
                m.d.comb += sink.eq(near(m, value, number * 2 // blocks) if config.spread else value)  # each half of the lanes is a place
            for port in range(config.weight_ports):
                word = block.words[port]
                if config.spread:
                    arrived = Signal.like(word, reset_less=True)
                    m.d.sync += arrived.eq(word)
                    word = arrived
                words[port].append(word)
        for port in range(config.weight_ports):
            m.d.comb += getattr(self, self.field)[port].eq(Cat(*words[port]))
        return m


class WeightMemory(LaneMemory):
    """int8 weights of all lanes: a `LaneMemory` of four lanes a word.

    Cost: lanes x weights x 8 bits.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config, "weights", config.lanes // LANES_A_WORD)


class IndexMemory(LaneMemory):
    """The numbers of the slots that all lanes' weights are for, where these are lists: a `LaneMemory` of eight lanes a word, of four bits.

    Cost: lanes x weights x 4 bits.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config, "indices", index_words(config))
