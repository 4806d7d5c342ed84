"""The fuzz: what it draws, that nothing is wrong on a small accelerator, and that it finds what is, and finds it again."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Fragment
from numpy.typing import NDArray

from cli_support import CommandLine
from skipgrid.benches.fuzz.chaos import ChaoticDevice
from skipgrid.benches.fuzz.mishaps import MISHAPS
from skipgrid.benches.fuzz.trials import SMALL, TRIALS_A_CONFIG, config_of_trial, run_trial
from skipgrid.benches.random_networks import random_case, random_config
from skipgrid.golden import Layer, Thresholds, run_network
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config, Form

EXTREMES: dict[str, set[int]] = {
    "rows": {1, 16},
    "lanes": {4, 256},
    "weights": {256, 32768},
    "entries": {256, 65536},
    "pixels": {64, 65536},
    "features": {64, 65536},
    "side": {16, 16384},
    "channels": {4, 65536},
    "layers": {2, 256},
    "scan": {1, 16},
    "sums": {1, 16},
    "ranges_ahead": {0, 12},
    "survivors": {1, 2},
    "pointers": {1, 2, 4},
    "form": set(Form),
    "soft_lanes": {0, 16},
    "winners": {0, 64, 65536},
    "pixel_winners": {0, 64},
    "pool_elements": {0, 64, 65536},
    "functions": {0, 1, 64},
    "slots": {0, 8, 16},
    "wide_program": {False, True},
    "experts": {0, 2, 64},
    "experts_chosen": {0, 1, 8},
}


@pytest.fixture
def skipgrid(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_every_field_of_a_configuration_is_drawn_from_one_end_to_the_other() -> None:
    drawn = [asdict(random_config(np.random.default_rng(seed))) for seed in range(2000)]
    assert EXTREMES.keys() == drawn[0].keys() - {"name"}
    for name, ends in EXTREMES.items():
        assert ends <= {config[name] for config in drawn}, name


def test_the_configuration_follows_from_seed_and_number() -> None:
    assert config_of_trial(3, 0) == config_of_trial(3, TRIALS_A_CONFIG - 1)
    assert len({config_of_trial(seed, number) for seed in range(3) for number in (0, TRIALS_A_CONFIG)}) == 6


def test_networks_fit_the_smallest_memories() -> None:
    smallest = Config(rows=1, lanes=4, weights=256, entries=256, pixels=64, features=64, side=16, channels=4, layers=2, scan=1, sums=1)
    cases = [random_case(np.random.default_rng(seed), smallest) for seed in range(100)]
    assert sum(case.refused for case in cases) > 50
    assert {len(case.layers) for case in cases} == {1}


def test_pooled_sums_may_wrap() -> None:
    names = [layer.name for seed in range(200) for layer in random_case(np.random.default_rng(seed), SMALL).layers]
    assert any(name.endswith(", pooling") for name in names)


@pytest.mark.xdist_group("small")
def test_networks_run_right_whatever_happens() -> None:
    device = ChaoticDevice(SMALL)
    trials = [run_trial(device, 1, number) for number in range(60)]
    assert [(trial.number, trial.wrong) for trial in trials if trial.wrong] == []
    happened = sum((trial.happened for trial in trials), Counter[str]())
    assert min(happened[name] for name in ("runs", "full", "refused", *MISHAPS)) > 0
    assert [run_trial(device, 1, number) for number in range(60)[::-1]] == trials[::-1], "each by itself"


@pytest.mark.xdist_group("small")
def test_what_is_wrong_is_found_again(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: NDArray[np.integer], layers: Sequence[Layer], thresholds: Thresholds | None = None) -> list[NDArray[np.integer]]:
        outputs = run_network(x, layers, thresholds)
        if len(layers) == 3:
            outputs[-1] = outputs[-1] ^ 1
        return outputs

    monkeypatch.setattr("skipgrid.benches.fuzz.session.run_network", wrong)
    file = tmp_path / "fuzz.json"
    outcome = skipgrid("fuzz", "--preset", "small", "--set", "sums=2", "--count", 12, "--seed", 5, "--json", file)
    assert outcome.code == 1
    found = json.loads(file.read_text(encoding="utf-8"))["wrong"]
    assert 0 < len(found) < 12
    assert outcome.errors.splitlines()[-1].startswith(f"skipgrid: {len(found)} of 12 trials went wrong")
    assert found[0]["what"].startswith("the output differs from the golden model's: ")
    command, *replay = shlex.split(found[0]["replay"])
    assert command == "skipgrid"
    assert f"{found[0]['what']}\n    {found[0]['replay']}\n" in outcome.errors
    assert skipgrid(*replay, "--json", file).code == 1
    assert json.loads(file.read_text(encoding="utf-8"))["wrong"] == found[:1]
    monkeypatch.undo()
    assert skipgrid(*replay).code == 0


def test_a_configuration_that_cannot_be_built_is_found(skipgrid: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise IndexError("no such bit")

    monkeypatch.setattr("skipgrid.host.simulation.device.Accelerator", refuse)
    monkeypatch.setenv("SKIPGRID_CACHE", str(tmp_path))
    outcome = skipgrid("fuzz", "--count", TRIALS_A_CONFIG + 1, "--seed", 2)
    assert outcome.code == 1
    for number in (0, TRIALS_A_CONFIG):
        assert f"it cannot be built: IndexError: no such bit\n    skipgrid fuzz --seed 2 --only {number}\n" in outcome.errors


@pytest.mark.slow
def test_every_drawn_configuration_can_be_made() -> None:
    for seed in range(30):
        Fragment.get(Accelerator(random_config(np.random.default_rng(seed))), None)


@pytest.mark.slow
def test_drawn_accelerators(skipgrid: CommandLine, tmp_path: Path) -> None:
    outcome = skipgrid("fuzz", "--count", TRIALS_A_CONFIG + 100, "--json", tmp_path / "fuzz.json")
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    assert (report["wrong"], report["trials"], len(report["configs"])) == ([], TRIALS_A_CONFIG + 100, 2)


@pytest.mark.slow
def test_winners_and_experts(skipgrid: CommandLine, tmp_path: Path) -> None:
    settings = ("winners=256", "pixel_winners=3", "wide_program=true", "experts=4", "experts_chosen=2", "channels=256", "form=spread")
    chosen = [word for text in settings for word in ("--set", text)]
    outcome = skipgrid("fuzz", "--count", 200, "--json", tmp_path / "fuzz.json", *chosen)
    assert outcome.code == 0, outcome.errors
    report = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    assert (report["wrong"], report["configs"][0]["experts"]) == ([], 4)
    assert report["happened"]["runs"] > 400


def test_refuses(skipgrid: CommandLine) -> None:
    assert "no preset '9x9'" in skipgrid.refuses("fuzz", "--preset", "9x9")
