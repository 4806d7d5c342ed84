"""Frames in block memory: requests as they come, answers until they are acknowledged, and the CRC of both."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .protocol import REQUEST_SLOTS, SLOT_BYTES, WINDOW

POLYNOMIAL = 0xEDB88320  # CRC-32 of ISO 3309 (Ethernet, zlib), least significant bit first
RESIDUE = 0xDEBB20E3  # of a frame with its CRC


class RequestBuffer(wiring.Component):
    """A ring of request frames, stored as they come, and decoded (COBS) as they are read.

    Members:
        valid, data: a byte from the line. A zero ends a frame; a frame that finds no free slot is dropped.
        available: a whole frame can be read.
        rewind: the next byte is the frame's first. free: the frame is done with.
        ready: `value` is the byte at `index`, decoded. Index 0 is the code's own first byte, so the frame's bytes begin at 1.
        end: there is no byte at `index`; the frame has ended. whole: with `end`, where the code says.
        advance: go on to the next byte.

    Throughput: a byte in 3 cycles. Cost: REQUEST_SLOTS x SLOT_BYTES bytes of block memory.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": In(1),
                "data": In(8),
                "available": Out(1),
                "rewind": In(1),
                "free": In(1),
                "ready": Out(1),
                "index": Out(range(SLOT_BYTES)),
                "value": Out(8),
                "end": Out(1),
                "whole": Out(1),
                "advance": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=REQUEST_SLOTS * SLOT_BYTES, init=[])
        write, read = memory.write_port(), memory.read_port()
        receives, reads = Signal(range(REQUEST_SLOTS)), Signal(range(REQUEST_SLOTS))  # slots
        filled = Signal(range(SLOT_BYTES))
        m.d.comb += [
            write.addr.eq(Cat(filled, receives)),
            write.data.eq(self.data),
            write.en.eq(self.valid),
            read.addr.eq(Cat(self.index, reads)),
            read.en.eq(~write.en),  # so that the two never meet, which some block memories do not allow
            self.available.eq(receives != reads),
        ]
        with m.If(self.valid):
            m.d.sync += filled.eq(filled + 1)  # what is too long overwrites itself, and has a wrong CRC
            with m.If(self.data == 0):
                m.d.sync += filled.eq(0)
                with m.If((receives + 1)[: len(receives)] != reads):
                    m.d.sync += receives.eq(receives + 1)

        # A code byte says how far it is to the next one, and stands for a zero; the first stands for nothing.
        code_at = Signal(range(SLOT_BYTES))
        code = Signal()
        reading = Signal()  # the byte has been looked up
        moves = self.rewind | self.advance
        m.d.comb += code.eq(self.index == code_at)
        m.d.sync += [
            reading.eq(read.en & ~moves),
            self.ready.eq(reading & ~moves),
            self.end.eq(read.data == 0),
            self.whole.eq(code),
            self.value.eq(Mux(code, 0, read.data)),
        ]
        with m.If(self.advance):
            m.d.sync += self.index.eq(self.index + 1)
            with m.If(code):
                m.d.sync += code_at.eq(self.index + read.data)
        with m.If(self.rewind):
            m.d.sync += [self.index.eq(0), code_at.eq(0)]
        with m.If(self.free):
            m.d.sync += reads.eq(reads + 1)
        return m


class AnswerBuffer(wiring.Component):
    """The last answers, coded (COBS) as they are written, and sent from the oldest that has not been sent.

    All that comes from its executor waits in registers for a cycle: what decides on it takes most of a cycle itself.

    Members:
        number: of the answer that is written; when it grows, that answer is sent.
        begin: start an answer. put: append `data`. close, delimit: end it, one cycle each, in this order.
        repeat: send again from answer `first` on; nothing happens while answers are being sent. renew: none has been sent.
        bytes: to the line.

    Cost: WINDOW x SLOT_BYTES bytes of block memory.
    """

    def __init__(self) -> None:
        number = range(2 * WINDOW)
        super().__init__(
            {
                "number": In(number),
                "begin": In(1),
                "put": In(1),
                "data": In(8),
                "close": In(1),
                "delimit": In(1),
                "repeat": In(1),
                "first": In(number),
                "renew": In(1),
                "bytes": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=WINDOW * SLOT_BYTES, init=[])
        write, read = memory.write_port(), memory.read_port()
        slot_bits = (WINDOW - 1).bit_length()
        names = ("number", "begin", "put", "data", "close", "delimit", "repeat", "first", "renew")
        came = Signal(data.StructLayout({name: len(getattr(self, name)) for name in names}))
        m.d.sync += [came[name].eq(getattr(self, name)) for name in names]

        # A zero is replaced by the distance to the next one, so it is written when that one comes.
        filled, code_at, distance = (Signal(range(SLOT_BYTES), name=name) for name in ("filled", "code_at", "distance"))
        code = Signal()
        m.d.comb += [
            code.eq((came.data == 0) | came.close | came.delimit),
            write.en.eq(came.put | came.close | came.delimit),
            write.addr.eq(Cat(Mux(code, code_at, filled), came.number[:slot_bits])),
            write.data.eq(Mux(code, Mux(came.delimit, 0, distance), came.data)),
        ]
        with m.If(write.en):
            m.d.sync += [filled.eq(filled + 1), distance.eq(distance + 1)]
            with m.If(code):
                m.d.sync += [code_at.eq(filled), distance.eq(1)]
        with m.If(came.begin):
            m.d.sync += [filled.eq(1), code_at.eq(0), distance.eq(1)]

        following, slot, index = Signal(range(2 * WINDOW)), Signal(slot_bits), Signal(range(SLOT_BYTES))
        m.d.comb += [read.addr.eq(Cat(index, slot)), read.en.eq(~write.en), self.bytes.payload.eq(read.data)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [slot.eq(following), index.eq(0)]
                with m.If(following != came.number):
                    m.d.sync += following.eq(following + 1)
                    m.next = "READ"
                with m.Elif(came.repeat):
                    m.d.sync += following.eq(came.first)
            with m.State("READ"), m.If(read.en):
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.bytes.valid.eq(1)
                with m.If(self.bytes.ready):
                    m.d.sync += index.eq(index + 1)
                    m.next = "READ"
                    with m.If((read.data == 0) | index.all()):  # a slot that was never written may hold no delimiter
                        m.next = "IDLE"
        with m.If(came.renew):
            m.d.sync += following.eq(0)
        return m


class Crc32(wiring.Component):
    """CRC-32, a bit a cycle.

    Members:
        clear: before a frame. put: take `data`, while `ready`.
        flush: with `put`, only shift, so that the value comes out at its low end, byte by byte. value: the register, not inverted.

    Throughput: a byte in 9 cycles.
    """

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "put": In(1), "data": In(8), "flush": In(1), "ready": Out(1), "value": Out(32)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = Signal(4)  # 8 to 15 while shifting
        flushing = Signal()
        feedback = self.value[0] & ~flushing
        m.d.comb += self.ready.eq(~steps[3])
        with m.If(~self.ready):
            m.d.sync += [self.value.eq(self.value[1:] ^ (feedback.replicate(32) & POLYNOMIAL)), steps.eq(steps + 1)]
        with m.Elif(self.put):
            m.d.sync += [self.value.eq(self.value ^ self.data), steps.eq(8), flushing.eq(self.flush)]
        with m.If(self.clear):
            m.d.sync += [self.value.eq(0xFFFFFFFF), steps.eq(0)]
        return m
