"""The manual beside generated Verilog: parts of the documentation's pages, which stand alone there, and the tables of one configuration."""

import re
from importlib import resources

from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import SLOT_WORDS

from . import tables

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)")
ROUTER = ("A token's way", "What a full expert is", "Periods and balance", "What is out of range")

BODY = """\
## Configuration

{configuration}

## Connecting

{connecting}

### Ports

{ports}

### Streams

{streams}

## A run

{run}

## Interrupts

{interrupts}

## Registers

{rules}

{registers}

## Numbers

{numbers}

## The run-length code

{code}

## Load packets

{packets}

{load}

## Programs

{programs}

## Layer descriptor

Descriptor n begins at address {slot} n of the program. Fields that a descriptor has no use for are 0.

{descriptor}

## Errors

{errors}
"""


def manual(config: Config) -> str:
    """The manual of a configuration, as sections of Markdown without links out of it."""
    body = BODY.format(
        configuration=tables.configuration(config),
        connecting=section("integrating.md", "Connecting"),
        ports=tables.ports(config),
        streams=section("formats.md", "Streams"),
        run=section("integrating.md", "A run"),
        interrupts=tables.INTERRUPTS.strip(),
        rules=tables.REGISTER_RULES,
        registers=tables.registers(config),
        numbers=section("formats.md", "Numbers"),
        code=section("formats.md", "The run-length code"),
        packets=section("formats.md", "Load packets"),
        load=tables.load_packets(config),
        programs=section("formats.md", "Programs"),
        slot=SLOT_WORDS,
        descriptor=tables.descriptor(),
        errors=tables.errors(),
    )
    if config.experts:
        body += "\n## The expert router\n\n" + "\n\n".join(f"### {title}\n\n{section('router.md', title)}" for title in ROUTER) + "\n"
    return alone(body)


def section(page: str, title: str) -> str:
    """The text under a heading of one of the documentation's pages, without what it says to those who have the Python package."""
    text = resources.files("skipgrid.docs").joinpath(page).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^### In Python$|^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"docs/{page} has no section {title!r}")
    return found[1].strip()


def alone(text: str) -> str:
    """The same page with links to its own headings only; of all others their text is left."""
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}

    def kept(link: re.Match[str]) -> str:
        words, target = link.groups()
        anchor = target.partition("#")[2]
        return f"[{words}](#{anchor})" if anchor in anchors else words

    return LINK.sub(kept, text)
