"""A program on a device: loaded once, then run over inputs. It knows the layers and their code, and computes nothing of them.

program = compile_network(network, config)           compiler/program.py
for result in run_program(device, program, inputs):
    print(result.output, result.cycles)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.codec import coded_bytes, decode, encode, from_coded
from skipgrid.golden.layer import Layer
from skipgrid.rtl.experts.router_map import REGISTERS as ROUTER_REGISTERS
from skipgrid.rtl.register_map import ROUTER_BASE

from .compiler.descriptors import descriptors
from .compiler.fits import routing
from .compiler.program import Program
from .devices.device import Device


@dataclass(frozen=True)
class Result:
    """One input's run.

    output: the last layer's, (K, rows, columns). cycles: from the start, with the first input word at the port, to the last
    output word. layer_cycles: of each layer. descriptor_cycles: of each step of the program. winners_cycles: in which winners
    were waited for. counters: all of them, by name.
    """

    output: NDArray[np.integer]
    cycles: int
    layer_cycles: list[int]
    descriptor_cycles: list[int]
    winners_cycles: int
    counters: dict[str, int]


def run_program(device: Device, program: Program, inputs: NDArray[np.integer]) -> Iterator[Result]:
    """Load a program and run it over inputs (N, C, H, W), one result each; DeviceError if the device reports an error."""
    load_program(device, program)
    for x in inputs:
        yield run_input(device, program, x)


def run_input(device: Device, program: Program, x: NDArray[np.integer]) -> Result:
    """Run a program that is loaded over one input (C, H, W); DeviceError if the device reports an error."""
    layers = program.network.layers
    run = device.run([encode(coded_bytes(x, layers[0].x), program.k_in)], layers=program.descriptors)
    shape = layers[-1].out_shape
    steps = [descriptors(layer) for layer in layers]  # choosing experts counts as part of their layer
    steps[0] += program.descriptors - sum(steps)  # and loading the input as part of the first one
    return Result(
        output=from_coded(decode(run.packets[0], prod(shape), program.k_out), shape, layers[-1].y),
        cycles=run.counters["total_cycles"],
        layer_cycles=[sum(run.layer_cycles[end - count : end]) for count, end in zip(steps, accumulate(steps), strict=True)],
        descriptor_cycles=run.layer_cycles,
        winners_cycles=run.counters["winners_cycles"],
        counters=run.counters,
    )


def load_program(device: Device, program: Program) -> None:
    """Send a program's packets, and tell the router what its layers need."""
    for packet in program.packets:
        device.load(packet)
    set_router(device, program.network.layers)


def set_router(device: Device, layers: Sequence[Layer]) -> None:
    """Tell the router, if there is one and the layers have experts, how many there are, and how many are chosen."""
    chosen = routing(layers)
    if chosen is not None:
        for name, value in zip(("EXPERTS", "K"), chosen, strict=True):
            device.write_register(ROUTER_BASE + ROUTER_REGISTERS[name].address, value)
