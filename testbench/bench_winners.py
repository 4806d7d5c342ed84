"""Winners of any tensor, through the AXI ports: against the golden model, with and without a period; errors, stops, resets, the time."""

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from bench_accelerator_errors import changed
from networks import Tensor, holds
from ports import Packet, Ports
from skipgrid.benches.random_networks import random_activation, random_input
from skipgrid.golden import Activation, Layer, Thresholds, Winners, coded_bytes, encode, run_network
from skipgrid.host.compiler.descriptors import descriptor, load_descriptor
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.placement import Placed
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import WinnersOf
from streams import rounds, trials

K_IN, K_OUT = 1, 2
Words = np.ndarray
Shape = tuple[int, int, int]
# C is what limits the layers' weights.
SHAPES: tuple[Shape, ...] = ((1, 1, 1), (5, 1, 1), (1, 1, 63), (1, 62, 1), (2, 9, 6), (3, 4, 5), (12, 5, 2))


class WinnersBench(Ports):
    """Sends tensors through layers that pass them on as they are, but for what their winners leave."""

    def begin_tensor(self, x: Tensor, held: Activation) -> None:
        """The tensor that `send_input` sends."""
        self.x, self.held = x, held

    def layer(self, k: int, *, magnitude: bool = False, period: int = 1) -> Layer:
        """A layer of 1 x 1 windows whose output is its input, with winners."""
        C = self.x.shape[0]
        weights = np.eye(C, dtype=np.int8).reshape(C, C, 1, 1)
        winners = Winners(k, magnitude=magnitude, period=period)
        ones = np.ones(C, np.float32)
        return Layer("same", weights, np.zeros(C, np.int32), ones, self.x.shape, x=self.held, y=self.held, winners=winners)

    def words(self, placed: Placed, *, buffer: int = 0, from_stream: bool = False, to_stream: bool = True, final: bool = True) -> Words:
        """A layer's descriptor; also where all elements win it says so, which the compiler would leave out."""
        options: dict[str, Any] = {
            "buffer": buffer,
            "from_stream": from_stream,
            "to_stream": to_stream,
            "final": final,
            "k_in": K_IN,
            "k_out": K_OUT,
        }
        winners = placed.layer.winners
        assert winners is not None
        few = replace(placed, layer=placed.layer.replaced(winners=replace(winners, k=0)))
        return changed(descriptor(few, self.config, **options), winners=winners.k or 0)

    async def load_layers(self, layers: list[Layer], *, buffer: int = 0, load: bool = True) -> None:
        """A program of such layers; `load` stores the input before the first one."""
        placed = [Placed(layer, 0, 0) for layer in layers]  # they have the same weights
        await self.load(*load_packets(placed[:1], self.config))
        program = [load_descriptor(self.x.shape, buffer=buffer, k_in=K_IN, final=False)] if load else []
        for number, item in enumerate(placed):
            last = number == len(placed) - 1
            first = number == 0 and not load
            program.append(self.words(item, buffer=buffer ^ number % 2, from_stream=first, to_stream=last, final=last))
        await self.load(program_packet(program))

    def send_input(self) -> None:
        self.send(encode(coded_bytes(self.x, self.held), K_IN))

    async def run(self) -> tuple[int, int, int]:
        """Send the tensor, and run the program that is loaded; the status."""
        self.send_input()
        await self.start()
        await self.finish()
        return await self.status()

    def packet(self, layers: list[Layer], thresholds: Thresholds) -> Packet:
        """What comes out."""
        return Packet(encode(coded_bytes(run_network(self.x, layers, thresholds)[-1], self.held), K_OUT).tolist())

    async def works(self, k: int, *, magnitude: bool = False) -> None:
        """A run gives the tensor's winners."""
        layers = [self.layer(k, magnitude=magnitude)]
        await self.load_layers(layers, load=self.config.serial or self.random.random() < 0.5)
        assert await self.run() == (0, 1, 0), await self.error()
        assert self.received() == [self.packet(layers, Thresholds())], (self.x.shape, self.held, k, magnitude)
        self.taken()

    async def fails(self, program: list[Words], error: Error, number: int) -> None:
        await self.load(program_packet(program))
        assert await self.run() == (0, 0, 1)
        assert await self.error() == (error, number)
        self.received()
        if not self.taken():
            self.in_port.clear()
            await self.reset()

    def some_tensor(self, shape: Shape | None = None, held: Activation | None = None) -> None:
        """A tensor of which two fit the memory; of few values in every other case, so that there are ties."""
        while True:
            how = held or random_activation(self.numbers)
            size = shape or self.random.choice(SHAPES)
            x = random_input(self.numbers, size, how)
            if self.random.random() < 0.5:
                x = np.where(x == how.zero_point, x, self.numbers.choice(self.numbers.integers(how.low, how.high + 1, 3), size))
            self.begin_tensor(x.astype(how.dtype), how)
            coded = coded_bytes(self.x, how).reshape(*size[1:], size[0])
            if holds(self.config, [coded, coded]):
                return

    def some_k(self) -> int:
        """None, one, about those above zero or below it, all, or more than there are."""
        signs = np.sign(self.x.astype(int) - self.held.zero_point)
        positives, not_negative = int((signs > 0).sum()), int((signs >= 0).sum())
        at_edges = [edge + by for edge in (positives, not_negative, self.x.size) for by in (-1, 0, 1)]
        return max(0, self.random.choice((0, 1, self.random.randint(0, self.x.size), (1 << self.config.element_bits) - 1, *at_edges)))

    def some_layers(self, most_period: int = 1) -> list[Layer]:
        """One to three of them."""
        return [
            self.layer(self.some_k(), magnitude=self.random.random() < 0.5, period=self.random.randint(1, most_period))
            for _ in range(self.random.randint(1, 3))
        ]


@cocotb.test
async def random_tensors(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    for _ in range(trials(120)):
        bench.behave()
        bench.some_tensor()
        await bench.works(bench.some_k(), magnitude=bench.random.random() < 0.5)


@cocotb.test
async def winners_of_winners(dut: Any) -> None:
    """From one buffer to the other and back, and to the stream; with thresholds that are kept, and forgotten after an error."""
    bench = WinnersBench(dut)
    await bench.begin()
    for _ in range(trials(25)):
        bench.behave()
        bench.some_tensor()
        shape, held = bench.x.shape, bench.held
        layers = bench.some_layers(most_period=4)
        thresholds = Thresholds()
        await bench.load_layers(layers, buffer=bench.random.randrange(2), load=bench.config.serial or bench.random.random() < 0.5)
        for _ in range(bench.random.randint(2, 7)):
            if bench.random.random() < 0.2:
                await bench.start()
                await ClockCycles(dut.clk, bench.random.randint(1, 100))
                await bench.put("CONTROL", 2)  # it waits for its input
                await bench.finish()
                assert (await bench.error())[0] == Error.STOPPED
                thresholds = Thresholds()
            bench.some_tensor(shape, held)
            assert await bench.run() == (0, 1, 0), await bench.error()
            assert bench.received() == [bench.packet(layers, thresholds)], (shape, held, [layer.winners for layer in layers])
        bench.taken()


@cocotb.test
async def more_winners_than_elements(dut: Any) -> None:
    """All win, and the smallest element is the threshold for the next tensor, not a zero that is not there."""
    bench = WinnersBench(dut)
    await bench.begin("full")
    layers, thresholds = None, Thresholds()
    for values in ([5, 7, 6, 9], [4, 5, 6, 3]):
        bench.begin_tensor(np.array(values, np.uint8).reshape(2, 1, 2), Activation())
        if layers is None:
            layers = [bench.layer(5, period=2)]
            await bench.load_layers(layers)
        assert await bench.run() == (0, 1, 0)
        assert bench.received() == [bench.packet(layers, thresholds)]
    assert thresholds.kept == {0: (5, 0)}


@cocotb.test
async def every_error(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    dense = np.ones((3, 6, 10), np.uint8)  # of 256 entries, and 128 of which winners are chosen
    for _ in range(3):
        bench.behave()
        bench.begin_tensor(dense, Activation())
        layer = bench.layer(9)
        placed = [Placed(layer, 0, 0)]
        await bench.load(*load_packets(placed, bench.config))
        load = load_descriptor(dense.shape, buffer=0, k_in=K_IN, final=False)
        good = bench.words(placed[0])
        stored = changed(good, to_stream=0, final=0)
        await bench.fails([load, good], Error.ENTRIES_FULL, 1)
        dense = np.where(bench.numbers.random(dense.shape) < 0.4, 1, 0).astype(np.uint8)
        dense[-1, -1, -1] = 1
        bench.begin_tensor(dense, Activation())
        await bench.fails([load, changed(good, buffer=1)], Error.INPUT_MISSING, 1)
        await bench.fails([load, changed(good, period=0)], Error.DESCRIPTOR_SIZE, 1)
        await bench.fails([load, changed(good, winners_of=3)], Error.DESCRIPTOR_UNKNOWN, 1)
        await bench.fails([changed(load, winners_of=WinnersOf.TENSOR.value)], Error.DESCRIPTOR_UNKNOWN, 0)
        await bench.fails([load, stored, changed(good, opcode=15)], Error.DESCRIPTOR_UNKNOWN, 2)
        if bench.config.serial:
            await bench.fails([changed(good, from_stream=1, to_stream=0)], Error.NOT_BUILT, 0)
        # To the stream goes what a wrong descriptor says, but the run ends.
        await bench.load(program_packet([load, changed(good, winners=999)]))
        assert await bench.run() == (0, 1, 0)
        bench.received()
        bench.taken()
        bench.some_tensor()
        await bench.works(bench.some_k())
        dense = np.ones((3, 6, 10), np.uint8)


@cocotb.test
async def stopped_or_reset_at_any_moment(dut: Any) -> None:
    bench = WinnersBench(dut)
    await bench.begin()
    ended = {"stopped": 0}
    for _ in rounds(40, ended):
        bench.behave(bench.random.choice((None, "stalled", "full")))
        bench.some_tensor()
        await bench.load_layers(bench.some_layers(most_period=2), load=bench.config.serial or bench.random.random() < 0.5)
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
            ended["stopped"] += failed
            if not bench.taken():
                bench.in_port.clear()
                await bench.reset()
        bench.received()
        bench.taken()
        bench.some_tensor()
        await bench.works(bench.some_k(), magnitude=bench.random.random() < 0.5)


@cocotb.test
async def the_time(dut: Any) -> None:
    """Two losers a cycle, behind a threshold that has risen while they came, or has still to; nothing where the threshold is kept."""
    bench = WinnersBench(dut)
    await bench.begin("full")
    for largest in (1, 255):
        for zeros in (0.0, 0.3, 0.9):
            x = np.where(bench.numbers.random((2, 10, 6)) >= zeros, largest, 0).astype(np.uint8)
            x[0, 0, 0] = largest  # of equal ones, the only winner: so it takes no time to send the others
            bench.begin_tensor(x, Activation())
            layers, thresholds = [bench.layer(1, period=2)], Thresholds()
            await bench.load_layers(layers)
            for renewed in (True, False):
                assert await bench.run() == (0, 1, 0)
                assert bench.received() == [bench.packet(layers, thresholds)]
                waited = await bench.get("WINNERS_CYCLES")
                if renewed:
                    leaving = np.count_nonzero(x) // (2 * bench.config.survivors)
                    assert 0 <= waited - leaving <= 12 + largest + x.size * bench.config.serial, (largest, zeros, waited)
                else:
                    assert waited == 0
