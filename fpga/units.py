# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The components that can be synthesised by themselves, by name."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from inspect import signature
from typing import Any

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.control.loader import Loader
from skipgrid.rtl.control.registers import Registers
from skipgrid.rtl.control.sequencer import Sequencer
from skipgrid.rtl.experts.gates import AdaptiveK, ThresholdRelu
from skipgrid.rtl.experts.router import ExpertRouter
from skipgrid.rtl.experts.softmax import Softmax
from skipgrid.rtl.experts.sparsemax import Sparsemax
from skipgrid.rtl.grid.fetcher import RangeFetcher
from skipgrid.rtl.grid.row import Row
from skipgrid.rtl.grid.walker import WindowWalker
from skipgrid.rtl.grid.weights import WeightMemory
from skipgrid.rtl.input.decoder import RunLengthDecoder
from skipgrid.rtl.input.memory import ActivationMemory
from skipgrid.rtl.input.writer import ActivationWriter
from skipgrid.rtl.output.drain import Drain
from skipgrid.rtl.output.encoder import RunLengthEncoder
from skipgrid.rtl.output.requantise import Requantiser
from skipgrid.rtl.output.tokens import TokenBuilder
from skipgrid.rtl.pooling.pooling_unit import PoolingUnit
from skipgrid.rtl.topk.histogram_topk import HistogramTopK
from skipgrid.rtl.topk.streaming_topk import StreamingTopK

from .link import Link

# Parts of an accelerator, which follow from its configuration.
PARTS: dict[str, Callable[[Config], Any]] = {
    "accelerator": Accelerator,
    "decoder": lambda _: RunLengthDecoder(),
    "writer": ActivationWriter,
    "activations": ActivationMemory,
    "walker": WindowWalker,
    "fetcher": RangeFetcher,
    "row": Row,
    "weights": WeightMemory,
    "drain": Drain,
    "requantiser": Requantiser,
    "pooling": PoolingUnit,
    "tokens": lambda config: TokenBuilder(config.survivors, registered=not config.parallel),
    "encoder": lambda config: RunLengthEncoder(config.survivors, registered=not config.parallel),
    "sequencer": Sequencer,
    "loader": Loader,
    "registers": Registers,
    "link": lambda _: Link(clock_hz=24_000_000, baud=3_000_000),
}

# Units that are of use by themselves, made with settings: the keyword parameters of their classes.
ALONE: dict[str, type[Any]] = {
    "streaming-topk": StreamingTopK,
    "histogram-topk": HistogramTopK,
    "threshold-relu": ThresholdRelu,
    "adaptive-k": AdaptiveK,
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "expert-router": ExpertRouter,
}
UNITS = (*PARTS, *ALONE)


def make_unit(name: str, config: Config, settings: Mapping[str, int] | None = None) -> Any:
    """The component of that name: a part of a configuration, or a unit with settings; ValueError names those that exist."""
    if name not in UNITS:
        raise ValueError(f"there is no unit {name!r}; there are {', '.join(UNITS)}")
    return PARTS[name](config) if name in PARTS else ALONE[name](**settings or {})


def read_settings(name: str, texts: list[str]) -> dict[str, int]:
    """All settings of a unit that is of use by itself, in order: those of the texts "name=value", of the others the default."""
    check_alone(name)
    return _changed(name, {key: parameter.default for key, parameter in signature(ALONE[name]).parameters.items()}, texts)


def with_settings(config: Config, texts: list[str]) -> Config:
    """A configuration with the parameters of the texts "name=value" changed; ValueError names one that is not there, or cannot be so."""
    parameters = {key: value for key, value in asdict(config).items() if key != "name"}
    changed = _changed(config.name, dict(parameters), texts)
    return config if changed == parameters else config.replaced(name=f"{config.name}-custom", **changed)


def check_alone(name: str) -> None:
    """ValueError, which names those that exist, unless the unit is of use by itself."""
    if name not in ALONE:
        raise ValueError(f"there is no unit {name!r} that is of use by itself; there are {', '.join(ALONE)}")


def _changed(name: str, settings: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    for text in texts:
        key, _, value = text.partition("=")
        if key not in settings:
            known = ", ".join(f"{key}={default}" for key, default in settings.items())
            raise ValueError(f"{text!r} sets nothing of {name}, which has {known}")
        words = _words(settings[key])
        try:
            settings[key] = words[value.lower()] if words else int(value)
        except (KeyError, ValueError):
            raise ValueError(f"{key} of {name} is {' or '.join(words) or 'an integer'}, not {value!r}") from None
    return settings


def _words(value: object) -> dict[str, Any]:
    """What a setting that has this value may be, by name; nothing where it is an integer."""
    if isinstance(value, bool):
        return {"true": True, "false": False}
    return {str(choice): choice for choice in type(value)} if isinstance(value, Form) else {}
