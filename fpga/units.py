"""The components that can be synthesised by themselves, by name."""

from collections.abc import Callable
from typing import Any

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.activations import ActivationMemory, ActivationWriter
from skipgrid.rtl.config import Config
from skipgrid.rtl.decoder import RunLengthDecoder
from skipgrid.rtl.drain import Drain
from skipgrid.rtl.encoder import RunLengthEncoder
from skipgrid.rtl.grid import Row
from skipgrid.rtl.loader import Loader
from skipgrid.rtl.registers import Registers
from skipgrid.rtl.requantise import Requantiser
from skipgrid.rtl.sequencer import Sequencer
from skipgrid.rtl.tokens import TokenBuilder
from skipgrid.rtl.walker import RangeFetcher, WindowWalker
from skipgrid.rtl.weights import WeightMemory

from .link import Link

UNITS: dict[str, Callable[[Config], Any]] = {
    "accelerator": Accelerator,
    "decoder": lambda _: RunLengthDecoder(),
    "writer": ActivationWriter,
    "activations": ActivationMemory,
    "walker": WindowWalker,
    "fetcher": RangeFetcher,
    "row": Row,
    "weights": WeightMemory,
    "drain": Drain,
    "requantiser": Requantiser,
    "tokens": lambda _: TokenBuilder(),
    "encoder": lambda _: RunLengthEncoder(),
    "sequencer": Sequencer,
    "loader": Loader,
    "registers": Registers,
    "link": lambda _: Link(clock_hz=24_000_000, baud=3_000_000),
}


def make_unit(name: str, config: Config) -> Any:
    """The component of that name in a configuration; ValueError names those that exist."""
    if name not in UNITS:
        raise ValueError(f"there is no unit {name!r}; there are {', '.join(UNITS)}")
    return UNITS[name](config)
