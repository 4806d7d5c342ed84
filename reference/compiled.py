"""A compiled model as plain data: the content of manifest.json, and the words that it names."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from skipgrid.golden import Activation
from skipgrid.host.compiler.fits import routing
from skipgrid.host.compiler.passes import Slices
from skipgrid.host.devices.device import Words
from skipgrid.host.network import Network
from skipgrid.host.onnx.functions import OUTPUT_SCALE
from skipgrid.host.onnx.layers import Found
from skipgrid.host.onnx.model import Model
from skipgrid.host.onnx.parts import Part
from skipgrid.host.plan import Plan, Segment
from skipgrid.host.starts import Start, Starts
from skipgrid.rtl.descriptor import SLOT_WORDS, Descriptor
from skipgrid.rtl.experts.router_map import REGISTERS as ROUTER_REGISTERS
from skipgrid.rtl.layouts import LoadHeader, LoadTarget, Opcode
from skipgrid.rtl.register_map import ROUTER_BASE, VERSION

from .description import layout

AS_IT_IS = "as it is"
SHAPE = ("C", "H", "W")
# Where a node says what one step of a tensor of 8 bits stands for: of what it gives, and of what it reads first.
SCALE_GIVEN = {"QLinearConv": 6, "QLinearMatMul": 6, "QGemm": 7, **OUTPUT_SCALE}
SCALE_READ = {"DequantizeLinear": 1, "QLinearConv": 1, "QLinearMatMul": 1, "QGemm": 1}


class Compiled:
    """A plan and its starts over some images, as data.

    network: the network that was planned, if it is one of this package's own.
    manifest: the content of manifest.json. words: every packet, stream and list of indices, by the name that the manifest calls it.
    """

    def __init__(self, plan: Plan, starts: Starts, network: Network | None = None) -> None:
        self.plan, self.starts, self.network = plan, starts, network
        self.words: dict[str, Words] = {}
        numbers = {segment: number for number, segment in enumerate(plan.segments)}
        self.manifest: dict[str, Any] = {
            "generator": {"name": "skipgrid", "version": ".".join(map(str, VERSION))},
            "model": plan.name,
            "config": asdict(plan.config),
            "config_hash": plan.config.hash,
            "images": len(next(iter(starts.images.values()))),
            "steps": [self._part(step) if isinstance(step, Part) else self._segment(step, numbers[step]) for step in plan.steps],
        }

    @property
    def segments(self) -> list[dict[str, Any]]:
        """The accelerator's steps in the manifest."""
        return [step for step in self.manifest["steps"] if step["runs_on"] == "accelerator"]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The host's."""
        return [step for step in self.manifest["steps"] if step["runs_on"] == "host"]

    def _part(self, part: Part) -> dict[str, Any]:
        why = {node.name: node.why for node in self.plan.host_nodes}
        nodes = [{"name": proto.name or proto.output[0], "operator": proto.op_type} for proto in part.protos]
        return {
            "runs_on": "host",
            "nodes": [node | ({"why": why[node["name"]]} if node["name"] in why else {}) for node in nodes],
            "reads": [_tensor(part.model, name) for name in part.inputs],
            "gives": [_tensor(part.model, name) for name in part.outputs],
        }

    def _segment(self, segment: Segment, number: int) -> dict[str, Any]:
        name = f"segment_{number}"
        packets = _Packets(name, self.words)
        first, last = segment.layers[0], segment.layers[-1]
        program, images = self.starts.programs.get(segment), self.starts.images[segment]
        chosen = routing([found.layer for found in segment.layers])
        resident = None
        if program is not None:
            resident = {"packets": packets.named(program.packets), "k_in": program.k_in, "k_out": program.k_out}
            resident["descriptors"] = program.descriptors
        of_images = [self._image(f"{name}_image_{image}", stages, packets) for image, stages in enumerate(images)]
        return {
            "runs_on": "accelerator",
            "name": name,
            "layers": [_layer(found) for found in segment.layers],
            "reads": self._end(first.source, first.layer.x, first.layer.shape) | {"order": self._taken(name, first)},
            "gives": self._end(last.output, last.layer.y, last.layer.out_shape) | {"order": self._placed(name, last)},
            "registers": [
                {"name": register, "address": ROUTER_BASE + ROUTER_REGISTERS[register].address, "value": value}
                for register, value in zip(("EXPERTS", "K"), chosen or (), strict=False)
            ],
            "packets": packets.described,
            "program": resident,
            "images": of_images,
        }

    def _end(self, tensor: str, held: Activation, shape: tuple[int, int, int]) -> dict[str, Any]:
        """One end of a segment: the model's tensor, and how the segment holds it."""
        if self.network is None:
            assert self.plan.cut is not None
            scale = _scale(self.plan.cut.model, tensor)
        else:
            port = self.network.input if tensor == self.network.input.name else self.network.output
            scale = None if port.scale is None else float(port.scale)
        return {
            "tensor": tensor,
            "tensor_shape": list(self._of_image(tensor)),
            "shape": list(shape),
            "type": held.dtype,
            "zero_point": held.zero_point,
            "scale": scale,
        }

    def _of_image(self, tensor: str) -> tuple[int, ...]:
        """The shape of a tensor for one image, as the model has it."""
        if self.network is None:
            assert self.plan.cut is not None
            return self.plan.cut.model.sizes[tensor][1:]
        return (self.network.input if tensor == self.network.input.name else self.network.output).shape

    def _taken(self, segment: str, found: Found) -> str | dict[str, str]:
        """Where each element of a segment's input comes from."""
        return self._indices(f"{segment}_take", found.take, prod(self._of_image(found.source)))

    def _placed(self, segment: str, found: Found) -> str | dict[str, str]:
        """Where each element of a tensor that a segment gives comes from, with what is constant in it."""
        order = self._indices(f"{segment}_place", found.place, prod(found.layer.out_shape))
        if isinstance(order, dict) and (found.place < 0).any():
            self.words[f"{segment}_fill"] = _as_words(found.fill)
            order["constants"] = f"{segment}_fill"
        return order

    def _indices(self, name: str, numbers: NDArray[np.intp], size: int) -> str | dict[str, str]:
        """An order as the manifest has it: which of so many elements each one is."""
        if np.array_equal(numbers.reshape(-1), np.arange(size)):
            return AS_IT_IS
        self.words[name] = _as_words(numbers)
        return {"indices": name}

    def _image(self, name: str, stages: Sequence[Any], packets: "_Packets") -> list[dict[str, Any]]:
        """The stages of one image, whose starts are counted through."""
        single = sum(len(stage.starts) for stage in stages) == 1
        described, number = [], 0
        for stage in stages:
            starts = []
            for start in stage.starts:
                starts.append(self._start(name if single else f"{name}_start_{number}", start, packets))
                number += 1
            first, last = stage.layers[0], stage.layers[-1]
            described.append(
                {
                    "layers": [layer.name for layer in stage.layers],
                    "reads": {"shape": list(first.shape), "type": first.x.dtype, "zero_point": first.x.zero_point},
                    "gives": {"shape": list(last.out_shape), "type": last.y.dtype, "zero_point": last.y.zero_point},
                    "starts": starts,
                }
            )
        return described

    def _start(self, name: str, start: Start, packets: "_Packets") -> dict[str, Any]:
        self.words[f"{name}_input"], self.words[f"{name}_output"] = start.sent, start.expected
        return {
            "packets": packets.named(start.packets),
            "k_in": start.k_in,
            "k_out": start.k_out,
            "part_read": _part(start.under),
            "part_given": _part(start.block),
            "input": {"name": f"{name}_input", "words": len(start.sent)},
            "output": {"name": f"{name}_output", "words": len(start.expected)},
            "least_cycles": start.least_cycles,
        }


class _Packets:
    """The packets of a segment, each once, by names. described: as the manifest has them."""

    def __init__(self, segment: str, words: dict[str, Words]) -> None:
        self._segment, self._words = segment, words
        self._names: dict[bytes, str] = {}
        self.described: list[dict[str, Any]] = []

    def named(self, packets: Iterable[Words]) -> list[str]:
        """The names of some packets, which are kept if they are new."""
        return [self._names.get(packet.tobytes()) or self._kept(packet) for packet in packets]

    def _kept(self, packet: Words) -> str:
        name = self._names[packet.tobytes()] = f"{self._segment}_packet_{len(self._names)}"
        self._words[name] = packet
        header = _fields(packet[:1], LoadHeader)
        target = LoadTarget(header["target"])
        described = {"name": name, "target": target.name, "address": header["address"], "words": len(packet)}
        if target is LoadTarget.PROGRAM:
            described["descriptors"] = [_descriptor(slot) for slot in packet[1:].reshape(-1, SLOT_WORDS)]
        self.described.append(described)
        return name


def _descriptor(words: Words) -> dict[str, Any]:
    """The fields of a descriptor that are not 0."""
    fields = _fields(words, Descriptor)
    return {"opcode": Opcode(fields["opcode"]).name} | {name: value for name, value in fields.items() if value and name != "opcode"}


def _fields(words: Words, struct: type[data.Struct]) -> dict[str, int]:
    """The values of a structure's fields in its words."""
    values = {}
    for field in layout(struct):
        value = int(words[field["word"]]) >> field["low"] & (1 << field["width"]) - 1
        negative = field["signed"] and value >> field["width"] - 1
        values[field["name"]] = value - (1 << field["width"]) if negative else value
    return values


def _layer(found: Found) -> dict[str, Any]:
    layer = found.layer
    nodes = [{"name": node.name, "operator": node.operator} for node in found.nodes]
    return {"name": layer.name, "nodes": nodes, "shape": list(layer.shape), "out_shape": list(layer.out_shape)}


def _part(slices: Slices) -> dict[str, list[int]]:
    """The first place of each axis, and the one behind the last."""
    return {axis: [each.start, each.stop] for axis, each in zip(SHAPE, slices, strict=True)}


def _tensor(model: Model, name: str) -> dict[str, Any]:
    return {"tensor": name, "shape": list(model.sizes[name]), "type": str(model.dtypes[name])}


def _scale(model: Model, tensor: str) -> float | None:
    """The float32 value of one step of a tensor of 8 bits; None where neither the node that gives it nor one that reads it says so."""
    maker = model.maker.get(tensor)
    says = [(maker, SCALE_GIVEN)] if maker is not None else []
    says += [(reader, SCALE_READ) for reader in model.readers.get(tensor, []) if reader.inputs[0] == tensor]
    for node, at in says:
        place = at.get(node.operator)
        if place is not None and node.is_constant(place) and (value := node.plain(place, "scale")).size == 1:
            return float(value.item())
    return None


def _as_words(numbers: NDArray[np.integer]) -> Words:
    """Integers as words of two's complement."""
    return numbers.reshape(-1).astype(np.int32).view(np.uint32)
