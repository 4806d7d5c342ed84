"""skipgrid compile: what runs a model on the accelerator without Python."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipgrid.driver.header import NAME
from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings

from .console import (
    PRESET,
    HeldOption,
    LimitOption,
    ModelOrNetwork,
    SettingsOption,
    from_options,
    output,
    output_folder,
    preset_option,
    shipped_data,
    table,
    tails,
    working,
)
from .devices import chosen_config
from .files import write_arrays
from .identifiers import check_name
from .model_run import compile_prepared, prepare
from .staging import staged

if TYPE_CHECKING:
    from skipgrid.reference.compiled import Compiled


def compile_model(
    model: ModelOrNetwork,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA.npz]",
            help="The images whose streams are written, as `skipgrid run` takes them. Without data, one is drawn at random.",
            callback=shipped_data,
        ),
    ] = None,
    preset_name: Annotated[str | None, preset_option(PRESET)] = None,
    board_name: HeldOption = None,
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write the files; made if it is missing.", callback=output_folder),
    ] = Path("out/compiled"),
    limit: LimitOption = None,
    settings: SettingsOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the accelerator, as given to `skipgrid generate`.", show_default=NAME)
    ] = None,
) -> None:
    """Write what firmware, or a bench in plain Verilog, needs to run a model on the accelerator without Python.

    DIR gets `manifest.json` (the model's steps in their order: parts of the host, and segments of the accelerator with packets, programs,
    codes and shapes), each packet, and for each image the input and the output stream of each start, as `.bin`, as `.hex` for $readmemh
    and in `model.h` for C; a driver in C; `inputs.npz` and `outputs.npz`; and `README.md`, which says how it is used. Outputs are the
    golden model's, and nothing is simulated. Passes of a large layer are written for the images given, since they depend on their nonzeros.

    Examples:

    - `skipgrid compile models/lenet5.onnx models/digits.npz --limit 2 -o out/lenet5`

    - `skipgrid compile your.onnx --preset 1x8 --set weights=16384 -o out/yours`

    - `skipgrid compile your.onnx your.npz --board ulx3s-85f -o out/yours`
    """
    chosen = chosen_config(preset_name, board_name)
    with from_options():
        config = with_settings(chosen or find_config(PRESET), settings or [])
        if name is not None:
            check_name(name)
    prepared = prepare(config, model, data, limit)
    with staged(folder) as place, working(f"compiling {model.name} for {config.name}"):
        from skipgrid.reference.compiled_files import compiled_files

        compiled = compile_prepared(prepared)
        for file, content in compiled_files(compiled, name or NAME):
            (place / file).write_bytes(content)
        outputs = compiled.starts.outputs
        if prepared.network is not None:
            outputs = {name: prepared.network.results(codes) for name, codes in outputs.items()}
        write_arrays(place / "inputs.npz", prepared.inputs)
        write_arrays(place / "outputs.npz", outputs)
    _show(compiled, f"{model.name} on {config.name}")
    files = f"manifest.json, README.md, model.h, {name or NAME}.h, {name or NAME}.c"
    output.print(f"{folder}: {files}, {len(compiled.words):,} lists of words", highlight=False, soft_wrap=True)


def _show(compiled: "Compiled", title: str) -> None:
    """The steps of the accelerator, and how many nodes run on the host."""
    shown = table(title, "segment", "layers", "packets", "words", "starts", "in", "out", left=2)
    for segment in compiled.segments:
        names = tails([layer["name"] for layer in segment["layers"]])
        starts = [start for stage in segment["images"][0] for start in stage["starts"]]
        shown.add_row(
            segment["name"],
            names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}",
            f"{len(segment['packets']):,}",
            f"{sum(packet['words'] for packet in segment['packets']):,}",
            f"{len(starts):,}",
            f"{sum(start['input']['words'] for start in starts):,}",
            f"{sum(start['output']['words'] for start in starts):,}",
        )
    output.print(shown)
    hosted = [node for part in compiled.parts for node in part["nodes"] if "why" in node]
    if hosted:
        output.print(f"nodes on the host: {len(hosted)}, which README.md lists", highlight=False)
