"""Winners of tensors that are loaded, through the AXI ports: against golden.keep_winners; errors, stops, resets and the time."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from bench_accelerator_errors import changed
from networks import Tensor, activation, holds, tensor
from ports import Packet, Ports
from skipgrid.golden import Activation, Winners, coded_bytes, encode, keep_winners
from skipgrid.host.compiler import load_descriptor, program_packet, winners_descriptor
from skipgrid.rtl.layouts import Error, Opcode
from skipgrid.rtl.register_map import LAYER_CYCLES

K_IN, K_OUT = 1, 2
Words = np.ndarray
Shape = tuple[int, int, int]
SHAPES: tuple[Shape, ...] = ((1, 1, 1), (5, 1, 1), (1, 1, 63), (1, 62, 1), (2, 9, 6), (3, 4, 5), (60, 20, 2))


class WinnersBench(Ports):
    """Loads a tensor, and has its winners sent."""

    def begin_tensor(self, x: Tensor, held: Activation) -> None:
        """The tensor that `send_input` sends."""
        self.x, self.held = x, held
        self.load_words = load_descriptor(x.shape, buffer=0, k_in=K_IN, final=False)

    def winners(self, k: int, *, magnitude: bool = False, buffer: int = 0, to_stream: bool = True, final: bool = True) -> Words:
        """A descriptor for the tensor, with any k."""
        options: dict[str, Any] = {"buffer": buffer, "to_stream": to_stream, "final": final, "k_out": K_OUT}
        return changed(winners_descriptor(self.x.shape, Winners(0, magnitude=magnitude), self.held, **options), winners=k)

    def send_input(self) -> None:
        self.send(encode(coded_bytes(self.x, self.held), K_IN))

    def packet(self, *kept: tuple[int, bool]) -> Packet:
        """The tensor after its winners were chosen, by k and magnitude, one after another."""
        x = self.x
        for k, magnitude in kept:
            x = keep_winners(x, self.held.zero_point, k, magnitude=magnitude)
        return Packet(encode(coded_bytes(x, self.held), K_OUT).tolist())

    async def works(self, k: int, *, magnitude: bool = False) -> None:
        """A run gives the tensor's winners."""
        await self.load(program_packet([self.load_words, self.winners(k, magnitude=magnitude)]))
        self.send_input()
        await self.start()
        await self.finish()
        assert await self.status() == (0, 1, 0), await self.error()
        assert self.received() == [self.packet((k, magnitude))], (self.x.shape, self.held, k, magnitude)
        self.taken()

    async def fails(self, program: list[Words], error: Error, descriptor: int) -> None:
        await self.load(program_packet(program))
        self.send_input()
        await self.start()
        await self.finish()
        assert await self.status() == (0, 0, 1)
        assert await self.error() == (error, descriptor)
        self.received()
        self.taken()

    def some_tensor(self) -> None:
        """A tensor of which two fit the memory; of few values in every other case, so that there are ties."""
        while True:
            held = activation(self.random)
            shape = self.random.choice(SHAPES)
            x = tensor(self.random, self.numbers, shape, held)
            if self.random.random() < 0.5:
                x = np.where(x == held.zero_point, x, self.numbers.choice(self.numbers.integers(held.low, held.high + 1, 3), shape))
            self.begin_tensor(x.astype(held.dtype), held)
            coded = coded_bytes(self.x, held).reshape(*shape[1:], shape[0])
            if holds(self.config, [coded, coded]):
                return

    def some_k(self) -> int:
        """None, one, about those above zero or below it, all, or more than there are."""
        signs = np.sign(self.x.astype(int) - self.held.zero_point)
        positives, not_negative = int((signs > 0).sum()), int((signs >= 0).sum())
        at_edges = [edge + by for edge in (positives, not_negative, self.x.size) for by in (-1, 0, 1)]
        return max(0, self.random.choice((0, 1, self.random.randint(0, self.x.size), (1 << self.config.element_bits) - 1, *at_edges)))


@cocotb.test
async def random_tensors(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    for _ in range(150):
        bench.behave()
        bench.some_tensor()
        await bench.works(bench.some_k(), magnitude=bench.random.random() < 0.5)


@cocotb.test
async def winners_of_winners(dut: Any) -> None:
    """From one buffer to the other, and to the stream."""
    bench = WinnersBench(dut)
    await bench.begin()
    for _ in range(40):
        bench.behave()
        bench.some_tensor()
        steps = [(bench.some_k(), bench.random.random() < 0.5) for _ in range(bench.random.randint(2, 3))]
        program = [bench.load_words]
        for number, (k, magnitude) in enumerate(steps):
            last = number == len(steps) - 1
            program.append(bench.winners(k, magnitude=magnitude, buffer=number % 2, to_stream=last, final=last))
        await bench.load(program_packet(program))
        bench.send_input()
        await bench.start()
        await bench.finish()
        assert await bench.status() == (0, 1, 0), await bench.error()
        assert bench.received() == [bench.packet(*steps)], (bench.x.shape, bench.held, steps)
        bench.taken()


@cocotb.test
async def every_error(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    held = Activation()
    dense = np.ones((3, 6, 10), np.uint8)  # of 256 entries
    for _ in range(3):
        bench.behave()
        bench.begin_tensor(dense, held)
        load, winners = bench.load_words, bench.winners(9)
        stored = changed(bench.winners(150), to_stream=0)
        await bench.fails([load, stored], Error.ENTRIES_FULL, 1)
        await bench.fails([load, changed(stored, winners=1, out_rows=3)], Error.DESCRIPTOR_SIZE, 1)
        await bench.fails([load, changed(stored, winners=1, row_elements=29)], Error.DESCRIPTOR_SIZE, 1)
        await bench.fails([load, changed(winners, buffer=1)], Error.INPUT_MISSING, 1)
        await bench.fails([load, changed(winners, W=7)], Error.INPUT_MISSING, 1)
        await bench.fails([load, changed(winners, final=0), changed(load, opcode=Opcode.WINNERS.value + 1)], Error.DESCRIPTOR_UNKNOWN, 2)
        bench.some_tensor()
        await bench.works(bench.some_k())


@cocotb.test
async def stopped_or_reset_at_any_moment(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    cut = 0
    for _ in range(50):
        bench.behave(bench.random.choice((None, "stalled", "full")))
        bench.some_tensor()
        to_stream = bench.random.random() < 0.5
        program = [bench.load_words, bench.winners(bench.some_k(), to_stream=to_stream, final=to_stream)]
        await bench.load(program_packet(program if to_stream else [*program, bench.winners(bench.some_k(), buffer=1)]))
        bench.send_input()
        await bench.start()
        await ClockCycles(dut.clk, bench.random.randint(50, 1200))
        if bench.random.random() < 0.5:
            await bench.reset()
            assert await bench.status() == (0, 0, 0)
        else:
            await bench.put("CONTROL", 2)
            await bench.finish()
            _, done, failed = await bench.status()
            assert done != failed
            assert done or (await bench.error())[0] == Error.STOPPED
            cut += failed
            if not bench.taken():
                bench.in_port.clear()
                await bench.reset()
        bench.received()
        bench.taken()
        bench.some_tensor()
        await bench.works(bench.some_k(), magnitude=bench.random.random() < 0.5)
    assert cut


@cocotb.test
async def the_time(dut: Any) -> None:
    """An entry a cycle and a feature-map row a cycle, both twice, and the sweep, which here goes down to the smallest value but zero."""
    bench = WinnersBench(dut)
    await bench.begin("full")
    times = set()
    for zeros in (0.0, 0.3, 0.9):
        x = (bench.numbers.random((2, 10, 6)) >= zeros).astype(np.uint8)
        x[0, 0, 0] = 1  # of the ones, the only winner: so it takes no time to send the others
        bench.begin_tensor(x, Activation())
        await bench.works(1)
        times.add(await bench.read(LAYER_CYCLES + 4) - 2 * (np.count_nonzero(x) + x.shape[1]))
    assert len(times) == 1
    assert times == {405 if bench.config.serial else 306}, times  # with the descriptor, and the zeros behind the winner
