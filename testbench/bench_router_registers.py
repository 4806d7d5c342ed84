"""The registers of ExpertRouter: every address, values that are refused, and accesses beside tokens."""

import cocotb
from cocotbext.axi import AxiLiteMaster, AxiResp

from router_ports import CELLS, EXPERTS, FRACTION, HIGH, LOW, STEP_MAX, VALUE_BITS, RouterBench
from skipgrid.golden import Overflow
from skipgrid.rtl.experts.router_map import ARRAYS, COUNT_MAX, IDENTIFICATION, REGISTERS, ExpertArray
from skipgrid.rtl.register_map import Access


@cocotb.test
async def every_address(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    known = {register.address: register for register in REGISTERS.values()}
    known |= {register.address + 4 * expert: register for register in ARRAYS.values() for expert in range(EXPERTS)}
    addresses = [*range(0, 0x48, 4), *(0x100 * block + 4 * word for block in range(16) for word in (0, 1, EXPERTS - 1, EXPERTS, 63))]
    for address in addresses:
        bench.behave()
        register = known.get(address)
        value = await bench.read(address)
        assert (value is not None) == (register is not None), hex(address)
        if register is not None and register.reset is not None:
            assert value == register.reset, f"{register.name} after a reset"
        writable = register is not None and register.access != Access.READ
        assert await bench.write(address, value or 0) == writable, hex(address)
        assert not await bench.write(address, value or 0, bench.random.randint(1, 3))
        assert await bench.read(address) == value
    assert await bench.get_register("IDENTIFICATION") == IDENTIFICATION
    assert await bench.get_register("SIZES") == EXPERTS | CELLS << 8 | VALUE_BITS << 16 | FRACTION << 24
    for odd in (0x001, 0x016, 0x403):
        assert await bench.run(read_byte(bench.master, odd)) == AxiResp.SLVERR
    bench.some_tokens(3)
    await bench.finish()


async def read_byte(master: AxiLiteMaster, address: int) -> AxiResp:
    """The answer to an address that is no multiple of 4, which the master itself would never send."""
    channel = master.read_if.ar_channel
    await channel.send(channel._transaction_obj(araddr=address, arprot=0))
    return AxiResp((await master.read_if.r_channel.recv()).rresp)


@cocotb.test
async def values_that_a_register_cannot_hold(dut: object) -> None:
    bench = RouterBench(dut)
    await bench.begin()
    most = {"EXPERTS": EXPERTS, "K": CELLS, "K_MIN": CELLS, "K_MAX": CELLS, "STEP": STEP_MAX, "CONTROL": 3}
    most |= dict.fromkeys(("SHARE", "RELATIVE", "PERIOD"), COUNT_MAX)
    assert set(most) == {name for name, register in REGISTERS.items() if register.access != Access.READ}
    for name, value in most.items():
        address = REGISTERS[name].address
        assert await bench.write(address, value)
        for wrong in (1 << 3, 1 << 31) if name == "CONTROL" else (value + 1, 1 << 31, value | 1 << 20):
            assert not await bench.write(address, wrong), (name, wrong)
        assert await bench.read(address) == value
    for array, right, refused in (
        (ExpertArray.BIAS, (LOW, HIGH), (LOW - 1, HIGH + 1, 1 << 31)),
        (ExpertArray.CAPACITY, (0, COUNT_MAX), (COUNT_MAX + 1, -1)),
        (ExpertArray.LOAD, (), (0, 1)),
    ):
        address = ARRAYS[array].address + 4 * bench.random.randrange(EXPERTS)
        for value in right:
            assert await bench.write(address, value)
            assert await bench.read(address) == value & 0xFFFF_FFFF
        for value in refused:
            assert not await bench.write(address, value), (array, value)


@cocotb.test
async def accesses_under_way_together(dut: object) -> None:
    """Reads and writes that do not wait for the answers to those before them: each has its own answer."""
    bench = RouterBench(dut)
    await bench.begin()
    await bench.some_rules()
    biases, capacities = ARRAYS[ExpertArray.BIAS].address, ARRAYS[ExpertArray.CAPACITY].address
    known: dict[int, int | None] = {0x44: None, REGISTERS["IDENTIFICATION"].address: IDENTIFICATION, REGISTERS["TOKENS"].address: 0}
    known |= {biases + 4 * expert: int(bench.golden.biases[expert]) & 0xFFFF_FFFF for expert in range(EXPERTS)}
    for _ in range(12):
        bench.behave()
        reads = [bench.random.choice(list(known)) for _ in range(6)]
        experts = [bench.random.randrange(EXPERTS + 1) for _ in range(6)]
        writes = [(capacities + 4 * expert, bench.random.randint(0, COUNT_MAX)) for expert in experts]
        found, accepted = await bench.together(reads, writes)
        assert found == [known[address] for address in reads]
        assert accepted == [expert < EXPERTS for expert in experts]
        for expert, (_, value) in zip(experts, writes, strict=True):
            if expert < EXPERTS:
                bench.golden.capacities[expert] = value
    await bench.finish()


@cocotb.test
async def registers_beside_tokens(dut: object) -> None:
    """Accesses neither disturb tokens nor lose a count; biases are written again as they are, and another register changes nothing."""
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    await bench.configure(overflow=Overflow.NEXT, period=7)
    for expert in range(EXPERTS):
        await bench.put(ExpertArray.BIAS, expert, bench.random.randint(LOW, HIGH))
        await bench.put(ExpertArray.CAPACITY, expert, 4)
    bench.some_tokens(60)
    accesses = 0
    while not bench.board.empty or bench.scores.queue:
        bench.behave()
        expert = bench.random.randrange(EXPERTS)
        before = await bench.read(ARRAYS[ExpertArray.LOAD].address + 4 * expert)
        await bench.put(ExpertArray.BIAS, expert, int(bench.golden.biases[expert]))
        await bench.put(ExpertArray.CAPACITY, expert, 4)
        after = await bench.read(ARRAYS[ExpertArray.LOAD].address + 4 * expert)
        assert before is not None
        assert after is not None
        assert before <= after
        accesses += 4
    await bench.finish()
    bench.board.finish(60)
    assert accesses > 100


@cocotb.test
async def clear_beside_tokens(dut: object) -> None:
    """Where neither capacities nor balance count, a clear at any moment changes no pair; a second one, afterwards, leaves nothing."""
    bench = RouterBench(dut)
    await bench.begin("random", "random")
    bench.some_tokens(40)
    while not bench.board.empty or bench.scores.queue:
        await bench.step(bench.random.randint(1, 200))
        await bench.clear()
        assert await bench.get_register("TOKENS") <= 2
    await bench.clear()
    await bench.finish()
    bench.board.finish(40)
    assert bench.golden.loads.sum() == 0
