"""A LiteX SoC with the accelerator: registers by their names in the CSR header, packets from and to its RAM by LiteX's DMAs."""

import json
from typing import Any

import cocotb

from litex_soc import BENCH, FOLDER, RAM
from ports import Words
from skipgrid.reference.example import example
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import LAYER_CYCLES, REGISTERS
from streams import Bench, config

DESCRIBED = json.loads((FOLDER / BENCH / "csr.json").read_text(encoding="utf-8"))
ADDRESSES = {name: register["addr"] for name, register in DESCRIBED["csr_registers"].items()}
IN, NEXT, OUT = RAM, RAM + 0x4000, RAM + 0x8000  # where a packet lies that is sent, and another one, and what comes out
ROOM = 32  # words for that
GUARD = 0xDEAD_BEEF  # in the words of the output, and behind them, before anything is written
LIMIT = 5_000  # cycles, or accesses, in which anything ends
RUN, LOAD, INPUT, OUTPUT = (1 << bit for bit in range(4))  # of skipgrid_irq
DONE, CUT, OVERFLOW = (1 << bit for bit in range(3))  # of skipgrid_output_status


class BusError(RuntimeError):
    """An access was answered with an error."""


class Soc:
    """The SoC as its CPU would use it; the bus is this one's and the DMAs' in turn."""

    def __init__(self, dut: Any) -> None:
        self.bench = Bench(dut)
        self.packets, self.sent, self.expected = example(config())
        self.bench.watchers.append(self._look)

    def _look(self) -> None:
        """What the bus answers in this cycle."""
        self.answers, self.failed = self.bench.get("wb_ack"), self.bench.get("wb_err")
        self.data = self.bench.get("wb_dat_r") if self.answers else 0
        assert not self.bench.get("deserted"), "a DMA does not wait for what it has asked the bus for"

    async def begin(self) -> None:
        """A reset, an output buffer of known words, and the layer loaded."""
        await self.bench.reset()
        await self.fill()
        for packet in self.packets:
            await self.load(packet)

    async def access(self, address: int, value: int | None = None) -> int:
        """Read a word, or write it; BusError if the bus answers so."""
        bench = self.bench
        bench.set(wb_adr=address // 4, wb_cyc=1, wb_stb=1, wb_sel=0xF, wb_we=int(value is not None), wb_dat_w=value or 0)
        for _ in range(LIMIT):
            await bench.step()
            if self.answers or self.failed:
                break
        else:
            raise AssertionError(f"no answer to an access of {address:#x}")
        bench.set(wb_cyc=0, wb_stb=0)
        failed, data = self.failed, self.data
        await bench.step()
        if failed:
            raise BusError(f"{address:#x}")
        return data

    async def get(self, name: str) -> int:
        """A register by its name in the CSR header."""
        return await self.access(ADDRESSES[f"skipgrid_{name}"])

    async def put(self, name: str, value: int) -> None:
        """Write one."""
        await self.access(ADDRESSES[f"skipgrid_{name}"], value)

    async def fill(self) -> None:
        """Write known words to the output's buffer, and behind it."""
        for number in range(ROOM + 8):
            await self.access(OUT + 4 * number, GUARD)

    async def output(self, count: int = ROOM + 8) -> list[int]:
        """The first words there."""
        return [await self.access(OUT + 4 * number) for number in range(count)]

    async def arm(self, port: str, address: int, words: int) -> None:
        """Let a DMA begin a packet of so many words, or with room for so many."""
        await self.access(ADDRESSES[f"skipgrid_{port}_base"], 0)  # the upper half of 64 bits comes first
        await self.access(ADDRESSES[f"skipgrid_{port}_base"] + 4, address)
        await self.put(f"{port}_length", 4 * words)
        await self.put(f"{port}_enable", 1)

    async def send(self, port: str, packet: Words) -> None:
        """Write a packet to RAM, and let a DMA begin with it."""
        for number, word in enumerate(packet):
            await self.access(IN + 4 * number, int(word))
        await self.arm(port, IN, len(packet))

    async def load(self, packet: Words) -> None:
        """Send a load packet, and wait until it is taken."""
        await self.put("irq_enable", LOAD)
        await self.send("load", packet)
        await self.interrupt()
        assert await self.get("irq_pending") & LOAD
        await self.put("load_enable", 0)
        assert not self.bench.get("irq")

    async def start(self, room: int = ROOM) -> None:
        """Start the program, with room for so many words of its output."""
        await self.put("irq_enable", RUN)
        await self.arm("output", OUT, room)
        await self.put("program", 0)
        await self.put("control", REGISTERS["CONTROL"].mask("start"))

    async def interrupt(self) -> None:
        """Leave the bus alone until there is one."""
        await self.bench.until(lambda: bool(self.bench.get("irq")), "an interrupt", LIMIT)

    async def run(self) -> None:
        """Run the layer, and compare its output with the golden model's."""
        await self.start()
        await self.send("input", self.sent)
        await self.interrupt()
        assert await self.get("irq_pending") & RUN
        assert await self.get("status") & ~REGISTERS["STATUS"].mask("ready") == REGISTERS["STATUS"].mask("done")
        assert await self.get("output_status") == DONE
        assert await self.get("output_offset") == len(self.expected) == await self.get("words_out")
        assert await self.output() == [*map(int, self.expected), *[GUARD] * (ROOM + 8 - len(self.expected))]
        assert await self.get("input_status") == DONE
        assert await self.get("input_offset") == len(self.sent) == await self.get("words_in")

    async def error(self) -> Error:
        """Wait for the end of a run that fails, and say why it has."""
        await self.interrupt()
        return Error(REGISTERS["ERROR"].field("code", await self.get("error")))


@cocotb.test
async def registers_are_where_the_header_says(dut: object) -> None:
    soc = Soc(dut)
    await soc.bench.reset()
    for register in REGISTERS.values():
        if register.reset is not None and f"skipgrid_{register.name.lower()}" in ADDRESSES:
            assert await soc.get(register.name.lower()) == register.reset, register.name
    assert await soc.get("config_hash") == config().hash
    assert DESCRIBED["csr_bases"]["skipgrid_layer_cycles"] == DESCRIBED["csr_bases"]["skipgrid"] + LAYER_CYCLES
    for name in ("control", "reserved9"):
        try:
            await soc.get(name)
        except BusError:
            continue
        raise AssertionError(f"{name} can be read")


@cocotb.test
async def a_layer_by_dmas_and_interrupts(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    for _ in range(3):
        await soc.fill()
        await soc.run()
    layer = await soc.access(DESCRIBED["csr_bases"]["skipgrid_layer_cycles"])
    assert layer == await soc.get("total_cycles")


@cocotb.test
async def each_dma_has_an_interrupt(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    await soc.run()
    assert await soc.get("irq_pending") == RUN | INPUT | OUTPUT
    for port, left in (("input", RUN | OUTPUT), ("output", RUN)):
        await soc.put(f"{port}_enable", 0)
        assert await soc.get("irq_pending") == left
    await soc.put("control", REGISTERS["CONTROL"].mask("clear"))
    assert await soc.get("irq_pending") == 0


@cocotb.test
async def an_output_that_has_no_room(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    for room in (0, 1, len(soc.expected) - 1):
        await soc.fill()
        await soc.start(room)
        await soc.send("input", soc.sent)
        await soc.interrupt()
        assert await soc.get("output_status") == DONE | OVERFLOW
        assert await soc.get("output_offset") == room
        assert await soc.get("words_out") == len(soc.expected)
        assert await soc.output() == [*map(int, soc.expected[:room]), *[GUARD] * (ROOM + 8 - room)]
    await soc.fill()
    await soc.start(len(soc.expected))
    await soc.send("input", soc.sent)
    await soc.interrupt()
    assert await soc.get("output_status") == DONE
    await soc.fill()
    await soc.run()


@cocotb.test
async def an_output_that_waits_for_the_next_packet_to_begin(dut: object) -> None:
    """The writer, at the end of one, takes nothing of another."""
    soc = Soc(dut)
    await soc.begin()
    await soc.run()
    await soc.fill()
    await soc.put("control", REGISTERS["CONTROL"].mask("start"))
    await soc.send("input", soc.sent)
    await soc.bench.step(1_000)
    assert await soc.get("status") & REGISTERS["STATUS"].mask("busy")
    assert await soc.get("words_out") == 0
    await soc.put("output_enable", 1)
    await soc.interrupt()
    assert await soc.output(len(soc.expected)) == [*map(int, soc.expected)]


@cocotb.test
async def an_output_that_is_given_up(dut: object) -> None:
    """At any moment: what is written is right, all else is dropped, and the run ends as if nothing were."""
    soc = Soc(dut)
    await soc.begin()
    for wait in range(12):
        await soc.fill()
        await soc.start()
        await soc.send("input", soc.sent)
        while not (first := await soc.get("output_offset")):
            pass
        await soc.bench.step(wait)
        await soc.put("output_enable", 0)
        await soc.interrupt()
        assert await soc.get("words_out") == len(soc.expected)
        found = await soc.output()
        kept = found.index(GUARD)
        assert first <= kept < len(soc.expected)
        assert found == [*map(int, soc.expected[:kept]), *[GUARD] * (ROOM + 8 - kept)]
    await soc.run()


@cocotb.test
async def an_input_that_is_given_up(dut: object) -> None:
    """In the middle it ends early for the core, wherever that is; and what has not begun is not there for the next run."""
    soc = Soc(dut)
    await soc.begin()
    for words in (1, len(soc.sent) // 2):
        await soc.start()
        for number, word in enumerate(soc.sent):
            await soc.access(IN + 4 * number, int(word))
        await soc.arm("input", IN, len(soc.sent))
        taken = soc.bench.cycle
        while await soc.get("words_in") < words:
            assert soc.bench.cycle < taken + LIMIT
        early = await soc.get("words_in") < len(soc.sent)
        await soc.put("input_enable", 0)
        if early and await soc.error() == Error.STREAM_ENDED_EARLY:
            assert await soc.get("output_status") & ~CUT == DONE or not await soc.get("words_out")
        await soc.fill()
        await soc.run()
    await soc.put("input_enable", 0)
    await soc.send("input", [0xFFFF_FFFF] * 20)  # waits, in the FIFO and in RAM
    await soc.put("input_enable", 0)
    await soc.fill()
    await soc.run()


@cocotb.test
async def a_run_that_is_stopped(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    await soc.start()
    await soc.send("load", soc.packets[0][:8])  # all of it is in the FIFO, and waits
    await soc.bench.step(100)
    assert (await soc.get("load_offset"), await soc.get("load_status")) == (8, 0)
    await soc.put("control", REGISTERS["CONTROL"].mask("stop"))
    assert await soc.error() == Error.STOPPED
    await soc.bench.step(20)
    assert await soc.get("load_status") == DONE
    await soc.fill()
    await soc.run()


@cocotb.test
async def a_load_packet_that_is_refused(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    await soc.put("irq_enable", RUN)
    await soc.send("load", [0xF000_0000, 1, 2, 3])
    assert await soc.error() == Error.LOAD_TARGET
    await soc.run()


@cocotb.test
async def a_word_takes_two_cycles(dut: object) -> None:
    """And one for every 8 words, in which somebody else has the bus."""
    soc = Soc(dut)
    await soc.begin()
    words = 200
    for number in range(words):
        await soc.access(IN + 4 * number, 0)
    await soc.put("irq_enable", LOAD)
    await soc.arm("load", IN, words)
    begin = soc.bench.cycle
    await soc.interrupt()
    assert 2 * words < soc.bench.cycle - begin < 2.2 * words
    await soc.arm("load", IN, words)
    await soc.bench.step(4)
    begin = soc.bench.cycle
    await soc.get("status")
    assert soc.bench.cycle - begin < 30


async def is_whole(soc: Soc) -> None:
    """The run ends, and then the first load packet is sent to its end; the next run is right."""
    await soc.put("control", REGISTERS["CONTROL"].mask("stop"))
    await soc.put("irq_enable", LOAD)
    await soc.interrupt()
    assert await soc.get("load_offset") == len(soc.packets[0])
    await soc.put("load_enable", 0)
    await soc.fill()
    await soc.run()


@cocotb.test
async def a_load_packet_that_a_run_holds_up(dut: object) -> None:
    """It is given up in its middle, and another one begins, while the core takes neither: the first one ends before."""
    soc = Soc(dut)
    await soc.begin()
    weights = [int(soc.packets[0][0]), *[0xDEAD_BEEF] * 200]
    for first in (True, False):  # it is given up, or another one takes its place
        for wait in range(6):
            for number, word in enumerate(weights):
                await soc.access(IN + 4 * number, word)
            for number, word in enumerate(soc.packets[0]):
                await soc.access(NEXT + 4 * number, int(word))
            await soc.arm("load", IN, len(weights))
            await soc.bench.step(20)
            await soc.put("control", REGISTERS["CONTROL"].mask("start"))
            assert 0 < await soc.get("load_offset") < len(weights) - 20
            await soc.bench.step(wait)
            if first:
                await soc.put("load_enable", 0)
            await soc.arm("load", NEXT, len(soc.packets[0]))
            await soc.bench.step(50)
            assert (await soc.get("load_offset"), await soc.get("load_status")) == (0, 0)
            await is_whole(soc)


@cocotb.test
async def a_packet_that_begins_twice(dut: object) -> None:
    """While it waits for memory, or does not, and before the core has taken any of it: it is sent once, from its beginning."""
    soc = Soc(dut)
    await soc.begin()
    for wait in range(8):
        await soc.load([int(soc.packets[0][0]), *[0] * (len(soc.packets[0]) - 1)])  # all weights are 0 until it is sent
        await soc.put("control", REGISTERS["CONTROL"].mask("start"))
        await soc.send("load", soc.packets[0])
        await soc.bench.step(wait)
        await soc.put("load_enable", 1)
        await is_whole(soc)


@cocotb.test
async def a_packet_without_words_is_none(dut: object) -> None:
    soc = Soc(dut)
    await soc.begin()
    await soc.arm("load", IN, 0)
    await soc.arm("input", IN, 0)
    await soc.bench.step(100)
    assert [await soc.get(f"{port}_{what}") for port in ("load", "input") for what in ("status", "offset")] == [0] * 4
    await soc.run()
