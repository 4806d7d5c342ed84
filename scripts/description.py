"""Everything about one configuration that its users must know, as plain data: the content of params.json."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from skipgrid.host.device import REASONS
from skipgrid.rtl import router_map
from skipgrid.rtl.config import MAX_QUOTIENT, MAX_REMAINDER, Config
from skipgrid.rtl.layouts import (
    DESCRIPTOR_WORDS,
    SLOT_WORDS,
    Descriptor,
    Error,
    LoadHeader,
    LoadTarget,
    Opcode,
    entry_layout,
    pointer_shape,
)
from skipgrid.rtl.loader import WORDS_A_CHANNEL
from skipgrid.rtl.register_map import ADDRESS_BITS, IDENTIFICATION, LAYER_CYCLES, REGISTERS, ROUTER_BASE, VERSION, Register
from skipgrid.rtl.weights import LANES_A_WORD


def memories(config: Config) -> dict[str, int]:
    """Bits of the large memories, with their copies: one of the weights a row pair, and of the activations a row."""
    entry = data.StructLayout.cast(entry_layout(config)).size
    return {
        "weights": config.weight_copies * config.weights * config.lanes * 8,
        "entries": config.rows * config.entries * entry,
        "pointers": config.rows * 2 * config.pixels * pointer_shape(config),
    }


def layout(struct: type[data.Struct]) -> list[dict[str, Any]]:
    """The fields of a structure of 32-bit words: name, word, lowest bit in it, width, and whether signed."""
    fields = []
    for name, field in data.StructLayout.cast(struct):
        word, low = divmod(field.offset, 32)
        signed = isinstance(field.shape, Shape) and field.shape.signed
        fields.append({"name": name, "word": word, "low": low, "width": field.width, "signed": signed})
    return fields


def unit_ports(unit: wiring.Component) -> list[dict[str, Any]]:
    """The ports of a unit, without clock and reset: name, direction, width, and the fields of a structure."""
    ports = []
    for path, member, value in unit.signature.flatten(unit):
        shape = value.shape() if isinstance(value, data.View) else member.shape
        structure = shape if isinstance(shape, type | data.Layout) else None
        fields = [
            {"name": key, "low": field.offset, "width": field.width, "signed": Shape.cast(field.shape).signed}
            for key, field in (data.Layout.cast(structure) if structure else ())
        ]
        direction = "input" if member.flow == wiring.In else "output"
        ports.append({"name": "_".join(map(str, path)), "direction": direction, "width": Shape.cast(member.shape).width, "fields": fields})
    return ports


def register_list(registers: Iterable[Register]) -> list[dict[str, Any]]:
    """Registers with their fields: name, address, access, meaning; reset is null where it is not always the same."""
    return [
        {
            "name": register.name,
            "address": register.address,
            "access": register.access.value,
            "meaning": register.meaning,
            "reset": register.reset,
            "fields": [{"name": name, "low": low, "width": width, "meaning": meaning} for name, low, width, meaning in register.fields],
        }
        for register in registers
    ]


def router_registers(experts: int) -> dict[str, Any]:
    """The registers of an expert router that is built for so many experts; those of expert n are at address + stride * n."""
    return {
        "address_bits": ADDRESS_BITS,
        "identification": router_map.IDENTIFICATION,
        "map": register_list(router_map.REGISTERS.values()),
        "arrays": [entry | {"stride": 4, "count": experts} for entry in register_list(router_map.ARRAYS.values())],
    }


def describe(config: Config) -> dict[str, Any]:
    """The content of params.json."""
    return {
        "generator": {"name": "skipgrid", "version": ".".join(map(str, VERSION))},
        "config": asdict(config),
        "config_hash": config.hash,
        "derived": {
            "pes": config.rows * config.lanes,
            "weight_copies": config.weight_copies,
            "weight_address_bits": config.weight_bits,
            "entry_index_bits": config.entry_bits,
            "pixel_index_bits": config.pixel_bits,
            "feature_index_bits": config.feature_bits,
            "memory_bits": memories(config),
        },
        "code": {
            "word_bits": 32,
            "order": "value (8 bits), quotient in unary (ones, ended by a zero), remainder (k bits); least significant bit first",
            "max_quotient": MAX_QUOTIENT,
            "max_k": MAX_REMAINDER,
        },
        "registers": {
            "address_bits": ADDRESS_BITS,
            "identification": IDENTIFICATION,
            "map": register_list(REGISTERS.values()),
            "layer_cycles": {"address": LAYER_CYCLES, "stride": 4, "count": config.layers},
            **({"router": {"base": ROUTER_BASE, **router_registers(config.experts)}} if config.experts else {}),
        },
        "descriptor": {
            "words": DESCRIPTOR_WORDS,
            "slot_words": SLOT_WORDS,
            "opcodes": {opcode.name: opcode.value for opcode in Opcode},
            "fields": layout(Descriptor),
        },
        "load": {
            "header": layout(LoadHeader),
            "targets": {
                LoadTarget.WEIGHTS.name: {
                    "target": LoadTarget.WEIGHTS.value,
                    "addresses": config.weights,
                    "words_an_address": config.lanes // LANES_A_WORD,
                    "holds": "one (r, s, c) of one group: int8 weights of all lanes, four a word, the lowest lane first",
                },
                LoadTarget.CHANNELS.name: {
                    "target": LoadTarget.CHANNELS.value,
                    "addresses": config.channels,
                    "words_an_address": WORDS_A_CHANNEL,
                    "holds": "of one output channel: bias (int32), scale (float32), bound (int32)",
                },
                LoadTarget.PROGRAM.name: {
                    "target": LoadTarget.PROGRAM.value,
                    "addresses": config.layers * SLOT_WORDS,
                    "words_an_address": 1,
                    "holds": f"one word of a program; descriptor n begins at address {SLOT_WORDS} n",
                },
            },
        },
        "errors": [{"code": error.value, "name": error.name, "meaning": REASONS.get(error, "no error")} for error in Error],
    }
