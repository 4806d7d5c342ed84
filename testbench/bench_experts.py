"""Layers with experts through the AXI ports: the router's registers, bad descriptors, stops and resets at any moment, and the time."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from bench_accelerator_errors import changed
from networks import Network, coded_outputs
from ports import BusError, Packet, Ports
from skipgrid.golden import Activation, Layer, Mixture, coded_bytes, encode, route, run_layer, useful_macs
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.packets import program_packet
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.errors import Error
from skipgrid.rtl.experts.router_map import ARRAYS, ExpertArray
from skipgrid.rtl.experts.router_map import IDENTIFICATION as ROUTER_IDENTIFICATION
from skipgrid.rtl.experts.router_map import REGISTERS as ROUTER
from skipgrid.rtl.layouts import Opcode
from skipgrid.rtl.register_map import IDENTIFICATION, LAYER_CYCLES, ROUTER_BASE
from streams import rounds

K_IN, K_OUT = 1, 2
CHANNELS = 9


class ExpertsBench(Ports):
    """Runs a fully connected layer with experts, from stream to stream."""

    def begin_layer(self, experts: int, chosen: int, groups: int = 1, zeros: float = 0.5, **fields: Any) -> None:
        """The layer, and an input, that `works` runs; the fields are those of the layer and of its gate."""
        numbers = self.numbers
        x = numbers.integers(1, 256, (CHANNELS, 1, 1)).astype(np.uint8)
        x[numbers.random(x.shape) < zeros] = 0

        def fully(K: int, y: Activation, scale: float, **others: Any) -> Layer:
            weights = numbers.integers(-128, 128, (K, CHANNELS, 1, 1)).astype(np.int8)
            bias = numbers.integers(-900, 900, K).astype(np.int32)
            return Layer("fully", weights, bias, np.full(K, scale, np.float32), x.shape, y=y, **others)

        gate = fully(experts, Activation("int8", self.random.choice((0, 0, -7))), 0.0008, **fields)
        layer = fully(experts * groups * self.config.lanes, Activation("int8", 5), 0.004, mixture=Mixture(gate, chosen), **fields)
        self.network = Network(place([layer], self.config), x)
        self.layer, self.mixture = layer, Mixture(gate, chosen)

    def some_layer(self) -> None:
        """Any number of experts, and of those that are chosen."""
        experts = self.random.randint(2, self.config.experts)
        chosen = self.random.randint(1, min(experts, self.config.experts_chosen))
        self.begin_layer(experts, chosen, self.random.randint(1, 2), threshold=self.random.choice((0, 20, 255)))  # some scores are zero

    def program(self, **fields: int) -> list[np.ndarray]:
        """The gate's descriptor, and the experts', of which fields are changed."""
        gate, experts = network_program(self.network.placed, self.config, k_in=K_IN, k_out=K_OUT)
        return [gate, changed(experts, **fields)]

    async def ready(self, program: list[np.ndarray]) -> None:
        """All is loaded, and the input is at the port."""
        await self.load(*self.network.packets(self.config), program_packet(program))
        await self.set_router([self.layer])
        self.send(encode(coded_bytes(self.network.x, self.layer.x), K_IN))

    async def works(self) -> None:
        """A run gives the layer's output."""
        await self.ready(self.program())
        await self.start()
        await self.finish()
        assert await self.status() == (0, 1, 0), await self.error()
        assert self.received() == [Packet(encode(coded_outputs(self.network)[-1], K_OUT).tolist())]
        self.taken()

    async def router(self, name: str) -> int:
        return await self.read(ROUTER_BASE + ROUTER[name].address)

    async def loads(self) -> list[int]:
        """How often each expert was chosen."""
        first = ROUTER_BASE + ARRAYS[ExpertArray.LOAD].address
        return [await self.read(first + 4 * expert) for expert in range(self.config.experts)]


@cocotb.test
async def both_register_maps(dut: Any) -> None:
    bench = ExpertsBench(dut)
    await bench.begin()
    assert await bench.get("IDENTIFICATION") == IDENTIFICATION
    assert await bench.router("IDENTIFICATION") == ROUTER_IDENTIFICATION
    assert await bench.router("SIZES") & 0xFFFF == bench.config.experts | bench.config.experts_chosen << 8
    counted, tokens = np.zeros(bench.config.experts, int), 0
    for number in range(12):
        bench.behave()
        if number == 6:
            await bench.write(ROUTER_BASE + ROUTER["CONTROL"].address, ROUTER["CONTROL"].mask("clear"))
            counted[:] = tokens = 0
        bench.some_layer()
        await bench.works()
        tokens += 1
        for expert, _ in route(bench.network.x, bench.mixture):
            counted[expert] += 1
        assert await bench.router("TOKENS") == tokens
        assert await bench.loads() == counted.tolist()
    for address in (ROUTER_BASE + 0x3C, ROUTER_BASE + 0x700, ROUTER_BASE + 0x7FC, 0x07C):
        for access in (bench.read(address), bench.write(address, 1)):
            try:
                await access
            except BusError:
                continue
            raise AssertionError(f"no SLVERR at {address:#x}")
    await bench.works()


@cocotb.test
async def small_outputs_below_the_zero_point_are_zero(dut: Any) -> None:
    """Where no output but those that are pruned is at the zero point, or above it."""
    bench = ExpertsBench(dut)
    await bench.begin("full")
    experts = bench.config.experts
    for high, threshold in ((-9, 20), (-8, 3), (5, 20), (-100, 255), (-9, 0)):
        for _ in range(4):
            bench.begin_layer(experts, bench.random.randint(1, bench.config.experts_chosen), high=high, threshold=threshold)
            await bench.works()


@cocotb.test
async def pressure_leaves_the_best_expert(dut: Any) -> None:
    bench = ExpertsBench(dut)
    await bench.begin()
    for _ in range(8):
        bench.behave()
        bench.begin_layer(bench.config.experts, bench.config.experts_chosen)
        dut.pressure.value = bench.config.experts_chosen
        before = await bench.loads()
        await bench.ready(bench.program())
        await bench.start()
        await bench.finish()
        best, _ = route(bench.network.x, bench.mixture)[0]
        assert [int(expert == best) for expert in range(len(before))] == (np.array(await bench.loads()) - before).tolist()
        bench.received()
        bench.taken()
        dut.pressure.value = 0
        await bench.works()


@cocotb.test
async def wrong_descriptors(dut: Any) -> None:
    bench = ExpertsBench(dut)
    await bench.begin()
    config = bench.config
    for fields in (
        {"experts": 0},
        {"expert_groups": 0},
        {"experts": config.experts + 1},
        {"experts": 65535},
        {"expert_groups": 2},
        {"expert_groups": 65535},
        {"experts": 3},
        {"last_lanes": config.lanes - 1, "K": 2 * config.lanes - 1},
    ):
        bench.behave()
        bench.begin_layer(2, 1)
        await bench.ready(bench.program(**fields))
        await bench.start()
        await bench.finish()
        assert await bench.status() == (0, 0, 1)
        assert await bench.error() == (Error.DESCRIPTOR_SIZE, 1), fields
        bench.received()
        bench.taken()
        bench.some_layer()
        await bench.works()
    await bench.ready([changed(word, opcode=Opcode.EXPERTS.value + 1) for word in bench.program()[:1]])
    await bench.start()
    await bench.finish()
    assert await bench.error() == (Error.DESCRIPTOR_UNKNOWN, 0)


@cocotb.test
async def a_gate_with_too_many_scores(dut: Any) -> None:
    """They take no part; the router's status tells of them."""
    bench = ExpertsBench(dut)
    await bench.begin()
    bench.begin_layer(bench.config.experts, 1)
    await bench.works()
    assert not await bench.router("STATUS") & ROUTER["STATUS"].mask("too_many")
    await bench.ready(bench.program())
    await bench.write(ROUTER_BASE + ROUTER["EXPERTS"].address, bench.config.experts - 1)
    await bench.start()
    await bench.finish()
    assert await bench.status() == (0, 1, 0)
    assert await bench.router("STATUS") & ROUTER["STATUS"].mask("too_many")
    bench.received()
    bench.taken()
    bench.some_layer()
    await bench.works()


@cocotb.test
async def stopped_or_reset_at_any_moment(dut: Any) -> None:
    bench = ExpertsBench(dut)
    await bench.begin()
    ended = {"stopped": 0}
    for _ in rounds(25, ended):
        bench.behave(bench.random.choice((None, "stalled", "full")))
        bench.some_layer()
        await bench.ready(bench.program())
        await bench.start()
        await ClockCycles(dut.clk, bench.random.randint(20, 500))
        if bench.random.random() < 0.3:
            await bench.reset()
            assert await bench.status() == (0, 0, 0)
            assert await bench.loads() == [0] * bench.config.experts
        else:
            await bench.put("CONTROL", 2)
            await bench.finish()
            _, done, failed = await bench.status()
            assert done != failed
            assert done or (await bench.error())[0] == Error.STOPPED
            assert not await bench.router("STATUS") & ROUTER["STATUS"].mask("busy")
            ended["stopped"] += failed
            if not bench.taken():
                bench.in_port.clear()
                await bench.reset()
        bench.received()
        bench.taken()
        bench.some_layer()
        await bench.works()


@cocotb.test
async def stopped_among_the_scores(dut: Any) -> None:
    """In each of the cycles in which a token's two scores may come, both zero: the next token has both of its own."""
    bench = ExpertsBench(dut)
    await bench.begin("full")
    bench.begin_layer(2, 2, threshold=255)
    await bench.works()
    cut = 0
    for cycles in range((gate := await bench.read(LAYER_CYCLES)) - 80, gate - 45):
        await bench.ready(bench.program())
        await bench.start()
        await ClockCycles(dut.clk, cycles)
        await bench.put("CONTROL", 2)
        await bench.finish()
        bench.received()
        assert bench.taken()
        first, second, *_ = await bench.loads()
        cut += first != second + cut
        await bench.works()
        assert (await bench.loads())[:2] == [first + 1, second + 1]
    assert cut


@cocotb.test
async def the_time(dut: Any) -> None:
    """An expert that is not chosen takes a cycle of the walker, and one of the weigher if others come behind it."""
    bench = ExpertsBench(dut)
    await bench.begin("full")
    config = bench.config
    over = []
    for chosen in range(1, config.experts_chosen + 1):
        bench.begin_layer(config.experts, chosen, groups=2, zeros=0.1)
        await bench.works()
        x, layer = bench.network.x, bench.layer
        macs = useful_macs(x, layer) - useful_macs(x, bench.mixture.gate)
        assert np.count_nonzero(run_layer(x, layer) != layer.y.zero_point)
        over.append(await bench.read(LAYER_CYCLES + 4) - macs / (config.rows * config.lanes))
    assert max(over) < 100 + 2 * config.experts, over
