"""The timing diagrams of docs/integrating.md: what a simulation shows at the ports, drawn by WaveDrom."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import wavedrom

from skipgrid.rtl.config import preset
from skipgrid.rtl.register_map import REGISTERS

from .example import example
from .pins import Pins, play

CONFIG = preset("1x8")
START, STOP, CLEAR = (REGISTERS["CONTROL"].mask(name) for name in ("start", "stop", "clear"))
WRITE = ("s_axil", ("awvalid", "awready", "awaddr", "wvalid", "wready", "wdata", "bvalid", "bready", "bresp"))
READ = ("s_axil", ("arvalid", "arready", "araddr", "rvalid", "rready", "rdata", "rresp"))
WRITTEN = ("s_axil", ("awvalid", "awready", "awaddr", "wdata"))
STREAM = ("tvalid", "tready", "tdata", "tlast")
MANY_BITS = re.compile(r"(aw|ar|w|r|b|t)(addr|data|resp)")  # signals that say something while their channel's valid is 1


@dataclass(frozen=True)
class Diagram:
    """Ports, by their interfaces, over the cycles that a scenario opens and closes."""

    title: str
    lanes: tuple[tuple[str, tuple[str, ...]], ...]
    scenario: Callable[[Pins], Awaitable[None]]

    def draw(self, pins: Pins) -> dict[str, Any]:
        """The diagram as WaveDrom takes it, of what the scenario did."""
        columns: list[int | None] = []  # cycles, and None where some are left out
        for before, window in pairwise([range(0), *pins.windows]):
            columns += [None, *window] if before and before.stop < window.start else window
        signal: list[Any] = [{"name": "clk", "wave": "p" + "".join("|" if cycle is None else "." for cycle in columns[1:])}]
        for interface, names in self.lanes:
            group = [_lane(pins, interface, name, columns) for name in names]
            signal += [[interface, *group]] if interface else group
        return {"head": {"text": self.title}, "signal": signal}


def _lane(pins: Pins, interface: str, name: str, columns: list[int | None]) -> dict[str, Any]:
    port = f"{interface}_{name}" if interface else name
    channel = MANY_BITS.fullmatch(name)
    states = _transfers(pins, f"{interface}_{channel[1]}", port) if channel else [(str(cycle[port]), "") for cycle in pins.cycles]
    wave, data, last = "", list[str](), ("", "")
    for column in columns:
        state = last if column is None else states[column]
        if column is None or state == last:
            wave += "|" if column is None else "."
        elif state[1]:
            wave += "="
            data.append(state[1])
        else:
            wave += state[0]
        last = state
    return {"name": name, "wave": wave} | ({"data": data} if data else {})


def _transfers(pins: Pins, channel: str, port: str) -> list[tuple[str, str]]:
    """Of each cycle which transfer of a channel is offered, and what it carries, words by their number in the packet; x where none is."""
    states, transfer, word = [], 0, 0
    for cycle in pins.cycles:
        valid, ready = (cycle[f"{channel}{side}"] for side in ("valid", "ready"))
        value = f"w{word}" if port.endswith("tdata") else f"{cycle[port]:0{3 if port.endswith('addr') else 1}X}"
        states.append((str(transfer), value) if valid else ("x", ""))
        if valid and ready:
            transfer += 1
            word = 0 if cycle.get(f"{channel}last") else word + 1
    return states


async def _load(pins: Pins) -> list[int]:
    """Load the example's layer, and wait until it could start; gives its input's words."""
    packets, sent, _ = example(CONFIG)
    for packet in packets:
        await pins.send("s_axis_load", packet)
    await pins.tick(40)
    return [*map(int, sent)]


async def registers(pins: Pins) -> None:
    """A write, a read, and a write to what cannot be written."""
    await pins.tick(2)
    pins.open()
    await pins.tick()
    await pins.write("PROGRAM", 1)
    await pins.tick(2)
    await pins.read("INTERRUPT_ENABLE")
    await pins.tick()
    await pins.write("VERSION", 7)
    await pins.tick(2)
    pins.close()


async def load(pins: Pins) -> None:
    """Two packets behind each other."""
    packets, _, _ = example(CONFIG)
    await pins.tick(2)
    pins.open()
    await pins.tick()
    await pins.send("s_axis_load", packets[1][:3], ends=False)
    pins.close()
    await pins.send("s_axis_load", packets[1][3:-2], ends=False)
    pins.open()
    await pins.send("s_axis_load", packets[1][-2:])
    await pins.send("s_axis_load", packets[2][:2], ends=False)
    pins.close()


async def run(pins: Pins) -> None:
    """From the start over some words of input and of output to the interrupt, which is cleared."""
    sent = await _load(pins)
    pins.open()
    await pins.tick()
    await pins.write("CONTROL", START)
    await pins.send("s_axis_in", sent[:4], ends=False)
    pins.close()
    await pins.send("s_axis_in", sent[4:-1], ends=False)
    pins.open()
    await pins.send("s_axis_in", sent[-1:])
    await pins.tick()
    pins.close()
    await pins.until("m_axis_out_tvalid")
    pins.open(back=1)
    await pins.tick(2)
    pins.close()
    await pins.until("irq")
    pins.open(back=3)
    await pins.tick(2)
    await pins.write("CONTROL", CLEAR)
    await pins.tick(2)
    pins.close()


async def back_pressure(pins: Pins) -> None:
    """Input words that are waited for, and that wait; output words that wait."""
    sent = await _load(pins)
    await pins.write("CONTROL", START)
    pins.open()
    await pins.send("s_axis_in", sent[:2], ends=False)
    await pins.tick(2)
    await pins.send("s_axis_in", sent[2:7], ends=False)
    pins.close()
    await pins.send("s_axis_in", sent[7:])
    pins.set(m_axis_out_tready=0)
    await pins.until("m_axis_out_tvalid")
    pins.open(back=1)
    await pins.tick()
    pins.close()
    await pins.tick(60)
    pins.open()
    await pins.tick(2)
    pins.set(m_axis_out_tready=1)
    await pins.tick(2)
    pins.set(m_axis_out_tready=0)
    await pins.tick(2)
    pins.set(m_axis_out_tready=1)
    await pins.tick(2)
    pins.close()


async def stop(pins: Pins) -> None:
    """A run that is given up while it sends."""
    sent = await _load(pins)
    await pins.write("CONTROL", START)
    await pins.send("s_axis_in", sent)
    await pins.until("m_axis_out_tvalid")
    pins.open(back=1)
    await pins.tick(2)
    await pins.write("CONTROL", STOP)
    await pins.until("irq")
    await pins.tick(2)
    pins.close()


async def reset(pins: Pins) -> None:
    """In the middle of a run, and a run behind it."""
    sent = await _load(pins)
    await pins.write("CONTROL", START)
    await pins.send("s_axis_in", sent)
    pins.set(m_axis_out_tready=0)
    await pins.until("m_axis_out_tvalid")
    pins.open(back=1)
    await pins.tick(2)
    pins.set(rst=1)
    await pins.tick()
    pins.set(rst=0, m_axis_out_tready=1)
    await pins.tick()
    await pins.write("CONTROL", START)
    await pins.send("s_axis_in", sent[:2], ends=False)
    pins.close()


DIAGRAMS = {
    "registers": Diagram("A write, a read, and a write that is refused", (WRITE, READ), registers),
    "load": Diagram("Load packets", (("s_axis_load", STREAM),), load),
    "run": Diagram(
        "A run, from its start to its interrupt",
        (WRITTEN, ("s_axis_in", STREAM), ("m_axis_out", STREAM), ("", ("busy", "irq"))),
        run,
    ),
    "back-pressure": Diagram("Either side waits", (("s_axis_in", STREAM[:3]), ("m_axis_out", STREAM[:3])), back_pressure),
    "stop": Diagram("A run that is given up", (WRITTEN, ("m_axis_out", (*STREAM, "tuser")), ("", ("busy", "error", "irq"))), stop),
    "reset": Diagram(
        "A reset in a run, and the next run",
        (("", ("rst",)), WRITTEN, ("s_axis_in", STREAM[:3]), ("m_axis_out", STREAM[:3]), ("", ("busy",))),
        reset,
    ),
}


def svg(diagram: dict[str, Any]) -> str:
    """A diagram as a picture, on white, without what WaveDrom brings for others."""
    drawn: str = wavedrom.render(json.dumps(diagram)).tostring()
    opening, definitions, picture = re.split("<defs>|</defs>", drawn, maxsplit=2)
    definitions = re.sub(r'<g id="([^"]+)">.*?</g>', lambda found: found[0] if f'"#{found[1]}"' in picture else "", definitions)
    title = f"<title>{diagram['head']['text']}</title>"
    return f'{opening}{title}<rect width="100%" height="100%" fill="white"/><defs>{definitions}</defs>{picture}\n'


def made_waves() -> dict[str, str]:
    """Name and content of each diagram: what WaveDrom reads, and the picture."""
    files = {}
    played = play(CONFIG, *(diagram.scenario for diagram in DIAGRAMS.values()))
    for (name, diagram), pins in zip(DIAGRAMS.items(), played, strict=True):
        drawn = diagram.draw(pins)
        files[f"{name}.json"] = json.dumps(drawn, indent=2) + "\n"
        files[f"{name}.svg"] = svg(drawn)
    return files
