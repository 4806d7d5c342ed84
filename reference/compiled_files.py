"""What `skipgrid compile` writes: manifest.json, each packet and stream as .bin and .hex, all of them as model.h, the driver, README.md."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np

from skipgrid.driver.header import NAME, driver_files, renamed
from skipgrid.fpga.board import all_boards, find_config
from skipgrid.host.devices.device import Words
from skipgrid.rtl.config import PRESETS, Config
from skipgrid.rtl.register_map import REGISTERS

from .compiled import Compiled
from .description import describe
from .manual import alone, section

WORDS_A_LINE = 8  # of a C array

HEADER = """\
/* {model} on the accelerator {name}: README.md beside this file says how it runs. Written by `skipgrid compile`. */
#ifndef MODEL_H
#define MODEL_H

#include "skipgrid.h"

#define MODEL_CONFIG_HASH {hash:#010x}u /* of the accelerator that it is compiled for, for skipgrid_probe */
"""
ARRAY = """\
#define {NAME}_WORDS {count}
static const uint32_t {name}[{count}] = {{
  {lines}
}};
"""
PACKETS = """\
static const struct skipgrid_words {name}_packets[{count}] = {{
  {lines}
}};
"""
STARTS = """\
#define {NAME}_STARTS {count}
static const struct skipgrid_start {name}[{count}] = {{
  {lines}
}};
"""
NAMED = ("CONFIG_HASH", "CONTROL", "STATUS", "ERROR", "PROGRAM")  # the registers of which README.md speaks


def compiled_files(compiled: Compiled, module: str = NAME) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, one after another, as they may be large together; but for the arrays of inputs and outputs.

    module: the name of the accelerator's top module, and of its driver.
    """
    yield "manifest.json", (json.dumps(compiled.manifest, indent=2) + "\n").encode()
    yield "README.md", _readme(compiled, module).encode()
    yield "model.h", model_header(compiled, module).encode()
    for file, text in driver_files(describe(compiled.plan.config, module), module).items():
        yield file, text.encode()
    for name, words in compiled.words.items():
        yield f"{name}.bin", words.astype("<u4").tobytes()
        yield f"{name}.hex", ("\n".join(_hex(words)) + "\n").encode()


def _hex(words: Words) -> list[str]:
    """Each word in eight digits."""
    return words.astype(">u4").tobytes().hex(" ", 4).split(" ")


def model_header(compiled: Compiled, module: str = NAME) -> str:
    """The content of model.h."""
    names = {"model": _comment(compiled.manifest["model"]), "name": compiled.plan.config.name, "hash": compiled.plan.config.hash}
    parts = [renamed(HEADER, module).format(**names)]
    for segment in compiled.segments:
        parts.append("\n".join(f"#define {name} {value}" for name, value in _defines(segment)) + "\n")
    for name, words in compiled.words.items():
        digits = [f"0x{word}u" for word in _hex(words)]
        lines = [", ".join(digits[at : at + WORDS_A_LINE]) for at in range(0, len(digits), WORDS_A_LINE)]
        parts.append(ARRAY.format(NAME=name.upper(), name=name, count=len(words), lines=",\n  ".join(lines)))
    for segment in compiled.segments:
        for image, stages in enumerate(segment["images"]):
            starts = [start for stage in stages for start in stage["starts"]]
            parts += _starts(f"{segment['name']}_image_{image}", starts, module)
    return "\n".join([*parts, "#endif\n"])


def _starts(name: str, starts: list[dict[str, Any]], module: str) -> Iterator[str]:
    """The arrays of an image's starts, each behind that of its packets."""
    lines = []
    for start in starts:
        its = start["input"]["name"].removesuffix("_input")
        packets = [_reference(packet) for packet in start["packets"]]
        yield renamed(PACKETS, module).format(name=its, count=len(packets), lines=",\n  ".join(packets))
        streams = f"{_reference(start['input']['name'])}, {_reference(start['output']['name'])}"
        lines.append(f"{{{its}_packets, {len(packets)}, {start['k_in']}, {start['k_out']}, {streams}}}")
    yield renamed(STARTS, module).format(NAME=name.upper(), name=name, count=len(starts), lines=",\n  ".join(lines))


def _reference(name: str) -> str:
    """Words as a member of a structure."""
    return f"{{{name}, {name.upper()}_WORDS}}"


def _defines(segment: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What model.h defines of a segment: the ends' shapes and zero points, and the codes' parameters where they are those of all images."""
    name = segment["name"].upper()
    for way, end in (("IN", segment["reads"]), ("OUT", segment["gives"])):
        for axis, size in zip("CHW", end["shape"], strict=True):
            yield f"{name}_{way}_{axis}", size
        yield f"{name}_{way}_ZERO_POINT", end["zero_point"]
    if segment["program"]:
        yield f"{name}_K_IN", segment["program"]["k_in"]
        yield f"{name}_K_OUT", segment["program"]["k_out"]


def _readme(compiled: Compiled, module: str) -> str:
    """The content of README.md."""
    manifest, config = compiled.manifest, compiled.plan.config
    status = REGISTERS["STATUS"]
    values = {
        "model": manifest["model"],
        "version": manifest["generator"]["version"],
        "name": config.name,
        "hash": f"{config.hash:#010x}",
        "images": f"{manifest['images']:,}",
        "steps": _steps(manifest["steps"]),
        "host": _host(compiled.parts),
        "registers": _router(compiled.segments),
        "passes": " ".join(filter(None, (_passes(compiled.segments), _kept(compiled)))),
        "others": _others(compiled),
        "generate": _generate(config) + (f" --name {module}" if module != NAME else ""),
        "quantise": _quantise(compiled),
        "coding": "### The run-length code\n\n" + section("formats.md", "The run-length code"),
        **{f"{field}_bit": str(status.bits(field).start) for field in ("busy", "done", "error")},
        **{name: f"`{REGISTERS[name].address:#05x}`" for name in NAMED},
    }
    text = renamed(resources.files("skipgrid.reference").joinpath("compiled.md").read_text(encoding="utf-8"), module)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return alone(text)


def _generate(config: Config) -> str:
    """The command that writes a configuration's Verilog: of the preset or board that it is named after, or of 1x8, with what differs."""
    name = config.name.removesuffix("-custom")
    base = find_config(name if name in PRESETS | all_boards() else "1x8")
    changed = {name: value for name, value in asdict(config).items() if name != "name" and value != getattr(base, name)}
    return " ".join(["skipgrid generate --preset", base.name, *(f"--set {name}={str(value).lower()}" for name, value in changed.items())])


def _steps(steps: list[dict[str, Any]]) -> str:
    """The table of steps."""
    lines = ["| | runs on | what | reads | gives |", "| --- | --- | --- | --- | --- |"]
    for number, step in enumerate(steps):
        if step["runs_on"] == "host":
            what = ", ".join(dict.fromkeys(node["operator"] for node in step["nodes"]))
            reads, gives = (", ".join(f"`{end['tensor']}`" for end in step[way]) for way in ("reads", "gives"))
            cells = [number, "the host", what, reads, gives]
        else:
            layers = [f"`{layer['name']}`" for layer in step["layers"]]
            what = layers[0] if len(layers) == 1 else f"{layers[0]} to {layers[-1]}, {len(layers)} layers"
            where = "from one start" if step["program"] else "in passes"
            reads, gives = (f"`{step[way]['tensor']}`" for way in ("reads", "gives"))
            cells = [number, f"the accelerator, {where}", f"`{step['name']}`: {what}", reads, gives]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _host(parts: list[dict[str, Any]]) -> str:
    """What is said of the host: what it computes, and which tensors come from there."""
    if not parts:
        return "All of the model runs on the accelerator."
    given = ", ".join(f"`{end['tensor']}`" for part in parts for end in part["gives"])
    nodes = [node for part in parts for node in part["nodes"] if "why" in node]
    text = (
        f"**Some of the model runs on the host**, and nothing in this folder computes it. From there must come the tensors {given}: the"
        " `nodes` of a step, which stand in the model under these names, compute them. The streams of the images given are here, so that"
        " the segments run without the host."
    )
    if nodes:
        text += "\n\n| node | operator | why it runs on the host |\n| --- | --- | --- |\n"
        text += "\n".join(f"| `{node['name']}` | {node['operator']} | {node['why']} |".replace("\n", " ") for node in nodes)
    return text


def _router(segments: list[dict[str, Any]]) -> str:
    """Which registers of the expert router are written, if there are any."""
    written = {each["name"]: each for segment in segments for each in segment["registers"]}
    if not written:
        return ""
    listed = " and ".join(f"{each['value']} to `{each['name']}` at `{each['address']:#05x}`" for each in written.values())
    return f"\nWrite {listed}: that is how many experts there are, and how many of them are chosen.\n"


def _passes(segments: list[dict[str, Any]]) -> str:
    """What is said of starts that depend on an image."""
    images = [(segment, stages) for segment in segments for stages in segment["images"]]
    if all(segment["program"] and len(stages) == 1 for segment, stages in images):
        return "Here each segment has one stage, with one start."
    return (
        "How many passes there are, and which parts they read, depends on which elements of an image are nonzero: **those in this folder"
        " are for the images given, and for no others.**"
    )


def _others(compiled: Compiled) -> str:
    """What is said of other images."""
    if not any(segment["program"] for segment in compiled.segments):
        return ""
    return (
        "\nThe `program` of a segment, where it has one, takes other images too, whose inputs are coded with its `k_in`, as long as"
        f" no two tensors that follow each other in it have more than {compiled.plan.config.entries:,} nonzero elements together;"
        " with more, the run may end in an error.\n\n"
    )


def _kept(compiled: Compiled) -> str:
    """What is said of thresholds that stay from one image to the next."""
    layers = (found.layer for segment in compiled.plan.segments for found in segment.layers)
    if all(layer.winners is None or layer.winners.period == 1 for layer in layers):
        return ""
    return "The winners of some layers are chosen by what images before have left: the images run in their order, behind a reset."


def _quantise(compiled: Compiled) -> str:
    """What is said of a network's ends that are float32."""
    network = compiled.network
    if network is None or np.float32 not in (network.input.dtype, network.output.dtype):
        return ""
    return "The network's float32 input v is quantised by the host to clamp(rne(v / `scale`) + `zero_point`), and its output back. "


def _comment(text: str) -> str:
    """Text that does not end a comment of C."""
    return text.replace("*/", "* /")
