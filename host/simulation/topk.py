"""The Top-K units in simulation: the generated Verilog, compiled by Verilator, behind a C++ harness that moves whole tensors."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.rtl.topk.histogram_topk import VALUE_BITS, HistogramTopK
from skipgrid.rtl.topk.streaming_topk import StreamingTopK

from .library import build_library, pointer, sources_hash
from .toolchain import ToolError

HARNESS = Path(__file__).with_name("topk.cpp")
Integers = NDArray[np.integer]


@dataclass(frozen=True)
class Selection:
    """What a unit chose of a tensor, in the order in which it came.

    values, indices: of the winners. first, last, done: the cycles in which the tensor's first and last element were taken, and the last
    word of the winners came.
    """

    values: NDArray[np.int64]
    indices: NDArray[np.int64]
    first: int
    last: int
    done: int


class SimulatedTopK:
    """One of the two units, built with its class's parameters; it goes on where the run before ended."""

    def __init__(self, unit: type[StreamingTopK | HistogramTopK], *, index_bits: int, **settings: Any) -> None:
        self._device = ctypes.c_void_p()
        self.name, self.index_bits, self.value_bits = unit.__name__, index_bits, settings.get("value_bits", VALUE_BITS)
        settings["index_bits"] = index_bits
        key = f"{sources_hash(HARNESS, 'skipgrid.rtl')} {sorted(settings.items())}"
        library = build_library(lambda: unit(**settings), HARNESS, name=self.name.lower(), key=key)
        self._library = ctypes.CDLL(str(library))
        self._library.topk_new.restype = ctypes.c_void_p
        self._library.topk_run.restype = ctypes.c_int64
        self._device = ctypes.c_void_p(self._library.topk_new())

    def __del__(self) -> None:
        if self._device:
            self._library.topk_delete(self._device)

    def run(self, tensors: Sequence[Integers], k: int, *, magnitude: bool = False) -> list[Selection]:
        """The winners of tensors that are sent one behind the other; ToolError if the unit stops moving.

        The sign of a HistogramTopK's values is that of the tensors' type; a StreamingTopK has its own.
        """
        words = [self._words(tensor) for tensor in tensors]
        sent = np.concatenate(words)
        taken, out, passed = np.zeros_like(sent), np.zeros(len(sent) + len(words), np.uint64), np.zeros(len(sent) + len(words), np.uint64)
        signed = tensors[0].dtype.kind == "i"
        width = self.value_bits
        last = width + self.index_bits + 1
        count = self._library.topk_run(
            self._device,
            ctypes.c_uint64(k),
            int(signed) | int(magnitude) << 1,
            pointer(sent),
            ctypes.c_uint64(len(sent)),
            width + 1,
            last,
            pointer(taken),
            pointer(out),
            pointer(passed),
        )
        if count < 0:
            raise ToolError(f"the simulated {self.name} has not moved a word for 1,000 cycles")
        out, passed = out[:count].astype(np.int64), passed[:count]
        values, indices = out & ((1 << width) - 1), out >> width & ((1 << self.index_bits) - 1)
        values -= (values >> (width - 1) << width) * signed
        chosen = out >> (last - 1) & 1 == 0
        ends = np.flatnonzero(out >> last) + 1
        starts = np.append(0, ends[:-1])
        begins = np.cumsum([0, *(len(tensor) for tensor in words)])
        return [
            Selection(
                values[start:end][chosen[start:end]],
                indices[start:end][chosen[start:end]],
                int(taken[begin]),
                int(taken[stop - 1]),
                int(passed[end - 1]),
            )
            for start, end, begin, stop in zip(starts, ends, begins, begins[1:], strict=False)
        ]

    def _words(self, tensor: Integers) -> NDArray[np.uint64]:
        """A tensor as words of the stream; one null word if it has no elements."""
        width = self.value_bits
        if not tensor.size:
            return np.array([0b11 << width], np.uint64)
        words: NDArray[np.uint64] = (tensor.astype(np.int64) & ((1 << width) - 1)).astype(np.uint64)
        words[-1] |= np.uint64(1 << (width + 1))
        return words
