"""Random networks on random configurations, and all that may happen to them: trials, each of which follows from two numbers."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from skipgrid.host.devices.device import Device
from skipgrid.rtl.config import Config

from ..random_networks import random_case, random_config
from .chaos import ChaoticDevice
from .mishaps import MISHAPS
from .session import Session, Wrong

SMALL = Config(
    name="small", rows=2, lanes=4, weights=1024, entries=512, pixels=256, features=256, side=16, channels=64, layers=8, scan=2, sums=2
)  # compiles quickly, and is full soon
TRIALS_A_CONFIG = 300


@dataclass
class Trial:
    """What became of one or two random networks on a device.

    wrong: what was, in a sentence, or "".
    happened: how often what was: networks, their layers, lists (layers whose weights are lists), runs, full (runs that were refused, as
        the buffers did not hold their tensors), refused (layers that did not fit, and were drawn again), and each of `MISHAPS`.
    """

    number: int
    wrong: str = ""
    happened: Counter[str] = field(default_factory=Counter)


def config_of_trial(seed: int, number: int) -> Config:
    """The configuration that a trial is made with, where none is given: the same for `TRIALS_A_CONFIG` trials."""
    return random_config(np.random.default_rng((seed, number // TRIALS_A_CONFIG, 1)))


def run_trial(device: Device, seed: int, number: int) -> Trial:
    """Run random networks, each from its first input word to its last output word, and again from a stored input.

    All that is drawn follows from seed and number. A chaotic device begins anew, disturbs all of it, and mishaps follow.
    """
    rng = np.random.default_rng((seed, number))
    trial = Trial(number)
    try:
        if isinstance(device, ChaoticDevice):
            device.restart(rng)
        for _ in range(int(rng.integers(1, 3))):
            _run_network(device, rng, trial.happened)
    except Wrong as wrong:
        trial.wrong = str(wrong)
    except Exception as error:  # whatever it is: the trial is told apart by it, and can be run again
        trial.wrong = f"{type(error).__name__}: {error}"
    return trial


def _run_network(device: Device, rng: np.random.Generator, happened: Counter[str]) -> None:
    case = random_case(rng, device.config)
    happened.update(networks=1, layers=len(case.layers), lists=sum(item.slots > 0 for item in case.placed), refused=case.refused)
    session = Session(device, case, happened)
    session.load()
    for session.loads in (False, True):
        session.load_program()
        if not all(session.run(x) for x in case.inputs):
            return
    if isinstance(device, ChaoticDevice):
        for name in rng.choice(list(MISHAPS), int(rng.integers(0, 4))).tolist():
            MISHAPS[name](session, device, rng)
            happened[name] += 1
            session.run(case.inputs[0])
