"""The registers: control, status and performance counters behind AXI4-Lite."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..errors import Error
from ..parts.axi import OKAY, SLVERR, AxiLite, packed
from ..register_map import ADDRESS_BITS, COUNTERS_BASE, IDENTIFICATION, LAYER_CYCLES, REGISTERS, VERSION_WORD, Access
from .counters import PerformanceCounters, event_members

CONTROL, STATUS, INTERRUPT_ENABLE = (REGISTERS[name] for name in ("CONTROL", "STATUS", "INTERRUPT_ENABLE"))


class Registers(wiring.Component):
    """AXI4-Lite registers as `REGISTERS` lists them.

    Writes take all four bytes (other strobes, like addresses that are missing or of the wrong access, are answered with
    SLVERR and change nothing). One access at a time for each direction.

    Members:
        bus: the AXI4-Lite port.
        start, stop, clear: pulses from CONTROL. program: number of the first layer. program_written: it has been set.
        irq_done, irq_error: whether these interrupt.
        ready, busy, done, failed, error, error_layer: for STATUS and ERROR.
        events of `COUNTERS`: are added in this cycle; busy is one of them.
        layer_done, layer: store the cycles since the layer before ended (or since start) for layer number `layer`.

    Latency: 2 cycles from an address to its data, 3 where rows are spread; for counters until their turn has come, up to 20 more. 1 cycle
        from a write to its answer.
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
                "irq_done": Out(1, init=1),
                "irq_error": Out(1, init=1),
                "ready": In(1),
                **event_members(config),
                "done": In(1),
                "failed": In(1),
                "error": In(Error),
                "error_layer": In(layer_bits),
                "layer_done": In(1),
                "layer": In(layer_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        bus = self.bus

        m.submodules.counters = counters = PerformanceCounters(config)
        m.d.comb += counters.clear.eq(self.start)
        m.d.comb += [getattr(counters, name).eq(getattr(self, name)) for name in (*event_members(config), "layer_done", "layer")]

        # Writes: address and data are taken together.
        write, write_ok = Signal(), Signal()
        wanted = {name: Signal(name=f"writes_{name.lower()}") for name, register in REGISTERS.items() if register.access != Access.READ}
        for name, signal in wanted.items():
            m.d.comb += signal.eq((bus.awaddr == REGISTERS[name].address) & bus.wstrb.all())
        start, stop, clear = (bus.wdata[CONTROL.bits(name)] for name in ("start", "stop", "clear"))
        m.d.comb += [
            write.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)),
            bus.awready.eq(write),
            bus.wready.eq(write),
            write_ok.eq(
                (wanted["CONTROL"] & ~((start | clear) & (self.busy | self.start | stop)))
                | (wanted["PROGRAM"] & ~(self.busy | self.start) & (bus.wdata < config.layers))
                | wanted["INTERRUPT_ENABLE"],
            ),
        ]
        m.d.sync += [
            self.start.eq(write & write_ok & wanted["CONTROL"] & start),
            self.stop.eq(write & write_ok & wanted["CONTROL"] & stop),
            self.clear.eq(write & write_ok & wanted["CONTROL"] & clear),
            self.program_written.eq(write & write_ok & wanted["PROGRAM"]),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Mux(write_ok, OKAY, SLVERR))]
        with m.If(write & write_ok & wanted["PROGRAM"]):
            m.d.sync += self.program.eq(bus.wdata)
        with m.If(write & wanted["INTERRUPT_ENABLE"]):
            m.d.sync += [getattr(self, f"irq_{name}").eq(bus.wdata[INTERRUPT_ENABLE.bits(name)]) for name in ("done", "error")]

        # Reads: take the address, then answer; counters have to be looked up.
        answers = {
            "IDENTIFICATION": IDENTIFICATION,
            "VERSION": VERSION_WORD,
            "CONFIG_HASH": config.hash,
            "GRID": packed(REGISTERS["GRID"], {"rows": config.rows, "lanes": config.lanes}),
            "STATUS": packed(STATUS, {"busy": self.busy, "done": self.done, "error": self.failed, "ready": self.ready}),
            "ERROR": packed(REGISTERS["ERROR"], {"code": self.error, "layer": self.error_layer}),
            "PROGRAM": self.program,
            "INTERRUPT_ENABLE": packed(INTERRUPT_ENABLE, {"done": self.irq_done, "error": self.irq_error}),
        }
        address = Signal(ADDRESS_BITS)
        reading, counter, layer = Signal(), Signal(), Signal()
        word = address[2:]
        counter_index, layer_index = word[:4], word[:8]
        is_counter, is_layer, answering = counter, layer, reading
        if config.spread:  # what it is an address of is found in a cycle of its own
            is_counter, is_layer, found = Signal(), Signal(), Signal()
            m.d.sync += [counter.eq(is_counter), layer.eq(is_layer), found.eq(reading)]
            answering = reading & found
        m.d.comb += [
            bus.arready.eq(~reading & ~bus.rvalid),
            is_counter.eq((address[:2] == 0) & (address[6:] == COUNTERS_BASE >> 6) & (counter_index < len(counters.names))),
            is_layer.eq((address[:2] == 0) & (address[10:] == LAYER_CYCLES >> 10) & (layer_index < config.layers)),
            counters.read.eq(answering & (counter | layer)),
            counters.of_layer.eq(layer),
            counters.index.eq(Mux(layer, layer_index, counter_index)),
        ]
        with m.If(bus.arready):
            m.d.sync += [address.eq(bus.araddr), reading.eq(bus.arvalid)]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(answering & (counters.found | ~(counter | layer))):
            m.d.sync += [reading.eq(0), bus.rvalid.eq(1), bus.rdata.eq(0), bus.rresp.eq(SLVERR)]
            with m.Switch(address):
                for name, answer in answers.items():
                    with m.Case(REGISTERS[name].address):
                        m.d.sync += [bus.rdata.eq(answer), bus.rresp.eq(OKAY)]
            with m.If(counters.found):
                m.d.sync += [bus.rdata.eq(counters.value), bus.rresp.eq(OKAY)]
        return m


assert COUNTERS_BASE >> 6 << 6 == COUNTERS_BASE
assert LAYER_CYCLES >> 10 << 10 == LAYER_CYCLES < 1 << ADDRESS_BITS
