"""What carries out the requests: one after another, each once, an answer for each."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from skipgrid.rtl.parts.axi import AxiLite, AxiStream

from .frames import RESIDUE, AnswerBuffer, Crc32, RequestBuffer
from .protocol import FRAME_WORDS, HELLO_BYTES, LAST, PAGE_SHIFT, PROTOCOL, REQUEST_SLOTS, RESET, RESUME, WAIT_CYCLES, WINDOW, Operation

OPERATION_BITS = 3


def hello_bytes(clock_hz: int, baud: int) -> bytes:
    """What HELLO is answered with."""
    return bytes((PROTOCOL, WINDOW, FRAME_WORDS, REQUEST_SLOTS)) + clock_hz.to_bytes(4, "little") + baud.to_bytes(4, "little")


class Executor(wiring.Component):
    """Checks a request's CRC and number, then reads it a second time to carry it out.

    A request out of turn is not carried out: one of the last WINDOW is answered again, any other is dropped. A word that the
    accelerator does not take in WAIT_CYCLES is withdrawn; the answer says how many words were left, and further words are
    refused until a frame with RESUME, so that no word overtakes another.

    Members:
        valid, data: a byte from the line. bytes: to the line.
        registers, load, input, output, busy, error: the accelerator's. restart: for one cycle, reset it.

    Latency: 10 cycles for each byte of the request, 9 for each byte of the answer, and 13 for each word that is moved.
    """

    def __init__(self, *, clock_hz: int, baud: int) -> None:
        self.hello = hello_bytes(clock_hz, baud)
        super().__init__(
            {
                "valid": In(1),
                "data": In(8),
                "bytes": Out(stream.Signature(8)),
                "registers": Out(AxiLite()),
                "load": Out(AxiStream()),
                "input": Out(AxiStream()),
                "output": In(AxiStream(user=True)),
                "busy": In(1),
                "error": In(1),
                "restart": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.requests = requests = RequestBuffer()
        m.submodules.answers = answers = AnswerBuffer()
        m.submodules.crc = crc = Crc32()
        wiring.connect(m, answers.bytes, wiring.flipped(self.bytes))
        registers, load, words_in, words_out = self.registers, self.load, self.input, self.output

        session, number = Signal(8), Signal(8)  # of the next request to carry out
        same_session, in_turn, before, whole = Signal(), Signal(), Signal(), Signal()  # of the request that is read
        asked = Signal(3)
        operation, argument = Signal(8), Signal(8)
        op = operation[:OPERATION_BITS]
        word, byte_of_word = Signal(32), Signal(2)
        last, damaged, refused, blocked = Signal(), Signal(), Signal(), Signal()
        waited = Signal(range(WAIT_CYCLES + 1))
        behind = Signal(range(2 * WINDOW))  # the request's number, less the one that is in turn
        reads, loads = Signal(), Signal()

        # Strobes: what changes a register in more than one state.
        put = Signal()  # append a byte to the answer
        moved = Signal()  # a word: its bytes are counted down in `argument`
        shift = Signal()  # the word by a byte
        fetch = Signal()  # the word from a register or the output stream
        m.d.comb += [
            requests.valid.eq(self.valid),
            requests.data.eq(self.data),
            answers.number.eq(number),
            answers.first.eq(asked),
            answers.put.eq(put & crc.ready),
            crc.data.eq(answers.data),
            behind.eq(requests.value - number),
            reads.eq(op == Operation.READ),
            loads.eq(op == Operation.LOAD),
            registers.awaddr.eq(Cat(C(0, 2), argument, operation[PAGE_SHIFT:])),
            registers.araddr.eq(registers.awaddr),
            registers.wdata.eq(word),
            registers.wstrb.eq(0b1111),
            registers.bready.eq(1),
            registers.rready.eq(1),
            load.tdata.eq(word),
            words_in.tdata.eq(word),
            load.tlast.eq(((operation & LAST) != 0) & (argument == 1)),
            words_in.tlast.eq(load.tlast),
        ]
        header = Array(requests.index == place for place in range(5))
        last_byte = byte_of_word == 3
        with m.If(moved):
            m.d.sync += argument.eq(argument - 1)
        with m.If(shift):
            m.d.sync += [word.eq(Cat(word[8:], requests.value)), byte_of_word.eq(byte_of_word + 1)]
        with m.If(fetch):
            m.d.sync += word.eq(Mux(reads, registers.rdata, words_out.tdata))
        constants = Array(C(value, 8) for value in (0, *reversed(self.hello), 0, 0, 0))
        flags = Cat(last, damaged, refused, self.busy, self.error, words_out.tvalid)
        m.d.comb += answers.data.eq(requests.value)
        m.d.sync += [self.restart.eq(0), waited.eq(0)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [requests.rewind.eq(1), crc.clear.eq(1)]
                with m.If(requests.available):
                    m.next = "CHECK"
            with m.State("CHECK"), m.If(requests.ready & crc.ready):
                m.d.comb += [crc.put.eq(~header[0]), requests.advance.eq(1)]
                with m.If(header[1]):
                    m.d.sync += same_session.eq(requests.value == session)
                with m.If(header[2]):
                    m.d.sync += [in_turn.eq(requests.value == number), before.eq(behind[-1]), asked.eq(requests.value)]
                with m.If(header[3]):
                    m.d.sync += operation.eq(requests.value)
                with m.If(header[4]):
                    m.d.sync += argument.eq(requests.value)
                m.d.sync += whole.eq(requests.whole)
                with m.If(requests.end):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.comb += [requests.rewind.eq(1), crc.clear.eq(1), answers.begin.eq(1)]
                m.d.sync += [last.eq(0), damaged.eq(0), refused.eq(0)]
                m.next = "DROP"
                with m.If(whole & (crc.value == RESIDUE)):
                    with m.If(same_session & in_turn):
                        m.next = "HEADER"
                    with m.Elif(same_session):
                        m.d.comb += answers.repeat.eq(before)
                    with m.Elif(op == Operation.HELLO):
                        m.d.comb += answers.renew.eq(1)
                        m.d.sync += [number.eq(0), blocked.eq(0), self.restart.eq((operation & RESET) != 0)]
                        m.next = "HEADER"
            with m.State("DROP"):
                m.d.comb += requests.free.eq(1)
                m.next = "IDLE"

            # The answer begins with session and number.
            with m.State("HEADER"), m.If(requests.ready & crc.ready):
                m.d.comb += [put.eq(header[1] | header[2]), requests.advance.eq(1)]
                with m.If(header[1]):
                    m.d.sync += session.eq(requests.value)
                with m.If(header[4]):
                    m.next = "LEFT"
                    with m.Switch(op):
                        with m.Case(Operation.HELLO):
                            m.next = "HELLO"
                        with m.Case(Operation.READ):
                            m.next = "ADDRESS"
                        with m.Case(Operation.WRITE):
                            m.next = "GATHER"
                        with m.Case(Operation.SEND, Operation.LOAD), m.If((~blocked | ((operation & RESUME) != 0)) & (argument != 0)):
                            m.next = "GATHER"
                        with m.Case(Operation.TAKE):
                            m.next = "TAKE"
                        with m.Default():
                            m.d.sync += refused.eq(1)

            with m.State("HELLO"):
                m.d.comb += [put.eq(1), answers.data.eq(constants[argument[:4]]), moved.eq(crc.ready)]
                with m.If(crc.ready & (argument == 1)):
                    m.next = "LEFT"
            with m.State("ADDRESS"):
                m.d.comb += [registers.arvalid.eq(reads), registers.awvalid.eq(~reads), registers.wvalid.eq(~reads)]
                with m.If(Mux(reads, registers.arready, registers.awready)):
                    m.next = "REGISTER"
            with m.State("REGISTER"):
                m.d.comb += fetch.eq(1)
                m.d.sync += refused.eq(Mux(reads, registers.rresp[1], registers.bresp[1]))
                with m.If(registers.rvalid):
                    m.next = "SPILL"
                with m.If(registers.bvalid):
                    m.next = "LEFT"
            with m.State("GATHER"), m.If(requests.ready):
                m.d.comb += [requests.advance.eq(1), shift.eq(1)]
                with m.If(last_byte):
                    m.next = "SEND"
                    with m.If(op == Operation.WRITE):
                        m.next = "ADDRESS"
            with m.State("SEND"):
                m.d.comb += [load.tvalid.eq(loads), words_in.tvalid.eq(~loads)]
                m.d.sync += [waited.eq(waited + 1), blocked.eq(1)]
                with m.If(Mux(loads, load.tready, words_in.tready)):
                    m.d.comb += moved.eq(1)
                    m.d.sync += blocked.eq(0)
                    m.next = "GATHER"
                    with m.If(argument == 1):
                        m.next = "LEFT"
                with m.Elif(waited[-1]):
                    m.next = "LEFT"
            with m.State("TAKE"):
                m.d.comb += fetch.eq(1)
                m.d.sync += waited.eq(waited + 1)
                with m.If((argument == 0) | waited[-1] | (~self.busy & ~words_out.tvalid)):
                    m.next = "LEFT"
                with m.Elif(words_out.tvalid):
                    m.d.comb += [words_out.tready.eq(1), moved.eq(1)]
                    m.d.sync += [last.eq(words_out.tlast), damaged.eq(words_out.tuser)]
                    m.next = "SPILL"
            with m.State("SPILL"):
                m.d.comb += [put.eq(1), answers.data.eq(word[:8]), shift.eq(crc.ready)]
                with m.If(crc.ready & last_byte):
                    m.next = "TAKE"
                    with m.If(last | reads):
                        m.next = "LEFT"

            # It ends with what is left of the argument, the flags, and the CRC.
            with m.State("LEFT"):
                m.d.comb += [put.eq(1), answers.data.eq(argument)]
                with m.If(crc.ready):
                    m.next = "FLAGS"
            with m.State("FLAGS"):
                m.d.comb += [put.eq(1), answers.data.eq(flags)]
                with m.If(crc.ready):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [put.eq(1), answers.data.eq(~crc.value[:8]), crc.flush.eq(1), shift.eq(crc.ready)]
                with m.If(crc.ready & last_byte):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += answers.close.eq(1)
                m.next = "DELIMIT"
            with m.State("DELIMIT"):
                m.d.comb += answers.delimit.eq(1)
                m.d.sync += number.eq(number + 1)
                m.next = "DROP"
        with m.If(put):
            m.d.comb += crc.put.eq(1)
        return m


assert HELLO_BYTES == len(hello_bytes(1, 1)) < 1 << 4
