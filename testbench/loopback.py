"""What stands behind the link in its tests: registers, and streams that come back with pauses."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from skipgrid.fpga.link import Link
from skipgrid.rtl.register_map import IDENTIFICATION, REGISTERS

CONFIG_HASH = 0xC0FFEE01
MEMORY = 0x400  # registers from here on keep what is written
COUNT, SUM = 0x200, 0x204  # of the words that the load port has taken: how many, and a sum that depends on their order
SOURCE = 0x208  # writing n makes the output n words, 1 to n
DEPTH = 64  # words between input and output


class Loopback(wiring.Component):
    """A system whose output is its input. A run lasts from CONTROL.start until an output packet has been taken.

    pauses: the streams stand still in 7 of 8 cycles of some periods, so that words are not taken in time.
    """

    def __init__(self, *, clock_hz: int, baud: int, pauses: bool) -> None:
        self.link = Link(clock_hz=clock_hz, baud=baud)
        self.pauses = pauses
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "ready": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = self.link
        m.submodules.fifo = fifo = SyncFIFO(width=33, depth=DEPTH)
        m.submodules.memory = memory = Memory(shape=32, depth=256, init=[])
        write, read = memory.write_port(), memory.read_port()
        bus, load, words_in, words_out = link.registers, link.load, link.input, link.output
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx), link.busy.eq(self.busy), self.ready.eq(~self.busy)]

        # Registers: an answer two cycles after the request.
        loaded, total, left, made = (Signal(32, name=name) for name in ("loaded", "total", "left", "made"))
        known = {
            REGISTERS["IDENTIFICATION"].address: IDENTIFICATION,
            REGISTERS["CONFIG_HASH"].address: CONFIG_HASH,
            COUNT: loaded,
            SUM: total,
        }
        chosen, in_memory, pending = Signal(32), Signal(), Signal()
        m.d.comb += [
            bus.arready.eq(~pending & ~bus.rvalid),
            read.addr.eq(bus.araddr[2:]),
            read.en.eq(bus.arready),
            bus.rdata.eq(Mux(in_memory, read.data, chosen)),
            write.addr.eq(bus.awaddr[2:]),
            write.data.eq(bus.wdata),
            bus.awready.eq(bus.awvalid & bus.wvalid),
            bus.wready.eq(bus.awready),
            write.en.eq(bus.awready & bus.awaddr[10]),
        ]
        m.d.sync += [pending.eq(bus.arvalid & bus.arready), bus.bvalid.eq(bus.awready)]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(pending):
            m.d.sync += bus.rvalid.eq(1)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [chosen.eq(0), in_memory.eq(bus.araddr[10])]
            with m.Switch(bus.araddr):
                for address, value in known.items():
                    with m.Case(address):
                        m.d.sync += chosen.eq(value)

        # The load port counts and sums; the input goes to the output.
        clock, open_ = Signal(20), Signal()
        m.d.sync += clock.eq(clock + 1)
        pausing = clock[13] & (clock[:3] != 0) if self.pauses else 0
        stopped = clock[14:16].all() if self.pauses else 0
        m.d.comb += [
            open_.eq(~(pausing | stopped)),
            load.tready.eq(1),
            words_in.tready.eq(open_ & fifo.w_rdy & self.busy),
            fifo.w_en.eq(words_in.tvalid & words_in.tready),
            fifo.w_data.eq(Cat(words_in.tdata, words_in.tlast)),
            words_out.tvalid.eq((fifo.r_rdy | (left != 0)) & open_),
            words_out.tdata.eq(Mux(left != 0, made, fifo.r_data[:32])),
            words_out.tlast.eq(Mux(left != 0, left == 1, fifo.r_data[32])),
            fifo.r_en.eq(words_out.tvalid & words_out.tready & (left == 0)),
        ]
        with m.If(load.tvalid & load.tready):
            m.d.sync += [loaded.eq(loaded + 1), total.eq((total.rotate_left(1) ^ load.tdata) + load.tlast)]
        with m.If(words_out.tvalid & words_out.tready):
            m.d.sync += [left.eq(Mux(left != 0, left - 1, 0)), made.eq(made + 1)]
            with m.If(words_out.tlast):
                m.d.sync += self.busy.eq(0)
        with m.If(bus.awready & (bus.awaddr == REGISTERS["CONTROL"].address)):
            m.d.sync += self.busy.eq(1)
        with m.If(bus.awready & (bus.awaddr == SOURCE)):
            m.d.sync += [left.eq(bus.wdata), made.eq(1), self.busy.eq(1)]
        return m


def loaded_sum(words: "list[int]", total: int = 0) -> int:
    """SUM after a packet has been taken."""
    for number, word in enumerate(words, 1):
        total = ((total << 1 | total >> 31) & 0xFFFFFFFF ^ word) + (number == len(words)) & 0xFFFFFFFF
    return total
