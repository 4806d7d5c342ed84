"""A LiteX SoC whose CPU runs the C driver: it must come to its end."""

import cocotb

from streams import Bench

FAILED, FINISHED = 1 << 31, 1 << 30  # as in litex_driver.c
LIMIT = 1_000_000  # cycles


@cocotb.test
async def firmware(dut: object) -> None:
    bench = Bench(dut)
    await bench.reset()
    await bench.until(lambda: bench.get("scratch") >= FINISHED, "the end of the firmware", LIMIT)
    scratch = bench.get("scratch")
    step, got = scratch >> 16 & 0xFF, scratch & 0xFFFF
    assert scratch == FINISHED, f"step {step} of litex_driver.c gave {got}"
    bench.dut._log.info("the firmware took %d cycles", bench.cycle)
