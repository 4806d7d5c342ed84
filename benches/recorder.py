"""What a measurement is made with, kept as a hash and without measuring: the hardware's Verilog, and everything that is sent to it."""

import hashlib
from functools import cache

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from skipgrid.host.devices.device import Device, Words
from skipgrid.host.simulation.library import MODULE
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.register_map import REGISTERS
from skipgrid.rtl.verilog import generate_verilog

STATUS = REGISTERS["STATUS"]


class Fingerprint:
    """A hash that tells what was added, in its order, apart from anything else."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *items: object) -> None:
        """Add arrays with their types and shapes, and what `repr` shows of everything else."""
        for item in items:
            content = item.tobytes() if isinstance(item, np.ndarray) else b""
            named = f"{item.dtype} {item.shape}" if isinstance(item, np.ndarray) else repr(item)
            self._hash.update(f"{len(named)} {len(content)} {named}".encode() + content)

    @property
    def digits(self) -> str:
        """16 digits of it."""
        return self._hash.hexdigest()[:16]


def verilog_of(component: wiring.Component) -> str:
    """The Verilog that a simulation of a component is compiled from."""
    return generate_verilog(component, MODULE)


@cache
def accelerator_verilog(config: Config) -> str:
    """That of an accelerator."""
    return verilog_of(Accelerator(config))


class Recorder(Device):
    """A device that computes nothing: a fingerprint has all that it is sent. Each of its counters reads 1."""

    def __init__(self, config: Config, fingerprint: Fingerprint) -> None:
        self.config = config
        self.fingerprint = fingerprint

    def read_register(self, address: int) -> int:
        return STATUS.mask("ready") if address == STATUS.address else 1

    def write_register(self, address: int, value: int) -> None:
        self.fingerprint.add(address, value)

    def load(self, packet: Words) -> None:
        self.fingerprint.add(np.asarray(packet, np.uint32))

    def stream(self, packets: list[NDArray[np.uint32]]) -> list[Words]:
        self.fingerprint.add(*(np.asarray(packet, np.uint32) for packet in packets))
        return []
