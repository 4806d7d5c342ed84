"""The registers behind cocotbext-axi's master: values, SLVERR, strobes, reads beside writes, counters to the cycle."""

import logging
import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, gather
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from axi_sides import answered, behave_all
from skipgrid.rtl.control.counters import BETWEEN_TURNS
from skipgrid.rtl.counters import COUNTERS as ALL_COUNTERS
from skipgrid.rtl.counters import counter_words
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import IDENTIFICATION, LAYER_CYCLES, REGISTERS, VERSION, Access
from streams import HALF_PERIOD, config

COUNTERS = {
    "TOTAL_CYCLES": "busy",
    "BUSY_CYCLES": "multiplying",
    "INPUT_STALLS": "input_stall",
    "OUTPUT_STALLS": "output_stall",
    "WORDS_IN": "word_in",
    "WORDS_OUT": "word_out",
    **({"WINNERS_CYCLES": "winners"} if config().some_winners else {}),
}
SEVERAL = {  # what may come several at once
    "SKIPPED_ZEROS": ("zeros", config().zeros_at_once),
    "ENTRY_CYCLES": ("entries", config().rows),
    "SUM_WAITS": ("sum_waits", config().rows),
    "RANGE_WAITS": ("range_waits", config().rows),
}
PORTS = [*COUNTERS.values(), *(port for port, _ in SEVERAL.values()), "macs"]


class RegistersBench:
    """Registers beside a datapath that the bench plays."""

    def __init__(self, dut: Any) -> None:
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.dut = dut
        self.config = config()
        self.random = random.Random(random.getrandbits(64))
        for name in os.environ["BENCH_INPUTS"].split():
            getattr(dut, name).value = 0
        dut.rst.value = 1
        Clock(dut.clk, 2 * HALF_PERIOD, "ns").start()
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
        self.pulses = {"start": 0, "stop": 0, "clear": 0, "program_written": 0}

    async def begin(self) -> None:
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        cocotb.start_soon(self.count_pulses())

    def behave(self) -> None:
        """All five channels pause at random."""
        behave_all(self.master, self.random)

    async def count_pulses(self) -> None:
        while True:
            await FallingEdge(self.dut.clk)
            for name in self.pulses:
                self.pulses[name] += int(getattr(self.dut, name).value)

    async def read(self, address: int) -> int | None:
        """A register's value, or None for SLVERR."""
        answer = await answered(self.master.read(address, 4))
        return int.from_bytes(answer.data, "little") if answer.resp == AxiResp.OKAY else None

    async def write(self, address: int, value: int, size: int = 4) -> bool:
        """Whether a write of the lower bytes is answered with OKAY."""
        answer = await answered(self.master.write(address, value.to_bytes(4, "little")[:size]))
        return bool(answer.resp == AxiResp.OKAY)

    async def get(self, name: str) -> int | None:
        return await self.read(REGISTERS[name].address)


@cocotb.test
async def every_address(dut: Any) -> None:
    bench = RegistersBench(dut)
    await bench.begin()
    settings = bench.config
    built = set(counter_words(settings)) | (set(REGISTERS) - {word for counter in ALL_COUNTERS for word in counter.words})
    known = {register.address: register for name, register in REGISTERS.items() if name in built}
    for address in [*range(0, 0x80, 4), *range(LAYER_CYCLES - 8, LAYER_CYCLES + 4 * settings.layers + 16, 4), 0x800, 0xFFC]:
        bench.behave()
        register = known.get(address)
        layer = LAYER_CYCLES <= address < LAYER_CYCLES + 4 * settings.layers
        if layer:  # a simulator may refuse to read what was never written
            dut.layer.value, dut.layer_done.value = (address - LAYER_CYCLES) // 4, 1
            await ClockCycles(dut.clk, 2)
            dut.layer_done.value = 0
        readable = layer or (register is not None and register.access != Access.WRITE)
        writable = register is not None and register.access != Access.READ
        assert (await bench.read(address) is not None) == readable, hex(address)
        assert await bench.write(address, 0) == writable, hex(address)
    assert await bench.get("IDENTIFICATION") == IDENTIFICATION
    assert await bench.get("VERSION") == VERSION[0] << 16 | VERSION[1] << 8 | VERSION[2]
    assert await bench.get("CONFIG_HASH") == settings.hash
    assert await bench.get("GRID") == settings.rows | settings.lanes << 16
    for bits in range(16):
        dut.busy.value, dut.done.value, dut.failed.value, dut.ready.value = (bits >> place & 1 for place in range(4))
        assert await bench.get("STATUS") == bits
    dut.error.value, dut.error_layer.value = Error.ENTRIES_FULL.value, 2
    assert await bench.get("ERROR") == Error.ENTRIES_FULL.value | 2 << 8
    assert bench.pulses["start"] == bench.pulses["stop"] == 0


@cocotb.test
async def control_and_program(dut: Any) -> None:
    bench = RegistersBench(dut)
    await bench.begin()
    control, program = REGISTERS["CONTROL"].address, REGISTERS["PROGRAM"].address
    starts = stops = clears = written = value = 0
    enabled = REGISTERS["INTERRUPT_ENABLE"].reset
    for _ in range(150):
        bench.behave()
        busy = bench.random.getrandbits(1)
        dut.busy.value = busy
        size = bench.random.choice((4, 4, 4, 1, 2, 3))
        if bench.random.random() < 0.5:
            bits = bench.random.randrange(8)
            right = size == 4 and not (bits & 0b101 and (busy or bits & 0b010))
            assert await bench.write(control, bits, size) == right
            starts += right and bits & 1
            stops += right and bits >> 1 & 1
            clears += right and bits >> 2 & 1
        else:
            number = bench.random.choice((*range(bench.config.layers), bench.config.layers, 1 << 20))
            right = size == 4 and not busy and number < bench.config.layers
            assert await bench.write(program, number, size) == right
            value = number if right else value
            written += right
        bits = bench.random.getrandbits(32)
        right = size == 4
        assert await bench.write(REGISTERS["INTERRUPT_ENABLE"].address, bits, size) == right
        enabled = bits & 0b110 if right else enabled
        assert await bench.get("INTERRUPT_ENABLE") == enabled == int(dut.irq_done.value) << 1 | int(dut.irq_error.value) << 2
        assert await bench.get("PROGRAM") == value == int(dut.program.value)
    assert bench.pulses == {"start": starts, "stop": stops, "clear": clears, "program_written": written}


@cocotb.test
async def after_a_reset(dut: Any) -> None:
    """Whatever the registers held."""
    bench = RegistersBench(dut)
    await bench.begin()
    built = set(counter_words(bench.config)) | (set(REGISTERS) - {word for counter in ALL_COUNTERS for word in counter.words})
    for _ in range(5):
        for name in built:
            register = REGISTERS[name]
            if register.access != Access.WRITE and register.reset is not None:
                assert await bench.get(name) == register.reset, name
        assert await bench.write(REGISTERS["PROGRAM"].address, 1)
        assert await bench.write(REGISTERS["INTERRUPT_ENABLE"].address, bench.random.choice((0, 2, 4)))
        for port in PORTS:
            getattr(dut, port).value = 1
        await ClockCycles(dut.clk, bench.random.randint(1, 40))
        for port in PORTS:
            getattr(dut, port).value = 0
        dut.rst.value = 1
        await ClockCycles(dut.clk, 1)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 1)


@cocotb.test
async def accesses_under_way_together(dut: Any) -> None:
    """Reads and writes that do not wait for the answers to those before them: each has its own answer."""
    bench = RegistersBench(dut)
    await bench.begin()
    layers, program = bench.config.layers, REGISTERS["PROGRAM"].address
    known = {REGISTERS["IDENTIFICATION"].address: IDENTIFICATION, REGISTERS["CONFIG_HASH"].address: bench.config.hash, 0x800: None}
    known |= {REGISTERS["GRID"].address: bench.config.rows | bench.config.lanes << 16, REGISTERS["TOTAL_CYCLES"].address: 0}
    written = 0
    assert await bench.write(REGISTERS["CONTROL"].address, 1)
    for _ in range(12):
        bench.behave()
        addresses = [bench.random.choice(list(known)) for _ in range(8)]
        numbers = [bench.random.randrange(layers + 1) for _ in range(8)]
        answers = await gather(*map(bench.read, addresses), *(bench.write(program, number) for number in numbers))
        assert list(answers) == [*(known[address] for address in addresses), *(number < layers for number in numbers)]
        right = [number for number in numbers if number < layers]
        written += len(right)
        assert not right or await bench.get("PROGRAM") == right[-1]
    assert bench.pulses["program_written"] == written


@cocotb.test
async def counters(dut: Any) -> None:
    bench = RegistersBench(dut)
    await bench.begin()
    most = bench.config.rows * bench.config.lanes
    for _ in range(8):
        assert await bench.write(REGISTERS["CONTROL"].address, 1)
        for name in [*COUNTERS, *SEVERAL, "USEFUL_MACS_LOW", "USEFUL_MACS_HIGH"]:
            assert await bench.get(name) == 0
        expected = dict.fromkeys([*COUNTERS, *SEVERAL, "MACS"], 0)
        layers: dict[int, int] = {}
        since, pause = 0, 0
        await FallingEdge(dut.clk)
        for _ in range(bench.random.randint(10, 300)):
            done = pause == 0 and bench.random.random() < 0.3
            pause = BETWEEN_TURNS if done else max(pause - 1, 0)
            for name, port in COUNTERS.items():
                bit = int(done and port == "busy") or bench.random.getrandbits(1)  # a layer ends while busy
                getattr(dut, port).value = bit
                expected[name] += bit
                since += bit if port == "busy" else 0
            for name, (port, at_once) in SEVERAL.items():
                count = bench.random.choice((0, 1, at_once))
                getattr(dut, port).value = count
                expected[name] += count
            macs, layer = bench.random.choice((0, 1, most)), bench.random.randrange(bench.config.layers)
            dut.macs.value, dut.layer_done.value, dut.layer.value = macs, done, layer
            expected["MACS"] += macs
            if done:
                layers[layer], since = since, 0
            await FallingEdge(dut.clk)
        for port in [*PORTS, "layer_done"]:
            getattr(dut, port).value = 0
        for name in [*COUNTERS, *SEVERAL]:
            assert await bench.get(name) == expected[name] % 2**32, name
        low, high = await bench.get("USEFUL_MACS_LOW"), await bench.get("USEFUL_MACS_HIGH")
        assert low is not None
        assert high is not None
        assert low | high << 32 == expected["MACS"]
        for layer, cycles in layers.items():
            assert await bench.read(LAYER_CYCLES + 4 * layer) == cycles
