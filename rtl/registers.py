"""The registers: control, status and performance counters behind AXI4-Lite."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .axi import AxiLite
from .config import Config
from .layouts import Error
from .register_map import ADDRESS_BITS, IDENTIFICATION, LAYER_CYCLES, REGISTERS, VERSION, Access

OKAY, SLVERR = 0, 2


class Registers(wiring.Component):
    """AXI4-Lite registers as `REGISTERS` lists them.

    Writes take all four bytes (other strobes, like addresses that are missing or of the wrong access, are answered with
    SLVERR and change nothing). One access at a time for each direction.

    Members:
        bus: the AXI4-Lite port.
        start, stop, clear: pulses from CONTROL. program: number of the first layer. program_written: it has been set.
        ready, busy, done, failed, error, error_layer: for STATUS and ERROR.
        multiplying, input_stall, output_stall, word_in, word_out: count this cycle. macs, zeros: are added in this cycle.
        layer_done, layer: store the cycles since the layer before ended (or since start) for layer number `layer`.

    Latency: 2 cycles from an address to its data, 1 cycle from a write to its answer.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        layer_bits = (config.layers - 1).bit_length()
        super().__init__(
            {
                "bus": In(AxiLite()),
                "start": Out(1),
                "stop": Out(1),
                "clear": Out(1),
                "program": Out(layer_bits),
                "program_written": Out(1),
                "ready": In(1),
                "busy": In(1),
                "done": In(1),
                "failed": In(1),
                "error": In(Error),
                "error_layer": In(layer_bits),
                "multiplying": In(1),
                "input_stall": In(1),
                "output_stall": In(1),
                "word_in": In(1),
                "word_out": In(1),
                "macs": In(range(config.rows * config.lanes + 1)),
                "zeros": In(16),
                "layer_done": In(1),
                "layer": In(layer_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        bus = self.bus

        counters = {
            "TOTAL_CYCLES": self.busy,
            "BUSY_CYCLES": self.multiplying,
            "INPUT_STALLS": self.input_stall,
            "OUTPUT_STALLS": self.output_stall,
            "SKIPPED_ZEROS": self.zeros,
            "WORDS_IN": self.word_in,
            "WORDS_OUT": self.word_out,
        }
        values = {name: Signal(32, name=name.lower()) for name in counters}
        macs = Signal(64)
        layer_cycles = Signal(32)
        added_macs = Signal.like(self.macs)
        m.d.sync += [added_macs.eq(self.macs), macs.eq(macs + added_macs)]
        m.d.sync += [values[name].eq(values[name] + added) for name, added in counters.items()]
        m.d.sync += layer_cycles.eq(Mux(self.layer_done, 0, layer_cycles + self.busy))
        with m.If(self.start):
            m.d.sync += [value.eq(0) for value in (*values.values(), macs, layer_cycles)]

        # One memory word a layer for its cycles, counted up to and with the cycle in which it ends.
        m.submodules.layers = layers = Memory(shape=32, depth=config.layers, init=[])
        layers_write, layers_read = layers.write_port(), layers.read_port()
        m.d.comb += [
            layers_write.en.eq(self.layer_done),
            layers_write.addr.eq(self.layer),
            layers_write.data.eq(layer_cycles + 1),
        ]

        # Writes: address and data are taken together.
        write, write_ok = Signal(), Signal()
        wanted = {name: Signal(name=f"writes_{name.lower()}") for name, register in REGISTERS.items() if register.access != Access.READ}
        for name, signal in wanted.items():
            m.d.comb += signal.eq((bus.awaddr == REGISTERS[name].address) & bus.wstrb.all())
        start, stop, clear = bus.wdata[0], bus.wdata[1], bus.wdata[2]
        m.d.comb += [
            write.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)),
            bus.awready.eq(write),
            bus.wready.eq(write),
            write_ok.eq(
                (wanted["CONTROL"] & ~((start | clear) & self.busy)) | (wanted["PROGRAM"] & ~self.busy & (bus.wdata < config.layers)),
            ),
            self.start.eq(write & write_ok & wanted["CONTROL"] & start),
            self.stop.eq(write & write_ok & wanted["CONTROL"] & stop),
            self.clear.eq(write & write_ok & wanted["CONTROL"] & clear),
            self.program_written.eq(write & write_ok & wanted["PROGRAM"]),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Mux(write_ok, OKAY, SLVERR))]
        with m.If(self.program_written):
            m.d.sync += self.program.eq(bus.wdata)

        # Reads: one cycle to choose, one to answer.
        answers = {
            "IDENTIFICATION": IDENTIFICATION,
            "VERSION": VERSION[0] << 16 | VERSION[1] << 8 | VERSION[2],
            "CONFIG_HASH": config.hash,
            "GRID": config.rows | config.lanes << 16,
            "STATUS": Cat(self.busy, self.done, self.failed, self.ready),
            "ERROR": Cat(self.error, self.error_layer),
            "PROGRAM": self.program,
            "USEFUL_MACS_LOW": macs[:32],
            "USEFUL_MACS_HIGH": macs[32:],
            **values,
        }
        chosen, chosen_valid, chosen_ok, chosen_layer = Signal(32), Signal(), Signal(), Signal()
        layer_answers = bus.araddr[10:] == LAYER_CYCLES >> 10
        m.d.comb += [
            bus.arready.eq(~chosen_valid & ~bus.rvalid),
            layers_read.addr.eq(bus.araddr[2:]),
            layers_read.en.eq(bus.arready),
        ]
        m.d.sync += chosen_valid.eq(bus.arvalid & bus.arready)
        with m.If(bus.arready):
            m.d.sync += [chosen.eq(0), chosen_ok.eq(0), chosen_layer.eq(0)]
            with m.Switch(bus.araddr):
                for name, answer in answers.items():
                    with m.Case(REGISTERS[name].address):
                        m.d.sync += [chosen.eq(answer), chosen_ok.eq(1)]
            with m.If(layer_answers & (bus.araddr[2:10] < config.layers) & (bus.araddr[:2] == 0)):
                m.d.sync += [chosen_ok.eq(1), chosen_layer.eq(1)]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(chosen_valid):
            m.d.sync += [
                bus.rvalid.eq(1),
                bus.rdata.eq(Mux(chosen_layer, layers_read.data, chosen)),
                bus.rresp.eq(Mux(chosen_ok, OKAY, SLVERR)),
            ]
        return m


assert LAYER_CYCLES >> 10 << 10 == LAYER_CYCLES < 1 << ADDRESS_BITS
