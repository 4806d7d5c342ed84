"""An accelerator in Amaranth's simulator, driven at its ports, of which each cycle is kept: for timing diagrams and figures of ports."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.sim import Simulator

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.register_map import REGISTERS
from skipgrid.rtl.verilog import port_names

LIMIT = 10_000  # cycles in which something that is awaited happens
INPUTS = (
    "s_axil_awvalid",
    "s_axil_wvalid",
    "s_axil_arvalid",
    "s_axis_load_tvalid",
    "s_axis_in_tvalid",
    "s_axis_load_tlast",
    "s_axis_in_tlast",
)


class Pins:
    """The ports of an accelerator: what drives them, and what was there.

    cycles: of each cycle the value of each port, as the clock edge at its end finds it; `rst` among them.
    windows: the cycles that are of interest, as ranges.
    """

    def __init__(self, accelerator: Accelerator, simulation: Any, reset: Any) -> None:
        self.simulation = simulation
        values = [Value.cast(value) for _, _, value in accelerator.signature.flatten(accelerator)]
        self.ports = dict(zip(port_names(accelerator), values, strict=True)) | {"rst": reset}
        self.cycles: list[dict[str, int]] = []
        self.windows: list[range] = []
        self.set(**dict.fromkeys(INPUTS, 0), s_axil_bready=1, s_axil_rready=1, m_axis_out_tready=1)

    def set(self, **values: int) -> None:
        """Put values on inputs; they stay."""
        for name, value in values.items():
            self.simulation.set(self.ports[name], value)

    def get(self, name: str) -> int:
        """The value of a port now."""
        value: int = self.simulation.get(self.ports[name])
        return value

    async def tick(self, count: int = 1) -> None:
        """Let cycles pass."""
        for _ in range(count):
            _, _, *values = await self.simulation.tick().sample(*self.ports.values())
            self.cycles.append(dict(zip(self.ports, map(int, values), strict=True)))

    async def until(self, name: str) -> None:
        """Let cycles pass until a port is 1."""
        for _ in range(LIMIT):
            if self.get(name):
                return
            await self.tick()
        raise RuntimeError(f"{name} is not 1 within {LIMIT} cycles")

    async def write(self, name: str, value: int) -> None:
        """Write a register, up to the cycle in which it is taken."""
        self.set(s_axil_awaddr=REGISTERS[name].address, s_axil_wdata=value, s_axil_wstrb=0xF, s_axil_awvalid=1, s_axil_wvalid=1)
        await self.until("s_axil_awready")
        await self.tick()
        self.set(s_axil_awvalid=0, s_axil_wvalid=0)

    async def read(self, name: str) -> int:
        """Read a register, up to the cycle in which its value is there."""
        self.set(s_axil_araddr=REGISTERS[name].address, s_axil_arvalid=1)
        await self.until("s_axil_arready")
        await self.tick()
        self.set(s_axil_arvalid=0)
        await self.until("s_axil_rvalid")
        await self.tick()
        return self.cycles[-1]["s_axil_rdata"]

    async def send(self, stream: str, words: Iterable[int], *, ends: bool = True) -> None:
        """Send words, as fast as they are taken; the last one ends the packet, unless others follow."""
        *others, last = map(int, words)
        for word, ending in (*((word, 0) for word in others), (last, int(ends))):
            self.set(**{f"{stream}_tdata": word, f"{stream}_tlast": ending, f"{stream}_tvalid": 1})
            await self.until(f"{stream}_tready")
            await self.tick()
        self.set(**{f"{stream}_tvalid": 0, f"{stream}_tlast": 0})

    def passed(self, stream: str) -> list[int]:
        """The cycles in which a word passed."""
        return [number for number, cycle in enumerate(self.cycles) if cycle[f"{stream}_tvalid"] and cycle[f"{stream}_tready"]]

    def open(self, back: int = 0) -> None:
        """From this cycle on, or from some before it, it is of interest what happens."""
        begin = len(self.cycles) - back
        self.windows.append(range(begin, begin))

    def close(self) -> None:
        """Up to the cycle before."""
        self.windows[-1] = range(self.windows[-1].start, len(self.cycles))


def play(config: Config, *scenarios: Callable[[Pins], Awaitable[None]]) -> list[Pins]:
    """What each scenario did at the ports of a configuration's accelerator, which is reset before it."""
    m = Module()
    m.domains.sync = sync = ClockDomain()
    m.submodules.accelerator = accelerator = Accelerator(config)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    played: list[Pins] = []

    async def bench(simulation: Any) -> None:
        for scenario in scenarios:
            simulation.set(sync.rst, 1)
            await simulation.tick()
            simulation.set(sync.rst, 0)
            played.append(Pins(accelerator, simulation, sync.rst))
            await scenario(played[-1])

    simulator.add_testbench(bench)
    simulator.run()
    return played
