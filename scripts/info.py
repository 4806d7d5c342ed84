"""skipgrid info: what a board says of itself."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.rtl.register_map import REGISTERS

from .console import JsonOption, known_board, output, table, write_json
from .devices import BaudOption, chosen_config, opened

if TYPE_CHECKING:
    from skipgrid.host.devices.serial_device import SerialDevice


def info(
    device_name: Annotated[str, typer.Option("--device", "-d", metavar="NAME", help="The board's serial port.")],
    baud: BaudOption = None,
    board_name: Annotated[
        str | None, typer.Option("--board", "-b", help="Refuse any other board's configuration.", callback=known_board)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Show what a board is: identification, configuration, clock, status, and the last run's counters.

    It changes nothing on the board.

    Examples:

    - `skipgrid info --device /dev/ttyUSB1`

    - `skipgrid info --device /dev/ttyUSB1 --board icebreaker --json board.json`
    """
    with opened(device_name, baud, chosen_config(None, board_name), reset=False) as device:
        report = describe(device)
    shown = table("Board", "what", "value", left=2)
    for name, value in report.items():
        if isinstance(value, dict):
            for part, number in value.items():
                shown.add_row(part.replace("_", " "), f"{number:,}")
        else:
            shown.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
    output.print(shown)
    write_json(json, report)


def describe(device: "SerialDevice") -> dict[str, Any]:
    """What a board says of itself, for JSON."""
    registers = {name: device.read_register(REGISTERS[name].address) for name in ("IDENTIFICATION", "VERSION", "STATUS")}
    version, status = (
        {field: REGISTERS[name].field(field, registers[name]) for field, _, _, _ in REGISTERS[name].fields}
        for name in ("VERSION", "STATUS")
    )
    return {
        "identification": registers["IDENTIFICATION"].to_bytes(4, "big").decode(),
        "version": f"{version['major']}.{version['minor']}.{version['patch']}",
        "configuration": device.config.name,
        "config_hash": f"0x{device.config.hash:08x}",
        "rows": device.config.rows,
        "lanes": device.config.lanes,
        "clock_hz": device.hello.clock_hz,
        "baud": device.hello.baud,
        "status": " ".join(name for name, value in status.items() if value) or "idle",
        "counters": device.counters(),
    }
