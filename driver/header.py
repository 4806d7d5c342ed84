"""The C driver of one configuration: its source, and its header with what params.json holds of it."""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

from .errors import DriverError

NAME = "skipgrid"
IDENTIFIER = re.compile(r"\b(skipgrid|SKIPGRID)(?=_|\.[hc]\b)|(?<=\bstruct )skipgrid\b")  # where it is a name, and not the program's
Define = tuple[str, str, str]  # a constant's name, its value, and what is said of it


def driver_files(params: dict[str, Any], name: str = NAME) -> dict[str, str]:
    """NAME.h and NAME.c of a configuration, in which every identifier begins with the name; params: what params.json holds of it."""
    return {f"{name}.h": renamed(_header(params), name), f"{name}.c": renamed(_part("skipgrid.c"), name)}


def renamed(text: str, name: str) -> str:
    """A text in which the identifiers in C, and the driver's files, have another name than skipgrid."""
    return IDENTIFIER.sub(lambda found: name.upper() if found[0].isupper() else name, text)


def _part(file: str) -> str:
    return resources.files("skipgrid.driver").joinpath(file).read_text(encoding="utf-8")


def _header(params: dict[str, Any]) -> str:
    """The content of skipgrid.h. ValueError where two constants would have one name."""
    config, descriptor = params["config"], params["descriptor"]
    errors = list(_errors(params))
    defines = {
        "constants": list(_constants(params)),
        "registers": list(_registers(params["registers"])),
        "targets": list(_targets(params["load"]["targets"])),
        "codes": list(_codes(descriptor)),
    }
    names = [name for listed in defines.values() for name, _, _ in listed] + [name for name, _, _ in errors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two constants of the C header would have one name: {', '.join(twice)}")
    values = {
        "title": f"skipgrid.h: the accelerator {config['name']} for programs in C99; skipgrid.c has the functions. Of Skipgrid"
        f" {params['generator']['version']}.",
        **{key: "\n".join(map(_define, listed)) for key, listed in defines.items()},
        "load_header": _packed(params["load"]["header"], "({})").replace("\n   ", ""),
        "fields": "\n".join(_members(descriptor["fields"])),
        "packing": "\n".join(_packing(descriptor["fields"])),
        "errors": " \\\n".join(f'  X({name}, {number}, "{sentence}")' for name, number, sentence in errors),
    }
    text = _part("skipgrid.h.in")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _define(row: Define) -> str:
    name, value, comment = row
    said = f" /* {_commented(comment)} */" if comment else ""
    return f"#define SKIPGRID_{name} {value}{said}"


def _commented(text: str) -> str:
    """Text that does not end a comment."""
    return text.replace("*/", "* /")


def _number(value: int) -> str:
    return f"{int(value)}u"


def _hex(value: int) -> str:
    return f"{value:#010x}u"


def _constants(params: dict[str, Any]) -> Iterator[Define]:
    """What the registers say of the configuration, each of its parameters, and the limits of the run-length code."""
    (version,) = (register["reset"] for register in params["registers"]["map"] if register["name"] == "VERSION")
    yield "IDENTIFICATION", _hex(params["registers"]["identification"]), ""
    yield "VERSION_WORD", _hex(version), ""
    yield "CONFIG_HASH", _hex(params["config_hash"]), ""
    for name, value in params["config"].items():
        if isinstance(value, str):
            yield f"CONFIG_{name.upper()}", f'"{value}"', ""
        else:
            yield name.upper(), _number(value), ""
    for name in ("max_quotient", "max_k"):
        yield name.upper(), _number(params["code"][name]), ""


def _registers(registers: dict[str, Any]) -> Iterator[Define]:
    """Addresses and fields, with the expert router's where it is built."""
    for register in registers["map"]:
        yield from _register(register, "", 0)
    layers = registers["layer_cycles"]
    yield f"REG_{layers['name']}(n)", f"({layers['address']:#05x}u + {layers['stride']}u * (n))", layers["meaning"]
    if "router" in registers:
        router = registers["router"]
        for register in router["map"]:
            yield from _register(register, "ROUTER_", router["base"])
        for array in router["arrays"]:
            place = f"({router['base'] + array['address']:#05x}u + {array['stride']}u * (n))"
            yield f"REG_ROUTER_{array['name']}(n)", place, array["meaning"]


def _register(register: dict[str, Any], prefix: str, base: int) -> Iterator[Define]:
    name = prefix + register["name"]
    yield f"REG_{name}", f"{base + register['address']:#05x}u", f"{register['access']}: {register['meaning']}"
    for field in register["fields"]:
        its = f"{name}_{field['name'].upper()}"
        yield f"{its}_SHIFT", _number(field["low"]), ""
        yield f"{its}_MASK", _hex((1 << field["width"]) - 1 << field["low"]), field["meaning"]


def _targets(targets: dict[str, Any]) -> Iterator[Define]:
    for name, target in targets.items():
        yield f"TARGET_{name}", _number(target["target"]), target["holds"]
        yield f"TARGET_{name}_ADDRESSES", _number(target["addresses"]), ""
        yield f"TARGET_{name}_WORDS", _number(target["words_an_address"]), ""


def _codes(descriptor: dict[str, Any]) -> Iterator[Define]:
    yield "DESCRIPTOR_WORDS", _number(descriptor["words"]), "that mean anything, of those of a slot"
    yield "SLOT_WORDS", _number(descriptor["slot_words"]), ""
    for kind in ("opcodes", "winners_of"):
        for name, value in descriptor[kind].items():
            yield f"{kind.removesuffix('s').upper()}_{name}", _number(value), ""


def _meant(fields: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The fields of a descriptor that are not reserved."""
    return (field for field in fields if field["meaning"])


def _members(fields: list[dict[str, Any]]) -> Iterator[str]:
    for field in _meant(fields):
        yield f"  {'int32_t' if field['signed'] else 'uint32_t'} {field['name']}; /* {_commented(field['meaning'])} */"


def _packed(fields: list[dict[str, Any]], value: str) -> str:
    """Fields of one word, or-ed; value: what stands for the field of that name."""
    parts = []
    for field in fields:
        mask = f" & {(1 << field['width']) - 1:#x}u" if field["low"] + field["width"] < 32 else ""
        part = f"((uint32_t){value.format(field['name'])}{mask})" if mask else f"(uint32_t){value.format(field['name'])}"
        parts.append(part + (f" << {field['low']}" if field["low"] else ""))
    return " |\n    ".join(parts)


def _packing(fields: list[dict[str, Any]]) -> Iterator[str]:
    words: dict[int, list[dict[str, Any]]] = {}
    for field in _meant(fields):
        words.setdefault(field["word"], []).append(field)
    for word, its in words.items():
        yield f"  words[{word}] = {_packed(its, 'descriptor->{}')};"


def _errors(params: dict[str, Any]) -> Iterator[Define]:
    """Name, number and sentence: the hardware's, of which NONE is OK in C, and the driver's."""
    for error in params["errors"]:
        yield "OK" if error["code"] == 0 else error["name"], str(error["code"]), error["meaning"]
    for own in DriverError:
        yield own.name, str(own.value), own.sentence
