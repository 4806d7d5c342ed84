"""The whole accelerator against golden.run_network, bit for bit, through its AXI ports."""

import cocotb
import numpy as np

from networks import Network, coded_outputs, random_network, stored_tensors
from ports import Packet, Ports
from skipgrid.benches.fuzz.session import walked_macs
from skipgrid.golden import Layer, best_k, coded_bytes, decode, encode, run_network
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.register_map import LAYER_CYCLES
from streams import trials


async def prepare(ports: Ports, network: Network) -> tuple[int, int]:
    """Load a network; gives the code parameters of its input and its output."""
    coded = coded_bytes(network.x, network.layers[0].x)
    k_in = ports.random.choice((best_k(coded), ports.random.randrange(8)))
    await ports.load(*network.packets(ports.config))
    await ports.set_router(network.layers)
    return k_in, ports.random.randrange(8)


async def run_and_check(ports: Ports, network: Network, *, load: bool) -> None:
    """Run a network on its input, and compare the output, the counters and the status with the golden model."""
    k_in, k_out = await prepare(ports, network)
    program, count = network.program(ports.config, k_in=k_in, k_out=k_out, buffer=ports.random.randrange(2), load=load)
    await ports.load(program)
    timed = int(ports.dut.irq.value)
    coded = coded_bytes(network.x, network.layers[0].x)
    ports.send(encode(coded, k_in))
    await ports.start()
    await ports.finish()
    assert await ports.status() == (0, 1, 0), await ports.error()

    # The monitor's packet, and not what was sent, is what the model computes on.
    (taken,) = ports.taken()
    assert decode(np.array(taken.words, np.uint32), coded.size, k_in).tolist() == coded.tolist()
    outputs = coded_outputs(network)
    expected = encode(outputs[-1], k_out).tolist()
    received = ports.received()
    assert received == [Packet(expected)], describe(network)

    inputs = [network.x, *run_network(network.x, network.layers)[:-1]]
    macs = sum(walked_macs(x, item, ports.config) for x, item in zip(inputs, network.placed, strict=True))
    assert await ports.get("USEFUL_MACS_LOW") == macs
    assert await ports.get("USEFUL_MACS_HIGH") == 0
    assert await ports.get("SKIPPED_ZEROS") == sum(int(np.count_nonzero(tensor == 0)) for tensor in stored_tensors(network))
    assert await ports.get("WORDS_IN") == len(taken.words)
    assert await ports.get("WORDS_OUT") == len(received[0].words)
    total = await ports.get("TOTAL_CYCLES")
    assert await ports.get("BUSY_CYCLES") <= total
    assert sum([await ports.read(LAYER_CYCLES + 4 * layer) for layer in range(count)]) == total
    if timed:
        assert ports.irq_low_before == total + 1, "from the start on, one cycle before busy"


def describe(network: Network) -> str:
    """What a failure names."""
    return "; ".join(
        f"C,H,W={layer.shape} K,C,R,S={layer.weights.shape} stride={layer.stride} pads={layer.pads} pool={layer.pool}/{layer.pool_stride} "
        f"x={layer.x} y={layer.y} clamp={layer.clamp} threshold={layer.threshold} winners={layer.winners} "
        f"function={layer.function and layer.function.values.tolist()} experts={layer.mixture and (layer.mixture.experts, layer.mixture.k)}"
        for layer in network.layers
    )


@cocotb.test
async def random_layers(dut: object) -> None:
    ports = Ports(dut)
    await ports.begin()
    for _ in range(trials(90)):
        ports.behave()
        await run_and_check(ports, random_network(ports.numbers, ports.config, 1), load=ports.random.random() < 0.3)


@cocotb.test
async def random_networks(dut: object) -> None:
    ports = Ports(dut)
    await ports.begin()
    for _ in range(trials(40)):
        ports.behave()
        depth = ports.random.randint(2, 3)
        await run_and_check(ports, random_network(ports.numbers, ports.config, depth), load=ports.random.random() < 0.3)


@cocotb.test
async def buffers_full_of_pixels(dut: object) -> None:
    """One tensor with as many pixels as both buffers hold, and two that have as many together."""
    ports = Ports(dut)
    await ports.begin()
    numbers, ones = ports.numbers, np.ones(4, np.float32)
    for rows in (ports.config.pixels // 8, ports.config.pixels // 16):
        shape = (1, rows, 8)
        layers = [Layer("first", numbers.integers(-9, 10, (1, 1, 3, 3)).astype(np.int8), ones[:1].astype(np.int32), ones[:1], shape)]
        layers[0] = layers[0].replaced(pads=(1, 1, 1, 1))
        if 2 * rows * 8 <= ports.config.pixels:
            weights = numbers.integers(-9, 10, (4, 1, 3, 3)).astype(np.int8)
            layers.append(Layer("second", weights, ones.astype(np.int32), ones / np.float32(9), shape, pads=(1, 1, 1, 1)))
        for load in (False, True):
            ports.behave()
            x = np.where(numbers.random(shape) < 0.6, numbers.integers(0, 256, shape), 0).astype(np.uint8)
            await run_and_check(ports, Network(place(layers, ports.config), x), load=load)


@cocotb.test
async def layers_at_full_speed(dut: object) -> None:
    ports = Ports(dut)
    await ports.begin("full")
    for _ in range(trials(40)):
        await run_and_check(ports, random_network(ports.numbers, ports.config, 1), load=False)
