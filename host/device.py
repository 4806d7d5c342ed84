"""What every device offers: load a program, run tensors, read counters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.config import Config
from skipgrid.rtl.layouts import Error
from skipgrid.rtl.register_map import LAYER_CYCLES, REGISTERS

Words = NDArray[np.uint32]

CONTROL = REGISTERS["CONTROL"]
READY_READS = 1000  # of STATUS, each of some cycles

REASONS = {
    Error.STREAM_ENDED_EARLY: "the input stream ended before the tensor was complete",
    Error.STREAM_RAN_OVER: "the input stream runs past the end of the tensor",
    Error.STREAM_BITS_LEFT: "the input stream goes on after the end of the tensor",
    Error.DESCRIPTOR_UNKNOWN: "the descriptor's opcode or winners_of is unknown, or its unit is not built",
    Error.DESCRIPTOR_SIZE: "a size in the descriptor is zero, too large for this configuration, or contradicts another",
    Error.WEIGHTS_TOO_MANY: "the layer's weights do not fit the weight memory",
    Error.CHANNELS_TOO_MANY: "the layer's channels do not fit the channel memory",
    Error.ENTRIES_FULL: "the nonzero activations do not fit the activation buffers",
    Error.PIXELS_FULL: "the feature map's pixels do not fit the activation buffers",
    Error.FEATURES_TOO_MANY: "columns x channels of a feature map are more than the configuration's features",
    Error.INPUT_MISSING: "the input buffer holds no tensor of the layer's shape",
    Error.PROGRAM_NOT_ENDED: "the program has no final descriptor",
    Error.LOAD_TARGET: "a packet on the load port is for no memory there is",
    Error.LOAD_ADDRESS: "a packet on the load port runs past the end of its memory",
    Error.LOAD_CUT: "a packet on the load port ends inside an address",
    Error.STOPPED: "the run was stopped",
    Error.NOT_BUILT: "the descriptor asks for an input from the stream and a stored output, which serial forms do one after the other",
}


class DeviceError(RuntimeError):
    """The accelerator reports an error: code says which, layer the descriptor's number."""

    def __init__(self, code: Error, layer: int) -> None:
        super().__init__(f"layer {layer}: {REASONS[code]} ({code.name})")
        self.code = code
        self.layer = layer


@dataclass(frozen=True)
class Counters:
    """The performance counters of a run, in cycles unless they say otherwise."""

    total_cycles: int
    busy_cycles: int
    input_stalls: int
    output_stalls: int
    useful_macs: int
    skipped_zeros: int
    words_in: int
    words_out: int
    winners_cycles: int  # 0 where no unit is built that chooses winners


@dataclass(frozen=True)
class Run:
    """What a run gave back: the packets sent to the output stream, the counters, and the cycles of each layer that ran."""

    packets: list[Words]
    counters: Counters
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

    def counters(self) -> Counters:
        """The performance counters of the last run."""

        def read(name: str) -> int:
            return self.read_register(REGISTERS[name].address)

        return Counters(
            total_cycles=read("TOTAL_CYCLES"),
            busy_cycles=read("BUSY_CYCLES"),
            input_stalls=read("INPUT_STALLS"),
            output_stalls=read("OUTPUT_STALLS"),
            useful_macs=read("USEFUL_MACS_LOW") | read("USEFUL_MACS_HIGH") << 32,
            skipped_zeros=read("SKIPPED_ZEROS"),
            words_in=read("WORDS_IN"),
            words_out=read("WORDS_OUT"),
            winners_cycles=read("WINNERS_CYCLES") if self.config.some_winners else 0,
        )


class BusError(RuntimeError):
    """A register access was answered with SLVERR, or STATUS.ready does not come."""
