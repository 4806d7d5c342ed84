"""skipgrid build: a board's bitstream, with reports of its clock and area."""

import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import BoardOption, notes, output, output_folder, table, working, write_json, wrote
from .files import BadOption, project

if TYPE_CHECKING:
    from skipgrid.fpga.board import Board
    from skipgrid.fpga.build import Build, Placement

BITSTREAM = "skipgrid"  # with the family's ending


def build(
    board_name: BoardOption,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="Place with seeds 1…N and keep the one with the fastest clock.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Place with this seed only.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Seeds placed at the same time.")] = 2,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write the files; out/BOARD if not given.", callback=output_folder),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="In a clone of the project: keep the figures for the table of boards.")] = False,
) -> None:
    """Build a board's bitstream, with the tools that pip installed.

    DIR gets the bitstream (`skipgrid.bin`, `.bit` or `.fs`), `build.json` (area, clock, seed, versions of the tools), `area.txt` (yosys'
    counts of cells), `timing.json` and `timing.log` (nextpnr's report and log), and in `work` what the tools passed to each other.
    Without --seeds or --seed, the seed is the one of the figures kept in the project, or 1.

    Exit code 1 if the board's clock is not reached; the bitstream is written all the same.

    Examples:

    - `skipgrid build --board icebreaker`

    - `skipgrid build --board ulx3s-85f --seeds 4 --jobs 4`
    """
    from skipgrid.fpga.board import find_board

    from . import records

    if seeds is not None and seed is not None:
        raise BadOption("--seeds and --seed exclude each other: several seeds, or one")
    board = find_board(board_name)
    kept = project() / records.KEPT / f"{board.name}.json" if record else None
    folder = folder or Path("out") / board.name
    known = records.kept().get(board.name, {}).get("seed", 1)
    made, placements = place_all(board, folder / "work", range(1, seeds + 1) if seeds else [known if seed is None else seed], jobs)
    placement, figures = summary(made, placements)

    with working(f"packing the bitstream of seed {placement.seed}"):
        packed = made.pack(placement)
    bitstream = folder / f"{BITSTREAM}{packed.suffix}"
    shutil.copyfile(packed, bitstream)
    work = folder / "work"
    for name, source in (
        ("area.txt", work / "area.txt"),
        ("timing.json", work / f"seed{placement.seed}.timing.json"),
        ("timing.log", work / f"seed{placement.seed}.log"),
    ):
        shutil.copyfile(source, folder / name)
    wrote(bitstream)
    write_json(folder / "build.json", figures)
    if kept:
        write_json(kept, figures)
    output.print(shown(f"{board.title}: {board.device}", figures))
    if placement.fmax_mhz < figures["target_mhz"]:
        raise RuntimeError(
            f"{board.name} reached {placement.fmax_mhz:.1f} MHz, not the {figures['target_mhz']:g} MHz of its clock; "
            f"try more seeds with --seeds, or a lower clock_hz in the board's file"
        )
    output.print(f"reached: {placement.fmax_mhz:.1f} MHz of {figures['target_mhz']:g} MHz", highlight=False)


def place_all(board: "Board", folder: Path, seeds: "range | list[int]", jobs: int, design: Any = None) -> "tuple[Build, list[Placement]]":
    """Prepare, synthesise, and place with all seeds, some at a time; what is under way is told on the standard error."""
    from skipgrid.fpga import tools
    from skipgrid.fpga.build import Build

    made = Build(board, folder, design=design)

    def place(seed: int) -> "Placement":
        if not notes.is_terminal:  # where a spinner does not show that it goes on
            notes.print(f"seed {seed}: placing", highlight=False)
        return made.place(seed)

    with working(f"elaborating {board.name}"):
        made.prepare()
    with working("synthesising with yosys"):
        made.synthesise()
    placements, failures = [], []
    with working(f"placing with {made.family.placer}"), ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(place, seed) for seed in seeds]):
                if failure := done.exception():
                    failures.append(failure)
                    continue
                placement = done.result()
                placements.append(placement)
                notes.print(f"seed {placement.seed}: {placement.fmax_mhz:.1f} MHz after {placement.seconds:.0f} s", highlight=False)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            tools.stop()
            raise
    if not placements:
        raise failures[0]
    return made, placements


def summary(made: "Build", placements: "list[Placement]") -> "tuple[Placement, dict[str, Any]]":
    """The best placement, and the figures that are kept of a build."""
    from skipgrid.fpga import tools
    from skipgrid.fpga.build import best

    from . import records

    board, placement = made.board, best(placements)
    config = board.config
    return placement, {
        "board": board.name,
        "device": board.device,
        "pes": config.pes,
        **asdict(placement.area),
        "fmax_mhz": placement.fmax_mhz,
        "target_mhz": board.clock_hz / 1e6,
        "seed": placement.seed,
        "seeds": {str(each.seed): each.fmax_mhz for each in sorted(placements, key=lambda each: each.seed)},
        "tools": tools.versions(*made.tools),
        "config_hash": f"{config.hash:#010x}",
        "sources_hash": records.sources_hash(board),
        "design_hash": made.design_hash(),
    }


def shown(title: str, figures: dict[str, Any]) -> Any:
    """The figures as a table."""
    made = table(title, "LUT", "flip-flops", "logic cells", "multipliers", "block RAM", "SPRAM", "clock, MHz", "seed", left=0)
    counts = (f"{figures[key]:,}" for key in ("lut", "ff", "lc", "dsp", "bram", "spram"))
    made.add_row(*counts, f"{figures['fmax_mhz']:.1f}", str(figures["seed"]))
    return made
