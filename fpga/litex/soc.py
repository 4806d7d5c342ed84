"""Adds the accelerator to a LiteX SoC: registers on its bus, a DMA for each stream, interrupts, and all of it in the CSR header."""

from collections.abc import Iterable
from typing import Any

from litex.soc.integration.soc import SoCCSRRegion, SoCRegion
from litex.soc.interconnect import wishbone
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import Memory

from skipgrid.rtl.config import Config
from skipgrid.rtl.counters import COUNTERS, counter_words
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.register_map import ADDRESS_BITS, LAYERS, REGISTERS, ROUTER_BASE, Access, Register

from .core import SkipgridCore
from .dma import PacketReader, PacketWriter

SIZE = 1 << ADDRESS_BITS
BUSWORD = 32


def add_skipgrid(soc: Any, config: Config, *, name: str = "skipgrid", origin: int | None = None, form: str = "generic") -> SkipgridCore:
    """Add an accelerator to a SoC, before it is finalised; gives the core.

    The SoC gets the modules NAME_core, NAME_load, NAME_input, NAME_output (the DMAs) and NAME_irq, the bus region NAME with the core's
    registers, and if its CPU has interrupts, the interrupt NAME_irq. The CSR header has the registers as those of a CSR bank NAME.

    origin: of the region; by default the first place behind the CSRs and all that lies there already.
    form: see `SkipgridCore`.
    """
    origin = _behind_csrs(soc) if origin is None else origin
    _check(soc, name, origin)
    core = SkipgridCore(soc.platform, config, module=name, form=form)
    soc.add_module(name=f"{name}_core", module=core)
    soc.bus.add_slave(name=name, slave=core.bus, region=SoCRegion(origin=origin, size=SIZE, cached=False))
    _name_registers(soc, name, origin, config)
    events = EventManager()
    events.run = EventSourceLevel(name="run", description="as irq of the core: the end of a run, or an error")
    triggers = [(events.run, core.irq), *((event, dma.done) for event, dma in _add_dmas(soc, name, core, events))]
    events.finalize()
    soc.comb += [event.trigger.eq(happened) for event, happened in triggers]
    soc.add_module(name=f"{name}_irq", module=events)
    if soc.irq.enabled:
        soc.irq.add(f"{name}_irq", use_loc_if_exists=True)
    return core


def _add_dmas(soc: Any, name: str, core: SkipgridCore, events: EventManager) -> list[tuple[Any, Any]]:
    """Add a DMA at each stream, and an event for each; gives both in pairs."""
    memory = getattr(soc, "dma_bus", soc.bus)  # a CPU's own way to its caches, where it has one
    pairs = []
    for port, direction in (("load", PacketReader), ("input", PacketReader), ("output", PacketWriter)):
        bus = wishbone.Interface(data_width=BUSWORD, address_width=soc.bus.address_width, addressing="word")
        dma = direction(bus)
        soc.add_module(name=f"{name}_{port}", module=dma)
        memory.add_master(name=f"{name}_{port}", master=bus)
        stream = getattr(core, port)
        soc.comb += stream.connect(dma.sink) if direction is PacketWriter else dma.source.connect(stream)
        event = EventSourceLevel(name=port, description=f"the last word of a packet has passed: {port}")
        setattr(events, port, event)
        pairs.append((event, dma))
    return pairs


def _check(soc: Any, name: str, origin: int) -> None:
    """ValueError where LiteX would make something else of it than one wants."""
    if soc.bus.data_width != BUSWORD:
        raise ValueError(
            f"the SoC's bus has {soc.bus.data_width} bits; on more than {BUSWORD}, LiteX reads the registers in pairs, of which one may"
            f" not be there; make the SoC with bus_data_width={BUSWORD}"
        )
    if origin < soc.mem_map["csr"]:
        raise ValueError(
            f"{name} at {origin:#x} would lie before the CSRs at {soc.mem_map['csr']:#x}, from whose first address LiteX counts those in"
            " its CSR header; choose a higher origin"
        )


def _behind_csrs(soc: Any) -> int:
    """The first address behind the CSRs, and behind all regions that lie there already."""
    csrs = soc.mem_map["csr"]
    ends = [region.origin + region.size_pow2 for region in soc.bus.regions.values() if region.origin >= csrs]
    return -(-max(ends, default=csrs + (1 << (soc.csr.address_width + 2))) // SIZE) * SIZE


def _name_registers(soc: Any, name: str, origin: int, config: Config) -> None:
    """Tell LiteX the registers' names: they are on the SoC's bus, as its CSR bus cannot wait for an answer."""

    def add(bank: str, address: int, registers: Any) -> None:
        soc.csr.add_region(bank, SoCCSRRegion(origin + address, BUSWORD, registers))

    def add_array(bank: str, address: int, count: int) -> None:
        add(bank, address, Memory(BUSWORD, count))

    absent = {word for counter in COUNTERS for word in counter.words} - {*counter_words(config)}
    add(name, 0, described(register for register in REGISTERS.values() if register.name not in absent))
    add_array(f"{name}_{LAYERS.name.lower()}", LAYERS.address, config.layers)
    if config.experts:
        add(f"{name}_router", ROUTER_BASE, described(router_map.REGISTERS.values()))
        for array in router_map.ARRAYS.values():
            add_array(f"{name}_router_{array.name.lower()}", ROUTER_BASE + array.address, config.experts)


def described(registers: Iterable[Register]) -> list[Any]:
    """Registers as LiteX describes them, one a word from address 0 on, with reserved ones between them."""
    words = {register.address // 4: register for register in registers}
    return [
        _described(words[number]) if number in words else CSRStatus(BUSWORD, name=f"reserved{number}") for number in range(max(words) + 1)
    ]


def _described(register: Register) -> Any:
    made = CSRStatus if register.access == Access.READ else CSRStorage
    fields = [CSRField(name, size=width, offset=low, description=meaning) for name, low, width, meaning in register.fields]
    return made(BUSWORD, name=register.name.lower(), fields=fields, description=register.meaning)
