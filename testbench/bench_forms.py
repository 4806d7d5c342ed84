"""A component's generic form and its form for an FPGA: the same outputs in every cycle in which they are defined."""

import cocotb

from skipgrid.rtl.grid.weights import WORD_BITS, latency
from streams import Bench, config


@cocotb.test
async def multiply_accumulate(dut: object) -> None:
    """Any factors, extreme ones more often; sums long enough to go around, holds, and emptying with and without a product."""
    bench = Bench(dut)
    await bench.reset()
    await bench.pulse(empty=1)
    for part in range(40):
        emptied, accumulated = bench.random.choice((0, 0.01, 0.3)), bench.random.choice((0.2, 0.9, 1))
        extreme = part % 2
        for _ in range(500):
            activation = bench.random.choice((-256, -255, 255)) if extreme else bench.random.randint(-256, 255)
            weight = bench.random.choice((-128, 127)) if extreme else bench.random.randint(-128, 127)
            bench.set(activation=activation & 0x1FF, weight=weight & 0xFF)
            bench.set(accumulate=int(bench.random.random() < accumulated), empty=int(bench.random.random() < emptied))
            await bench.step()
            assert bench.get("generic_accumulator") == bench.get("vendor_accumulator")


@cocotb.test
async def multiplier(dut: object) -> None:
    """Any factors, extreme ones more often."""
    bench = Bench(dut)
    await bench.reset()
    for part in range(40):
        for cycle in range(500):
            activation = bench.random.choice((-256, -1, 0, 255)) if part % 2 else bench.random.randint(-256, 255)
            weight = bench.random.choice((-128, -1, 0, 127)) if part % 4 > 1 else bench.random.randint(-128, 127)
            bench.set(activation=activation & 0x1FF, weight=weight & 0xFF)
            await bench.step()
            if part or cycle > 2:
                assert bench.get("generic_product") == bench.get("vendor_product")


@cocotb.test
async def weight_block(dut: object) -> None:
    """Loading and reading by turns; what is read was loaded once, and counts when as many cycles of reading as it takes are past."""
    bench = Bench(dut)
    settings = config()
    await bench.reset()
    ports = range(settings.weight_ports)
    known = [0, settings.weights - 1, *bench.random.sample(range(1, settings.weights - 1), 200)]
    for part in range(6):
        for address in known if part == 0 else bench.random.choices(known, k=300):
            bench.set(loading=1, write_enable=int(part == 0 or bench.random.random() < 0.5), write_data=bench.random.getrandbits(WORD_BITS))
            bench.set(**{f"addresses_{port}": address if port == 0 else bench.random.choice(known) for port in ports})
            await bench.step()
        for cycle in range(1, 400):
            bench.set(loading=0, write_enable=0, write_data=bench.random.getrandbits(WORD_BITS))
            bench.set(**{f"addresses_{port}": bench.random.choice(known) for port in ports})
            await bench.step()
            if cycle >= latency(settings):
                for port in ports:
                    assert bench.get(f"generic_words_{port}") == bench.get(f"vendor_words_{port}")
