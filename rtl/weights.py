"""The weight memory: every lane's weights, read by two rows at once."""

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config

LANES_A_WORD = 4


class WeightMemory(wiring.Component):
    """int8 weights of all lanes, in blocks of four lanes, for one row or for a pair of rows.

    Reading stops while it is loaded, and loading takes the address of the first port; so synthesis needs one true dual-port
    block (or one single-port block, for a single row) and no bypass.

    Members:
        loading: the memory is written, not read.
        write_enable: one bit for each four lanes. write_address, write_data: int8 weights of the four lanes.
        addresses, weights: for each row; all lanes' weights follow the address by one cycle.

    Cost: lanes x weights x 8 bits.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "loading": In(1),
                "write_enable": In(config.lanes // LANES_A_WORD),
                "write_address": In(config.weight_bits),
                "write_data": In(8 * LANES_A_WORD),
                "addresses": In(config.weight_bits).array(config.weight_ports),
                "weights": Out(8 * config.lanes).array(config.weight_ports),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        words: list[list[Value]] = [[] for _ in range(config.weight_ports)]
        for word in range(config.lanes // LANES_A_WORD):
            memory = Memory(shape=8 * LANES_A_WORD, depth=config.weights, init=[])
            m.submodules[f"lanes{LANES_A_WORD * word}"] = memory
            write = memory.write_port()
            m.d.comb += [
                write.en.eq(self.loading & self.write_enable[word]),
                write.data.eq(self.write_data),
            ]
            for port in range(config.weight_ports):
                read = memory.read_port()
                address = Mux(self.loading, self.write_address, self.addresses[port]) if port == 0 else self.addresses[port]
                m.d.comb += [read.addr.eq(address), read.en.eq(~self.loading)]
                if port == 0:
                    m.d.comb += write.addr.eq(address)
                words[port].append(read.data)
        for port in range(config.weight_ports):
            m.d.comb += self.weights[port].eq(Cat(*words[port]))
        return m
