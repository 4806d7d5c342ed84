"""Everything about one configuration that its users must know, as plain data: the content of params.json."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from skipgrid.rtl import accelerator
from skipgrid.rtl.config import MAX_QUOTIENT, MAX_REMAINDER, Config
from skipgrid.rtl.control.loader import CHANNEL_WORDS
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, FIELD, SLOT_WORDS, Descriptor
from skipgrid.rtl.errors import Error
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.layouts import (
    FUNCTION_WORDS,
    LANES_A_WORD,
    LoadHeader,
    LoadTarget,
    Opcode,
    WinnersOf,
    entry_layout,
    index_words,
    pointer_shape,
)
from skipgrid.rtl.register_map import ADDRESS_BITS, IDENTIFICATION, LAYERS, REGISTERS, ROUTER_BASE, VERSION, Register

PORTS = {
    "clk": "the only clock; everything changes at its rising edge",
    "rst": "synchronous reset, active high, at any moment",
    "s_axil": "AXI4-Lite subordinate, 32 bits: the registers",
    "s_axis_load": "AXI4-Stream subordinate: packets that load weights, channels' parameters and programs; taken while no run is under way",
    "s_axis_in": "AXI4-Stream subordinate: run-length coded input tensors, one packet (TLAST) each",
    "m_axis_out": "AXI4-Stream manager: run-length coded output tensors, one packet each; TUSER in the last word marks one cut short",
    "irq": "1 from the end of a run, or an error, until the next start or clear, where `INTERRUPT_ENABLE` lets it",
    "busy": "as in `STATUS`",
    "error": "as in `STATUS`",
    "pressure": "where experts are built: so many fewer are kept than the router's K_MAX",
}


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


def descriptor_fields() -> list[dict[str, Any]]:
    """The fields of a layer descriptor, with their meaning, empty of those kept for later; those taken modulo 2 ** width say so."""
    fields = []
    for place in layout(Descriptor):
        field = FIELD[place["name"]]
        fields.append(place | ({"modulo": 1 << place["width"]} if field.modulo else {}) | {"meaning": field.meaning})
    return fields


def accelerator_ports(config: Config) -> list[dict[str, Any]]:
    """The ports of a configuration's module, in the Verilog's order: name, direction, width, interface, and what that is for."""
    found = [("clk", "clk", "input", 1), ("rst", "rst", "input", 1)]
    for path, member in accelerator.ports(config).members.flatten():
        if not member.is_signature:
            direction = "input" if member.flow == wiring.In else "output"
            found.append(("_".join(map(str, path)), str(path[0]), direction, Shape.cast(member.shape).width))
    return [
        {"name": name, "direction": direction, "width": width, "interface": interface, "meaning": PORTS[interface]}
        for name, interface, direction, width in found
    ]


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


def _lists(config: Config) -> dict[str, Any]:
    """The targets of lists of weights, and of the numbers of their slots."""
    return {
        LoadTarget.LISTS.name: {
            "target": LoadTarget.LISTS.value,
            "addresses": config.weights,
            "words_an_address": 1,
            "holds": "one tap of a layer with lists, in the order of weights: the address of its list's first weights in bits 15…0, and"
            " from bit 16 up how many addresses the list has",
        },
        LoadTarget.INDICES.name: {
            "target": LoadTarget.INDICES.value,
            "addresses": config.weights,
            "words_an_address": index_words(config),
            "holds": "of the weights at the same address: the numbers of all lanes' slots, of 4 bits, eight a word, the lowest lane first",
        },
    }


def _functions(config: Config) -> dict[str, Any]:
    """The target of functions' tables."""
    return {
        "target": LoadTarget.FUNCTIONS.value,
        "addresses": config.functions * FUNCTION_WORDS,
        "words_an_address": 1,
        "holds": "what becomes of four coded bytes that follow each other, the lowest byte first; of coded byte b of table t at"
        f" address {FUNCTION_WORDS} t + b / 4",
    }


def describe(config: Config, module: str = "skipgrid", form: str = "generic") -> dict[str, Any]:
    """The content of params.json, for a top module of that name and a form of `vendors`."""
    return {
        "generator": {"name": "skipgrid", "version": ".".join(map(str, VERSION))},
        "module": module,
        "family": form,
        "config": asdict(config),
        "config_hash": config.hash,
        "derived": {
            "pes": config.pes,
            "weight_copies": config.weight_copies,
            "weight_address_bits": config.weight_bits,
            "entry_index_bits": config.entry_bits,
            "pixel_index_bits": config.pixel_bits,
            "feature_index_bits": config.feature_bits,
            "memory_bits": memories(config),
        },
        "ports": accelerator_ports(config),
        "code": {
            "word_bits": 32,
            "value_bits": 8,
            "elements": "(a - zero_point) mod 256, in (y, x, c) order",
            "order": "value (8 bits), quotient in unary (ones, ended by a zero), remainder (k bits); least significant bit first",
            "max_quotient": MAX_QUOTIENT,
            "max_k": MAX_REMAINDER,
        },
        "registers": {
            "address_bits": ADDRESS_BITS,
            "identification": IDENTIFICATION,
            "map": register_list(REGISTERS.values()),
            "layer_cycles": {**register_list([LAYERS])[0], "stride": 4, "count": config.layers},
            **({"router": {"base": ROUTER_BASE, **router_registers(config.experts)}} if config.experts else {}),
        },
        "descriptor": {
            "words": DESCRIPTOR_WORDS,
            "slot_words": SLOT_WORDS,
            "opcodes": {opcode.name: opcode.value for opcode in Opcode},
            "winners_of": {whose.name: whose.value for whose in WinnersOf},
            "fields": descriptor_fields(),
        },
        "load": {
            "header": layout(LoadHeader),
            "targets": {
                LoadTarget.WEIGHTS.name: {
                    "target": LoadTarget.WEIGHTS.value,
                    "addresses": config.weights,
                    "words_an_address": config.lanes // LANES_A_WORD,
                    "holds": "one (r, s, c) of one group: int8 weights of all lanes, four a word, the lowest lane first",
                    "order": ["group", "r", "s", "c", "lane"],
                    "type": "int8",
                },
                LoadTarget.CHANNELS.name: {
                    "target": LoadTarget.CHANNELS.value,
                    "addresses": config.channels,
                    "words_an_address": len(CHANNEL_WORDS),
                    "holds": "of one output channel: " + ", ".join(f"{name} ({kind})" for name, kind in CHANNEL_WORDS.items()),
                    "words": [{"name": name, "type": kind} for name, kind in CHANNEL_WORDS.items()],
                },
                LoadTarget.PROGRAM.name: {
                    "target": LoadTarget.PROGRAM.value,
                    "addresses": config.layers * SLOT_WORDS,
                    "words_an_address": 1,
                    "holds": f"one word of a program; descriptor n begins at address {SLOT_WORDS} n",
                },
                **({LoadTarget.FUNCTIONS.name: _functions(config)} if config.functions else {}),
                **(_lists(config) if config.slots else {}),
            },
        },
        "errors": [{"code": error.value, "name": error.name, "meaning": error.sentence} for error in Error],
    }
