"""A network on a device, whose every run is compared with the golden model: output, error, and the counters that are exact."""

from collections import Counter
from copy import deepcopy

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from skipgrid.golden import Activation, Thresholds, accumulate, coded_bytes, encode, list_cycles, route, run_network, sum_bytes
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.fits import groups
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.devices.device import Device, DeviceError, Words
from skipgrid.host.run import set_router
from skipgrid.host.stored import stored_tensors
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import SLOT_WORDS
from skipgrid.rtl.errors import Error

from ..random_networks import Case

Tensor = NDArray[np.integer]
FULL = (Error.ENTRIES_FULL, Error.PIXELS_FULL)  # what a network may run into, because of its input


class Wrong(Exception):
    """The device did something else than the contract says."""


class Session:
    """One network on one device.

    loads: whether the program stores the input by a descriptor of its own. thresholds: what the network's layers keep at present.
    cycles: of the last run. happened: counts runs, and those that are `full`: whose tensors the buffers do not hold, as is right.
    """

    def __init__(self, device: Device, case: Case, happened: Counter[str]) -> None:
        self.device, self.case, self.happened = device, case, happened
        self.config, self.layers = device.config, case.layers
        self.loads = False
        self.thresholds = Thresholds()
        self.cycles = 0

    def load(self) -> None:
        """Load weights and channels, and set the router."""
        for packet in self.packets():
            self.device.load(packet)
        set_router(self.device, self.layers)

    def packets(self) -> list[Words]:
        """The load packets of weights and channels."""
        return load_packets(self.case.placed, self.config, sums=self.case.sums)

    def load_program(self) -> None:
        self.device.load(self.program())
        self.thresholds = Thresholds()

    def program(self) -> Words:
        """The packet of the program, from the case's first descriptor on."""
        case = self.case
        words = network_program(
            case.placed, self.config, buffer=case.buffer, load=self.loads, k_in=case.k_in, k_out=case.k_out, sums=case.sums
        )
        packet = program_packet(words)
        packet[0] += np.uint32(case.first * SLOT_WORDS)
        return packet

    def words(self, x: Tensor) -> Words:
        """The input packet of a tensor."""
        return encode(coded_bytes(x, self.layers[0].x), self.case.k_in)

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What the golden model makes of a tensor, of each layer, and keeps nothing of it."""
        return self._outputs(x, deepcopy(self.thresholds))

    def _outputs(self, x: Tensor, thresholds: Thresholds) -> list[Tensor]:
        """The same, with what is kept; where the case asks for sums, they are the last one."""
        outputs = run_network(x, self.layers, thresholds)
        if self.case.sums:
            outputs[-1] = accumulate([x, *outputs][-2], self.layers[-1])
        return outputs

    @property
    def _overlaps(self) -> bool:
        """Whether a layer may begin before its input is whole: then what the layer before read may be gone in time for more of that."""
        chosen = (layer.winners is not None and not layer.winners.per_pixel for layer in self.layers[:-1])
        return self.config.overlaps and any(chosen)

    def packet(self, output: Tensor) -> Words:
        """The output packet of the last layer's tensor, or of its sums."""
        if self.case.sums:
            return encode(sum_bytes(output.astype(np.int32)), self.case.k_out)
        return encode(coded_bytes(output, self.layers[-1].y), self.case.k_out)

    def run(self, x: Tensor, words: Words | None = None) -> bool:
        """Run the network on a tensor, which may come in other words than the usual ones; False if the buffers do not hold it.

        Wrong if the output or a counter is, or if no error says that the buffers do not hold it, where layers do not overlap; DeviceError
        for any other error.
        """
        words = self.words(x) if words is None else words
        thresholds = deepcopy(self.thresholds)
        stored = stored_tensors(x, self.layers, thresholds)
        outputs = self._outputs(x, thresholds)
        fits = _fit(stored, self.config)
        try:
            run = self.device.run([words], self.case.first, (len(self.program()) - 1) // SLOT_WORDS)
        except DeviceError as error:
            self.thresholds = Thresholds()
            if error.code not in FULL or fits:
                raise
            self.happened["full"] += 1
            return False
        self.thresholds = thresholds
        self.happened["runs"] += 1
        self.cycles = run.counters["total_cycles"]
        right = self.packet(outputs[-1])
        if len(run.packets) != 1 or not np.array_equal(run.packets[0], right):
            raise Wrong(f"the output differs from the golden model's: {_difference(run.packets, right)}")
        if not fits and not self._overlaps:
            raise Wrong("the tensors are larger than the buffers, and no error says so")
        inputs = [x, *outputs[:-1]]
        counted = {
            "useful_macs": sum(walked_macs(each, item, self.config) for each, item in zip(inputs, self.case.placed, strict=True)),
            "skipped_zeros": sum(int(np.count_nonzero(tensor == how.zero_point)) for tensor, how in stored),
            "words_in": len(words),
            "words_out": len(right),
        }
        for name, value in counted.items():
            if run.counters[name] != value:
                raise Wrong(f"the counter {name.upper()} is {run.counters[name]:,}, not {value:,}")
        if sum(run.layer_cycles) != self.cycles:
            raise Wrong(f"all LAYER_CYCLES are {sum(run.layer_cycles):,}, not {self.cycles:,}")
        return True


def _difference(packets: list[Words], right: Words) -> str:
    """How some output packets differ from the right one."""
    if len(packets) != 1:
        return f"{len(packets)} packets instead of 1"
    if len(packets[0]) != len(right):
        return f"{len(packets[0])} words instead of {len(right)}"
    word = int(np.flatnonzero(packets[0] != right)[0])
    return f"word {word} is {packets[0][word]:#010x}, not {right[word]:#010x}"


def _fit(stored: list[tuple[Tensor, Activation]], config: Config) -> bool:
    """Whether it fits the two buffers, each tensor with the one before."""
    entries = [int(np.count_nonzero(coded_bytes(tensor, how))) for tensor, how in stored]
    pixels = [tensor.shape[1] * tensor.shape[2] for tensor, _ in stored]
    limits = ((entries, config.entries), (pixels, config.pixels))
    return all(sum(sizes[number : number + 2]) <= limit for sizes, limit in limits for number in range(len(entries)))


def walked_macs(x: Tensor, placed: Placed, config: Config) -> int:
    """The multiplications that the grid does: a window that two pools share is walked twice, one that no pool takes is not.

    Of a list every address counts for all lanes, whatever they find there.
    """
    layer, shift = placed.walked(config), placed.shift(config)
    if placed.slots:
        return int(list_cycles(x, layer, 1, placed.lanes_used(config), placed.slots)) * config.lanes
    top, left, bottom, right = layer.pads
    nonzeros = np.pad(np.count_nonzero(x != layer.x.zero_point, axis=0), ((top, bottom), (left, right + groups(layer, config) * shift)))
    macs = 0
    for group in range(groups(layer, config)):
        seen = nonzeros[:, group * shift :][:, : left + layer.shape[2] + right]
        windows = sliding_window_view(seen, layer.weights.shape[2:])[:: layer.stride[0], :: layer.stride[1]].sum(axis=(2, 3))
        pools = sliding_window_view(windows, layer.pool)[:: layer.pool_stride[0], :: layer.pool_stride[1]]
        macs += int(pools.sum()) * min(config.lanes, len(layer.bias) - group * config.lanes)
    if placed.gate is None or layer.mixture is None:
        return macs
    return walked_macs(x, placed.gate, config) + macs // layer.mixture.experts * len(route(x, layer.mixture))
