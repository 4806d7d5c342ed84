"""The weight memory: what is loaded is read through every port, behind its address."""

from collections import deque

import cocotb

from skipgrid.rtl.grid.weights import latency
from skipgrid.rtl.layouts import LANES_A_WORD, store_layout
from streams import Bench, Packing, config


@cocotb.test
async def loaded_and_read_through_every_port(dut: object) -> None:
    bench = Bench(dut)
    settings = config()
    await bench.reset()
    words = settings.lanes // LANES_A_WORD
    bits = 8 * LANES_A_WORD
    store = Packing(store_layout(settings))
    model = [0] * settings.weights
    for part in range(3):
        bench.set(store=store.pack({"loading": 1}))
        # The whole memory at first, then pieces of it.
        for address in range(settings.weights) if part == 0 else bench.random.sample(range(settings.weights), 40):
            for word in range(words):
                data = bench.random.getrandbits(bits)
                enable = bench.random.getrandbits(1) if part else 1
                bench.set(store=store.pack({"loading": 1, "weights": enable << word, "address": address, "data": data}))
                bench.set(**{f"addresses_{port}": bench.random.randrange(settings.weights) for port in range(settings.weight_ports)})
                await bench.step()
                if enable:
                    model[address] = model[address] & ~((1 << bits) - 1 << bits * word) | data << bits * word
        asked: deque[list[int]] = deque()  # addresses whose weights are yet to come
        for _ in range(500):
            bench.set(store=store.pack({"address": bench.random.randrange(settings.weights)}))
            addresses = [bench.random.randrange(settings.weights) for _ in range(settings.weight_ports)]
            bench.set(**{f"addresses_{port}": address for port, address in enumerate(addresses)})
            asked.append(addresses)
            await bench.step()
            if len(asked) == latency(settings):
                found = [bench.get(f"weights_{port}") for port in range(settings.weight_ports)]
                assert found == [model[address] for address in asked.popleft()]
