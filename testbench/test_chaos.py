"""The harness that disturbs: it finds every rule of the ports broken, and none with an accelerator that keeps them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli_support import ROOT
from skipgrid.benches.fuzz.chaos import FAULTS, RESET, ChaoticDevice, DeviceReset, OutputPacket, PortFault, RegisterAccess
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.rtl.register_map import REGISTERS

PACKET = np.arange(40, dtype=np.uint32)
SOURCES = ROOT / "host" / "simulation"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The harness around an accelerator that sends its input back, and breaks a rule on demand."""
    library = tmp_path_factory.mktemp("mock") / "mock.so"
    options = ["-shared", "-fPIC", "-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0"]
    folder = Path(__file__).parent / "mock"
    subprocess.run(["c++", *options, f"-I{folder}", str(SOURCES / "device.cpp"), "-o", str(library)], check=True)
    return library


@pytest.fixture
def device(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChaoticDevice]:
    status = RegisterAccess(address=REGISTERS["STATUS"].address)
    monkeypatch.setattr("skipgrid.host.simulation.device.build", lambda *_, **__: library)
    monkeypatch.setattr("skipgrid.benches.fuzz.chaos.harmless_accesses", lambda _: [status])
    device = ChaoticDevice(SMALL)
    yield device
    device._library.break_rule(0)


def disturbed(device: ChaoticDevice, seed: int, reset_at: int | None = None) -> list[OutputPacket]:
    """A run for which a load packet waits, in surroundings of which some are never open."""
    device.restart(np.random.default_rng(seed))
    device.reset_at = reset_at
    return device.use([PACKET[:3]], [PACKET, PACKET], start=True)


def test_every_way_to_end_has_a_sentence() -> None:
    names = re.search(r"enum Ended : int \{.*?\n(.*?)\};", (SOURCES / "chaos.h").read_text(encoding="utf-8"), re.DOTALL)
    assert names is not None
    assert [name.strip() for name in names[1].split(",")][RESET] == "RESET"
    assert {0, RESET, *FAULTS} == set(range(names[1].count(",")))


def test_nothing_is_wrong_with_what_keeps_the_rules(device: ChaoticDevice) -> None:
    for seed in range(100):
        (packet,) = disturbed(device, seed)
        assert packet.words.tolist() == PACKET.tolist()
        assert not packet.damaged


@pytest.mark.parametrize("rule", FAULTS, ids=FAULTS.values())
def test_a_broken_rule_is_found(device: ChaoticDevice, rule: int) -> None:
    device._library.break_rule(rule)
    found = set()
    for seed in range(12):
        try:
            disturbed(device, seed, reset_at=30 if "reset" in FAULTS[rule] else None)
        except PortFault as fault:
            found.add(str(fault))
        except DeviceReset:
            pass
        if found:
            break
    assert found == {f"the accelerator {FAULTS[rule]}"}


def test_a_reset_comes_in_its_cycle_or_not_at_all(device: ChaoticDevice) -> None:
    before = device.cycle
    device.reset_at = 10
    with pytest.raises(DeviceReset):
        device.load(PACKET)
    assert 10 <= device.cycle - before < 20
    device.reset_at = 100_000
    device.load(PACKET)
    assert device.reset_at is None
