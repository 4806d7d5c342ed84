"""skipgrid generate: the Verilog of a preset, and what describes it."""

from pathlib import Path
from typing import Annotated

import typer

from .console import PRESET, SettingsOption, from_options, output, output_folder, preset_option, working


def generate(
    preset_name: Annotated[str | None, preset_option(PRESET)] = None,
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write the files; made if it is missing.", callback=output_folder),
    ] = Path("out"),
    unit: Annotated[
        str | None, typer.Option("--unit", "-u", help="Instead of an accelerator: streaming-topk, histogram-topk, softmax, …")
    ] = None,
    settings: SettingsOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            "-n",
            help="Of the top module, with which all other modules' names begin, and all names in C.",
            show_default="skipgrid",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--family", "-f", help="ice40 (UltraPlus) or ecp5: with these FPGAs' primitives.", show_default="generic"),
    ] = None,
) -> None:
    """Write a preset's Verilog, or that of a unit that is of use by itself, with all that one needs to use it elsewhere.

    DIR gets `NAME.v` (for Verilator, Icarus, yosys and FPGA tools), `README.md` (the manual: ports, registers, formats, how to run),
    `params.json` (every port, size, address and layout), `NAME.h` and `NAME.c` (the same for C, and a driver), `NAME_tb.v` with its `.hex`
    files (a testbench that runs one layer), `lint.vlt` (Verilator's waivers with their reasons), `NAME.core` (FuseSoC), `NAME.xml`
    (IP-XACT) and `NAME_zynq.tcl` (a block design for Vivado). With --unit there are the Verilog, its waivers, `README.md` and
    `params.json`, and NAME is `skipgrid_UNIT` by default.

    --set changes a parameter of the preset (all are in params.json; rtl/config.py says what they mean), or a setting of the unit.

    Examples:

    - `skipgrid generate --preset 4x32 -o out/4x32`

    - `skipgrid generate --preset icebreaker --family ice40 --name conv -o out/conv`

    - `skipgrid generate --preset 1x8 --set experts=8 --set experts_chosen=2 --set winners=2048 -o out/experts`

    - `cd out/4x32 && verilator --lint-only -Wall lint.vlt skipgrid.v`

    - `skipgrid generate --unit streaming-topk --set cells=4 --set signed=true -o out/topk`
    """
    from skipgrid.fpga.board import find_config
    from skipgrid.fpga.units import check_alone, read_settings, with_settings
    from skipgrid.rtl.parts.vendors import find_platform

    from .identifiers import check_name
    from .staging import staged

    with from_options():
        if name is not None:
            check_name(name)
        if unit is None:
            config = with_settings(find_config(preset_name or PRESET), settings or [])
            find_platform(form or "generic")
            what = config.name
        else:
            for option, value in (("--preset", preset_name), ("--family", form)):
                if value is not None:
                    raise ValueError(
                        f"{option} is for an accelerator, on which the unit {unit} does not depend; leave {option} {value} out"
                    )
            check_alone(unit)
            read_settings(unit, settings or [])
            what = unit
    with staged(folder) as place, working(f"generating the Verilog of {what}"):
        if unit is None:
            from skipgrid.reference.config_files import made_files

            files = made_files(config, name, form or "generic")
        else:
            from skipgrid.reference.unit_files import made_unit_files

            files = made_unit_files(unit, settings or [], name)
        for file, text in files.items():
            (place / file).write_text(text, encoding="utf-8")
    lines = sum(text.count("\n") for file, text in files.items() if file.endswith(".v"))
    output.print(f"{folder}: {', '.join(files)} ({lines:,} lines of Verilog)", highlight=False, soft_wrap=True)
