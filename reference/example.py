"""A testbench in plain Verilog beside the generated one: a layer that every configuration can run, with what goes in and comes out."""

from importlib import resources
from typing import Any

import numpy as np

from skipgrid.golden import Layer, best_k, coded_bytes, encode, run_layer
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.packets import load_packets, program_packet
from skipgrid.host.compiler.placement import place
from skipgrid.host.devices.device import Words
from skipgrid.rtl.config import Config
from skipgrid.rtl.register_map import REGISTERS

LAYER = "a 3 × 3 convolution with padding from 2 to 4 channels, over 6 × 6 pixels, with ReLU and 2 × 2 max pooling"


def example_files(config: Config, module: str, ports: list[dict[str, Any]]) -> dict[str, str]:
    """Name and content of the testbench of a module with these ports (as `description.ports` lists them), and of its words."""
    packets, sent, expected = example(config)
    files = {
        "load.hex": _words(["weights", "channels: bias, scale and bounds of each", "program"], packets),
        "input.hex": _words(["the input, run-length coded"], [sent]),
        "output.hex": _words(["the output, run-length coded"], [expected]),
    }
    values = {
        "module": module,
        "load_words": sum(map(len, packets)),
        "input_words": len(sent),
        "output_words": len(expected),
        "signals": "\n".join(_signal(port) for port in ports),
        "connections": ",\n".join(f"    .{port['name']}({port['name']})" for port in ports),
        **{name.lower(): f"{REGISTERS[name].address:03x}" for name in ("CONTROL", "STATUS", "ERROR", "PROGRAM")},
    }
    text = resources.files("skipgrid.reference").joinpath("testbench.v").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return {f"{module}_tb.v": text, **files}


def example(config: Config) -> tuple[list[Words], Words, Words]:
    """The load packets of the example's layer (weights, channels, program), an input's words, and those of its output."""
    layer = Layer(
        name="example",
        weights=((np.arange(4 * 2 * 3 * 3) * 37 + 11) % 101 - 50).astype(np.int8).reshape(4, 2, 3, 3),
        bias=np.array([300, -200, 0, 1000], np.int32),
        scale=np.array([0.01, 0.02, 0.015, 0.005], np.float32),
        shape=(2, 6, 6),
        pads=(1, 1, 1, 1),
        low=0,
        pool=(2, 2),
        pool_stride=(2, 2),
    )
    order = np.arange(2 * 6 * 6)
    x = np.where(order * 29 % 5 < 2, order * 53 % 200 + 1, 0).astype(np.uint8).reshape(layer.shape)
    sent, expected = coded_bytes(x, layer.x), coded_bytes(run_layer(x, layer), layer.y)
    k_in, k_out = best_k(sent), best_k(expected)
    placed = place([layer], config)
    program = network_program(placed, config, k_in=k_in, k_out=k_out)
    return [*load_packets(placed, config), program_packet(program)], encode(sent, k_in), encode(expected, k_out)


def _words(titles: list[str], packets: list[Words]) -> str:
    """Packets as $readmemh takes them, each under its title; a first digit 1 marks the last word of each."""
    lines = []
    for title, packet in zip(titles, packets, strict=True):
        lines.append(f"// {title}")
        lines += [f"{int(number == len(packet) - 1)}_{word:08x}" for number, word in enumerate(packet)]
    return "\n".join(lines) + "\n"


def _signal(port: dict[str, Any]) -> str:
    """The declaration of the signal at a port: inputs are driven by the testbench."""
    width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
    return f"  reg {width}{port['name']} = 0;" if port["direction"] == "input" else f"  wire {width}{port['name']};"
