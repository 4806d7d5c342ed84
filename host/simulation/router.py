# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component whose simulation is kept from before.
"""The expert router in simulation: the generated Verilog, compiled by Verilator, behind a C++ harness that moves whole tokens."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.experts.router import ExpertRouter
from skipgrid.rtl.experts.router_map import ARRAYS, REGISTERS, ExpertArray
from skipgrid.rtl.parts.axi import OKAY
from skipgrid.rtl.register_map import Register
from skipgrid.rtl.topk.scores import WEIGHT

from .library import build_library, pointer, sources_hash
from .toolchain import ToolError

HARNESS = Path(__file__).with_name("router.cpp")
AFTERWARDS = 2000  # cycles after the last token in which nothing else may come


@dataclass(frozen=True)
class Routed:
    """What came out for a token: (expert, weight) of each pair, and the cycles in which its first and last score were taken and its last
    word came; these are 0 for a token that was never sent.
    """

    pairs: list[tuple[int, int]]
    first: int = 0
    last: int = 0
    done: int = 0


class SimulatedRouter:
    """An `ExpertRouter` with these parameters; it goes on where the run before ended."""

    def __init__(self, **sizes: int) -> None:
        self._device = ctypes.c_void_p()
        unit = ExpertRouter(**sizes)
        self.sizes, self.expert_bits = unit.sizes, unit.expert_bits
        key = f"{sources_hash(HARNESS, 'skipgrid.rtl')} {sorted(self.sizes.items())}"
        library = build_library(lambda: unit, HARNESS, name="expertrouter", key=key)
        self._library = ctypes.CDLL(str(library))
        self._library.router_new.restype = ctypes.c_void_p
        self._library.router_run.restype = ctypes.c_int64
        self._device = ctypes.c_void_p(self._library.router_new())

    def __del__(self) -> None:
        if self._device:
            self._library.router_delete(self._device)

    def write(self, name: str | ExpertArray, value: int, expert: int = 0) -> None:
        """Write a register, or what is kept of an expert; ValueError if the router refuses it."""
        register = self._register(name)
        code = self._library.router_write(self._device, register.address + 4 * expert, ctypes.c_uint32(value & 0xFFFF_FFFF))
        if code != OKAY:
            raise ValueError(f"the router refuses {value} for {register.name} of expert {expert}")

    def read(self, name: str | ExpertArray, expert: int = 0) -> int:
        """A register, or what is kept of an expert, of which a bias is signed; ValueError if the router refuses it."""
        register, value = self._register(name), ctypes.c_uint32()
        code = self._library.router_read(self._device, register.address + 4 * expert, ctypes.byref(value))
        if code != OKAY:
            raise ValueError(f"the router refuses a read of {register.name} of expert {expert}")
        return ctypes.c_int32(value.value).value if name is ExpertArray.BIAS else value.value

    def read_all(self, array: ExpertArray) -> list[int]:
        """What is kept of every expert."""
        return [self.read(array, expert) for expert in range(self.sizes["experts"])]

    def run(self, tokens: Sequence[NDArray[np.integer]], *, pressure: int = 0, pauses: float = 0, seed: int = 0) -> list[Routed]:
        """What comes out for tokens that are sent one behind the other, also of such that were not sent; ToolError if nothing moves.

        pauses: the share of cycles in which either side pauses, at random.
        """
        words = [self._words(token) for token in tokens]
        sent = np.concatenate(words)
        room = (len(words) + 2) * (self.sizes["cells"] + 1)
        taken, out, passed = np.zeros_like(sent), np.zeros(room, np.uint64), np.zeros(room, np.uint64)
        null = WEIGHT.width + self.expert_bits
        count = self._library.router_run(
            self._device,
            pressure,
            pointer(sent),
            ctypes.c_uint64(len(sent)),
            self.sizes["value_bits"] + 1,
            null + 1,
            ctypes.c_uint64(AFTERWARDS),
            round(256 * pauses),
            ctypes.c_uint64(seed),
            pointer(taken),
            pointer(out),
            pointer(passed),
            ctypes.c_uint64(room),
        )
        if count < 0:
            raise ToolError("the simulated router has not moved a word for 10,000 cycles")
        numbers = out[:count].astype(np.int64)
        pairs = [(int(word >> WEIGHT.width & (1 << self.expert_bits) - 1), int(word & (1 << WEIGHT.width) - 1)) for word in numbers]
        ends = np.flatnonzero(numbers >> (null + 1)) + 1
        begins = np.cumsum([0, *(len(each) for each in words)])
        routed = []
        for number, (start, end) in enumerate(zip(np.append(0, ends), [*ends.tolist(), count], strict=True)):
            if start == end:
                continue  # nothing stands behind the last token
            came = [pairs[place] for place in range(start, end) if not numbers[place] >> null & 1]
            known = number < len(words)
            cycles = (int(taken[begins[number]]), int(taken[begins[number + 1] - 1]), int(passed[end - 1])) if known else ()
            routed.append(Routed(came, *cycles))
        return routed

    def _register(self, name: str | ExpertArray) -> Register:
        return REGISTERS[name] if isinstance(name, str) else ARRAYS[name]

    def _words(self, token: NDArray[np.integer]) -> NDArray[np.uint64]:
        """A token's scores as words of the stream; one null word if it has none."""
        width = self.sizes["value_bits"]
        if not token.size:
            return np.array([0b11 << width], np.uint64)
        words: NDArray[np.uint64] = (token.astype(np.int64) & ((1 << width) - 1)).astype(np.uint64)
        words[-1] |= np.uint64(1 << (width + 1))
        return words
