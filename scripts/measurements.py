"""What is measured for the kept figures: of each record, the command that gives the same figures, and what measures them."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from skipgrid.reference.figures import BOARDS, COST, CYCLES, DATA, EXPERTS, MODEL, NETWORKS_ON, WINNERS
from skipgrid.rtl.config import PRESETS, preset

from .console import wrote
from .keys import DENSITY_LAYER, LAYERS, SEED

FIGURES = Path("docs/figures")
FAMILY = "ecp5"
UNITS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("streaming-topk", (f"cells={cells}",)) for cells in (2, 4, 8, 16)),
    ("histogram-topk", ("index_bits=15",)),
    ("histogram-topk", ("index_bits=17",)),
    *((unit, ()) for unit in ("threshold-relu", "adaptive-k", "softmax", "sparsemax", "expert-router")),
)
Measurement = tuple[str, Callable[[], dict[str, Any]]]


def measurements() -> dict[str, Measurement]:
    """Of each record, by name: the command that gives the same figures, and what measures them."""
    from .bench_boards import measure_boards
    from .bench_experts import measure_experts
    from .bench_topk import measure_topk
    from .bench_winners import measure_winners

    found: dict[str, Measurement] = {}
    for name in PRESETS:
        found[f"digits-{name}"] = (f"skipgrid run {MODEL} {DATA} --preset {name}", partial(_digits, name))
        for kind, (clustered, weights) in LAYERS.items():
            options = (" --clustered" if clustered else "") + (f" --weights {weights}" if weights else "")
            command = f"skipgrid bench layers --preset {name} --seed {SEED}{options}"
            found[f"layers-{name}{kind}"] = (command, partial(_layers, name, clustered=clustered, weights=weights))
    command = f'skipgrid bench density --preset 4x32 --layer "{DENSITY_LAYER}" --seed {SEED}'
    found["density-4x32"] = (command, _density)
    found[BOARDS] = ("skipgrid bench boards", measure_boards)
    found[CYCLES] = (f"skipgrid bench topk --seed {SEED}", partial(measure_topk, SEED))
    found[COST] = (f"skipgrid synth --family {FAMILY} --unit UNIT --set NAME=VALUE", _units)
    for name in NETWORKS_ON:
        found[f"{WINNERS}-{name}"] = (f"skipgrid bench winners --preset {name}", partial(measure_winners, preset(name)))
        command = f"skipgrid bench experts --preset {name} --seed {SEED}"
        found[f"{EXPERTS}-{name}"] = (command, partial(measure_experts, preset(name), SEED))
    return found


def _digits(name: str) -> dict[str, Any]:
    from .drawing import draw_images
    from .images import read_data
    from .model_run import measure, prepare

    images, labels = read_data(DATA)
    measured = measure(preset(name), prepare(preset(name), MODEL, DATA, None))
    if measured.problem:
        raise measured.problem
    if name == "4x32":
        drawing = FIGURES / "digits.png"
        draw_images(images[:20], labels[:20], measured.classes[:20], drawing, f"20 digits, recognised by LeNet-5 on {name}")
        wrote(drawing)
    return asdict(measured.summary)


def _layers(name: str, *, clustered: bool, weights: float | None) -> dict[str, Any]:
    from .bench_layers import measure_layers

    report, _, _ = measure_layers(preset(name), seed=SEED, clustered=clustered, weights=weights)
    return report


def _density() -> dict[str, Any]:
    from .bench_density import measure_density

    return measure_density(preset("4x32"), DENSITY_LAYER, SEED)


def _units() -> dict[str, Any]:
    from .synth import measure

    return {"units": [measure(FAMILY, "1x8", unit, list(settings), 1, None) for unit, settings in UNITS]}
