"""Layers with experts: in the accelerator, and how they are compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulation import ALL, SERIAL, SMALL, shapes
from skipgrid.golden import Activation, Layer, Mixture
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.passes import plan
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config, Form
from skipgrid.rtl.descriptor import Descriptor
from skipgrid.rtl.layouts import Opcode

EXPERTS = SMALL.replaced(experts=5, experts_chosen=3, layers=8, weights=1024, channels=128)
SHAPES = {
    "all": ALL,
    "2 rows": EXPERTS,
    "spread": EXPERTS.replaced(form=Form.SPREAD),
    "1 row": EXPERTS.replaced(rows=1, experts=64, channels=1024, weights=2048),
}


@shapes(SHAPES, "all")
def test_experts(simulate: Callable[..., None], config: Config) -> None:
    simulate(Accelerator(config), "bench_experts", config)


def fully(K: int, C: int = 6, **fields: Any) -> Layer:
    """A fully connected layer of ones."""
    weights, bias, scale = np.ones((K, C, 1, 1), np.int8), np.zeros(K, np.int32), np.full(K, 0.01, np.float32)
    return Layer("fully", weights, bias, scale, (C, 1, 1), **fields)


def mixed(experts: int = 4, k: int = 2, channels: int = 8, C: int = 6) -> Layer:
    """A layer with experts of so many channels each."""
    return fully(experts * channels, C, mixture=Mixture(fully(experts, C, y=Activation("int8")), k))


def test_a_gate_reads_the_same_input_before_its_experts() -> None:
    layers = [mixed(), fully(3, 32), mixed(C=3)]
    found = []
    for words in network_program(place(layers, EXPERTS), EXPERTS, k_in=0, k_out=0):
        bits = Descriptor.from_bits(int.from_bytes(words.tobytes(), "little"))
        found.append((Opcode(bits.opcode), bits.buffer, bits.from_stream, bits.to_stream, bits.final))
    assert found == [
        (Opcode.GATE, 0, 1, 1, 0),
        (Opcode.EXPERTS, 0, 0, 0, 0),
        (Opcode.LAYER, 1, 0, 0, 0),
        (Opcode.GATE, 0, 0, 1, 0),
        (Opcode.EXPERTS, 0, 0, 1, 1),
    ]
    bits = Descriptor.from_bits(int.from_bytes(network_program(place(layers, EXPERTS), EXPERTS, k_in=0, k_out=0)[1].tobytes(), "little"))
    assert (bits.experts, bits.expert_groups, bits.expert_weights, bits.groups) == (4, 2, 12, 8)


def test_gates_and_experts_lie_behind_each_other() -> None:
    (first, second) = place([mixed(), fully(3, 32)], EXPERTS)
    assert first.gate is not None
    assert (first.gate.weights_base, first.weights_base, second.weights_base) == (0, 6, 6 + 8 * 6)
    assert (first.gate.channels_base, first.channels_base, second.channels_base) == (0, 4, 36)
    assert second.gate is None


@pytest.mark.parametrize(
    ("layers", "config", "sentence"),
    [
        ([mixed()], SMALL, "fully: it chooses from 4 experts, but custom has no router; set experts=4 and experts_chosen=2 in"),
        ([mixed(6)], EXPERTS, "fully: it chooses 2 of 6 experts, but custom chooses up to 3 of 5"),
        ([mixed(5, 4)], EXPERTS, "fully: it chooses 4 of 5 experts, but custom chooses up to 3 of 5"),
        ([mixed(channels=6)], EXPERTS, "fully: each expert has 6 output channels, no multiple of the 4 lanes of custom"),
        (
            [mixed(), mixed(3, 2, C=32)],
            EXPERTS,
            "all layers with experts have as many and choose as many, because there is one router; but",
        ),
    ],
)
def test_what_does_not_fit(layers: list[Layer], config: Config, sentence: str) -> None:
    with pytest.raises(DoesNotFit) as refused:
        place(layers, config)
    assert str(refused.value).startswith(sentence)


def test_passes_are_refused() -> None:
    with pytest.raises(DoesNotFit, match="fully: a layer with experts is computed with its network, not by itself in passes"):
        plan(mixed(), np.ones((6, 1, 1), np.uint8), EXPERTS)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"experts": 1, "experts_chosen": 1}, "experts must be from 2 to 64, or 0 for none, not 1"),
        ({"experts": 65, "experts_chosen": 1}, "experts must be from 2 to 64, or 0 for none, not 65"),
        ({"experts": 4}, "experts_chosen must be from 1 to 4 of 4 experts, not 0"),
        ({"experts": 16, "experts_chosen": 9}, "experts_chosen must be from 1 to 8 of 16 experts, not 9"),
        ({"experts_chosen": 1}, "experts_chosen must be from 0 to 0 of 0 experts, not 1"),
    ],
)
def test_configurations_that_cannot_be_built(fields: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SMALL.replaced(**fields)
    with pytest.raises(ValueError, match="experts must be 0 where the form is serial, not 4"):
        SERIAL.replaced(experts=4, experts_chosen=2)
