"""What every device offers: load a program, run tensors, read counters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.config import Config
from skipgrid.rtl.counters import COUNTERS, built_counters
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import LAYER_CYCLES, REGISTERS

Words = NDArray[np.uint32]

CONTROL = REGISTERS["CONTROL"]
READY_READS = 1000  # of STATUS, each of some cycles


class DeviceError(RuntimeError):
    """The accelerator reports an error: code says which, layer the descriptor's number."""

    def __init__(self, code: Error, layer: int) -> None:
        super().__init__(f"layer {layer}: {code.sentence} ({code.name})")
        self.code = code
        self.layer = layer


@dataclass(frozen=True)
class Run:
    """What a run gave back: the packets sent to the output stream, the counters by name, and the cycles of each layer that ran."""

    packets: list[Words]
    counters: dict[str, int]
    layer_cycles: list[int]


class Device(ABC):
    """An accelerator: registers, a load port, an input and an output stream."""

    config: Config

    @abstractmethod
    def read_register(self, address: int) -> int:
        """The value of the register at a byte address; BusError for SLVERR."""

    @abstractmethod
    def write_register(self, address: int, value: int) -> None:
        """Write the register at a byte address; BusError for SLVERR."""

    @abstractmethod
    def load(self, packet: Words) -> None:
        """Send a packet (header and data) to the load port; DeviceError if the accelerator refuses it."""

    @abstractmethod
    def stream(self, packets: list[Words]) -> list[Words]:
        """Start the program, send packets to the input stream, and collect the output packets until the run ends."""

    def run(self, packets: list[Words], program: int = 0, layers: int = 0) -> Run:
        """Run the program that begins at a descriptor, over input packets; DeviceError if it ends in error."""
        self.write_register(REGISTERS["PROGRAM"].address, program)
        self.wait_ready()
        out = self.stream(packets)
        self.check()
        cycles = [self.read_register(LAYER_CYCLES + 4 * (program + layer)) for layer in range(layers)]
        return Run(out, self.counters(), cycles)

    def wait_ready(self) -> None:
        """Wait until the program's first descriptor is fetched, so that a run begins at once: some 20 cycles."""
        status = REGISTERS["STATUS"]
        for _ in range(READY_READS):
            if status.field("ready", self.read_register(status.address)):
                return
        raise BusError("the accelerator does not become ready: it has not fetched its program's first descriptor")

    def check(self) -> None:
        """DeviceError if the status register shows an error, which is cleared, so that the next use begins without it."""
        if REGISTERS["STATUS"].field("error", self.read_register(REGISTERS["STATUS"].address)):
            word = self.read_register(REGISTERS["ERROR"].address)
            self.write_register(CONTROL.address, CONTROL.mask("clear"))
            raise DeviceError(Error(REGISTERS["ERROR"].field("code", word)), REGISTERS["ERROR"].field("layer", word))

    def counters(self) -> dict[str, int]:
        """The performance counters of the last run, by their names in lower case; 0 for what is not built."""
        counters = dict.fromkeys((counter.name.lower() for counter in COUNTERS), 0)
        for counter in built_counters(self.config):
            for place, word in enumerate(counter.words):
                counters[counter.name.lower()] |= self.read_register(REGISTERS[word].address) << 32 * place
        return counters


class BusError(RuntimeError):
    """A register access was answered with SLVERR, or STATUS.ready does not come."""
